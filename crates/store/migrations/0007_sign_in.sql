-- Failed sign-ins: what locks, what is told about them, and what tells an old password from a wrong one.

-- accounts::lockout
-- One row a login and client address, and one a network (with an empty login_key).
CREATE TABLE sign_in_limits (
    id {id} NOT NULL PRIMARY KEY,
    network TEXT NOT NULL,
    login_key TEXT NOT NULL,
    failures TEXT NOT NULL,
    locked_until {int},
    locks {int} NOT NULL,
    spent_at {int} NOT NULL,
    UNIQUE (network, login_key)
) {table};
CREATE INDEX sign_in_limits_of_login ON sign_in_limits (login_key);
CREATE INDEX sign_in_limits_spent ON sign_in_limits (spent_at);
CREATE INDEX sign_in_limits_locked ON sign_in_limits (locked_until) WHERE locked_until IS NOT NULL;

CREATE TABLE known_clients (
    login {id} NOT NULL,
    network TEXT NOT NULL,
    seen_at {int} NOT NULL,
    PRIMARY KEY (login, network)
) {clustered};
CREATE INDEX known_clients_seen ON known_clients (seen_at);

-- accounts::attempts
CREATE TABLE sign_in_attempts (
    line {id} NOT NULL PRIMARY KEY,
    account {id},
    login_key TEXT NOT NULL,
    ip TEXT NOT NULL,
    client TEXT NOT NULL,
    door TEXT NOT NULL,
    port {int} NOT NULL,
    tls TEXT,
    mechanism TEXT NOT NULL,
    reason TEXT NOT NULL,
    until {int},
    near TEXT,
    count {int} NOT NULL,
    first_at {int} NOT NULL,
    last_at {int} NOT NULL
) {table};
CREATE INDEX sign_in_attempts_of_account ON sign_in_attempts (account, last_at, line);
CREATE INDEX sign_in_attempts_of_login ON sign_in_attempts (login_key, last_at, line);
CREATE INDEX sign_in_attempts_by_time ON sign_in_attempts (last_at, line);

CREATE TABLE old_passwords (
    login {id} NOT NULL,
    until {int} NOT NULL,
    password_hash TEXT NOT NULL,
    PRIMARY KEY (login, until)
) {clustered};
CREATE INDEX old_passwords_until ON old_passwords (until);
