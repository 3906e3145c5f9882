import type { QueryClient, QueryKey } from "@tanstack/react-query";

/**
 * Asks again what stands behind a key, since it may have changed. A first answer that is still on its way may have been
 * written before the change, and asking while it is awaited asks nothing new; so that is done once it is there.
 */
export async function askAnew(cache: QueryClient, queryKey: QueryKey): Promise<void> {
  const awaited = cache.isFetching({ queryKey, predicate: ({ state }) => state.data === undefined }) > 0;
  await cache.invalidateQueries({ queryKey });
  // Several that waited for it share one: what is asked for from now on knows of all their news.
  if (awaited) await cache.invalidateQueries({ queryKey }, { cancelRefetch: false });
}
