/** Numbers as people read them: thousands separators, sizes with units, rates. */
import { language, locale } from "../words/language";

const whole = new Intl.NumberFormat(locale);
const tenth = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });
/** What an octet is called. */
const OCTET = language === "fr" ? "o" : "B";

export function count(n: number): string {
  return whole.format(n);
}

/** Octets as B, KiB or MiB; the units the SMTP limits are given in. */
export function size(octets: number): string {
  if (octets < 1024) return `${whole.format(octets)} ${OCTET}`;
  if (octets < 1024 * 1024) return `${tenth.format(octets / 1024)} Ki${OCTET}`;
  return `${tenth.format(octets / 1024 / 1024)} Mi${OCTET}`;
}

/** With at most one digit behind the point. */
export function tenths(n: number): string {
  return tenth.format(n);
}

export function rate(perMinute: number): string {
  return perMinute > 0 && perMinute < 0.1 ? `< ${tenth.format(0.1)}` : tenth.format(perMinute);
}
