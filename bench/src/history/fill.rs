//! Fills a database with months of mail: in numbers and shapes as a busy account leaves them, not through accept and settle.

use std::io::{self, Write as _};

use mail::time::Time;
use store::events;
use store::{Clock, DatabaseUrl, Db, Engine, Id, OpenOptions, StoreError, Tx};
use tokio::time::Instant;

use super::rows::{History, Words, messages_of};

const DAYS: i64 = 90;
/// Days of counters, which are kept longer than messages.
const COUNTED_DAYS: i64 = 366;
/// Messages of one transaction: on PostgreSQL the log is searched by transactions, which are small in life.
const STEP: u64 = 2_000;
/// Rows of a transaction that makes anything else.
const OTHER_STEP: u64 = 50_000;
const SUPPRESSED: u64 = 1_250_000;
const AUDITED: u64 = 200_000;
const SIGN_INS: u64 = 200_000;
/// Who follows the event log and would otherwise count all of it while it is measured.
const CONSUMERS: [&str; 3] = ["statistics", "guard", "webhooks"];
/// A cursor of this name says that the database was filled to its end.
const FILLED: &str = "history";

async fn open(url: &DatabaseUrl) -> io::Result<Db> {
    let db = Db::open(url, OpenOptions::default())
        .await
        .map_err(io::Error::other)?;
    db.migrate().await.map_err(io::Error::other)?;
    Ok(db)
}

/// Whether there is mail in it already.
pub async fn is_filled(url: &DatabaseUrl) -> io::Result<bool> {
    let db = open(url).await?;
    let there = db
        .read("look for a history", |tx| {
            Ok((
                tx.query_opt("SELECT 1 FROM messages LIMIT 1", &[])?.is_some(),
                events::place_of(tx, FILLED)?.is_some(),
            ))
        })
        .await
        .map_err(io::Error::other)?;
    db.close().await.map_err(io::Error::other)?;
    match there {
        (false, _) => Ok(false),
        (true, true) => Ok(true),
        (true, false) => Err(io::Error::other("the database was filled in part; remove it")),
    }
}

/// Makes everything; the accounts are there.
pub async fn fill(url: &DatabaseUrl, recipients: u64) -> io::Result<()> {
    let db = open(url).await?;
    let done = fill_in(&db, url.engine(), recipients).await;
    db.close().await.map_err(io::Error::other)?;
    done.map_err(io::Error::other)
}

async fn fill_in(db: &Db, engine: Engine, recipients: u64) -> Result<(), StoreError> {
    let accounts = db
        .read("list accounts", |tx| {
            let rows = tx.query("SELECT id FROM accounts ORDER BY id", &[])?;
            rows.iter().map(|row| row.id(0)).collect::<Result<Vec<Id>, _>>()
        })
        .await?;
    // The last message is an hour old.
    let to = Clock::system().now().as_micros() - 3600 * 1_000_000;
    let history = History {
        words: Words(engine),
        accounts,
        messages: messages_of(recipients),
        from: to - DAYS * 24 * 3600 * 1_000_000,
        to,
    };
    let begun = Instant::now();
    steps(db, "messages", history.messages, STEP, history.of_range()).await?;
    steps(
        db,
        "suppressions",
        SUPPRESSED,
        OTHER_STEP,
        vec![history.suppressions()],
    )
    .await?;
    steps(db, "audit", AUDITED, OTHER_STEP, vec![history.audit()]).await?;
    steps(db, "sign-ins", SIGN_INS, OTHER_STEP, vec![history.sign_ins()]).await?;
    let today = Time::from_micros(to).day();
    let statistics: Vec<String> = history
        .accounts
        .iter()
        .map(|&id| history.statistics(id, COUNTED_DAYS))
        .collect();
    let first_account = history.accounts[0];
    let tracking = history.tracking();
    db.write("make counters", move |tx| {
        for sql in &statistics {
            tx.run(sql, &[(today - COUNTED_DAYS + 1).into()])?;
        }
        let hours = [((today - DAYS) * 24).into(), ((today + 1) * 24).into()];
        tx.run(&tracking, &hours)?;
        // Otherwise the list of suppressions is not looked at.
        tx.run(
            "UPDATE accounts SET suppresses = 1 WHERE id = $1",
            &[first_account.into()],
        )
    })
    .await?;
    if engine == Engine::Postgres {
        // In life it looks by itself, sooner or later.
        db.write("analyze", |tx| tx.run("ANALYZE", &[])).await?;
    }
    db.write("skip the log", |tx: &mut Tx<'_>| {
        let end = events::latest(tx)?;
        for consumer in CONSUMERS.into_iter().chain([FILLED]) {
            events::advance(tx, consumer, end)?;
        }
        Ok(())
    })
    .await?;
    let _ = writeln!(io::stderr(), "filled in {:.0} s", begun.elapsed().as_secs_f64());
    Ok(())
}

async fn steps(db: &Db, what: &str, rows: u64, step: u64, sql: Vec<String>) -> Result<(), StoreError> {
    let begun = Instant::now();
    let mut from = 0;
    while from < rows {
        let to = (from + step).min(rows);
        let sql = sql.clone();
        db.write("fill", move |tx| {
            for statement in &sql {
                tx.run(statement, &[(from as i64).into(), (to as i64).into()])?;
            }
            Ok(())
        })
        .await?;
        from = to;
        if from % (step * 200) == 0 || from == rows {
            let _ = writeln!(
                io::stderr(),
                "{what}: {from} of {rows} in {:.0} s",
                begun.elapsed().as_secs_f64()
            );
        }
    }
    Ok(())
}
