/** The days that a page of statistics is about: of UTC, today the last. */
export const DAYS = ["7", "30", "90", "365"] as const;
export type Days = (typeof DAYS)[number];

const DAY_MS = 86_400_000;

/** The first of so many days that end today. */
export function range(days: Days, now: number): { from: string } {
  return { from: new Date(now - (Number(days) - 1) * DAY_MS).toISOString().slice(0, 10) };
}
