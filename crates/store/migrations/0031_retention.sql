-- How long an account's mail is kept, where its people chose.

-- accounts::retention; days, and none is as configured; `behind` is there while stored mail is still to be dated anew
CREATE TABLE retention (
    account {id} NOT NULL PRIMARY KEY,
    content_days {int},
    message_days {int},
    behind {id}
) {clustered};
