-- What a node has in hand, in the order of the keys, so that it can be walked through page by page.

-- outbound::spool
DROP INDEX recipients_in_hand;
CREATE INDEX recipients_in_hand ON recipients (node, message, ordinal) WHERE node IS NOT NULL;
