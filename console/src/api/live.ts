/** What happens to messages, as it happens: one stream of server-sent events for the whole console. */
import { useEffect, useRef } from "react";
import type { components } from "./schema";

export type RecipientEvent = components["schemas"]["RecipientEvent"];

/** What happened since the last call; nothing in particular after a gap, when everything may have changed. */
export type News = readonly RecipientEvent[] | "gap";

type Listener = (news: News) => void;

/** Events come in bursts; each listener hears of them twice a second at most. */
const GATHER_MS = 500;
/** The browser reconnects by itself unless it was refused; then it is asked again after this long. */
const AGAIN_MS = 5_000;

const listeners = new Set<Listener>();
let stream: EventSource | undefined;
let gathered: RecipientEvent[] = [];
let telling: ReturnType<typeof setTimeout> | undefined;
let reopening: ReturnType<typeof setTimeout> | undefined;

function tell(news: News): void {
  for (const listener of listeners) listener(news);
}

function gather(event: RecipientEvent): void {
  gathered.push(event);
  if (telling !== undefined) return;
  telling = setTimeout(() => {
    telling = undefined;
    const events = gathered;
    gathered = [];
    tell(events);
  }, GATHER_MS);
}

function open(): void {
  const opened = new EventSource("/api/v1/live");
  stream = opened;
  // What happened before the stream stood is not in it, and pages may have been answered before that.
  opened.addEventListener("open", () => tell("gap"));
  opened.addEventListener("gap", () => tell("gap"));
  opened.addEventListener("recipient", (event: MessageEvent<string>) => {
    gather(JSON.parse(event.data) as RecipientEvent);
  });
  opened.addEventListener("error", () => {
    if (opened.readyState !== EventSource.CLOSED || stream !== opened) return;
    reopening = setTimeout(open, AGAIN_MS);
  });
}

function close(): void {
  stream?.close();
  stream = undefined;
  clearTimeout(reopening);
}

function listen(listener: Listener): () => void {
  listeners.add(listener);
  if (!stream) open();
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) close();
  };
}

/** Calls back with what happened, while the caller is on the page. */
export function useLive(listener: Listener): void {
  const latest = useRef(listener);
  latest.current = listener;
  useEffect(() => listen((news) => latest.current(news)), []);
}
