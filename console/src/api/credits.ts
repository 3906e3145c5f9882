/** Credits: what was granted and used, and what is left. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { client, ok } from "./client";
import type { CreateVouchers } from "./types";

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

export const redeemVoucher = (code: string) => ok(client.POST("/account/credits/redeem", { body: { code } }));

/** For operators: the vouchers, batch by batch. */
export const vouchers = (after: string | undefined) =>
  queryOptions({
    queryKey: ["vouchers", { after }],
    queryFn: () => ok(client.GET("/vouchers", { params: { query: after ? { after } : {} } })),
    placeholderData: keepPreviousData,
  });

export const createVouchers = (body: CreateVouchers) => ok(client.POST("/vouchers", { body }));

export const revokeVouchers = (id: string) =>
  ok(client.DELETE("/vouchers/{id}", { params: { path: { id } } }));
