/** Credits: what was granted and used, and what is left. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { client, ok } from "./client";

export const ledger = (after: string | undefined) =>
  queryOptions({
    queryKey: ["account", "ledger", { after }],
    queryFn: () => ok(client.GET("/account/credits", { params: { query: after ? { after } : {} } })),
    placeholderData: keepPreviousData,
  });

/** For operators: the ledger of one account. */
export const ledgerOf = (id: string, after: string | undefined) =>
  queryOptions({
    queryKey: ["accounts", "ledger", id, { after }],
    queryFn: () =>
      ok(
        client.GET("/accounts/{id}/credits", {
          params: { path: { id }, query: after ? { after } : {} },
        }),
      ),
    placeholderData: keepPreviousData,
  });
