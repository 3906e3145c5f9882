/** Webhooks: receivers that are told what happens, and how that went. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { client, ok } from "./client";
import type { ChangeWebhook, CreateWebhook, WebhookDelivery } from "./types";

/** How it is and what it was told are asked for again while the page is open: attempts come one after the other. */
const OFTEN_MS = 3_000;

const path = (id: string) => ({ params: { path: { id } } });

export const webhooks = queryOptions({
  queryKey: ["webhooks"],
  queryFn: () => ok(client.GET("/webhooks")),
});

export const webhook = (id: string) =>
  queryOptions({
    queryKey: ["webhooks", "one", id],
    queryFn: () => ok(client.GET("/webhooks/{id}", path(id))),
    refetchInterval: OFTEN_MS,
  });

export interface Asked {
  state?: WebhookDelivery["state"];
  after?: string;
}

export const deliveries = (id: string, asked: Asked) =>
  queryOptions({
    queryKey: ["webhooks", "deliveries", id, asked],
    queryFn: () =>
      ok(client.GET("/webhooks/{id}/deliveries", { params: { path: { id }, query: { ...asked } } })),
    placeholderData: keepPreviousData,
    refetchInterval: OFTEN_MS,
  });

export const delivery = (id: string, one: string) =>
  queryOptions({
    queryKey: ["webhooks", "delivery", id, one],
    queryFn: () =>
      ok(client.GET("/webhooks/{id}/deliveries/{delivery}", { params: { path: { id, delivery: one } } })),
    refetchInterval: OFTEN_MS,
  });

export const createWebhook = (body: CreateWebhook) => ok(client.POST("/webhooks", { body }));

export const changeWebhook = (id: string, body: ChangeWebhook) =>
  ok(client.PATCH("/webhooks/{id}", { ...path(id), body }));

export const deleteWebhook = (id: string) => ok(client.DELETE("/webhooks/{id}", path(id)));

export const pauseWebhook = (id: string) => ok(client.POST("/webhooks/{id}/pause", path(id)));

export const resumeWebhook = (id: string) => ok(client.POST("/webhooks/{id}/resume", path(id)));

export const newSecret = (id: string) => ok(client.POST("/webhooks/{id}/secret", path(id)));

export const testWebhook = (id: string) => ok(client.POST("/webhooks/{id}/test", path(id)));

export const replayDelivery = (id: string, delivery: string) =>
  ok(client.POST("/webhooks/{id}/deliveries/{delivery}/replay", { params: { path: { id, delivery } } }));

/** Sends a whole time range again, request by request; says how many events that are. */
export async function replayRange(id: string, since: string, until: string): Promise<number> {
  let queued = 0;
  let after: string | null = null;
  do {
    const answer: { queued: number; next: string | null } = await ok(
      client.POST("/webhooks/{id}/replay", { ...path(id), body: { since, until, ...(after && { after }) } }),
    );
    queued += answer.queued;
    after = answer.next;
  } while (after);
  return queued;
}
