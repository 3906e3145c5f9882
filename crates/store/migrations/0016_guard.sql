-- Accounts that are paused because their recipients bounce or complain, and their mail that is held meanwhile.

-- accounts::people; whether mail that waits is held, and why the account was paused, as JSON
ALTER TABLE accounts ADD COLUMN holds {int} NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN paused TEXT;
CREATE INDEX accounts_that_hold ON accounts (id) WHERE holds = 1;

-- accounts::guard; what became of each account's last recipients
CREATE TABLE guard_windows (
    account {id} NOT NULL PRIMARY KEY,
    counts TEXT NOT NULL
) {clustered};

-- outbound::spool
CREATE INDEX recipients_held_of_account ON recipients (account, message, ordinal) WHERE state = 'held';
