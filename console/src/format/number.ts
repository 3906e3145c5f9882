/** Numbers as people read them: thousands separators, sizes with units, rates. */

const whole = new Intl.NumberFormat("en");
const tenth = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

export function count(n: number): string {
  return whole.format(n);
}

/** Octets as B, KiB or MiB; the units the SMTP limits are given in. */
export function size(octets: number): string {
  if (octets < 1024) return `${whole.format(octets)} B`;
  if (octets < 1024 * 1024) return `${tenth.format(octets / 1024)} KiB`;
  return `${tenth.format(octets / 1024 / 1024)} MiB`;
}

export function rate(perMinute: number): string {
  return perMinute > 0 && perMinute < 0.1 ? "< 0.1" : tenth.format(perMinute);
}
