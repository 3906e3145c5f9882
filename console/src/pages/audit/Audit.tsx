/** Who changed what: of the account, or, for operators, of every account and the installation. */
import { Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { AuditLine } from "../../api/types";
import { audit } from "../../api/users";
import type { Column } from "../../parts/DataTable";
import { Empty } from "../../parts/Feedback";
import { List } from "../../parts/List";
import { ListFilters } from "../../parts/ListFilters";
import { Page } from "../../parts/Page";
import { usePaging } from "../../parts/paging";
import { When } from "../../parts/Time";

/** What the server groups its actions by. */
const GROUPS = [
  "user",
  "password",
  "key",
  "smtp_credential",
  "second_step",
  "ip_range",
  "domain",
  "account",
  "credits",
  "message",
  "suppression",
  "lockout",
  "impersonation",
  "lane",
] as const;

const own = getRouteApi("/frame/account/audit");
const all = getRouteApi("/frame/audit");

export function Component() {
  const search = own.useSearch();
  const navigate = own.useNavigate();
  return <Log of="own" search={search} to={(next, options) => void navigate({ search: next, ...options })} />;
}

export function Everything() {
  const search = all.useSearch();
  const navigate = all.useNavigate();
  return <Log of="all" search={search} to={(next, options) => void navigate({ search: next, ...options })} />;
}

interface Search {
  who?: string;
  what?: string;
  after?: string;
}

interface Props {
  of: "own" | "all";
  search: Search;
  to: (search: Search, options?: { replace?: boolean; state?: { trail: (string | null)[] } }) => void;
}

function Log({ of, search, to }: Props) {
  const { t } = useTranslation();
  const query = useQuery(audit(of, search));
  const columns = useColumns();
  const { who, what, after } = search;
  const filter = (who: string | undefined, what: string | undefined, replace = false) =>
    to({ ...(who && { who }), ...(what && { what }) }, { replace });
  const paging = usePaging(query.data?.next, after, (next, options) =>
    to({ ...(who && { who }), ...(what && { what }), ...(next && { after: next }) }, options),
  );
  const filtered = Boolean(who || what);
  return (
    <Page title={t("audit.title")} intro={of === "own" ? t("audit.intro") : t("audit.introAll")}>
      <ListFilters
        label={t("audit.search")}
        placeholder={t("audit.searchPlaceholder")}
        q={who}
        onSearch={(q) => filter(q, what, true)}
        choice={{
          label: t("audit.about"),
          any: t("audit.anything"),
          value: what,
          options: GROUPS.map((group) => ({ value: group, label: t(`audit.groups.${group}`) })),
          onChange: (group) => filter(who, group),
        }}
        onClear={filtered ? () => to({}) : undefined}
      />
      <List
        id="audit"
        label={t("audit.list")}
        columns={columns}
        query={query}
        paging={paging}
        empty={
          <Empty
            title={filtered ? t("table.nothingMatches") : t("audit.emptyTitle")}
            hint={filtered ? t("audit.nothingMatchesHint") : t("audit.emptyHint")}
          />
        }
      />
    </Page>
  );
}

function useColumns(): Column<AuditLine>[] {
  const { t, i18n } = useTranslation();
  // An action that a newer server knows and this page does not is shown by its name.
  const action = (row: AuditLine) => {
    const key = `audit.actions.${row.action.replace(".", "_")}`;
    return i18n.exists(key) ? t(key as "audit.title") : row.action;
  };
  const who = (row: AuditLine) =>
    row.who ||
    (row.operator
      ? t("audit.operator")
      : row.via === "command line"
        ? t("audit.commandLine")
        : t("audit.system"));
  return [
    {
      id: "what",
      header: t("audit.what"),
      wide: true,
      cell: (row) => (
        <>
          {action(row)} <bdi>{row.target}</bdi>
          {row.detail && (
            <Text size="xs" c="dimmed" style={{ whiteSpace: "normal" }}>
              <bdi>{row.detail}</bdi>
            </Text>
          )}
        </>
      ),
      text: (row) => `${row.action} ${row.target} ${row.detail}`.trim(),
    },
    {
      id: "who",
      header: t("audit.who"),
      need: 2,
      cell: (row) => (
        <>
          <bdi>{who(row)}</bdi>
          {row.behind && row.behind !== row.who && (
            <Text size="xs" c="dimmed">
              {t("audit.behind", { email: row.behind })}
            </Text>
          )}
        </>
      ),
      text: (row) => (row.behind ? `${who(row)} (${row.behind})` : who(row)),
    },
    {
      id: "from",
      header: t("audit.from"),
      need: 3,
      cell: (row) => (
        <>
          <span className="mono">{row.ip}</span>
          <Text size="xs" c="dimmed">
            {row.via}
          </Text>
        </>
      ),
      text: (row) => `${row.via} ${row.ip ?? ""}`.trim(),
    },
    {
      id: "when",
      header: t("audit.when"),
      numeric: true,
      cell: (row) => <When at={row.at} />,
      text: (row) => row.at,
    },
  ];
}
