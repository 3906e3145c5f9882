/** What the operator tells everybody, or the people of one account. */
import { queryOptions } from "@tanstack/react-query";
import { client, ok } from "./client";
import type { CreateAnnouncement } from "./types";

const path = (id: string) => ({ params: { path: { id } } });

/** Those on top of every page. */
export const ownAnnouncements = queryOptions({
  queryKey: ["announcements", "own"],
  queryFn: () => ok(client.GET("/account/announcements")),
  staleTime: 60_000,
  refetchInterval: 60_000,
});

/** For operators: all of them. */
export const announcements = queryOptions({
  queryKey: ["announcements", "all"],
  queryFn: () => ok(client.GET("/announcements")),
});

export const putAnnouncementAway = (id: string) => ok(client.DELETE("/account/announcements/{id}", path(id)));

export const createAnnouncement = (body: CreateAnnouncement) => ok(client.POST("/announcements", { body }));

export const removeAnnouncement = (id: string) => ok(client.DELETE("/announcements/{id}", path(id)));
