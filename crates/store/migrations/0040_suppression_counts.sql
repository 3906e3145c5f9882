-- How long a suppression list is, without counting it; and the mail of one recipient, page by page.

-- outbound::suppressions; what the people of an account put on its list, which has a limit
CREATE TABLE suppression_counts (
    account {id} NOT NULL PRIMARY KEY,
    entries {int} NOT NULL
) {clustered};
INSERT INTO suppression_counts (account, entries)
    SELECT account, COUNT(*) FROM suppressions WHERE why IN ('manual', 'import') GROUP BY account;

-- outbound::spool; with the message at its end, so that the mail of one recipient is found page by page. SQLite has it there anyhow.
{postgres} CREATE INDEX recipients_of_address_anew ON recipients (account, address, message);
{postgres} DROP INDEX recipients_of_address;
{postgres} ALTER INDEX recipients_of_address_anew RENAME TO recipients_of_address;
