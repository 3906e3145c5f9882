/** Recipients by day, stacked by what became of them; drawn with nothing but boxes. */
import { Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { StatisticsItem } from "../../api/types";
import { count } from "../../format/number";
import { locale } from "../../words/language";
import classes from "./Chart.module.css";
import { KINDS, nice, stack } from "./stack";

const short = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", timeZone: "UTC" });
const day = (name: string) => short.format(new Date(`${name}T00:00:00Z`));

interface Props {
  items: StatisticsItem[];
  total: Omit<StatisticsItem, "name">;
}

export function Chart({ items, total }: Props) {
  const { t } = useTranslation();
  const days = items.map(stack);
  const most = nice(Math.max(...days.map((one) => one.sum), 0));
  const [first, last] = [items[0], items.at(-1)];
  if (most === 0 || !first || !last) return <Text c="dimmed">{t("statistics.none")}</Text>;
  const kinds = KINDS.filter((kind) => total[kind] > 0);
  const text = t("statistics.chartText", {
    delivered: count(total.delivered),
    bounced: count(total.bounced),
    others: count(total.expired + total.suppressed + total.cancelled),
    from: day(first.name),
    to: day(last.name),
  });
  return (
    <figure className={classes.figure}>
      <div className={classes.plot} role="img" aria-label={`${t("statistics.chart")}. ${text}`}>
        <div className={classes.scale}>
          {[most, most / 2, 0].map((n) => (
            <span key={n}>{count(n)}</span>
          ))}
        </div>
        <div className={classes.days} data-many={items.length > 100 || undefined}>
          {days.map((one, i) => (
            <div key={one.name} className={classes.day} title={title(one.name, items[i])}>
              {one.parts.map((part) => (
                <i key={part.kind} data-kind={part.kind} style={{ blockSize: `${(100 * part.n) / most}%` }} />
              ))}
            </div>
          ))}
        </div>
        <div className={classes.ends}>
          <span>{day(first.name)}</span>
          <span>{day(last.name)}</span>
        </div>
      </div>
      <figcaption className={classes.legend}>
        {kinds.map((kind) => (
          <span key={kind}>
            <i data-kind={kind} />
            {t(`statistics.counts.${kind}`)}
          </span>
        ))}
      </figcaption>
    </figure>
  );

  function title(name: string, item: StatisticsItem | undefined): string {
    const parts = KINDS.filter((kind) => (item?.[kind] ?? 0) > 0).map(
      (kind) => `${t(`statistics.counts.${kind}`)} ${count(item?.[kind] ?? 0)}`,
    );
    return [day(name), ...parts].join(" · ");
  }
}
