/** The list of messages: filters in the address, searched and paged by the server, live without jumping. */
import { Button, Group, SegmentedControl, Select } from "@mantine/core";
import { IconArrowUp, IconSearch, IconTag } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { session } from "../../api/queries";
import type { MessageSummary } from "../../api/types";
import { count, size } from "../../format/number";
import { agoColumn } from "../../parts/columns";
import { type Column, DataTable } from "../../parts/DataTable";
import { Empty, Failure } from "../../parts/Feedback";
import { Filters } from "../../parts/Filters";
import { May } from "../../parts/May";
import { Page } from "../../parts/Page";
import { usePaging } from "../../parts/paging";
import { SearchedTo, SearchOn } from "../../parts/Searched";
import { Sheet } from "../../parts/Sheet";
import { SoughtInput } from "../../parts/SoughtInput";
import { RECIPIENT_STATES, States } from "../../parts/State";
import { StreamSelect } from "../../parts/StreamSelect";
import { DateRange } from "./DateRange";
import { CLASSES, isFiltered, type MessageSearch, sheetOf } from "./filter";
import { useList } from "./useList";

const route = getRouteApi("/frame/messages");

export function Component() {
  const { t } = useTranslation();
  const search = route.useSearch();
  const me = useQuery(session).data;
  const operator = me?.login.scopes.includes("operator") === true;
  const list = useList(search);
  const navigate = route.useNavigate();
  const paging = usePaging(list.next, search.after, (after, options) =>
    navigate({ search: (now: MessageSearch) => ({ ...now, after }), ...options }),
  );
  const columns = useColumns(search.sort === "oldest", operator && search.all === true, (oldest) =>
    navigate({
      search: ({ after: _, sort: __, ...now }: MessageSearch) => (oldest ? { ...now, sort: "oldest" } : now),
    }),
  );
  const empty = list.rows?.length === 0;
  return (
    <Page
      title={t("messages.title")}
      intro={search.all ? t("messages.introAll") : t("messages.intro")}
      action={
        <Group gap="xs">
          {!search.all && <Sheet href={sheetOf(search)} says={t("messages.export")} />}
          <May scope="send">
            <Button component={Link} to="/send" variant="default">
              {t("messages.send")}
            </Button>
          </May>
        </Group>
      }
    >
      <MessageFilters search={search} operator={operator} />
      {list.error && !list.rows ? (
        <Failure error={list.error} again={list.again} />
      ) : empty && list.searchedTo ? (
        <SearchOn at={list.searchedTo} paging={paging} />
      ) : empty ? (
        <Nothing filtered={isFiltered(search)} />
      ) : (
        <DataTable
          id="messages"
          label={t("messages.list")}
          columns={columns}
          rows={list.rows}
          rowKey={(row) => row.id}
          busy={list.busy}
          paging={paging}
          notice={
            <>
              {list.searchedTo && <SearchedTo at={list.searchedTo} />}
              {list.fresh.n > 0 && (
                <Button
                  size="compact-xs"
                  variant="light"
                  leftSection={<IconArrowUp size={13} aria-hidden />}
                  onClick={list.takeIn}
                  aria-label={t("messages.showFresh", { count: list.fresh.n, n: count(list.fresh.n) })}
                >
                  {list.fresh.more
                    ? t("messages.freshMore", { n: count(list.fresh.n) })
                    : t("messages.fresh", { count: list.fresh.n, n: count(list.fresh.n) })}
                </Button>
              )}
            </>
          }
        />
      )}
    </Page>
  );
}

