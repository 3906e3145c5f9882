-- Whether mail may be tracked at all, and whose links are followed.

-- accounts::tracking; 0: nothing of the account's mail is tracked, whatever messages and streams ask for
ALTER TABLE accounts ADD COLUMN tracks {int} NOT NULL DEFAULT 1;

-- accounts::domains; 0: the same for mail from the domain
ALTER TABLE domains ADD COLUMN track_opens {int} NOT NULL DEFAULT 1;
ALTER TABLE domains ADD COLUMN track_clicks {int} NOT NULL DEFAULT 1;

-- outbound::tracking; who sent the message, unknown where it was gone already, and whether it was a test
ALTER TABLE tracked_links ADD COLUMN account {id};
ALTER TABLE tracked_links ADD COLUMN test {int} NOT NULL DEFAULT 0;
UPDATE tracked_links SET account = (SELECT m.account FROM messages m WHERE m.id = tracked_links.message);
