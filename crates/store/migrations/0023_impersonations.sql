-- Operators who see the console as an account.

-- accounts::impersonation; each rests on the web session that it was begun in
CREATE TABLE impersonations (
    token_hash {bytes} NOT NULL PRIMARY KEY,
    session_hash {bytes} NOT NULL UNIQUE,
    by_account {id} NOT NULL,
    login {id} NOT NULL,
    stamp {int} NOT NULL,
    email TEXT NOT NULL,
    account {id} NOT NULL,
    reason TEXT NOT NULL,
    begun_at {int} NOT NULL,
    expires_at {int} NOT NULL
) {table};
