-- Accounts take turns at being told what happened, and each stands at a place of its own in the log while it waits.

-- outbound::webhooks
CREATE TABLE webhook_backlogs (
    account {id} NOT NULL PRIMARY KEY,
    turn {int} NOT NULL
) {clustered};
CREATE INDEX webhook_backlogs_next ON webhook_backlogs (turn);
