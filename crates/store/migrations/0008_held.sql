-- Held recipients by their expiry: they are few, and are given up in time like all that wait.

-- outbound::spool
CREATE INDEX recipients_held ON recipients (expires_at) WHERE state = 'held';
