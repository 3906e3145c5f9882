/** What the capture route kept: mail that would have been delivered. */
import { Button } from "@mantine/core";
import { IconTrash } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { askAnew } from "../../api/anew";
import { useLive } from "../../api/live";
import { commands, inbox, session } from "../../api/queries";
import type { InboxItem } from "../../api/types";
import { size } from "../../format/number";
import { useAct } from "../../parts/act";
import { agoColumn } from "../../parts/columns";
import { confirm } from "../../parts/confirm";
import type { Column } from "../../parts/DataTable";
import { Empty } from "../../parts/Feedback";
import { List } from "../../parts/List";
import { ListFilters } from "../../parts/ListFilters";
import { May } from "../../parts/May";
import { Page } from "../../parts/Page";
import { usePaging } from "../../parts/paging";

const route = getRouteApi("/frame/inbox");

export function Component() {
  const { t } = useTranslation();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const cache = useQueryClient();
  const me = useQuery(session).data;
  const query = useQuery(inbox({ q: search.q, after: search.after, limit: 50 }));
  const columns = useColumns();
  // Newest mail is what an inbox is looked at for, so here the list does move.
  useLive(() => void askAnew(cache, ["inbox", "list"]));
  const paging = usePaging(query.data?.next, search.after, (after, options) =>
    navigate({ search: (now) => ({ ...now, after }), ...options }),
  );
  const empty = useAct({ run: commands.emptyInbox, stale: [["inbox"]], said: () => t("inbox.cleared") });
  const rows = query.data?.items;
  const ask = () =>
    confirm({
      title: t("inbox.clearTitle"),
      text: me?.login.scopes.includes("operator") ? t("inbox.clearTextOperator") : t("inbox.clearText"),
      yes: t("inbox.clearYes"),
      act: () => empty.mutate(),
    });
  return (
    <Page
      title={t("inbox.title")}
      intro={me?.server.route === "capture" ? t("inbox.intro") : t("inbox.notCapture")}
      action={
        rows?.length ? (
          <May scope="messages">
            <Button
              variant="default"
              leftSection={<IconTrash size={15} aria-hidden />}
              loading={empty.isPending}
              onClick={ask}
            >
              {t("inbox.empty")}
            </Button>
          </May>
        ) : null
      }
    >
      <ListFilters
        label={t("inbox.search")}
        placeholder={t("inbox.searchPlaceholder")}
        q={search.q}
        onSearch={(q) => void navigate({ search: { q }, replace: true })}
        onClear={search.q ? () => void navigate({ search: {} }) : undefined}
      />
      <List
        id="inbox"
        label={t("inbox.list")}
        columns={columns}
        query={query}
        paging={paging}
        empty={
          search.q ? (
            <Empty title={t("table.nothingMatches")} hint={t("table.nothingMatchesHint")} />
          ) : (
            <Empty title={t("inbox.emptyTitle")} hint={t("inbox.emptyHint")}>
              <May scope="send">
                <Button component={Link} to="/send">
                  {t("nav.send")}
                </Button>
              </May>
            </Empty>
          )
        }
      />
    </Page>
  );
}

function useColumns(): Column<InboxItem>[] {
  const { t } = useTranslation();
  return [
    {
      id: "subject",
      header: t("inbox.subject"),
      wide: true,
      cell: (row) => (
        <Link to="/inbox/$id" params={{ id: row.id }} data-row>
          <span dir="auto">{row.subject || t("messages.noSubject")}</span>
        </Link>
      ),
      text: (row) => row.subject,
    },
    {
      id: "to",
      header: t("inbox.to"),
      need: 2,
      wide: true,
      cell: (row) => <bdi>{row.to}</bdi>,
      text: (row) => row.to,
    },
    {
      id: "from",
      header: t("inbox.from"),
      need: 3,
      cell: (row) => <bdi>{row.from}</bdi>,
      text: (row) => row.from,
    },
    {
      id: "size",
      header: t("inbox.size"),
      need: 3,
      numeric: true,
      cell: (row) => size(row.size),
      text: (row) => row.size,
    },
    agoColumn({ id: "at", header: t("inbox.at"), at: (row) => row.at }),
  ];
}
