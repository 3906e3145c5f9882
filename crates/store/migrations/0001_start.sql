-- The first schema. One tree for both engines; crate::dialect replaces the words in braces and takes the lines
-- that begin with {sqlite} or {postgres} for that engine alone. Times are microseconds UTC, booleans 0 and 1,
-- JSON is text that no statement looks into. The module named above a table is the only one with SQL on it.

-- store::nodes
CREATE TABLE nodes (
    id {id} NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    seen_at {int} NOT NULL,
    lease_until {int} NOT NULL
) {table};

-- store::events
CREATE TABLE events (
    seq {seq},
    at {int} NOT NULL,
    account {id} NOT NULL,
    message {id},
    ordinal {int},
    kind TEXT NOT NULL,
    data TEXT NOT NULL{tx}
) {table};
CREATE INDEX events_of_message ON events (message) WHERE message IS NOT NULL;

CREATE TABLE cursors (
    consumer TEXT NOT NULL PRIMARY KEY,
    tx {int} NOT NULL,
    seq {int} NOT NULL
) {table};

-- accounts::directory
CREATE TABLE changes (
    one {int} NOT NULL PRIMARY KEY,
    version {int} NOT NULL
) {table};
INSERT INTO changes (one, version) VALUES (1, 1);

CREATE TABLE accounts (
    id {id} NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    state_reason TEXT NOT NULL,
    operator {int} NOT NULL,
    unlimited {int} NOT NULL,
    balance {int} NOT NULL,
    created_at {int} NOT NULL
) {table};

CREATE TABLE logins (
    id {id} NOT NULL PRIMARY KEY,
    account {id} NOT NULL,
    email TEXT NOT NULL,
    login_key TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    stamp {int} NOT NULL,
    confirmed {int} NOT NULL,
    created_at {int} NOT NULL,
    password_changed_at {int} NOT NULL
) {table};
CREATE INDEX logins_of_account ON logins (account);

CREATE TABLE sessions (
    token_hash {bytes} NOT NULL PRIMARY KEY,
    login {id} NOT NULL,
    stamp {int} NOT NULL,
    created_at {int} NOT NULL,
    seen_at {int} NOT NULL,
    expires_at {int} NOT NULL,
    ip TEXT NOT NULL,
    agent TEXT NOT NULL
) {table};
CREATE INDEX sessions_of_login ON sessions (login);
CREATE INDEX sessions_expiry ON sessions (expires_at);

CREATE TABLE api_keys (
    id {id} NOT NULL PRIMARY KEY,
    account {id} NOT NULL,
    login {id} NOT NULL,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    secret_hash {bytes} NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    created_at {int} NOT NULL,
    used_at {int},
    revoked_at {int}
) {table};
CREATE INDEX api_keys_of_account ON api_keys (account);

CREATE TABLE ip_credentials (
    id {id} NOT NULL PRIMARY KEY,
    account {id} NOT NULL,
    login {id} NOT NULL,
    name TEXT NOT NULL,
    range TEXT NOT NULL,
    created_at {int} NOT NULL,
    used_at {int},
    revoked_at {int}
) {table};
CREATE INDEX ip_credentials_of_account ON ip_credentials (account);

-- accounts::credits
CREATE TABLE credit_grants (
    id {id} NOT NULL PRIMARY KEY,
    account {id} NOT NULL,
    at {int} NOT NULL,
    amount {int} NOT NULL,
    reason TEXT NOT NULL
) {table};
CREATE INDEX credit_grants_of_account ON credit_grants (account, at);

CREATE TABLE credit_usage (
    account {id} NOT NULL,
    day {int} NOT NULL,
    amount {int} NOT NULL,
    PRIMARY KEY (account, day)
) {clustered};

-- accounts::domains
CREATE TABLE domains (
    id {id} NOT NULL PRIMARY KEY,
    account {id} NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    verified_by TEXT NOT NULL,
    created_at {int} NOT NULL,
    verified_at {int},
    checked_at {int},
    findings TEXT NOT NULL,
    UNIQUE (account, name)
) {table};
CREATE INDEX domains_of_name ON domains (name);

CREATE TABLE dkim_keys (
    id {id} NOT NULL PRIMARY KEY,
    domain {id} NOT NULL,
    selector TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    private_key {bytes} NOT NULL,
    public_key TEXT NOT NULL,
    created_at {int} NOT NULL,
    retired_at {int},
    UNIQUE (domain, selector)
) {table};

-- outbound::spool
CREATE TABLE messages (
    id {id} NOT NULL PRIMARY KEY,
    account {id} NOT NULL,
    login {id},
    reverse_path TEXT NOT NULL,
    header_from TEXT NOT NULL,
    subject TEXT NOT NULL,
    message_id TEXT NOT NULL,
    size {int} NOT NULL,
    recipients {int} NOT NULL,
    origin TEXT NOT NULL,
    ret TEXT,
    envid TEXT,
    created_at {int} NOT NULL
) {clustered};
CREATE INDEX messages_of_account ON messages (account, id);

CREATE TABLE bodies (
    message {id} NOT NULL PRIMARY KEY,
    keep_until {int},
    content {bytes} NOT NULL
) {table};
CREATE INDEX bodies_kept ON bodies (keep_until) WHERE keep_until IS NOT NULL;
-- Mail hardly compresses with pglz, and trying costs more than writing it.
{postgres} ALTER TABLE bodies ALTER COLUMN content SET STORAGE EXTERNAL;

CREATE TABLE recipients (
    message {id} NOT NULL,
    ordinal {int} NOT NULL,
    account {id} NOT NULL,
    address TEXT NOT NULL,
    domain TEXT NOT NULL,
    notify TEXT NOT NULL,
    orcpt TEXT,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    attempts {int} NOT NULL,
    next_at {int} NOT NULL,
    expires_at {int} NOT NULL,
    node {id},
    updated_at {int} NOT NULL,
    PRIMARY KEY (message, ordinal)
) {clustered};
CREATE INDEX recipients_due ON recipients (next_at) WHERE node IS NULL AND state IN ('queued', 'deferred');
CREATE INDEX recipients_waiting ON recipients (domain, state, expires_at) WHERE node IS NULL AND state IN ('queued', 'deferred');
CREATE INDEX recipients_in_hand ON recipients (node) WHERE node IS NOT NULL;
CREATE INDEX recipients_of_address ON recipients (account, address);

CREATE TABLE attempts (
    message {id} NOT NULL,
    ordinal {int} NOT NULL,
    number {int} NOT NULL,
    at {int} NOT NULL,
    duration {int} NOT NULL,
    outcome TEXT NOT NULL,
    code {int},
    enhanced TEXT,
    reply TEXT NOT NULL,
    host TEXT,
    ip TEXT,
    tls TEXT,
    PRIMARY KEY (message, ordinal, number)
) {clustered};

-- outbound::schedule
CREATE TABLE paused_lanes (
    lane TEXT NOT NULL PRIMARY KEY,
    at {int} NOT NULL,
    by_login {id}
) {table};

-- outbound::capture
CREATE TABLE captured (
    id {id} NOT NULL PRIMARY KEY,
    account {id} NOT NULL,
    message {id} NOT NULL,
    ordinal {int} NOT NULL,
    at {int} NOT NULL,
    reverse_path TEXT NOT NULL,
    address TEXT NOT NULL,
    header_from TEXT NOT NULL,
    subject TEXT NOT NULL,
    size {int} NOT NULL,
    content {bytes} NOT NULL
) {table};
CREATE INDEX captured_of_account ON captured (account, id);
{postgres} ALTER TABLE captured ALTER COLUMN content SET STORAGE EXTERNAL;
