-- Passwords of their own for programs that send, beside the login's; and a login that takes no other.

-- accounts::smtp_credentials
CREATE TABLE smtp_credentials (
    id {id} NOT NULL PRIMARY KEY,
    account {id} NOT NULL,
    login {id} NOT NULL,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    secret_hash {bytes} NOT NULL UNIQUE,
    ranges TEXT NOT NULL,
    rate {int},
    expires_at {int},
    sandbox {int} NOT NULL,
    created_at {int} NOT NULL,
    used_at {int},
    used_from TEXT,
    revoked_at {int}
) {table};
CREATE INDEX smtp_credentials_in_use ON smtp_credentials (account) WHERE revoked_at IS NULL;

-- accounts::people; whether the login's password signs in over SMTP
ALTER TABLE logins ADD COLUMN smtp_password {int} NOT NULL DEFAULT 1;

-- accounts::attempts; the name of the credential that was tried
ALTER TABLE sign_in_attempts ADD COLUMN credential TEXT;
