-- What was said with other servers, kept for 30 days.

-- outbound::spool; one for each transaction, found by what its attempts have in common
CREATE TABLE transcripts (
    message {id} NOT NULL,
    at {int} NOT NULL,
    host TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (message, at, host)
) {clustered};
