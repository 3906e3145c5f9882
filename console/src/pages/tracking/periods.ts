/** How many days figures of opens and clicks are shown of. */
export const PERIODS = [7, 30, 90, 365] as const;

export type Period = (typeof PERIODS)[number];

export const STANDARD: Period = 30;
