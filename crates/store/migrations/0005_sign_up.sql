-- Opening an account by oneself, and getting back into it.

-- accounts::people; an account in the sandbox sends to its own addresses only, until it has a verified domain
ALTER TABLE accounts ADD COLUMN sandbox {int} NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN country TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN time_zone TEXT NOT NULL DEFAULT '';
ALTER TABLE logins ADD COLUMN language TEXT NOT NULL DEFAULT 'en';

-- accounts::sign_up; accounts whose address nobody has confirmed yet
CREATE TABLE sign_ups (
    id {id} NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    login_key TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    country TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    language TEXT NOT NULL,
    created_at {int} NOT NULL
) {table};
CREATE INDEX sign_ups_of_login ON sign_ups (login_key);
CREATE INDEX sign_ups_by_age ON sign_ups (created_at);

-- accounts::links; what a link in a mail of ours opens, once
CREATE TABLE links (
    token_hash {bytes} NOT NULL PRIMARY KEY,
    purpose TEXT NOT NULL,
    subject {id} NOT NULL,
    email TEXT NOT NULL,
    expires_at {int} NOT NULL
) {table};
CREATE INDEX links_of_subject ON links (subject);
CREATE INDEX links_expiry ON links (expires_at);

-- accounts::limits
CREATE TABLE velocity (
    name TEXT NOT NULL PRIMARY KEY,
    since {int} NOT NULL,
    seen {int} NOT NULL
) {table};
CREATE INDEX velocity_by_age ON velocity (since);

-- accounts::notices; mail of our own that is still to be written
CREATE TABLE notices (
    id {id} NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    matter TEXT NOT NULL,
    created_at {int} NOT NULL,
    due_at {int} NOT NULL,
    tries {int} NOT NULL
) {table};
CREATE INDEX notices_due ON notices (due_at);
