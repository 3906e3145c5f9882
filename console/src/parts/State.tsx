/** One state, shown everywhere by the same colour, icon and word. */
import {
  IconAlertTriangle,
  IconBan,
  IconCalendarClock,
  IconCircleCheck,
  IconCircleX,
  IconClock,
  IconClockPause,
  IconHandStop,
  IconHourglassOff,
  IconMailOpened,
  IconPlayerPause,
  IconPlayerPlay,
  IconPointer,
  IconSquareX,
} from "@tabler/icons-react";
import type { ComponentType } from "react";
import { useTranslation } from "react-i18next";
import { count } from "../format/number";
import classes from "./State.module.css";

export type Tone = "grey" | "amber" | "green" | "red" | "violet" | "blue" | "dark";

interface Look {
  tone: Tone;
  Icon: ComponentType<{ size?: number; stroke?: number; "aria-hidden"?: boolean }>;
}

/** Worst first: the order in which the states of one message are shown. */
export const LOOKS = {
  bounced: { tone: "red", Icon: IconCircleX },
  expired: { tone: "dark", Icon: IconHourglassOff },
  suppressed: { tone: "violet", Icon: IconBan },
  held: { tone: "blue", Icon: IconHandStop },
  deferred: { tone: "amber", Icon: IconClockPause },
  queued: { tone: "grey", Icon: IconClock },
  scheduled: { tone: "grey", Icon: IconCalendarClock },
  cancelled: { tone: "dark", Icon: IconSquareX },
  delivered: { tone: "green", Icon: IconCircleCheck },
  suspended: { tone: "red", Icon: IconBan },
  paused: { tone: "amber", Icon: IconPlayerPause },
  pending: { tone: "amber", Icon: IconAlertTriangle },
  verified: { tone: "green", Icon: IconCircleCheck },
  active: { tone: "green", Icon: IconCircleCheck },
  waiting: { tone: "amber", Icon: IconClockPause },
  failing: { tone: "amber", Icon: IconAlertTriangle },
  failed: { tone: "red", Icon: IconCircleX },
  running: { tone: "grey", Icon: IconPlayerPlay },
  opened: { tone: "green", Icon: IconMailOpened },
  clicked: { tone: "green", Icon: IconPointer },
} as const satisfies Record<string, Look>;

export type KnownState = keyof typeof LOOKS;

export const RECIPIENT_STATES = [
  "scheduled",
  "queued",
  "deferred",
  "delivered",
  "bounced",
  "held",
  "expired",
  "cancelled",
] as const satisfies readonly KnownState[];

export function isKnown(state: string): state is KnownState {
  return Object.hasOwn(LOOKS, state);
}

const order = Object.keys(LOOKS);

/** Where a state stands among the worst; one that is not known stands last. */
export function rank(state: string): number {
  return (order.indexOf(state) + order.length + 1) % (order.length + 1);
}

export function worstFirst(states: Record<string, number>): [string, number][] {
  return Object.entries(states)
    .filter(([, n]) => n > 0)
    .sort(([a], [b]) => rank(a) - rank(b));
}

export function State({ state, n, plain }: { state: string; n?: number; plain?: boolean }) {
  const { t } = useTranslation();
  const look = isKnown(state) ? LOOKS[state] : { tone: "grey" as const, Icon: IconClock };
  const word = isKnown(state) ? t(`state.${state}`) : state;
  return (
    <span className={classes.state} data-tone={look.tone} data-plain={plain || undefined} data-state={state}>
      <look.Icon size={14} stroke={2} aria-hidden />
      {word}
      {n !== undefined && <span className={classes.count}>{count(n)}</span>}
    </span>
  );
}

/** The states of all recipients of one message; a number only where there is more than one recipient. */
export function States({ states, total }: { states: Record<string, number>; total: number }) {
  return (
    <span className={classes.states}>
      {worstFirst(states).map(([state, n]) =>
        total > 1 ? <State key={state} state={state} n={n} /> : <State key={state} state={state} />,
      )}
    </span>
  );
}
