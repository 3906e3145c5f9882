/** The rows being read, kept up to date in place, and how many newer ones are waiting to be taken in. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { askAnew } from "../../api/anew";
import { useLive } from "../../api/live";
import { messages } from "../../api/queries";
import type { MessageSummary } from "../../api/types";
import { asFilter, type MessageSearch } from "./filter";
import { type Fresh, fresh, refreshed } from "./merge";

const PAGE = 50;
/** While mail pours in, the list asks anew this often at most. */
const REFRESH_MS = 2_000;

interface Reading {
  question: string;
  rows: MessageSummary[];
}

interface List {
  rows: MessageSummary[] | undefined;
  next: string | null | undefined;
  /** How far the list was looked through, where not to its end. */
  searchedTo: string | null | undefined;
  fresh: Fresh;
  takeIn: () => void;
  busy: boolean;
  error: Error | null;
  again: () => void;
}

export function useList(search: MessageSearch): List {
  const cache = useQueryClient();
  const asked = messages(asFilter(search, PAGE));
  const query = useQuery(asked);
  const question = JSON.stringify(search);
  const latest = query.data?.items;
  const [reading, read] = useState<Reading>();
  const same = reading?.question === question;

  // The first answer to a question is what is read; an empty list has no place to keep.
  useEffect(() => {
    if (latest && (!same || reading.rows.length === 0)) read({ question, rows: latest });
  }, [latest, same, reading, question]);

  useRefresh(() => void askAnew(cache, asked.queryKey));

  const rows = useMemo(
    () => (latest && same ? refreshed(reading.rows, latest) : (latest ?? reading?.rows)),
    [latest, same, reading],
  );
  const countsFresh = latest && same && !search.after && search.sort !== "oldest";
  const takeIn = useCallback(() => {
    if (latest) read({ question, rows: latest });
  }, [latest, question]);
  return {
    rows,
    next: query.data?.next,
    searchedTo: query.data?.searched_to,
    fresh: countsFresh ? fresh(reading.rows, latest) : { n: 0, more: false },
    takeIn,
    busy: query.isPending && rows !== undefined,
    error: query.error,
    again: () => void query.refetch(),
  };
}

/** Asks anew when something happened: at once, then not again before the pause is over. */
function useRefresh(refetch: () => void): void {
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const last = useRef(0);
  const ask = useRef(refetch);
  ask.current = refetch;
  useEffect(() => () => clearTimeout(timer.current), []);
  useLive(() => {
    if (timer.current) return;
    const wait = Math.max(0, last.current + REFRESH_MS - Date.now());
    timer.current = setTimeout(() => {
      timer.current = undefined;
      last.current = Date.now();
      ask.current();
    }, wait);
  });
}
