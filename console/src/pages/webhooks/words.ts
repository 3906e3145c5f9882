/** What the pages about webhooks say in the same way. */
import type { Webhook, WebhookDelivery } from "../../api/types";
import type { KnownState } from "../../parts/State";

/** Host and port: path and query may hold secrets, and are long. */
export function place(webhook: Webhook): string {
  return URL.canParse(webhook.url) ? new URL(webhook.url).host : webhook.url;
}

/** How a webhook is, in the words of the states. */
export function looks(webhook: Webhook): KnownState {
  if (webhook.paused) return "paused";
  return webhook.failing_since ? "failing" : "active";
}

export const DELIVERY_STATES = [
  "waiting",
  "delivered",
  "failed",
] as const satisfies readonly WebhookDelivery["state"][];

export type DeliveryState = (typeof DELIVERY_STATES)[number];

/** The events that the server tells, by their names in the log. */
export const KINDS = [
  "accepted",
  "delivered",
  "deferred",
  "bounced",
  "expired",
  "suppressed",
  "complained",
  "opened",
  "clicked",
  "unsubscribed",
  "resubscribed",
  "held",
  "scheduled",
  "queued",
  "cancelled",
] as const;
