-- Addresses outside an account's domains that their owners allowed it to send as.

-- accounts::senders
CREATE TABLE senders (
    id {id} NOT NULL PRIMARY KEY,
    account {id} NOT NULL,
    address TEXT NOT NULL,
    address_key TEXT NOT NULL,
    language TEXT NOT NULL,
    asked_by TEXT NOT NULL,
    created_at {int} NOT NULL,
    asked_at {int} NOT NULL,
    confirmed_at {int},
    UNIQUE (account, address_key)
) {table};
