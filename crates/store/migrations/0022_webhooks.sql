-- Webhooks: where events are sent, what is on its way, and how each attempt went.

-- store::events; what an account is told, in the order of the log
{sqlite} CREATE INDEX events_of_account ON events (account);
{postgres} CREATE INDEX events_of_account ON events (account, tx, seq);

-- outbound::webhooks; no kinds are all of them, no stream is every stream
CREATE TABLE webhooks (
    id {id} NOT NULL PRIMARY KEY,
    account {id} NOT NULL,
    url TEXT NOT NULL,
    description TEXT NOT NULL,
    kinds TEXT NOT NULL,
    stream TEXT NOT NULL,
    paused TEXT,
    secret {bytes} NOT NULL,
    old_secret {bytes},
    old_secret_until {int},
    created_at {int} NOT NULL,
    active_since {int} NOT NULL,
    failing_since {int}
) {table};
CREATE INDEX webhooks_of_account ON webhooks (account);

CREATE TABLE webhook_deliveries (
    id {id} NOT NULL PRIMARY KEY,
    webhook {id} NOT NULL,
    event TEXT NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts {int} NOT NULL,
    created_at {int} NOT NULL,
    due_at {int} NOT NULL,
    give_up_at {int} NOT NULL
) {clustered};
CREATE INDEX webhook_deliveries_of_webhook ON webhook_deliveries (webhook, id);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook, due_at) WHERE state = 'waiting';
CREATE INDEX webhook_tests_due ON webhook_deliveries (webhook, due_at) WHERE state = 'waiting' AND kind = 'test';

CREATE TABLE webhook_attempts (
    delivery {id} NOT NULL,
    number {int} NOT NULL,
    at {int} NOT NULL,
    duration {int} NOT NULL,
    status {int},
    problem TEXT NOT NULL,
    answer TEXT NOT NULL,
    PRIMARY KEY (delivery, number)
) {clustered};
