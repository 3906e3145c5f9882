/** What happens to messages, as it happens: one stream of server-sent events for the whole console. */
import { useEffect, useRef } from "react";

export interface RecipientEvent {
  seq: number;
  kind: string;
  message: string;
  ordinal: number | null;
  at: string;
}

type Listener = (events: RecipientEvent[]) => void;

const listeners = new Set<Listener>();
let stream: EventSource | undefined;
let gathered: RecipientEvent[] = [];
let timer: ReturnType<typeof setTimeout> | undefined;

/** Events come in bursts; each listener hears of them twice a second at most. */
const GATHER_MS = 500;

function tell(): void {
  timer = undefined;
  const events = gathered;
  gathered = [];
  for (const listener of listeners) listener(events);
}

function open(): void {
  stream = new EventSource("/api/v1/live");
  stream.addEventListener("recipient", (event: MessageEvent<string>) => {
    gathered.push(JSON.parse(event.data) as RecipientEvent);
    if (timer === undefined) timer = setTimeout(tell, GATHER_MS);
  });
}

function listen(listener: Listener): () => void {
  listeners.add(listener);
  if (!stream) open();
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      stream?.close();
      stream = undefined;
    }
  };
}

/** Calls back with what happened, while the caller is on the page. */
export function useLive(listener: Listener): void {
  const latest = useRef(listener);
  latest.current = listener;
  useEffect(() => listen((events) => latest.current(events)), []);
}
