-- Opens and clicks: where the links of a message lead, what is known of each reader, and counters of both.

-- outbound::tracking; where the links of a message lead, a JSON list in the order of their numbers
CREATE TABLE tracked_links (
    message {id} NOT NULL PRIMARY KEY,
    targets TEXT NOT NULL
) {table};

-- outbound::tracking; a row only for a recipient from whom something was fetched. `lines` is how many events there are of it
CREATE TABLE tracked_recipients (
    message {id} NOT NULL,
    ordinal {int} NOT NULL,
    opens {int} NOT NULL,
    machine_opens {int} NOT NULL,
    opened_at {int},
    clicks {int} NOT NULL,
    machine_clicks {int} NOT NULL,
    clicked_at {int},
    lines {int} NOT NULL,
    PRIMARY KEY (message, ordinal)
) {clustered};

-- outbound::tracking; by the hour where `dimension` is empty, by the day for each client and country. `hour` counts from 1970
CREATE TABLE tracking_counts (
    account {id} NOT NULL,
    hour {int} NOT NULL,
    stream TEXT NOT NULL,
    dimension TEXT NOT NULL,
    name TEXT NOT NULL,
    opens {int} NOT NULL,
    openers {int} NOT NULL,
    machine_opens {int} NOT NULL,
    clicks {int} NOT NULL,
    clickers {int} NOT NULL,
    machine_clicks {int} NOT NULL,
    PRIMARY KEY (account, hour, stream, dimension, name)
) {clustered};
CREATE INDEX tracking_counts_by_hour ON tracking_counts (hour);
