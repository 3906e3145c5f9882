/** The page around sign-in and first start, and what is shown when no page can be. */
import { Button, Paper, Title } from "@mantine/core";
import { type ErrorComponentProps, Link, Outlet, useRouter } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { Failure, Lines } from "../parts/Feedback";
import { Logo } from "../parts/Logo";
import { useTitle } from "../parts/title";
import classes from "./Bare.module.css";

export function Bare() {
  const { t } = useTranslation();
  return (
    <main className={classes.bare}>
      <div className={classes.brand}>
        <Logo size={30} />
        <span>{t("name")}</span>
      </div>
      <Paper className={classes.card}>
        <Outlet />
      </Paper>
    </main>
  );
}

/** A heading and one sentence at the top of the card. */
export function BareHead({ title, intro }: { title: string; intro: string }) {
  return (
    <header>
      <Title order={1}>{title}</Title>
      <p className={classes.intro}>{intro}</p>
    </header>
  );
}

export function Waiting() {
  return <Lines n={6} />;
}

export function Crashed({ error, reset }: ErrorComponentProps) {
  const router = useRouter();
  const again = () => {
    reset();
    void router.invalidate();
  };
  return (
    <div className={classes.alone}>
      <Failure error={error instanceof Error ? error : new Error(String(error))} again={again} />
    </div>
  );
}

export function Missing() {
  const { t } = useTranslation();
  useTitle(t("error.notFound"));
  return (
    <main className={classes.alone}>
      <BareHead title={t("error.notFound")} intro={t("error.notFoundMeans")} />
      <Button component={Link} to="/" variant="default">
        {t("error.toOverview")}
      </Button>
    </main>
  );
}
