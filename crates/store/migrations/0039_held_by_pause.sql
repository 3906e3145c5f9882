-- What is held because its account was paused is found without looking at what is held for other reasons.

-- outbound::spool
CREATE INDEX recipients_paused ON recipients (account, message, ordinal)
    WHERE state = 'held' AND reason = 'held: the account is paused';
