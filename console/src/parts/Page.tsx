/** The anatomy of a page: a way back, title, one sentence, at most one primary action, content. */
import { Title } from "@mantine/core";
import { IconArrowLeft } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import classes from "./Page.module.css";
import { useTitle } from "./title";

interface Props {
  title: ReactNode;
  /** What the browser's tab says, where the title is more than text. */
  tab?: string;
  intro?: ReactNode;
  action?: ReactNode;
  back?: {
    to: "/messages" | "/inbox" | "/domains" | "/accounts" | "/hooks" | "/webhooks" | "/templates";
    label: string;
  };
  /** Forms and reading matter are narrower than tables. */
  narrow?: boolean;
  children: ReactNode;
}

export function Page({ title, tab, intro, action, back, narrow, children }: Props) {
  const { t } = useTranslation();
  useTitle(tab ?? (typeof title === "string" ? title : ""));
  return (
    <div className={classes.page} data-narrow={narrow || undefined}>
      {back && (
        <Link to={back.to} className={classes.back}>
          <IconArrowLeft size={16} aria-hidden />
          {t("common.back", { where: back.label })}
        </Link>
      )}
      <header className={classes.head}>
        <div className={classes.words}>
          <Title order={1} tabIndex={-1} dir="auto">
            {title}
          </Title>
          {intro && <div className={classes.intro}>{intro}</div>}
        </div>
        {action && <div className={classes.action}>{action}</div>}
      </header>
      {children}
    </div>
  );
}

/** One part of a page with its own heading. */
export function Section({
  title,
  hint,
  action,
  children,
}: {
  title: string;
  hint?: ReactNode;
  action?: ReactNode;
  children: ReactNode;
}) {
  return (
    <section className={classes.section} aria-label={title}>
      <div className={classes.head}>
        <div className={classes.words}>
          <Title order={2}>{title}</Title>
          {hint && <div className={classes.intro}>{hint}</div>}
        </div>
        {action && <div className={classes.action}>{action}</div>}
      </div>
      {children}
    </section>
  );
}
