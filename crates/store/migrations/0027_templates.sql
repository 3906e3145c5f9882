-- Templates of an account: subject, text and HTML to send by name.

-- outbound::templates
CREATE TABLE templates (
    account {id} NOT NULL,
    name TEXT NOT NULL,
    subject TEXT NOT NULL,
    text TEXT NOT NULL,
    html TEXT NOT NULL,
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL,
    PRIMARY KEY (account, name)
) {clustered};
