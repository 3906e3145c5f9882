//! A connection that belongs to one thread: statements are sent ahead, answers awaited as late as possible.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use tokio::runtime::{Builder, Runtime};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout};
use tokio_postgres::{Client, Statement};

use super::connect::Server;
use super::rows::{Insert, Waiting};
use super::types::{self, Kept};
use crate::error::{ErrorKind, Result, StoreError};
use crate::link::{Blame, Mode};
use crate::tx::brief;
use crate::value::{Cell, Row, Value};

/// Statements kept prepared; beyond that the cache starts over.
const STATEMENTS: usize = 512;
/// Statements sent ahead before their answers are awaited.
const AHEAD: usize = 256;
/// The longest wait for one answer: a server that accepts bytes and says nothing is as good as gone.
const PATIENCE: Duration = Duration::from_mins(1);
/// A connection unused for this long is asked whether it still lives before work is sent ahead on it: with COMMIT
/// sent ahead as well, a dead one would leave everything in doubt. Under load there are no such pauses.
const IDLE: Duration = Duration::from_millis(1);
/// Between attempts to connect, doubling.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Writer,
    Reader,
}

type Answer = Pin<Box<dyn Future<Output = Result<u64, tokio_postgres::Error>> + Send>>;

/// A statement that was sent and not yet answered.
struct Ahead {
    answer: Answer,
    what: String,
    sent: Sent,
}

/// What has to be known of a statement when its answer comes.
#[derive(Clone, Copy)]
struct Sent {
    /// The closure that sent it; none where several did together.
    closure: Option<usize>,
    /// How many rows it shall be about, where that matters.
    rows: Option<u64>,
}

/// A statement as the server knows it.
#[derive(Clone)]
struct Prepared {
    statement: Statement,
    insert: Option<Arc<Insert>>,
}

pub(crate) struct Link {
    server: Server,
    role: Role,
    client: Option<Arc<Client>>,
    statements: HashMap<Box<str>, Prepared>,
    /// Sent when a statement names their table, and before the commit.
    waiting: Waiting,
    /// No rows wait for each other.
    apart: bool,
    ahead: Vec<Ahead>,
    in_transaction: bool,
    used: Instant,
    /// Not before this moment is another connection tried, and how long to wait after that.
    next_try: Option<(Instant, Duration)>,
    /// The closure of the batch that runs; none outside of a batch.
    closure: Option<usize>,
    blame: Blame,
    /// Dropped last: the connection's task lives in it.
    runtime: Runtime,
}

