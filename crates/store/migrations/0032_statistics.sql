-- What became of mail, counted by day.

-- outbound::statistics; a dimension with its names: '' is the whole account
CREATE TABLE statistics (
    account {id} NOT NULL,
    dimension TEXT NOT NULL,
    day {int} NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    class TEXT NOT NULL,
    seen {int} NOT NULL,
    PRIMARY KEY (account, dimension, day, name, kind, class)
) {clustered};
CREATE INDEX statistics_by_day ON statistics (day);
