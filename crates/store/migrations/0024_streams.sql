-- What an account's mail is sorted into, and what a sender says of one message: stream, tags, key, time to leave.

-- accounts::streams; a stream that every account has needs no row until it is changed
CREATE TABLE streams (
    account {id} NOT NULL,
    slug TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    track_opens {int} NOT NULL,
    track_clicks {int} NOT NULL,
    unsubscribe {int} NOT NULL,
    created_at {int} NOT NULL,
    archived_at {int},
    PRIMARY KEY (account, slug)
) {clustered};

-- accounts::smtp_credentials; the only stream that it sends in
ALTER TABLE smtp_credentials ADD COLUMN stream TEXT;

-- accounts::api_keys; the same
ALTER TABLE api_keys ADD COLUMN stream TEXT;

-- outbound::spool; tags between line ends, one before the first and one behind the last
ALTER TABLE messages ADD COLUMN stream TEXT NOT NULL DEFAULT 'transactional';
ALTER TABLE messages ADD COLUMN tags TEXT NOT NULL DEFAULT '';
CREATE INDEX messages_of_stream ON messages (account, stream, id) WHERE stream <> 'transactional';
CREATE INDEX messages_tagged ON messages (account, id) WHERE tags <> '';
CREATE INDEX recipients_scheduled ON recipients (next_at) WHERE state = 'scheduled';

-- outbound::idempotency
CREATE TABLE idempotency_keys (
    account {id} NOT NULL,
    name TEXT NOT NULL,
    digest {bytes} NOT NULL,
    message {id} NOT NULL,
    recipients {int} NOT NULL,
    expires_at {int} NOT NULL,
    PRIMARY KEY (account, name)
) {clustered};
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);