impl Link {
    /// A link that connects at its first transaction.
    pub(crate) fn new(server: Server, role: Role) -> Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| StoreError::other("start a runtime for a connection", error))?;
        Ok(Self {
            server,
            role,
            client: None,
            statements: HashMap::new(),
            waiting: Waiting::default(),
            apart: false,
            ahead: Vec::new(),
            in_transaction: false,
            used: Instant::now(),
            next_try: None,
            closure: None,
            blame: Blame::Nobody,
            runtime,
        })
    }

    pub(crate) fn begin(&mut self, mode: Mode) -> Result<()> {
        self.blame = Blame::Nobody;
        self.forget();
        self.closure = None;
        self.connect()?;
        let sql = match mode {
            Mode::Write => "BEGIN",
            Mode::Snapshot => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Mode::Single => return Ok(()),
        };
        self.in_transaction = true;
        self.send_bare(sql)?;
        if self.used.elapsed() > IDLE {
            self.settle()
        } else {
            Ok(())
        }
    }

    pub(crate) fn has_written(&mut self) -> Result<bool> {
        self.insert_all()?;
        // The server numbers a transaction when it writes first.
        let numbered = "SELECT 1 WHERE pg_current_xact_id_if_assigned() IS NOT NULL";
        Ok(self.execute(numbered, &[])? > 0)
    }

    pub(crate) fn commit(&mut self) -> Result<()> {
        self.insert_all()?;
        self.send_bare("COMMIT")?;
        self.settle()?;
        self.in_transaction = false;
        self.apart = false;
        self.used = Instant::now();
        Ok(())
    }

    pub(crate) fn rollback(&mut self) {
        // Answers nobody waits for any more; the connection's task reads past them.
        self.forget();
        if !std::mem::take(&mut self.in_transaction) {
            return;
        }
        if self.send_bare("ROLLBACK").and_then(|()| self.settle()).is_err() {
            self.client = None;
        }
        self.used = Instant::now();
    }

    /// The statements that follow are those of the batch's closure with this number.
    pub(crate) fn closure(&mut self, number: usize) {
        self.closure = Some(number);
    }

    /// Whose statement failed first, which may have been sent long before its error was seen.
    pub(crate) fn blame(&mut self) -> Blame {
        std::mem::take(&mut self.blame)
    }

    pub(crate) fn run(&mut self, sql: &str, values: &[Value<'_>]) -> Result<()> {
        let (client, Prepared { statement, insert }) = self.prepared(sql)?;
        // A wrong number of values is an error of the statement itself.
        let waits = |insert: &Arc<Insert>| insert.width == values.len();
        if let Some(insert) = insert.filter(waits)
            && self.in_transaction
            && !self.apart
        {
            if self.waiting.holds_others(&insert) {
                self.insert_all()?;
            }
            self.waiting.add(&insert, values, self.closure);
            return if self.waiting.is_full() {
                self.insert_all()
            } else {
                Ok(())
            };
        }
        self.send_ahead((client, statement), (sql, values), None)
    }

    /// Whether the statement is about so many rows. In a batch that is taken for granted, and where it turns out to be otherwise the
    /// batch fails by this closure, which is run by itself then.
    pub(crate) fn expect(&mut self, rows: u64, sql: &str, values: &[Value<'_>]) -> Result<bool> {
        if self.closure.is_none() {
            return Ok(self.execute(sql, values)? == rows);
        }
        let (client, Prepared { statement, .. }) = self.prepared(sql)?;
        self.send_ahead((client, statement), (sql, values), Some(rows))?;
        Ok(true)
    }

    /// Waits until it is known that everything came as it was expected, before a commit.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.insert_all()?;
        if self.ahead.iter().any(|one| one.sent.rows.is_some()) {
            self.settle()
        } else {
            Ok(())
        }
    }

    fn send_ahead(
        &mut self,
        (client, statement): (Arc<Client>, Statement),
        (sql, values): (&str, &[Value<'_>]),
        rows: Option<u64>,
    ) -> Result<()> {
        self.make_way(sql)?;
        let kept: Vec<Kept> = values.iter().map(Kept::from).collect();
        let answer = async move { client.execute_raw(&statement, kept.iter().map(Kept::value)).await };
        let closure = self.closure;
        self.send(answer.boxed(), brief(sql), Sent { closure, rows })
    }

    /// Sends the rows that `sql` could miss.
    fn make_way(&mut self, sql: &str) -> Result<()> {
        if self.waiting.concern(sql) {
            self.insert_all()
        } else {
            Ok(())
        }
    }

    /// Sends all rows that wait, a statement for each table.
    fn insert_all(&mut self) -> Result<()> {
        for group in self.waiting.take() {
            let (client, Prepared { mut statement, .. }) = self.prepared(&group.insert.sql)?;
            if !group.is_one_row() {
                let many = group.insert.many(statement.params());
                statement = self.prepared(many)?.1.statement;
            }
            let (what, closure) = (brief(&group.insert.sql), group.closure);
            let answer = async move {
                if group.is_one_row() {
                    client.execute_raw(&statement, group.row()).await
                } else {
                    client.execute_raw(&statement, group.columns()).await
                }
            };
            self.send(answer.boxed(), what, Sent { closure, rows: None })?;
        }
        Ok(())
    }

    pub(crate) fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64> {
        self.make_way(sql)?;
        let (client, Prepared { statement, .. }) = self.prepared(sql)?;
        let mut answer = Box::pin(client.execute_raw(&statement, values.iter().copied()));
        // Polling it once sends it, behind what was sent ahead, whose answers come first.
        let early = answer.as_mut().now_or_never();
        self.settle()?;
        let done = match early {
            Some(done) => Ok(done),
            None => self.wait(answer),
        };
        self.judge(sql, done)
    }

    pub(crate) fn each(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        take: &mut dyn FnMut(Result<Row>) -> Result<()>,
    ) -> Result<()> {
        self.make_way(sql)?;
        let (client, Prepared { statement, .. }) = self.prepared(sql)?;
        let mut answer = Box::pin(client.query_raw(&statement, values.iter().copied()));
        let early = answer.as_mut().now_or_never();
        self.settle()?;
        let done = self.runtime.block_on(async {
            let stream = match early {
                Some(stream) => stream,
                None => timeout(PATIENCE, answer).await?,
            };
            let mut stream = match stream {
                Ok(stream) => Box::pin(stream),
                Err(error) => return Ok(Err(error)),
            };
            while let Some(row) = timeout(PATIENCE, stream.next()).await? {
                let row = match row {
                    Ok(row) => cells(&row).map_err(|error| types::error(brief(sql), &error)),
                    Err(error) => return Ok(Err(error)),
                };
                if let Err(refused) = take(row) {
                    return Ok(Ok(Err(refused)));
                }
            }
            Ok(Ok(Ok(())))
        });
        self.judge(sql, done)?
    }

    pub(crate) fn script(&mut self, sql: &str) -> Result<()> {
        self.insert_all()?;
        self.settle()?;
        let client = self.client()?;
        let done = self.runtime.block_on(client.batch_execute(sql));
        self.judge(sql, Ok(done))
    }

    fn wait<F: Future>(&self, answer: F) -> Result<F::Output, Elapsed> {
        self.runtime.block_on(async { timeout(PATIENCE, answer).await })
    }

    fn client(&self) -> Result<Arc<Client>> {
        let lost = || StoreError::new(ErrorKind::Unavailable, "use the connection", "it was lost");
        self.client.clone().ok_or_else(lost)
    }

    fn connect(&mut self) -> Result<()> {
        if self.client.as_ref().is_some_and(|client| !client.is_closed()) {
            return Ok(());
        }
        self.client = None;
        self.statements.clear();
        self.forget();
        self.in_transaction = false;
        if let Some((at, _)) = self.next_try
            && Instant::now() < at
        {
            let detail = "not connected; the next attempt follows shortly";
            return Err(StoreError::new(
                ErrorKind::Unavailable,
                "connect to PostgreSQL",
                detail,
            ));
        }
        match self.runtime.block_on(session(&self.server, self.role)) {
            Ok(client) => {
                self.client = Some(Arc::new(client));
                self.used = Instant::now();
                self.next_try = None;
                Ok(())
            }
            Err(error) => {
                let wait = self
                    .next_try
                    .map_or(BACKOFF.0, |(_, wait)| (wait * 2).min(BACKOFF.1));
                self.next_try = Some((Instant::now() + wait, wait));
                Err(error)
            }
        }
    }

    fn prepared(&mut self, sql: &str) -> Result<(Arc<Client>, Prepared)> {
        let client = self.client()?;
        if let Some(prepared) = self.statements.get(sql) {
            return Ok((client, prepared.clone()));
        }
        self.settle()?;
        if self.statements.len() >= STATEMENTS {
            self.statements.clear();
        }
        let done = self.wait(client.prepare(sql));
        let prepared = Prepared {
            statement: self.judge(sql, done)?,
            insert: Insert::of(sql).map(Arc::new),
        };
        self.statements.insert(sql.into(), prepared.clone());
        Ok((client, prepared))
    }

    /// Lets go of all that was asked and not answered.
    fn forget(&mut self) {
        self.ahead.clear();
        self.waiting.take();
    }

    fn send_bare(&mut self, sql: &'static str) -> Result<()> {
        let client = self.client()?;
        let answer = async move { client.batch_execute(sql).await.map(|()| 0) };
        let sent = Sent {
            closure: self.closure,
            rows: None,
        };
        self.send(answer.boxed(), sql.to_owned(), sent)
    }

    /// The first poll puts the statement on its way; the rest is awaited by [`Link::settle`].
    fn send(&mut self, mut answer: Answer, what: String, sent: Sent) -> Result<()> {
        match answer.as_mut().now_or_never() {
            None => {}
            Some(Ok(rows)) => answer = std::future::ready(Ok(rows)).boxed(),
            // It was never sent, so the server would commit the others without it.
            Some(Err(error)) => {
                return self.judge_of(sent.closure.into(), &what, Ok(Err(error)));
            }
        }
        self.ahead.push(Ahead { answer, what, sent });
        if self.ahead.len() >= AHEAD {
            self.settle()
        } else {
            Ok(())
        }
    }

    /// Awaits the answers of everything sent ahead, in order. The first error counts; the others follow from it.
    fn settle(&mut self) -> Result<()> {
        if self.ahead.is_empty() {
            return Ok(());
        }
        let ahead = std::mem::take(&mut self.ahead);
        let mut unexpected = Vec::new();
        let failed = self.runtime.block_on(async {
            let mut failed = None;
            for Ahead { answer, what, sent } in ahead {
                let done = timeout(PATIENCE, answer).await;
                match done {
                    // Whatever failed before: nobody waits as long for each of those that follow.
                    Err(_) => {
                        failed = Some((done, what, sent.closure));
                        break;
                    }
                    _ if failed.is_some() => {}
                    Ok(Ok(rows)) if sent.rows.is_none_or(|wanted| wanted == rows) => {}
                    Ok(Ok(_)) => unexpected.extend(sent.closure),
                    done => failed = Some((done, what, sent.closure)),
                }
            }
            failed
        });
        if let Some((done, what, closure)) = failed {
            // Until a commit tells, each row is sent for itself, so that the next error has a name.
            self.apart |= closure.is_none();
            let error = self.judge_of(closure.into(), &what, done).map(drop);
            if unexpected.is_empty() || self.client.is_none() {
                return error;
            }
        }
        // What failed behind them may have done so because of them.
        if unexpected.is_empty() {
            return Ok(());
        }
        unexpected.dedup();
        self.blame = Blame::Unexpected(unexpected);
        Err(StoreError::other(
            "share a commit",
            "a row was not as it was expected",
        ))
    }

    fn judge<T>(&mut self, sql: &str, done: Result<Result<T, tokio_postgres::Error>, Elapsed>) -> Result<T> {
        self.judge_of(self.closure.into(), sql, done)
    }

    /// Names the statement in the error, and lets go of a connection that can no longer be trusted.
    fn judge_of<T>(
        &mut self,
        blame: Blame,
        sql: &str,
        done: Result<Result<T, tokio_postgres::Error>, Elapsed>,
    ) -> Result<T> {
        let error = match done {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => types::error(brief(sql), &error),
            Err(_) => StoreError::new(
                ErrorKind::Unavailable,
                brief(sql),
                format!("no answer within {} s", PATIENCE.as_secs()),
            ),
        };
        if self.blame == Blame::Nobody {
            self.blame = blame;
        }
        // A writer that may only read is connected to a standby; the next connection may find the primary.
        let demoted = error.kind() == ErrorKind::ReadOnly && self.role == Role::Writer;
        if error.kind() == ErrorKind::Unavailable || demoted {
            self.client = None;
            self.forget();
            self.in_transaction = false;
        }
        Err(error)
    }
}

async fn session(server: &Server, role: Role) -> Result<Client> {
    let (client, connection) = server.connect().await?;
    tokio::spawn(connection);
    // A commit is durable before it is answered, whatever the server's default; a server set to more keeps it. A
    // node cut off in the middle of a transaction does not hold its locks for long. Compiling a search takes longer than the search.
    client
        .batch_execute(
            "SELECT set_config('synchronous_commit', 'on', false) \
             WHERE current_setting('synchronous_commit') IN ('off', 'local'); \
             SET idle_in_transaction_session_timeout = '60s'; SET jit = off; SET client_min_messages = 'warning'",
        )
        .await
        .map_err(|error| types::unavailable("set up the session", &error))?;
    if role == Role::Reader {
        client
            .batch_execute("SET default_transaction_read_only = on")
            .await
            .map_err(|error| types::unavailable("set up the session", &error))?;
    }
    Ok(client)
}

fn cells(row: &tokio_postgres::Row) -> Result<Row, tokio_postgres::Error> {
    (0..row.len())
        .map(|column| row.try_get::<_, Cell>(column))
        .collect::<Result<_, _>>()
        .map(Row)
}
