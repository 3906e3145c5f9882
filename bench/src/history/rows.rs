//! The rows of many months of mail, as statements that make them inside the database from a range of numbers.

use store::{Engine, Id};

/// Words in which the engines differ.
#[derive(Clone, Copy)]
pub struct Words(pub Engine);

impl Words {
    fn id(self, id: Id) -> String {
        let hex = format!("{:032x}", u128::from_be_bytes(*id.as_bytes()));
        match self.0 {
            Engine::Sqlite => format!("x'{hex}'"),
            Engine::Postgres => format!("'\\x{hex}'::bytea"),
        }
    }

    /// An identifier of version 7 out of microseconds and a number.
    fn id_of(self, micros: &str, number: &str) -> String {
        match self.0 {
            Engine::Sqlite => {
                format!("unhex(printf('%012x70008%015x', ({micros}) / 1000, {number}))")
            }
            Engine::Postgres => format!(
                "decode(lpad(to_hex(({micros}) / 1000), 12, '0') || '70008' || lpad(to_hex({number}), 15, '0'), 'hex')"
            ),
        }
    }
}

/// Which mail there is.
#[derive(Clone)]
pub struct History {
    pub words: Words,
    /// The first has most of it.
    pub accounts: Vec<Id>,
    /// Messages.
    pub messages: u64,
    /// The first message and the last, in microseconds.
    pub from: i64,
    pub to: i64,
}

/// One message in a hundred has this many recipients, the others have one.
const MANY: u64 = 7;

/// How many messages that many recipients make.
pub fn messages_of(recipients: u64) -> u64 {
    recipients * 100 / (99 + MANY)
}

const DAY: i64 = 24 * 3600 * 1_000_000;

impl History {
    /// Messages numbered `$1` to below `$2`, each with two numbers that look random.
    fn range(&self) -> String {
        let step = (self.to - self.from) / self.messages.max(1) as i64;
        let own: Vec<String> = self.accounts.iter().map(|&id| self.words.id(id)).collect();
        let many = MANY - 1;
        let others: Vec<String> = (1..own.len())
            .map(|n| format!(" WHEN {n} THEN {}", own[n]))
            .collect();
        let others = others.concat();
        format!(
            "WITH RECURSIVE n(i) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < CAST($2 AS BIGINT)), \
             h AS (SELECT i, {from} + i * {step} AS at, (i * 2654435761) % 4294967296 AS h, (i * 40503 + 977) % 1000003 AS k FROM n), \
             m AS (SELECT i, at, h, k, {id} AS id, CASE WHEN h % 100 < 85 THEN {big} ELSE CASE 1 + k % {rest}{others} END END AS account \
             FROM h), \
             o(ordinal) AS (SELECT 0 UNION ALL SELECT ordinal + 1 FROM o WHERE ordinal < {many}), \
             r AS (SELECT i, at, h, k, id, account, ordinal, (h / 100 + ordinal * 31) % 1000 AS fate, (k * 7 + h + ordinal * 977) % 2000000 AS who \
             FROM m JOIN o ON ordinal = 0 OR i % 100 = 7), \
             s AS (SELECT *, CASE WHEN i >= {fresh} AND fate % 10 = 3 THEN 'deferred' WHEN i >= {fresh} AND fate % 10 = 4 THEN 'scheduled' \
             WHEN fate < 960 THEN 'delivered' WHEN fate < 985 THEN 'bounced' WHEN fate < 993 THEN 'suppressed' WHEN fate < 997 THEN 'expired' \
             ELSE 'cancelled' END AS state, CASE WHEN who % 10 < 4 THEN 'gmail.com' WHEN who % 10 < 6 THEN 'outlook.com' \
             WHEN who % 10 < 7 THEN 'yahoo.com' ELSE 'd' || (who % 5000) || '.example' END AS domain FROM r) ",
            from = self.from,
            id = self.words.id_of("at", "i"),
            big = own[0],
            rest = own.len() - 1,
            fresh = self.messages.saturating_sub(5_000),
        )
    }

