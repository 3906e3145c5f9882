/** Whom the account is not to write to. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { client, ok } from "./client";
import type { CreateSuppression, SuppressionReason } from "./types";

export interface SuppressionFilter {
  q?: string | undefined;
  reason?: SuppressionReason | undefined;
  after?: string | undefined;
}

export const suppressions = (filter: SuppressionFilter) =>
  queryOptions({
    queryKey: ["suppressions", filter],
    queryFn: () => {
      const { q, reason, after } = filter;
      const query = { ...(q && { q }), ...(reason && { reason }), ...(after && { after }) };
      return ok(client.GET("/suppressions", { params: { query } }));
    },
    placeholderData: keepPreviousData,
  });

export const suppress = (body: CreateSuppression) => ok(client.POST("/suppressions", { body }));

export const unsuppress = (id: string, note: string) =>
  ok(client.DELETE("/suppressions/{id}", { params: { path: { id }, query: { note } } }));

export const importSuppressions = (csv: string) => ok(client.POST("/suppressions/import", { body: { csv } }));

/** Where the browser downloads the list. */
export const EXPORT = "/api/v1/suppressions/export";
