/** What became of mail, counted by day; and how long it is kept. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { client, ok } from "./client";
import type { OwnRetention, StatisticsBy } from "./types";

export interface Asked {
  /** Up to today, whenever the server says that is. */
  from: string;
  by: StatisticsBy;
  /** Of one stream only; by day. */
  stream?: string;
}

export const statistics = (query: Asked) =>
  queryOptions({
    queryKey: ["statistics", query],
    queryFn: () => ok(client.GET("/statistics", { params: { query } })),
    placeholderData: keepPreviousData,
  });

/** Where the browser downloads the same as a sheet. */
export const statisticsSheet = (asked: Asked) =>
  `/api/v1/statistics/export?${new URLSearchParams({ ...asked })}`;

export const retention = queryOptions({
  queryKey: ["retention"],
  queryFn: () => ok(client.GET("/account/retention")),
});

export const chooseRetention = (body: OwnRetention) => ok(client.PUT("/account/retention", { body }));
