-- What the operator tells everybody, or the people of one account.

-- accounts::announcements
CREATE TABLE announcements (
    id {id} NOT NULL PRIMARY KEY,
    text TEXT NOT NULL,
    severity TEXT NOT NULL,
    begins_at {int} NOT NULL,
    ends_at {int},
    account {id},
    public {int} NOT NULL,
    created_at {int} NOT NULL
) {table};

CREATE TABLE announcements_put_away (
    announcement {id} NOT NULL,
    login {id} NOT NULL,
    PRIMARY KEY (announcement, login)
) {clustered};
