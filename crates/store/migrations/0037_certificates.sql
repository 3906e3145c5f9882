-- What an ACME authority issued, its account and the proofs of an order belong to every node: one orders, all prove and show.

-- posthouse::tls; one for each directory of an authority
CREATE TABLE acme_accounts (
    directory TEXT NOT NULL PRIMARY KEY,
    credentials TEXT,
    -- Counts the orders; whoever made the last one has the account to itself until then.
    turn {int} NOT NULL DEFAULT 0,
    busy_until {int} NOT NULL DEFAULT 0
) {table};
-- Names are sorted and parted by spaces.
CREATE TABLE certificates (
    names TEXT NOT NULL PRIMARY KEY,
    for_links {int} NOT NULL,
    pem TEXT,
    fingerprint TEXT NOT NULL DEFAULT '',
    not_after {int},
    since {int},
    next_at {int} NOT NULL,
    tried_at {int},
    failures {int} NOT NULL DEFAULT 0,
    fault TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT ''
) {table};
CREATE TABLE acme_proofs (
    token TEXT NOT NULL PRIMARY KEY,
    names TEXT NOT NULL,
    proof TEXT NOT NULL
) {table};
