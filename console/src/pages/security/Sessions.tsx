/** The browsers where one is signed in. */
import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { sessions, stepCommands } from "../../api/secondStep";
import type { Session } from "../../api/types";
import { useAct } from "../../parts/act";
import { actColumn, agoColumn } from "../../parts/columns";
import { confirm } from "../../parts/confirm";
import type { Column } from "../../parts/DataTable";
import { List } from "../../parts/List";
import { Section } from "../../parts/Page";

const STALE = [["sessions"]];

export function Sessions() {
  const { t } = useTranslation();
  const query = useQuery(sessions);
  const columns = useColumns();
  const rows = query.data?.items;
  const others = useAct({
    run: stepCommands.endOthers,
    stale: STALE,
    said: () => t("security.othersEnded"),
  });
  const ask = () =>
    confirm({
      title: t("security.endOthersTitle"),
      text: t("security.endOthersText", { count: (rows?.length ?? 1) - 1 }),
      yes: t("security.endOthers"),
      act: () => others.mutate(),
    });
  return (
    <Section
      title={t("security.sessions")}
      hint={t("security.sessionsHint")}
      action={
        rows &&
        rows.length > 1 && (
          <Button variant="default" onClick={ask} loading={others.isPending}>
            {t("security.endOthers")}
          </Button>
        )
      }
    >
      <List id="sessions" label={t("security.sessions")} columns={columns} query={query} />
    </Section>
  );
}

function useColumns(): Column<Session>[] {
  const { t } = useTranslation();
  const end = useAct({
    run: (session: Session) => stepCommands.endSession(session.id),
    stale: STALE,
    said: () => t("security.sessionEnded"),
  });
  const browser = ({ browser, system }: Session) =>
    browser && system
      ? t("security.browserOn", { browser, system })
      : browser || system || t("security.unknownBrowser");
  return [
    {
      id: "browser",
      header: t("security.browser"),
      wide: true,
      cell: (row) => <bdi>{browser(row)}</bdi>,
      text: browser,
    },
    {
      id: "ip",
      header: t("security.from"),
      need: 2,
      cell: (row) => <span className="mono">{row.ip}</span>,
      text: (row) => row.ip,
    },
    agoColumn({ id: "created", header: t("security.since"), need: 3, at: (row) => row.created_at }),
    agoColumn({ id: "used", header: t("security.used"), at: (row) => row.used_at }),
    actColumn({
      id: "end",
      label: t("security.end"),
      name: (row) => `${browser(row)}, ${row.ip}`,
      act: end.mutate,
      busy: (row) => end.isPending && end.variables?.id === row.id,
      instead: (row) => (row.current ? t("security.thisOne") : null),
    }),
  ];
}