    /// Statements that make the messages of a range with all that belongs to them; both take its bounds.
    pub fn of_range(&self) -> Vec<String> {
        let range = self.range();
        let class = "CASE state WHEN 'deferred' THEN 'rate_limited' WHEN 'expired' THEN 'unreachable' WHEN 'bounced' THEN \
             CASE k % 5 WHEN 0 THEN 'mailbox_full' WHEN 1 THEN 'spam' WHEN 2 THEN 'unknown_domain' ELSE 'unknown_mailbox' END END";
        let reason = "CASE state WHEN 'delivered' THEN '250 2.0.0 Ok: queued as 4XyZ' || k WHEN 'bounced' THEN \
             '550 5.1.1 The address that you wrote to does not exist' WHEN 'suppressed' THEN \
             'the address is suppressed: mail to it bounced for good (2026-09-01)' ELSE '451 4.7.1 Try again later' END";
        let later = self.to + 10 * DAY;
        vec![
            format!(
                "{range}INSERT INTO messages (id, account, reverse_path, header_from, subject, message_id, size, recipients, origin, created_at, \
                 stream, tags) SELECT id, account, 'bounces@shop' || (k % 8) || '.example', 'orders@shop' || (k % 8) || '.example', \
                 CASE i % 5 WHEN 0 THEN 'Your order ' || i || ' is on its way' WHEN 1 THEN 'Invoice ' || (h % 1000000) WHEN 2 THEN \
                 'Reset your password' WHEN 3 THEN 'News of week ' || (i % 52) ELSE 'Confirm your address, please' END, \
                 i || '.' || h || '@mail.bench.example', 2000 + h % 60000, CASE WHEN i % 100 = 7 THEN {MANY} ELSE 1 END, \
                 '{{\"via\":\"smtp\",\"protocol\":\"ESMTPSA\",\"ip\":\"192.0.2.1\",\"helo\":\"client.example.org\",\"tls\":\"TLSv1.3\"}}', at, \
                 CASE WHEN k % 100 < 70 THEN 'transactional' WHEN k % 100 < 95 THEN 'marketing' WHEN k % 100 < 99 THEN 'receipts' ELSE 'alerts' END, \
                 CASE WHEN i % 100003 = 5 THEN '\nrare\n' WHEN h % 100 < 60 THEN '' WHEN h % 100 < 85 THEN '\norder\n' \
                 WHEN h % 100 < 95 THEN '\norder\nvip\n' ELSE '\nnewsletter\n' END FROM m"
            ),
            format!(
                "{range}INSERT INTO recipients (message, ordinal, account, address, domain, notify, state, reason, attempts, next_at, expires_at, \
                 updated_at, class) SELECT id, ordinal, account, 'user' || who || '@' || domain, domain, '', state, {reason}, 1, \
                 CASE WHEN state IN ('deferred', 'scheduled') THEN {later} + i ELSE at END, {later} + {DAY}, at + 2000000, {class} FROM s"
            ),
            format!(
                "{range}INSERT INTO attempts (message, ordinal, number, at, duration, outcome, code, enhanced, reply, host, ip, tls) \
                 SELECT id, ordinal, 1, at + 1000000, 340000, CASE state WHEN 'scheduled' THEN 'deferred' ELSE state END, \
                 CASE state WHEN 'delivered' THEN 250 WHEN 'bounced' THEN 550 ELSE 451 END, '2.0.0', {reason}, 'mx1.' || domain, '192.0.2.25', 'TLSv1.3' \
                 FROM s WHERE state NOT IN ('suppressed', 'cancelled')"
            ),
            format!(
                "{range}INSERT INTO events (at, account, message, ordinal, kind, data) SELECT at, account, id, ordinal, kind, data FROM (\
                 SELECT at, account, id, NULL AS ordinal, 'accepted' AS kind, \
                 '{{\"recipients\":' || CASE WHEN i % 100 = 7 THEN {MANY} ELSE 1 END || ',\"size\":' || (2000 + h % 60000) || '}}' AS data FROM m \
                 UNION ALL SELECT at + 2000000, account, id, ordinal, state, '{{\"reason\":\"' || {reason} || '\",\"attempt\":1,\"host\":\"mx1.' || \
                 domain || '\"}}' FROM s WHERE state <> 'scheduled') AS told ORDER BY at"
            ),
        ]
    }

