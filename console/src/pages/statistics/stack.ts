/** What a bar is made of. */
import type { StatisticsItem } from "../../api/types";

/** What became of recipients in the end, from the bottom up. */
export const KINDS = ["delivered", "bounced", "expired", "suppressed", "cancelled"] as const;
export type Kind = (typeof KINDS)[number];

export interface Bar {
  name: string;
  sum: number;
  parts: { kind: Kind; n: number }[];
}

export function stack(item: StatisticsItem): Bar {
  const parts = KINDS.map((kind) => ({ kind, n: item[kind] })).filter(({ n }) => n > 0);
  return { name: item.name, sum: parts.reduce((sum, { n }) => sum + n, 0), parts };
}

/** The next round number that is not less, so that a scale reads well: half of it is whole, too. */
export function nice(most: number): number {
  if (most <= 0) return 0;
  const power = 10 ** Math.floor(Math.log10(most));
  const step = [1, 2, 4, 6, 8, 10].find((one) => one * power >= most) ?? 10;
  return Math.max(2, step * power);
}
