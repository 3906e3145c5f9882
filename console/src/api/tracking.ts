/** Figures of opens and clicks, and what may be tracked. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { client, ok } from "./client";
import type { AccountTracking, DomainTracking } from "./types";

const DAY = 86_400_000;

/** The last days, today included. */
export const tracking = ({ stream, days }: { stream?: string | undefined; days: number }) =>
  queryOptions({
    queryKey: ["tracking", stream ?? "", days],
    placeholderData: keepPreviousData,
    queryFn: () => {
      // Days are those of UTC, as the figures are.
      const today = Math.floor(Date.now() / DAY) * DAY;
      const since = new Date(today - (days - 1) * DAY).toISOString();
      const query = { since, ...(stream && { stream }) };
      return ok(client.GET("/tracking", { params: { query } }));
    },
  });

/** Whether anything of the account's mail may be tracked. */
export const accountTracking = queryOptions({
  queryKey: ["account-tracking"],
  queryFn: () => ok(client.GET("/account/tracking")),
});

export const switchTracking = (body: AccountTracking) => ok(client.PUT("/account/tracking", { body }));

export const switchDomainTracking = (id: string, body: DomainTracking) =>
  ok(client.PUT("/domains/{id}/tracking", { params: { path: { id } }, body }));
