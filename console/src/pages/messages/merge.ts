/** How a list takes in what is new without moving what is being read. */

interface Row {
  id: string;
}

/** The rows being read, each in its latest form, in their old places. */
export function refreshed<T extends Row>(reading: readonly T[], latest: readonly T[]): T[] {
  const byId = new Map(latest.map((row) => [row.id, row]));
  return reading.map((row) => byId.get(row.id) ?? row);
}

export interface Fresh {
  n: number;
  /** The whole page is new, so there may be more than `n`. */
  more: boolean;
}

/** How many rows came before the first one being read. */
export function fresh(reading: readonly Row[], latest: readonly Row[]): Fresh {
  const known = new Set(reading.map((row) => row.id));
  const first = latest.findIndex((row) => known.has(row.id));
  if (first >= 0) return { n: first, more: false };
  return { n: latest.length, more: latest.length > 0 };
}
