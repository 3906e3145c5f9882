/** What became of mail: by day as a chart, then by stream, sending domain and receiving provider. */
import { Group, Paper, SegmentedControl, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { statistics, statisticsSheet } from "../../api/statistics";
import type { StatisticsBy, StatisticsItem } from "../../api/types";
import { count, tenths } from "../../format/number";
import type { Column } from "../../parts/DataTable";
import { Failure, Lines } from "../../parts/Feedback";
import { List } from "../../parts/List";
import { Page, Section } from "../../parts/Page";
import { Sheet } from "../../parts/Sheet";
import { StreamSelect } from "../../parts/StreamSelect";
import { Chart } from "./Chart";
import { DAYS, type Days, range } from "./range";
import classes from "./Statistics.module.css";

const route = getRouteApi("/frame/statistics");

export function Component() {
  const { t } = useTranslation();
  const { stream, days = "30" } = route.useSearch();
  const navigate = route.useNavigate();
  const choose = (days: Days, stream: string | undefined) =>
    void navigate({ search: { days, ...(stream && { stream }) } });
  const asked = { ...range(days, Date.now()), by: "day" as const, ...(stream && { stream }) };
  const query = useQuery(statistics(asked));
  return (
    <Page
      title={t("statistics.title")}
      intro={t("statistics.intro")}
      action={<Export asked={asked} name={t("statistics.chart")} />}
    >
      <Group gap="sm" className={classes.period}>
        <SegmentedControl
          aria-label={t("statistics.days")}
          value={days}
          onChange={(value) => choose(value as Days, stream)}
          data={DAYS.map((one) => ({ value: one, label: t(`statistics.last.${one}`) }))}
        />
        <StreamSelect
          aria-label={t("messages.stream")}
          placeholder={t("messages.anyStream")}
          archived
          value={stream ?? null}
          onChange={(value) => choose(days, value ?? undefined)}
          w={180}
        />
      </Group>
      {query.error && !query.data ? (
        <Failure error={query.error} again={() => void query.refetch()} />
      ) : query.data ? (
        <>
          <Figures total={query.data.total} />
          <Paper className={classes.card}>
            <Chart items={query.data.items} total={query.data.total} />
          </Paper>
          <Bounces bounces={query.data.total.bounces} />
        </>
      ) : (
        <Lines n={8} />
      )}
      {/* Domains and providers are not told apart by stream. */}
      {!stream &&
        (["stream", "domain", "provider"] as const).map((by) => <Named key={by} by={by} days={days} />)}
    </Page>
  );
}

function Export({ asked, name }: { asked: Parameters<typeof statisticsSheet>[0]; name: string }) {
  const { t } = useTranslation();
  return <Sheet href={statisticsSheet(asked)} says={t("statistics.export")} name={name} />;
}

const FIGURES = [
  "accepted",
  "delivered",
  "bounced",
  "complained",
  "opened",
  "clicked",
  "unsubscribed",
] as const;

/** What nothing tells of yet is left out rather than shown as nought. */
function Figures({ total }: { total: Omit<StatisticsItem, "name"> }) {
  const { t } = useTranslation();
  const shown = FIGURES.filter((kind, place) => place < 3 || total[kind] > 0);
  const ended = total.delivered + total.bounced;
  return (
    <dl className={classes.figures}>
      {shown.map((kind) => (
        <div key={kind}>
          <dt>{t(`statistics.counts.${kind}`)}</dt>
          <dd>
            {count(total[kind])}
            {ended > 0 && (kind === "delivered" || kind === "bounced") && (
              <span className="quiet">
                {" "}
                {t("statistics.rate", { rate: tenths((100 * total[kind]) / ended) })}
              </span>
            )}
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Bounces({ bounces }: { bounces: Record<string, number> }) {
  const { t, i18n } = useTranslation();
  const rows = Object.entries(bounces).sort(([, a], [, b]) => b - a);
  const most = rows[0]?.[1] ?? 1;
  if (rows.length === 0) return null;
  return (
    <Section title={t("statistics.bounces")}>
      <Paper className={classes.card}>
        <ul className={classes.bars}>
          {rows.map(([kind, n]) => (
            <li key={kind}>
              <span>{i18n.exists(`bounces.${kind}`) ? t(`bounces.${kind}` as "bounces.policy") : kind}</span>
              <i style={{ inlineSize: `${(100 * n) / most}%` }} />
              <b>{count(n)}</b>
            </li>
          ))}
        </ul>
      </Paper>
    </Section>
  );
}

const COLUMNS = ["accepted", "delivered", "deferred", "bounced", "suppressed", "complained"] as const;

function Named({ by, days }: { by: Exclude<StatisticsBy, "day">; days: Days }) {
  const { t } = useTranslation();
  const asked = { ...range(days, Date.now()), by };
  const query = useQuery({
    ...statistics(asked),
    select: (told) => ({ ...told, items: told.items.map((one) => ({ ...one, id: one.name })) }),
  });
  const kinds = COLUMNS.filter((kind) => by !== "provider" || kind !== "accepted");
  const name = (row: StatisticsItem) => (row.name === "*" ? t("statistics.others") : row.name);
  const columns: Column<StatisticsItem & { id: string }>[] = [
    {
      id: "name",
      header: t("statistics.name"),
      wide: true,
      cell: (row) => <bdi>{name(row)}</bdi>,
      text: name,
    },
    ...kinds.map((kind, place) => ({
      id: kind,
      header: t(`statistics.counts.${kind}`),
      numeric: true as const,
      ...(place > 2 && { need: place > 4 ? (4 as const) : (3 as const) }),
      cell: (row: StatisticsItem) => count(row[kind]),
      text: (row: StatisticsItem) => String(row[kind]),
    })),
  ];
  const title = t(`statistics.by.${by}`);
  return (
    <Section
      title={title}
      hint={t(`statistics.byHint.${by}`)}
      action={
        <Group gap="xs">
          <Export asked={asked} name={title} />
        </Group>
      }
    >
      <List
        id={`statistics-${by}`}
        label={title}
        columns={columns}
        query={query}
        empty={<Text c="dimmed">{t("statistics.none")}</Text>}
      />
    </Section>
  );
}
