-- How many recipients an account may write to a day, and to how many of them for the first time.

-- accounts::allowance
-- What an operator gave an account in place of the configured limits: NULL is as configured, 0 no limit.
CREATE TABLE day_limits (
    account {id} NOT NULL PRIMARY KEY,
    recipients {int},
    first_time {int}
) {table};

-- What an account with a limit has used of its last day.
CREATE TABLE day_usage (
    account {id} NOT NULL PRIMARY KEY,
    day {int} NOT NULL,
    recipients {int} NOT NULL,
    first_time {int} NOT NULL
) {clustered};

-- Whom an account with a limit on first-time recipients has written to: 64 bits of a keyed hash each.
CREATE TABLE known_recipients (
    account {id} NOT NULL,
    hash {int} NOT NULL,
    day {int} NOT NULL,
    PRIMARY KEY (account, hash)
) {clustered};
CREATE INDEX known_recipients_by_day ON known_recipients (day);

-- accounts::settings; what holds for all nodes and is not in a file
CREATE TABLE settings (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) {table};
