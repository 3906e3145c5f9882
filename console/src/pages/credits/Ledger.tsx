/** What came to an account and what went, each line with what was left behind it. */
import { Text } from "@mantine/core";
import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import type { LedgerEntry } from "../../api/types";
import { count } from "../../format/number";
import { absolute, day } from "../../format/time";
import type { Column, Paging } from "../../parts/DataTable";
import { List } from "../../parts/List";
import classes from "./Ledger.module.css";

interface Props {
  query: UseQueryResult<{ items: LedgerEntry[] }>;
  paging: Paging;
  empty?: ReactNode;
}

export function Ledger(list: Props) {
  const { t } = useTranslation();
  const columns: Column<LedgerEntry>[] = [
    {
      id: "what",
      header: t("credits.what"),
      wide: true,
      cell: (row) => (
        <div className={classes.what}>
          {t(`credits.kinds.${row.kind}`)}
          {row.reason && (
            <Text size="xs" c="dimmed">
              <bdi>{row.reason}</bdi>
            </Text>
          )}
          <Text size="xs" c="dimmed" className={classes.day ?? ""}>
            <Day row={row} />
          </Text>
        </div>
      ),
      text: (row) => row.kind,
    },
    {
      id: "when",
      header: t("credits.when"),
      need: 2,
      numeric: true,
      cell: (row) => <Day row={row} />,
      text: (row) => row.at ?? row.day,
    },
    {
      id: "reason",
      header: t("credits.reason"),
      hidden: true,
      cell: (row) => <bdi>{row.reason}</bdi>,
      text: (row) => row.reason,
    },
    {
      id: "amount",
      header: t("credits.amount"),
      numeric: true,
      cell: (row) => signed(row.amount),
      text: (row) => row.amount,
    },
    {
      id: "balance",
      header: t("credits.leftAfter"),
      numeric: true,
      cell: (row) => count(row.balance),
      text: (row) => row.balance,
    },
  ];
  return <List id="ledger" label={t("credits.list")} columns={columns} {...list} />;
}

/** With a sign in front of either kind; a minus as wide as the plus. */
function signed(amount: number): string {
  return amount < 0 ? `\u2212${count(-amount)}` : `+${count(amount)}`;
}

function Day({ row }: { row: LedgerEntry }) {
  return (
    <time
      dateTime={row.at ?? row.day}
      title={row.at ? absolute(Date.parse(row.at)) : `${day(Date.parse(row.day), "UTC")} UTC`}
      style={{ whiteSpace: "nowrap" }}
    >
      {day(Date.parse(row.day), "UTC")}
    </time>
  );
}
