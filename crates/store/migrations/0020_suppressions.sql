-- Whom an account is not to write to, and what is kept of bounces and complaints.

-- outbound::suppressions; a stream that is empty stands for every stream of the account
CREATE TABLE suppressions (
    account {id} NOT NULL,
    stream TEXT NOT NULL,
    address_key TEXT NOT NULL,
    id {id} NOT NULL,
    address TEXT NOT NULL,
    why TEXT NOT NULL,
    note TEXT NOT NULL,
    message {id},
    ordinal {int},
    created_at {int} NOT NULL,
    PRIMARY KEY (account, stream, address_key)
) {clustered};
CREATE INDEX suppressions_by_id ON suppressions (account, id);

-- accounts::suppressing; whether the account has ever suppressed an address: who has none pays no statement for the list
ALTER TABLE accounts ADD COLUMN suppresses {int} NOT NULL DEFAULT 0;

-- outbound::spool; the class of the last bounce or deferral, and when the recipient complained
ALTER TABLE recipients ADD COLUMN class TEXT;
ALTER TABLE recipients ADD COLUMN complained_at {int};
