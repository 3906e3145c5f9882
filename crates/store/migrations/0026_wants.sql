-- What a message wants made each recipient's own.

-- outbound::spool; 0 no, 1 where the message names the link, 2 appended where it does not
ALTER TABLE messages ADD COLUMN unsubscribe {int} NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN track_opens {int} NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN track_clicks {int} NOT NULL DEFAULT 0;
