-- Webhook deliveries that are sent once more begin their pauses anew, and what waits is found by its end.

-- outbound::webhooks
ALTER TABLE webhook_deliveries ADD COLUMN before {int} NOT NULL DEFAULT 0;
CREATE INDEX webhook_deliveries_end ON webhook_deliveries (give_up_at) WHERE state = 'waiting';
