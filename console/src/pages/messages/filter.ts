/** The filters of the list of messages as they stand in the address, and as the server takes them. */
import type { MessageFilter } from "../../api/queries";
import { RECIPIENT_STATES } from "../../parts/State";

/** What kinds of bounce and deferral there are. */
export const CLASSES = [
  "unknown_mailbox",
  "inactive_mailbox",
  "unknown_domain",
  "bad_address",
  "mailbox_full",
  "too_big",
  "content",
  "authentication",
  "sender_refused",
  "spam",
  "blocklisted",
  "policy",
  "rate_limited",
  "greylisted",
  "unreachable",
  "dns",
  "tls",
  "relaying_denied",
  "loop",
  "remote_trouble",
  "expired",
  "unclassified",
] as const;

/** Days are in the reader's own zone: `since` from its first moment, `until` to its last. */
export interface MessageSearch {
  q?: string;
  state?: (typeof RECIPIENT_STATES)[number];
  class?: (typeof CLASSES)[number];
  stream?: string;
  tag?: string;
  since?: string;
  until?: string;
  sort?: "oldest";
  after?: string;
  all?: true;
}

const DAY = /^\d{4}-\d{2}-\d{2}$/;

function text(value: unknown): string | undefined {
  const words = typeof value === "string" ? value.trim() : "";
  return words === "" ? undefined : words;
}

function day(value: unknown): string | undefined {
  return typeof value === "string" && DAY.test(value) && !Number.isNaN(Date.parse(value)) ? value : undefined;
}

/** Keeps what is understood of an address and drops the rest, so that an old link still opens. */
export function readSearch(raw: Record<string, unknown>): MessageSearch {
  const q = text(raw.q);
  const state = RECIPIENT_STATES.find((one) => one === raw.state);
  const kind = CLASSES.find((one) => one === raw.class);
  const stream = text(raw.stream);
  const tag = text(raw.tag);
  const since = day(raw.since);
  const until = day(raw.until);
  const after = text(raw.after);
  return {
    ...(q && { q }),
    ...(state && { state }),
    ...(kind && { class: kind }),
    ...(stream && { stream }),
    ...(tag && { tag }),
    ...(since && { since }),
    ...(until && { until }),
    ...(raw.sort === "oldest" && { sort: "oldest" as const }),
    ...(after && { after }),
    ...((raw.all === "true" || raw.all === true) && { all: true as const }),
  };
}

function startOf(dayText: string, daysOn = 0): string {
  const [year = 0, month = 1, date = 1] = dayText.split("-").map(Number);
  return new Date(year, month - 1, date + daysOn).toISOString();
}

export function asFilter(search: MessageSearch, limit: number): MessageFilter {
  return {
    q: search.q,
    state: search.state,
    class: search.class,
    stream: search.stream,
    tag: search.tag,
    since: search.since && startOf(search.since),
    until: search.until && startOf(search.until, 1),
    sort: search.sort,
    after: search.after,
    all: search.all,
    limit,
  };
}

export function isFiltered(search: MessageSearch): boolean {
  return Boolean(
    search.q || search.state || search.class || search.stream || search.tag || search.since || search.until,
  );
}

/** Where the browser downloads the recipients of what is shown, all pages of it. */
export function sheetOf(search: MessageSearch): string {
  const { limit: _, after: __, ...filter } = asFilter(search, 0);
  const asked = Object.entries(filter).filter(([, value]) => value !== undefined);
  return `/api/v1/messages/export?${new URLSearchParams(asked.map(([name, value]) => [name, String(value)]))}`;
}
