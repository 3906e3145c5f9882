/** One clock for everything on the page that says how long ago or how long yet. */
import { useSyncExternalStore } from "react";

const listeners = new Set<() => void>();
let now = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  if (timer === undefined) {
    now = Date.now();
    timer = setInterval(() => {
      now = Date.now();
      for (const each of listeners) each();
    }, 1_000);
  }
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

/** The time in whole steps of `step` milliseconds, so that a list is not drawn anew each second. */
export function useNow(step = 1_000): number {
  return useSyncExternalStore(subscribe, () => (step > 1_000 ? Math.floor(now / step) * step : now));
}
