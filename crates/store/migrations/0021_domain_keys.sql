-- DKIM keys are replaced with an overlap, and what domains publish is looked at again and again.

-- accounts::domains; when the record of a key was first found
ALTER TABLE dkim_keys ADD COLUMN published_at {int};
-- Which name server said what was found last, and when it is asked again.
ALTER TABLE domains ADD COLUMN resolver TEXT NOT NULL DEFAULT '';
ALTER TABLE domains ADD COLUMN next_check_at {int} NOT NULL DEFAULT 0;
-- Since when no DKIM record of a verified domain is found any more.
ALTER TABLE domains ADD COLUMN missing_since {int};
CREATE INDEX domains_to_check ON domains (next_check_at);
