/** Who tried to sign in as one of the account's logins, and what to do where it failed. */
import { Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { ownAttempts } from "../../api/signIn";
import type { SignInAttempt } from "../../api/types";
import { count } from "../../format/number";
import { absolute } from "../../format/time";
import { agoColumn } from "../../parts/columns";
import type { Column } from "../../parts/DataTable";
import { Empty } from "../../parts/Feedback";
import { List } from "../../parts/List";
import { Page } from "../../parts/Page";
import { usePaging } from "../../parts/paging";

const route = getRouteApi("/frame/account/attempts");

export function Component() {
  const { t } = useTranslation();
  const { after } = route.useSearch();
  const navigate = route.useNavigate();
  const query = useQuery(ownAttempts(after));
  const columns = useColumns();
  const paging = usePaging(query.data?.next, after, (to, options) =>
    navigate({ search: to ? { after: to } : {}, ...options }),
  );
  return (
    <Page title={t("attempts.title")} intro={t("attempts.intro")}>
      <List
        id="attempts"
        label={t("attempts.list")}
        columns={columns}
        query={query}
        paging={paging}
        empty={<Empty title={t("attempts.emptyTitle")} hint={t("attempts.emptyHint")} />}
      />
    </Page>
  );
}

function useColumns(): Column<SignInAttempt>[] {
  const { t } = useTranslation();
  return [
    {
      id: "reason",
      header: t("attempts.what"),
      wide: true,
      cell: (row) => <What row={row} />,
      text: (row) => row.reason,
    },
    {
      id: "login",
      header: t("attempts.login"),
      need: 3,
      cell: (row) => <bdi>{row.login}</bdi>,
      text: (row) => row.login,
    },
    {
      id: "from",
      header: t("attempts.from"),
      need: 2,
      cell: (row) => (
        <>
          <span className="mono">{row.ip}</span>
          <Text size="xs" c="dimmed" truncate maw={220} title={row.client}>
            <bdi>{row.client}</bdi>
          </Text>
        </>
      ),
      text: (row) => `${row.ip} ${row.client}`,
    },
    {
      id: "door",
      header: t("attempts.door"),
      need: 3,
      cell: (row) => t(`attempts.doors.${row.door}`, { port: row.port }),
      text: (row) => `${row.door} ${row.port}`,
    },
    {
      id: "security",
      header: t("attempts.security"),
      need: 4,
      cell: (row) => (row.tls ? t("attempts.tls") : t("attempts.noTls")),
      text: (row) => row.tls ?? "",
    },
    {
      id: "count",
      header: t("attempts.count"),
      need: 2,
      numeric: true,
      cell: (row) => (row.reason === "signed_in" ? "" : count(row.count)),
      text: (row) => row.count,
    },
    agoColumn({ id: "first", header: t("attempts.first"), need: 4, at: (row) => row.first_at }),
    agoColumn({ id: "last", header: t("attempts.last"), at: (row) => row.last_at }),
  ];
}

/** What happened in plain words, and below it what to do. */
function What({ row }: { row: SignInAttempt }) {
  const { t } = useTranslation();
  const until = row.until ? absolute(Date.parse(row.until)) : "";
  const remedy =
    row.reason === "unknown_address" && row.near
      ? t("attempts.near", { login: row.near })
      : t(`attempts.todo.${row.reason}`);
  return (
    <div style={{ whiteSpace: "normal" }}>
      {t(`attempts.reasons.${row.reason}`, { until })}
      {row.credential && (
        <>
          : <bdi>{row.credential}</bdi>
        </>
      )}
      {remedy && (
        <Text size="xs" c="dimmed">
          {remedy}
        </Text>
      )}
    </div>
  );
}