    /// Counters of so many days of each account, as they had grown with the mail.
    pub fn statistics(&self, account: Id, days: i64) -> String {
        let last = self.to / DAY;
        format!(
            "WITH RECURSIVE d(day) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT day + 1 FROM d WHERE day < {last}), \
             n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 30), \
             names(dimension, name) AS (SELECT '', '' FROM n WHERE i = 0 UNION ALL \
             SELECT 'stream', CASE i WHEN 0 THEN 'transactional' WHEN 1 THEN 'marketing' WHEN 2 THEN 'receipts' ELSE 'alerts' END FROM n WHERE i < 4 \
             UNION ALL SELECT 'domain', 'shop' || i || '.example' FROM n WHERE i < 8 \
             UNION ALL SELECT 'provider', CASE i WHEN 30 THEN '*' ELSE 'provider' || i || '.example' END FROM n), \
             kinds(kind, class) AS (SELECT 'accepted', '' UNION ALL SELECT 'delivered', '' UNION ALL SELECT 'deferred', '' UNION ALL \
             SELECT 'suppressed', '' UNION ALL SELECT 'expired', '' UNION ALL SELECT 'opened', '' UNION ALL SELECT 'clicked', '' UNION ALL \
             SELECT 'bounced', 'unknown_mailbox' UNION ALL SELECT 'bounced', 'mailbox_full' UNION ALL SELECT 'bounced', 'spam' UNION ALL \
             SELECT 'bounced', 'unknown_domain') \
             INSERT INTO statistics (account, dimension, day, name, kind, class, seen) \
             SELECT {account}, dimension, day, name, kind, class, 100 + day % 97 FROM d CROSS JOIN names CROSS JOIN kinds \
             WHERE day > {last} - {days}",
            account = self.words.id(account)
        )
    }

    /// Suppressed addresses numbered `$1` to below `$2` of the first account, a fifth of them of bounces.
    pub fn suppressions(&self) -> String {
        format!(
            "WITH RECURSIVE n(i) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < CAST($2 AS BIGINT)) \
             INSERT INTO suppressions (account, stream, address_key, id, address, why, note, created_at) \
             SELECT {account}, CASE WHEN i % 3 = 0 THEN 'marketing' ELSE '' END, 'gone' || i || '@d' || (i % 5000) || '.example', {id}, \
             'gone' || i || '@d' || (i % 5000) || '.example', CASE WHEN i % 5 = 0 THEN 'hard_bounce' ELSE 'import' END, 'list ' || (i % 40), \
             {from} + i * 1000 FROM n",
            account = self.words.id(self.accounts[0]),
            id = self.words.id_of(&format!("{} + i * 1000", self.from), "i"),
            from = self.from,
        )
    }

    /// Lines of the audit log numbered `$1` to below `$2`.
    pub fn audit(&self) -> String {
        format!(
            "WITH RECURSIVE n(i) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < CAST($2 AS BIGINT)) \
             INSERT INTO audit (id, at, account, actor, via, ip, action, target, detail) \
             SELECT {id}, {from} + i * 1000, {account}, 'person' || (i % 50) || '@bench.example', 'session', '192.0.2.7', \
             CASE i % 4 WHEN 0 THEN 'key.created' WHEN 1 THEN 'suppression.added' WHEN 2 THEN 'domain.checked' ELSE 'login.opened' END, \
             'thing ' || i, 'detail' FROM n",
            account = self.words.id(self.accounts[0]),
            id = self.words.id_of(&format!("{} + i * 1000", self.from), "i"),
            from = self.from,
        )
    }

    /// Failed sign-ins numbered `$1` to below `$2`.
    pub fn sign_ins(&self) -> String {
        format!(
            "WITH RECURSIVE n(i) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < CAST($2 AS BIGINT)) \
             INSERT INTO sign_in_attempts (line, account, login_key, ip, client, door, port, mechanism, reason, count, first_at, last_at) \
             SELECT {id}, {account}, 'bench@bench.example', '198.51.100.' || (i % 250), 'swaks', 'submission', 587, 'PLAIN', 'wrong_password', 1, \
             {from} + i * 1000, {from} + i * 1000 FROM n",
            account = self.words.id(self.accounts[0]),
            id = self.words.id_of(&format!("{} + i * 1000", self.from), "i"),
            from = self.from,
        )
    }

    /// Opens and clicks of the hours numbered `$1` to below `$2`, and of the days for each client and country.
    pub fn tracking(&self) -> String {
        format!(
            "WITH RECURSIVE n(hour) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT hour + 1 FROM n WHERE hour + 1 < CAST($2 AS BIGINT)), \
             c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i < 59), \
             t(hour, dimension, name) AS (SELECT hour, '', '' FROM n UNION ALL SELECT hour, 'client', 'client' || i FROM n, c \
             WHERE hour % 24 = 0 AND i < 20 UNION ALL SELECT hour, 'country', 'X' || i FROM n, c WHERE hour % 24 = 0), \
             s(stream) AS (SELECT 'transactional' UNION ALL SELECT 'marketing' UNION ALL SELECT 'receipts' UNION ALL SELECT 'alerts') \
             INSERT INTO tracking_counts (account, hour, stream, dimension, name, opens, openers, machine_opens, clicks, clickers, machine_clicks) \
             SELECT {account}, hour, stream, dimension, name, 9, 7, 2, 3, 2, 1 FROM t CROSS JOIN s",
            account = self.words.id(self.accounts[0]),
        )
    }
}
