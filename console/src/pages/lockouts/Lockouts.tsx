/** For operators: who is locked out after failed sign-ins. */
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { liftLockout, lockouts } from "../../api/signIn";
import type { Lockout } from "../../api/types";
import { count } from "../../format/number";
import { useAct } from "../../parts/act";
import { actColumn, agoColumn } from "../../parts/columns";
import type { Column } from "../../parts/DataTable";
import { Empty } from "../../parts/Feedback";
import { List } from "../../parts/List";
import { Page } from "../../parts/Page";

export function Component() {
  const { t } = useTranslation();
  const query = useQuery(lockouts);
  const columns = useColumns();
  return (
    <Page title={t("lockouts.title")} intro={t("lockouts.intro")}>
      <List
        id="lockouts"
        label={t("lockouts.list")}
        columns={columns}
        query={query}
        empty={<Empty title={t("lockouts.emptyTitle")} hint={t("lockouts.emptyHint")} />}
      />
    </Page>
  );
}

function useColumns(): Column<Lockout>[] {
  const { t } = useTranslation();
  const lift = useAct({
    run: (row: Lockout) => liftLockout(row.id),
    stale: [["lockouts"]],
    said: (row) => t("lockouts.lifted", { whom: row.login ?? row.network }),
  });
  return [
    {
      id: "login",
      header: t("lockouts.login"),
      wide: true,
      cell: (row) =>
        row.login ? <bdi>{row.login}</bdi> : <span className="quiet">{t("lockouts.everyLogin")}</span>,
      text: (row) => row.login ?? "",
    },
    {
      id: "network",
      header: t("lockouts.network"),
      need: 2,
      cell: (row) =>
        row.network ? (
          <span className="mono">{row.network}</span>
        ) : (
          <span className="quiet">{t("lockouts.codes")}</span>
        ),
      text: (row) => row.network || t("lockouts.codes"),
    },
    agoColumn({ id: "until", header: t("lockouts.until"), at: (row) => row.until }),
    {
      id: "locks",
      header: t("lockouts.locks"),
      need: 3,
      numeric: true,
      cell: (row) => count(row.locks),
      text: (row) => row.locks,
    },
    actColumn({
      id: "lift",
      label: t("lockouts.lift"),
      name: (row) => row.login ?? row.network,
      act: lift.mutate,
      busy: (row) => lift.isPending && lift.variables?.id === row.id,
    }),
  ];
}
