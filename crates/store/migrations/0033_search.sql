-- Finding what failed among very many that did not.

-- outbound::spool; a recipient that is delivered at the first attempt is in neither
CREATE INDEX recipients_failed ON recipients (account, state, message)
    WHERE state IN ('deferred', 'bounced', 'suppressed', 'cancelled', 'expired', 'held');
CREATE INDEX recipients_of_class ON recipients (account, class, message) WHERE class IS NOT NULL;
