/** What a page shows when there is nothing, not yet something, or a fault. */
import { Alert, Anchor, Button, Skeleton, Text } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "../api/client";
import classes from "./Feedback.module.css";

export function Empty({ title, hint, children }: { title: string; hint: ReactNode; children?: ReactNode }) {
  return (
    <div className={classes.empty}>
      <Text fw={600}>{title}</Text>
      <Text c="dimmed" maw="60ch">
        {hint}
      </Text>
      {children && <div className={classes.acts}>{children}</div>}
    </div>
  );
}

/** Says what happened, what it means for mail, and what to do. */
export function Failure({ error, again }: { error: Error; again?: () => void }) {
  const { t } = useTranslation();
  const status = error instanceof ApiError ? error.status : -1;
  const [title, means] =
    status === 0
      ? [t("error.unreachable"), t("error.unreachableMeans")]
      : status >= 500
        ? [t("error.server"), t("error.serverMeans")]
        : status === 404
          ? [t("error.notFound"), t("error.notFoundMeans")]
          : status === 403
            ? [t("error.forbidden"), null]
            : [t("error.title"), null];
  return (
    <Alert color="red" variant="outline" role="alert" icon={<IconAlertTriangle aria-hidden />} title={title}>
      {means && <Text>{means}</Text>}
      {status !== 404 && <Text c="dimmed">{error.message}</Text>}
      <More error={error} />
      {again && (
        <Button mt="sm" size="xs" variant="default" onClick={again}>
          {t("common.retry")}
        </Button>
      )}
    </Alert>
  );
}

/** A fault beside a form: the server's own words, and what was typed stays. */
export function FormFault({ error }: { error: Error | null }) {
  const { t } = useTranslation();
  if (!error) return null;
  const unreachable = error instanceof ApiError && error.status === 0;
  return (
    <Alert color="red" variant="outline" role="alert" icon={<IconAlertTriangle aria-hidden />} py="xs">
      {unreachable ? t("error.unreachable") : error.message} <More error={error} />
    </Alert>
  );
}

/** Leads to the help article that the server names. */
function More({ error }: { error: Error }) {
  const { t } = useTranslation();
  if (!(error instanceof ApiError && error.help)) return null;
  return (
    <Anchor href={error.help} target="_blank" rel="noopener" underline="always">
      {t("error.more")}
    </Anchor>
  );
}

export function Lines({ n, height = 16 }: { n: number; height?: number }) {
  const { t } = useTranslation();
  return (
    <div className={classes.lines} role="status" aria-label={t("common.loading")}>
      {Array.from({ length: n }, (_, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: placeholders have nothing else
        <Skeleton key={i} height={height} width={`${92 - ((i * 17) % 40)}%`} />
      ))}
    </div>
  );
}
