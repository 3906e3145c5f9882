/** The cache of what the server said, and what happens when it no longer knows who is asking. */
import { QueryCache, QueryClient } from "@tanstack/react-query";
import { ApiError } from "../api/client";
import { session } from "../api/queries";

/** Trying again helps against a server that is away or stumbled, not against a refusal. */
function worthRetrying(failures: number, error: Error): boolean {
  return failures < 2 && error instanceof ApiError && (error.status === 0 || error.status >= 500);
}

export const cache: QueryClient = new QueryClient({
  queryCache: new QueryCache({
    onError: (error) => {
      // The frame watches the session and leads to the sign-in page when there is none.
      if (error instanceof ApiError && error.status === 401) cache.setQueryData(session.queryKey, null);
    },
  }),
  defaultOptions: { queries: { retry: worthRetrying, staleTime: 5_000 } },
});
