/** How a hook's runs went, and what it said before. */
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { runs as runsQuery, versions as versionsQuery } from "../../api/hooks";
import type { Hook, HookRun, HookVersion } from "../../api/types";
import { agoColumn, RowAct, RowActs } from "../../parts/columns";
import { type Column, DataTable } from "../../parts/DataTable";
import { Empty, Failure } from "../../parts/Feedback";
import { Section } from "../../parts/Page";
import { stageName } from "./Hooks";
import classes from "./hooks.module.css";
import { Outcome } from "./Outcome";

interface Of {
  hook: Hook;
  everybody: boolean;
}

export function Runs({ hook, everybody }: Of) {
  const { t } = useTranslation();
  const query = useQuery(runsQuery(hook.id, everybody));
  const detail = (run: HookRun) =>
    run.line ? `${t("hooks.line", { n: run.line })}: ${run.detail}` : run.detail;
  const columns: Column<HookRun>[] = [
    {
      id: "outcome",
      header: t("hooks.outcome"),
      cell: (run) => <Outcome text={run.outcome} />,
      text: (run) => run.outcome,
    },
    {
      id: "detail",
      header: t("hooks.detail"),
      wide: true,
      cell: (run) => (
        <>
          {detail(run)}
          {run.log && <pre className={classes.log}>{run.log.trimEnd()}</pre>}
        </>
      ),
      text: detail,
    },
    {
      id: "stage",
      header: t("hooks.asked"),
      need: 3,
      cell: (run) => stageName(run.stage),
      text: (run) => run.stage,
    },
    {
      id: "duration",
      header: t("hooks.duration"),
      need: 3,
      numeric: true,
      cell: (run) => `${(run.duration_us / 1000).toFixed(2)} ms`,
      text: (run) => run.duration_us,
    },
    agoColumn({ id: "at", header: t("hooks.at"), need: 2, at: (run) => run.at }),
  ];
  const rows = query.data?.runs;
  return (
    <Section title={t("hooks.history")} hint={t("hooks.historyHint")}>
      {query.error && !rows && <Failure error={query.error} again={() => void query.refetch()} />}
      {rows?.length === 0 ? (
        <Empty title={t("hooks.noRuns")} hint={t("hooks.tryHint")} />
      ) : (
        <DataTable
          id="hook-runs"
          label={t("hooks.history")}
          columns={columns}
          rows={rows}
          rowKey={(run) => run.id}
        />
      )}
    </Section>
  );
}

interface VersionsOf extends Of {
  /** Shows what it said in the editor. */
  look: (body: string) => void;
  restore: ((version: number) => void) | undefined;
}

export function Versions({ hook, everybody, look, restore }: VersionsOf) {
  const { t } = useTranslation();
  const query = useQuery(versionsQuery(hook.id, everybody));
  const rows = query.data?.items;
  const name = (row: HookVersion) => t("hooks.version", { n: row.version });
  const columns: Column<HookVersion>[] = [
    { id: "version", header: t("hooks.versions"), cell: name, text: (row) => row.version },
    {
      id: "who",
      header: t("hooks.who"),
      wide: true,
      need: 2,
      cell: (row) => <bdi>{row.who}</bdi>,
      text: (row) => row.who,
    },
    agoColumn({ id: "at", header: t("hooks.at"), at: (row) => row.at }),
    {
      id: "acts",
      header: t("common.actions"),
      numeric: true,
      cell: (row) =>
        row.version === hook.version ? (
          <span className="quiet">{t("hooks.current")}</span>
        ) : (
          <RowActs>
            <RowAct label={t("hooks.look")} name={name(row)} act={() => look(row.body)} />
            {restore && (
              <RowAct label={t("hooks.restore")} name={name(row)} act={() => restore(row.version)} />
            )}
          </RowActs>
        ),
    },
  ];
  return (
    <Section title={t("hooks.versions")} hint={t("hooks.versionsHint")}>
      {query.error && !rows && <Failure error={query.error} again={() => void query.refetch()} />}
      <DataTable
        id="hook-versions"
        label={t("hooks.versions")}
        columns={columns}
        rows={rows}
        rowKey={(row) => String(row.version)}
      />
    </Section>
  );
}
