/** Paging by cursors: each page knows the next one; the way back is kept in the browser's history. */
import { useRouterState } from "@tanstack/react-router";
import type { Paging } from "./DataTable";

declare module "@tanstack/react-router" {
  interface HistoryState {
    /** The cursors of the pages before this one; null is the first page. */
    trail?: (string | null)[];
  }
}

type Go = (after: string | undefined, options: { state: { trail: (string | null)[] } }) => unknown;

export function usePaging(next: string | null | undefined, after: string | undefined, go: Go): Paging {
  const trail = useRouterState({ select: (state) => state.location.state.trail }) ?? [];
  return {
    hasNext: Boolean(next),
    hasPrevious: after !== undefined,
    onFirst: () => go(undefined, { state: { trail: [] } }),
    onPrevious: () => go(trail.at(-1) ?? undefined, { state: { trail: trail.slice(0, -1) } }),
    onNext: () => go(next ?? undefined, { state: { trail: [...trail, after ?? null] } }),
  };
}
