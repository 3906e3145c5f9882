-- Several people of one account, each with a role.

-- accounts::people; whoever had a login before had the account to themselves
ALTER TABLE logins ADD COLUMN role TEXT NOT NULL DEFAULT 'owner';

-- accounts::users; who is asked into an account and has not come yet
CREATE TABLE user_invitations (
    id {id} NOT NULL PRIMARY KEY,
    account {id} NOT NULL,
    email TEXT NOT NULL,
    login_key TEXT NOT NULL,
    role TEXT NOT NULL,
    invited_by TEXT NOT NULL,
    language TEXT NOT NULL,
    created_at {int} NOT NULL,
    sent_at {int} NOT NULL,
    UNIQUE (account, login_key)
) {table};
CREATE INDEX user_invitations_by_age ON user_invitations (sent_at);
