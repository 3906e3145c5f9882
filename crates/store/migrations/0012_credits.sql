-- What an entry of the ledger is, and how little of the last grant was already mailed about.

-- accounts::credits
ALTER TABLE credit_grants ADD COLUMN kind TEXT NOT NULL DEFAULT 'grant';
UPDATE credit_grants SET kind = 'opening' WHERE reason = 'opening credits';

-- accounts::people; the balance behind the last grant, and the last step of warnings since then (0 for none)
ALTER TABLE accounts ADD COLUMN credit_mark {int} NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN credit_warned {int} NOT NULL DEFAULT 0;
UPDATE accounts SET credit_mark = balance;