function useColumns(oldest: boolean, withAccount: boolean, sort: (oldest: boolean) => void) {
  const { t } = useTranslation();
  return useMemo((): Column<MessageSummary>[] => {
    const who = (row: MessageSummary) => {
      const more = row.recipient_count - 1;
      const first = row.recipients[0] ?? "";
      return more > 0 ? `${first} ${t("messages.andMore", { n: count(more) })}` : first;
    };
    return [
      {
        id: "to",
        header: t("messages.col.to"),
        wide: true,
        cell: (row) => (
          <Link to="/messages/$id" params={{ id: row.id }} data-row>
            <bdi>{who(row)}</bdi>
          </Link>
        ),
        text: who,
      },
      {
        id: "subject",
        header: t("messages.col.subject"),
        wide: true,
        need: 2,
        cell: (row) =>
          row.subject ? (
            <span dir="auto" title={row.subject}>
              {row.subject}
            </span>
          ) : (
            <span className="quiet">{t("messages.noSubject")}</span>
          ),
        text: (row) => row.subject,
      },
      {
        id: "state",
        header: t("messages.col.state"),
        cell: (row) => <States states={row.states} total={row.recipient_count} />,
        text: (row) =>
          Object.entries(row.states)
            .map(([state, n]) => `${state} ${n}`)
            .join("; "),
      },
      {
        id: "from",
        header: t("messages.col.from"),
        need: 4,
        cell: (row) => <bdi>{row.from}</bdi>,
        text: (row) => row.from,
      },
      ...(withAccount
        ? [
            {
              id: "account",
              header: t("messages.col.account"),
              need: 3 as const,
              cell: (row: MessageSummary) => row.account ?? "",
              text: (row: MessageSummary) => row.account ?? "",
            },
          ]
        : []),
      {
        id: "stream",
        header: t("messages.col.stream"),
        hidden: true,
        need: 4,
        cell: (row) => <span className="mono">{row.stream}</span>,
        text: (row) => row.stream,
      },
      {
        id: "tags",
        header: t("messages.col.tags"),
        hidden: true,
        need: 4,
        cell: (row) => <bdi>{row.tags.join(", ")}</bdi>,
        text: (row) => row.tags.join(", "),
      },
      {
        id: "size",
        header: t("messages.col.size"),
        need: 3,
        numeric: true,
        cell: (row) => size(row.size),
        text: (row) => row.size,
      },
      agoColumn({
        id: "at",
        header: t("messages.col.at"),
        at: (row) => row.created_at,
        sort: { order: oldest ? "ascending" : "descending", toggle: () => sort(!oldest) },
      }),
      {
        id: "id",
        header: t("messages.col.id"),
        hidden: true,
        need: 3,
        cell: (row) => <span className="mono">{row.id}</span>,
        text: (row) => row.id,
      },
    ];
  }, [t, oldest, withAccount, sort]);
}

function MessageFilters({ search, operator }: { search: MessageSearch; operator: boolean }) {
  const { t } = useTranslation();
  const navigate = route.useNavigate();
  // A filter starts the list anew; typing does not fill the history.
  const filter = (change: { [K in keyof MessageSearch]?: MessageSearch[K] | undefined }, replace = false) =>
    void navigate({
      search: ({ after: _, ...now }: MessageSearch) => ({ ...now, ...change }) as MessageSearch,
      replace,
    });
  return (
    <Filters
      {...(isFiltered(search) && {
        onClear: () => void navigate({ search: search.all ? { all: true } : {} }),
      })}
    >
      <SoughtInput
        type="search"
        aria-label={t("messages.search")}
        placeholder={t("messages.searchPlaceholder")}
        leftSection={<IconSearch size={15} aria-hidden />}
        sought={search.q}
        onSeek={(q) => filter({ q }, true)}
        wrapperProps={{ "data-grow": true }}
      />
      <Select
        aria-label={t("messages.state")}
        placeholder={t("messages.anyState")}
        clearable
        data={RECIPIENT_STATES.map((state) => ({ value: state, label: t(`state.${state}`) }))}
        value={search.state ?? null}
        onChange={(state) => filter({ state: RECIPIENT_STATES.find((one) => one === state) })}
        w={140}
      />
      <Select
        aria-label={t("messages.class")}
        placeholder={t("messages.anyClass")}
        clearable
        searchable
        data={CLASSES.map((one) => ({ value: one, label: t(`bounces.${one}`) }))}
        value={search.class ?? null}
        onChange={(kind) => filter({ class: CLASSES.find((one) => one === kind) })}
        w={200}
      />
      <StreamSelect
        aria-label={t("messages.stream")}
        placeholder={t("messages.anyStream")}
        archived
        value={search.stream ?? null}
        onChange={(stream) => filter({ stream: stream ?? undefined })}
        w={160}
      />
      <SoughtInput
        aria-label={t("messages.tag")}
        placeholder={t("messages.tag")}
        leftSection={<IconTag size={15} aria-hidden />}
        sought={search.tag}
        onSeek={(tag) => filter({ tag }, true)}
        w={140}
      />
      <DateRange since={search.since} until={search.until} onChange={filter} />
      {operator && (
        <SegmentedControl
          aria-label={t("messages.whose")}
          data={[
            { value: "mine", label: t("messages.mine") },
            { value: "all", label: t("messages.all") },
          ]}
          value={search.all ? "all" : "mine"}
          onChange={(whose) => filter({ all: whose === "all" ? true : undefined })}
        />
      )}
    </Filters>
  );
}

function Nothing({ filtered }: { filtered: boolean }) {
  const { t } = useTranslation();
  if (filtered) return <Empty title={t("table.nothingMatches")} hint={t("table.nothingMatchesHint")} />;
  return (
    <Empty title={t("messages.emptyTitle")} hint={t("messages.emptyHint")}>
      <May scope="send">
        <Button component={Link} to="/send">
          {t("messages.emptyAct")}
        </Button>
      </May>
      <Button component={Link} to="/smtp" variant="default">
        {t("messages.emptySettings")}
      </Button>
    </Empty>
  );
}
