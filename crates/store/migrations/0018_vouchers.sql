-- Codes that stand for credits. Batches share value, end and number of uses; a code itself is known by its hash only.

-- accounts::credits
CREATE TABLE voucher_batches (
    id {id} NOT NULL PRIMARY KEY,
    reason TEXT NOT NULL,
    amount {int} NOT NULL,
    codes {int} NOT NULL,
    uses {int} NOT NULL,
    created_at {int} NOT NULL,
    expires_at {int},
    revoked_at {int}
) {table};

CREATE TABLE vouchers (
    code_hash {bytes} NOT NULL PRIMARY KEY,
    batch {id} NOT NULL,
    used {int} NOT NULL
) {table};
CREATE INDEX vouchers_of_batch ON vouchers (batch);

CREATE TABLE voucher_uses (
    code_hash {bytes} NOT NULL,
    account {id} NOT NULL,
    at {int} NOT NULL,
    PRIMARY KEY (code_hash, account)
) {clustered};
