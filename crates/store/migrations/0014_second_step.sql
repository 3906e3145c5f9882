-- The second step of signing in on the web. Keys of apps lie here as they are: whoever checks a code needs the key.

-- accounts::second_step
CREATE TABLE totp (
    login {id} NOT NULL PRIMARY KEY,
    secret {bytes},
    pending {bytes},
    used_step {int} NOT NULL,
    since {int} NOT NULL
) {table};

CREATE TABLE recovery_codes (
    login {id} NOT NULL,
    code_hash {bytes} NOT NULL,
    PRIMARY KEY (login, code_hash)
) {clustered};

CREATE TABLE half_sessions (
    token_hash {bytes} NOT NULL PRIMARY KEY,
    login {id} NOT NULL,
    stamp {int} NOT NULL,
    tries {int} NOT NULL,
    expires_at {int} NOT NULL
) {table};
CREATE INDEX half_sessions_expiry ON half_sessions (expires_at);

CREATE TABLE passkeys (
    id {id} NOT NULL PRIMARY KEY,
    login {id} NOT NULL,
    credential {bytes} NOT NULL UNIQUE,
    public_key {bytes} NOT NULL,
    algorithm {int} NOT NULL,
    counter {int} NOT NULL,
    name TEXT NOT NULL,
    created_at {int} NOT NULL,
    used_at {int}
) {table};
CREATE INDEX passkeys_of_login ON passkeys (login);

CREATE TABLE challenges (
    challenge_hash {bytes} NOT NULL PRIMARY KEY,
    login {id},
    expires_at {int} NOT NULL
) {table};
CREATE INDEX challenges_expiry ON challenges (expires_at);
