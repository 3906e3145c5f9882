/** Where the tries of one recipient stand between its acceptance and the next try. */
import type { Recipient } from "../../api/types";

export interface Mark {
  /** Share of the line from its start, 0 to 1. */
  at: number;
  kind: "attempt" | "next";
  number: number;
  outcome: string;
}

export interface Line {
  from: number;
  to: number;
  marks: Mark[];
}

export function timeline(accepted: string, recipient: Pick<Recipient, "attempts" | "next_at">): Line | null {
  const { attempts, next_at } = recipient;
  // One try says all it has to say in its own row.
  if (attempts.length === 0 || (attempts.length === 1 && !next_at)) return null;
  const from = Date.parse(accepted);
  const times = attempts.map((attempt) => Date.parse(attempt.at));
  const next = next_at ? Date.parse(next_at) : undefined;
  const to = Math.max(...times, next ?? 0);
  const length = Math.max(1, to - from);
  const share = (time: number) => Math.min(1, Math.max(0, (time - from) / length));
  const marks = attempts.map((attempt, i): Mark => {
    return { at: share(times[i] ?? from), kind: "attempt", number: attempt.number, outcome: attempt.outcome };
  });
  if (next !== undefined)
    marks.push({ at: share(next), kind: "next", number: attempts.length + 1, outcome: "queued" });
  return { from, to, marks };
}
