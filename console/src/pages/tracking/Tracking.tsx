/** What people did with tracked mail: how many opened it and followed its links, day by day, and what with. */
import { Anchor, Select } from "@mantine/core";
import { type UseQueryResult, useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { tracking } from "../../api/tracking";
import type { TrackingFigures, TrackingName, TrackingPoint } from "../../api/types";
import { count } from "../../format/number";
import { day } from "../../format/time";
import type { Column } from "../../parts/DataTable";
import { Empty, Failure, Lines } from "../../parts/Feedback";
import { Filters } from "../../parts/Filters";
import { List } from "../../parts/List";
import { Page, Section } from "../../parts/Page";
import { StreamSelect } from "../../parts/StreamSelect";
import { locale } from "../../words/language";
import { PERIODS, type Period, STANDARD } from "./periods";
import classes from "./Tracking.module.css";

const route = getRouteApi("/frame/tracking");

export function Component() {
  const { t } = useTranslation();
  const { stream, days } = route.useSearch();
  const navigate = route.useNavigate();
  const query = useQuery(tracking({ stream, days: days ?? STANDARD }));
  const show = (stream: string | undefined, days: Period | undefined) =>
    void navigate({
      search: { ...(stream && { stream }), ...(days && days !== STANDARD && { days }) },
      replace: true,
    });
  return (
    <Page
      title={t("tracking.title")}
      intro={
        <>
          {t("tracking.intro")}{" "}
          <Anchor href="/help/opens-and-clicks" underline="always">
            {t("tracking.help")}
          </Anchor>
        </>
      }
    >
      <Filters>
        <StreamSelect
          archived
          size="xs"
          aria-label={t("tracking.stream")}
          placeholder={t("tracking.allStreams")}
          value={stream ?? null}
          onChange={(next) => show(next ?? undefined, days)}
        />
        <Select
          size="xs"
          allowDeselect={false}
          aria-label={t("tracking.period")}
          value={String(days ?? STANDARD)}
          data={PERIODS.map((n) => ({ value: String(n), label: t("tracking.days", { n: count(n) }) }))}
          onChange={(next) =>
            show(
              stream,
              PERIODS.find((n) => String(n) === next),
            )
          }
        />
      </Filters>
      <Shown query={query} />
    </Page>
  );
}

function Shown({ query }: { query: UseQueryResult<TrackingFigures> }) {
  const { t } = useTranslation();
  const figures = query.data;
  if (!figures)
    return query.error ? <Failure error={query.error} again={() => void query.refetch()} /> : <Lines n={6} />;
  if (figures.points.length === 0)
    return <Empty title={t("tracking.emptyTitle")} hint={t("tracking.emptyHint")} />;
  return (
    <>
      <Totals total={figures.total} />
      <Section title={t("tracking.byDay")}>
        <Days points={figures.points} query={query} />
      </Section>
      <div className={classes.columns}>
        <Section title={t("tracking.clients")}>
          <Names id="tracking-clients" rows={figures.clients} query={query} />
        </Section>
        {figures.countries.length > 0 && (
          <Section title={t("tracking.countries")}>
            <Names id="tracking-countries" rows={figures.countries} query={query} />
          </Section>
        )}
      </div>
    </>
  );
}

function Totals({ total }: { total: TrackingFigures["total"] }) {
  const { t } = useTranslation();
  const shown: [string, number][] = [
    [t("tracking.openers"), total.openers],
    [t("tracking.opens"), total.opens],
    [t("tracking.clickers"), total.clickers],
    [t("tracking.clicks"), total.clicks],
    [t("tracking.machines"), total.machine_opens + total.machine_clicks],
  ];
  return (
    <dl className={classes.figures}>
      {shown.map(([name, n]) => (
        <div key={name} className={classes.figure}>
          <dt>{name}</dt>
          <dd>{count(n)}</dd>
        </div>
      ))}
    </dl>
  );
}

type Counted = TrackingPoint | TrackingName;

function useCounts<Row extends Counted>(): Column<Row>[] {
  const { t } = useTranslation();
  const numbers: [string, string, 1 | 2 | 3, (row: Row) => number][] = [
    ["openers", t("tracking.openers"), 1, (row) => row.openers],
    ["opens", t("tracking.opens"), 3, (row) => row.opens],
    ["clickers", t("tracking.clickers"), 1, (row) => row.clickers],
    ["clicks", t("tracking.clicks"), 3, (row) => row.clicks],
  ];
  return numbers.map(([id, header, need, value]) => ({
    id,
    header,
    need,
    numeric: true,
    cell: (row) => count(value(row)),
    text: value,
  }));
}

function Days({ points, query }: { points: TrackingPoint[]; query: UseQueryResult<TrackingFigures> }) {
  const { t } = useTranslation();
  const counts = useCounts<TrackingPoint & { id: string }>();
  const columns: Column<TrackingPoint & { id: string }>[] = [
    {
      id: "day",
      header: t("tracking.day"),
      wide: true,
      cell: (row) => <time dateTime={row.at}>{day(Date.parse(row.at), "UTC")}</time>,
      text: (row) => row.at.slice(0, 10),
    },
    ...counts,
    {
      id: "machines",
      header: t("tracking.machines"),
      need: 2,
      numeric: true,
      cell: (row) => count(row.machine_opens + row.machine_clicks),
      text: (row) => row.machine_opens + row.machine_clicks,
    },
  ];
  // The newest day first.
  const items = points.map((point) => ({ ...point, id: point.at })).toReversed();
  return (
    <List
      id="tracking-days"
      label={t("tracking.byDay")}
      columns={columns}
      query={{ ...query, data: { items } } as UseQueryResult<{ items: typeof items }>}
    />
  );
}

const regions = new Intl.DisplayNames(locale, { type: "region" });

function Names({
  id,
  rows,
  query,
}: {
  id: "tracking-clients" | "tracking-countries";
  rows: TrackingName[];
  query: UseQueryResult<TrackingFigures>;
}) {
  const { t, i18n } = useTranslation();
  const counts = useCounts<TrackingName & { id: string }>();
  const clients = id === "tracking-clients";
  const named = (name: string) => {
    if (!clients) return regions.of(name) ?? name;
    const word = `tracking.names.${name}`;
    return i18n.exists(word) ? t(word as "tracking.names.other") : name;
  };
  const columns: Column<TrackingName & { id: string }>[] = [
    {
      id: "name",
      header: t(clients ? "tracking.client" : "tracking.country"),
      wide: true,
      cell: (row) => <bdi>{named(row.name)}</bdi>,
      text: (row) => row.name,
    },
    ...counts,
  ];
  const items = rows.map((row) => ({ ...row, id: row.name }));
  return (
    <List
      id={id}
      label={t(clients ? "tracking.clients" : "tracking.countries")}
      columns={columns}
      query={{ ...query, data: { items } } as UseQueryResult<{ items: typeof items }>}
    />
  );
}
