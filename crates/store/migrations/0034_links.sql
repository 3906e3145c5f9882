-- Names of sending domains that lead here for the links in their mail.

-- accounts::domains; found by the last check
ALTER TABLE domains ADD COLUMN links {int} NOT NULL DEFAULT 0;
CREATE INDEX domains_with_links ON domains (name) WHERE links = 1;
