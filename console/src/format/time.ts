/** Times as people read them: relative in the list, absolute with its zone on hover, spans as a countdown. */
import { language, locale } from "../words/language";
import { tenths } from "./number";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** "d" for a day, "j" for "jour". */
const DAYS = language === "fr" ? "j" : "d";

const relative = new Intl.RelativeTimeFormat(language, { numeric: "always", style: "short" });

/** "2 min. ago", "in 4 hr."; within ten seconds it is `now`. */
export function ago(at: number, now: number): string | null {
  const distance = at - now;
  const size = Math.abs(distance);
  if (size < 10 * SECOND) return null;
  const [unit, length]: [Intl.RelativeTimeFormatUnit, number] =
    size < MINUTE
      ? ["second", SECOND]
      : size < HOUR
        ? ["minute", MINUTE]
        : size < DAY
          ? ["hour", HOUR]
          : ["day", DAY];
  return relative.format(Math.trunc(distance / length), unit).replaceAll(".", "");
}

/** Date, time to the second and zone, in the reader's own zone. */
export function absolute(at: number, zone?: string): string {
  return new Intl.DateTimeFormat(locale, {
    day: "numeric",
    month: "short",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    timeZoneName: "short",
    ...(zone ? { timeZone: zone } : {}),
  }).format(at);
}

/** Hour and minute, in the reader's own zone. */
export function clock(at: number, zone?: string): string {
  return new Intl.DateTimeFormat(locale, {
    hour: "2-digit",
    minute: "2-digit",
    ...(zone ? { timeZone: zone } : {}),
  }).format(at);
}

export function day(at: number, zone?: string): string {
  return new Intl.DateTimeFormat(locale, {
    dateStyle: "medium",
    ...(zone ? { timeZone: zone } : {}),
  }).format(at);
}

/** How long is left, in the two largest units: "4 h 12 min", "58 s". */
export function span(length: number): string {
  const left = Math.max(0, Math.round(length / SECOND));
  const days = Math.floor(left / 86_400);
  const hours = Math.floor((left % 86_400) / 3_600);
  const minutes = Math.floor((left % 3_600) / 60);
  const seconds = left % 60;
  if (days > 0) return hours > 0 ? `${days} ${DAYS} ${hours} h` : `${days} ${DAYS}`;
  if (hours > 0) return minutes > 0 ? `${hours} h ${minutes} min` : `${hours} h`;
  if (minutes > 0) return seconds > 0 ? `${minutes} min ${seconds} s` : `${minutes} min`;
  return `${seconds} s`;
}

/** A duration measured by the server: "84 ms", "1.2 s". */
export function took(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${tenths(ms / 1_000)} s`;
}
