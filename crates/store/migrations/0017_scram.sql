-- Keys of passwords for SCRAM-SHA-256, where the operator switched it on; and what all salts are made with.

-- accounts::scram
CREATE TABLE scram_keys (
    login {id} NOT NULL PRIMARY KEY,
    stamp {int} NOT NULL,
    iterations {int} NOT NULL,
    stored_key {bytes} NOT NULL,
    server_key {bytes} NOT NULL
) {table};

CREATE TABLE scram_salts (
    one {int} NOT NULL PRIMARY KEY,
    secret {bytes} NOT NULL
) {table};
