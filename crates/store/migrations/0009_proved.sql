-- When whoever uses a web session last proved who they are.

-- accounts::sessions; what is dangerous wants a proof that is minutes old
ALTER TABLE sessions ADD COLUMN proved_at {int} NOT NULL DEFAULT 0;
