-- When a recipient's sender was told that it takes long; he is told once.

-- outbound::spool
ALTER TABLE recipients ADD COLUMN warned_at {int};
