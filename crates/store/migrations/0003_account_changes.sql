-- Each account has the number of its own last change beside the one of the whole installation, so that a change
-- makes nobody look at the others anew.

-- accounts::changes
CREATE TABLE account_changes (
    account {id} NOT NULL PRIMARY KEY,
    version {int} NOT NULL,
    ranges {int} NOT NULL
) {clustered};
CREATE INDEX account_changes_since ON account_changes (version);

-- Revoked keys and credentials pile up; only those that work are looked for by their account.
DROP INDEX api_keys_of_account;
CREATE INDEX api_keys_in_use ON api_keys (account) WHERE revoked_at IS NULL;
DROP INDEX ip_credentials_of_account;
CREATE INDEX ip_credentials_in_use ON ip_credentials (account) WHERE revoked_at IS NULL;
