-- Event hooks: what an account or the operator wants to have a say in, each save of it, and how its runs went.

-- accounts::hooks; without an account it is the operator's and runs for all
CREATE TABLE hooks (
    id {id} NOT NULL PRIMARY KEY,
    account {id},
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    enabled {int} NOT NULL,
    fail_open {int} NOT NULL,
    place {int} NOT NULL,
    version {int} NOT NULL,
    stages TEXT NOT NULL,
    secret {bytes},
    created_at {int} NOT NULL,
    changed_at {int} NOT NULL,
    told_at {int}
) {table};
CREATE INDEX hooks_of_account ON hooks (account);

CREATE TABLE hook_versions (
    hook {id} NOT NULL,
    version {int} NOT NULL,
    at {int} NOT NULL,
    who TEXT NOT NULL,
    stages TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (hook, version)
) {clustered};

-- outbound::hooks; the last runs, and what all of a day came to
CREATE TABLE hook_runs (
    id {id} NOT NULL PRIMARY KEY,
    hook {id} NOT NULL,
    at {int} NOT NULL,
    version {int} NOT NULL,
    stage TEXT NOT NULL,
    outcome TEXT NOT NULL,
    detail TEXT NOT NULL,
    line {int},
    duration {int} NOT NULL,
    log TEXT NOT NULL
) {clustered};
CREATE INDEX hook_runs_of_hook ON hook_runs (hook, id);
CREATE INDEX hook_runs_by_age ON hook_runs (at);

CREATE TABLE hook_days (
    hook {id} NOT NULL,
    day {int} NOT NULL,
    runs {int} NOT NULL,
    rejected {int} NOT NULL,
    deferred {int} NOT NULL,
    discarded {int} NOT NULL,
    failed {int} NOT NULL,
    duration {int} NOT NULL,
    PRIMARY KEY (hook, day)
) {clustered};
