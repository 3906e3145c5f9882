-- Who changed what.

-- accounts::audit; lines without an account are about the whole installation
CREATE TABLE audit (
    id {id} NOT NULL PRIMARY KEY,
    at {int} NOT NULL,
    account {id},
    by_account {id},
    by_login {id},
    actor TEXT NOT NULL,
    via TEXT NOT NULL,
    ip TEXT,
    behind TEXT,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    detail TEXT NOT NULL
) {table};
CREATE INDEX audit_of_account ON audit (account, id);
CREATE INDEX audit_by_time ON audit (at, id);
