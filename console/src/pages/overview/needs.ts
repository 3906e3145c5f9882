/** What needs the reader, worked out from what the server says and nothing else. */
import type { Domain, Lane, Me, Queue, SmtpSettings } from "../../api/types";
import { low } from "../credits/low";

/** A lane whose oldest mail waits this long is worth a look. */
export const LONG_WAIT_MS = 60 * 60 * 1_000;
/** A certificate is renewed by then, or someone forgot. */
export const CERTIFICATE_DAYS = 14;

export type Need =
  | { kind: "suspended"; state: "suspended" | "paused"; reason: string | null }
  | { kind: "credits"; left: number; mark: number }
  | { kind: "domain"; domain: Domain }
  | { kind: "paused"; lane: Lane }
  | { kind: "lane"; lane: Lane; waited: number }
  | { kind: "certificate"; until: number };

export interface Known {
  me: Me;
  domains?: readonly Domain[] | undefined;
  queue?: Queue | undefined;
  settings?: SmtpSettings | undefined;
}

export function needs({ me, domains, queue, settings }: Known, now: number): Need[] {
  const found: Need[] = [];
  const { state, state_reason, credits, credit_mark } = me.account;
  if (state !== "active") found.push({ kind: "suspended", state, reason: state_reason ?? null });
  if (low(me.account)) found.push({ kind: "credits", left: Math.max(0, credits ?? 0), mark: credit_mark });
  const until = settings?.certificate ? Date.parse(settings.certificate.not_after) : Number.POSITIVE_INFINITY;
  if (until - now < CERTIFICATE_DAYS * 86_400_000) found.push({ kind: "certificate", until });
  for (const domain of domains ?? []) {
    if (domain.state !== "verified") found.push({ kind: "domain", domain });
  }
  for (const lane of queue?.lanes ?? []) {
    const waited = lane.oldest_at ? now - Date.parse(lane.oldest_at) : 0;
    if (lane.paused) found.push({ kind: "paused", lane });
    // A destination in trouble is worth a look at once: everything that goes there waits.
    else if (lane.waiting > 0 && (lane.next_try_at || waited > LONG_WAIT_MS))
      found.push({ kind: "lane", lane, waited });
  }
  return found;
}
