/** The browsers where one is signed in. */
import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { sessions, stepCommands } from "../../api/secondStep";
import type { Session } from "../../api/types";
import { useAct } from "../../parts/act";
import { confirm } from "../../parts/confirm";
import type { Column } from "../../parts/DataTable";
import { List } from "../../parts/List";
import { Section } from "../../parts/Page";
import { Ago } from "../../parts/Time";

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
  const browser = (row: Session) => row.browser || t("security.unknownBrowser");
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
    {
      id: "created",
      header: t("security.since"),
      need: 3,
      numeric: true,
      cell: (row) => <Ago at={row.created_at} />,
      text: (row) => row.created_at,
    },
    {
      id: "used",
      header: t("security.used"),
      numeric: true,
      cell: (row) => <Ago at={row.used_at} />,
      text: (row) => row.used_at,
    },
    {
      id: "end",
      header: t("common.actions"),
      numeric: true,
      cell: (row) =>
        row.current ? (
          <span className="quiet">{t("security.thisOne")}</span>
        ) : (
          <Button
            size="compact-xs"
            variant="default"
            loading={end.isPending && end.variables?.id === row.id}
            onClick={() => end.mutate(row)}
            aria-label={`${t("security.end")}: ${browser(row)}, ${row.ip}`}
          >
            {t("security.end")}
          </Button>
        ),
    },
  ];
}
