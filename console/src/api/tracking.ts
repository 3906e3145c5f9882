/** Figures of opens and clicks. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { client, ok } from "./client";

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
