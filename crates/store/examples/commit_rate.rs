//! Measures the statements of one mail's life, accept and settle, from 50 producers:
//! `cargo run --release -p store --example commit_rate -- sqlite:/path/on/disk.db [MESSAGES] [BODY BYTES]`.

use std::error::Error;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mail::time::Time;
use store::events::{self, Event};
use store::{Clock, DatabaseUrl, Db, Id, Ids, OpenOptions, Result, Tx, Value};
use tokio::time::Instant;

const PRODUCERS: u64 = 50;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url: DatabaseUrl = arguments.next().ok_or("which database?")?.parse()?;
    let messages: u64 = arguments.next().map_or(Ok(40_000), |text| text.parse())?;
    let size: usize = arguments.next().map_or(Ok(4096), |text| text.parse())?;
    let db = Db::open(&url, OpenOptions::default()).await?;
    db.migrate().await?;
    let ids = Ids::new();
    let account = ids.next(Clock::system().now());
    db.write("open an account", move |tx| {
        tx.run(
            "INSERT INTO accounts (id, name, state, state_reason, operator, unlimited, balance, created_at) \
             VALUES ($1, 'trial', 'active', '', 0, 0, 1000000000, 0)",
            &[account.into()],
        )
    })
    .await?;

    let (begun, cpu) = (Instant::now(), cpu_seconds());
    let taken = Arc::new(AtomicU64::new(0));
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|_| {
            let (db, ids, taken) = (db.clone(), ids.clone(), taken.clone());
            let body: Arc<[u8]> = vec![b'x'; size].into();
            tokio::spawn(async move {
                while taken.fetch_add(1, Ordering::Relaxed) < messages {
                    one_mail(&db, &ids, account, body.clone()).await?;
                }
                Ok::<_, store::StoreError>(())
            })
        })
        .collect();
    for producer in producers {
        producer.await??;
    }
    let (took, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let stats = db.stats();
    println!(
        "{:.0} messages/s, {:.3} ms CPU each",
        messages as f64 / took,
        cpu * 1000.0 / messages as f64
    );
    println!(
        "{:.1} closures per commit",
        stats.writes as f64 / stats.commits as f64
    );
    println!(
        "commits by latency in µs, bounds {:?}: {:?}",
        stats.latency.bounds, stats.latency.counts
    );

    for label in ["peek", "read"] {
        let (begun, cpu, rounds) = (Instant::now(), cpu_seconds(), 20_000);
        for _ in 0..rounds {
            let work = |tx: &mut Tx<'_>| tx.query_opt("SELECT version FROM changes WHERE one = 1", &[]);
            match label {
                "peek" => db.peek(label, work).await?,
                _ => db.read(label, work).await?,
            };
        }
        let per = 1e6 / f64::from(rounds);
        println!(
            "one {label}: {:.1} µs, {:.1} µs CPU",
            begun.elapsed().as_secs_f64() * per,
            (cpu_seconds() - cpu) * per
        );
    }
    if let DatabaseUrl::Sqlite(path) = &url {
        let length = |path| fs::metadata(path).map_or(0, |file| file.len() >> 20);
        println!(
            "file {} MiB, log {} MiB",
            length(path.clone()),
            length(path.with_extension("db-wal"))
        );
    }
    db.close().await?;
    Ok(())
}

async fn one_mail(db: &Db, ids: &Ids, account: Id, body: Arc<[u8]>) -> Result<()> {
    let now = Clock::system().now();
    let message = ids.next(now);
    db.write("accept", move |tx| accept(tx, account, message, &body, now))
        .await?;
    db.write("settle", move |tx| settle(tx, account, message, now))
        .await
}

fn accept(tx: &mut Tx<'_>, account: Id, message: Id, body: &[u8], now: Time) -> Result<()> {
    tx.query_opt("SELECT version FROM changes WHERE one = 1", &[])?;
    tx.execute(
        "UPDATE accounts SET balance = balance - $2 WHERE id = $1 AND state = 'active' \
         AND (unlimited = 1 OR balance >= $2)",
        &[account.into(), 1.into()],
    )?;
    tx.run(
        "INSERT INTO credit_usage (account, day, amount) VALUES ($1, $2, $3) \
         ON CONFLICT (account, day) DO UPDATE SET amount = credit_usage.amount + excluded.amount",
        &[account.into(), now.day().into(), 1.into()],
    )?;
    tx.run(
        "INSERT INTO messages (id, account, login, reverse_path, header_from, subject, message_id, size, \
         recipients, origin, ret, envid, created_at) \
         VALUES ($1, $2, NULL, $3, $3, $4, $5, $6, 1, $7, NULL, NULL, $8)",
        &[
            message.into(),
            account.into(),
            "sender@example.org".into(),
            "A subject of the usual length, more or less".into(),
            "<01a20a35-5608-7270-9bc2-20c26b48b770@mail.example.org>".into(),
            (body.len() as i64).into(),
            r#"{"protocol":"ESMTPSA","ip":"192.0.2.1","helo":"client.example.org","tls":"TLSv1.3"}"#.into(),
            now.into(),
        ],
    )?;
    tx.run(
        "INSERT INTO bodies (message, content) VALUES ($1, $2)",
        &[message.into(), body.into()],
    )?;
    tx.run(
        "INSERT INTO recipients (message, ordinal, account, address, domain, notify, orcpt, state, reason, \
         attempts, next_at, expires_at, node, updated_at) \
         VALUES ($1, 0, $2, $3, 'example.com', '', NULL, 'queued', 'new', 0, $4, $4, $2, $4)",
        &[
            message.into(),
            account.into(),
            "recipient@example.com".into(),
            now.into(),
        ],
    )?;
    append(tx, account, message, "accepted", now)
}

fn settle(tx: &mut Tx<'_>, account: Id, message: Id, now: Time) -> Result<()> {
    tx.execute(
        "UPDATE recipients SET state = 'delivered', reason = $4, attempts = attempts + 1, node = NULL, \
         updated_at = $3 WHERE message = $1 AND ordinal = 0 AND node = $2",
        &[
            message.into(),
            account.into(),
            now.into(),
            "250 2.0.0 Ok: queued".into(),
        ],
    )?;
    tx.run(
        "INSERT INTO attempts (message, ordinal, number, at, duration, outcome, code, enhanced, reply, host, ip, \
         tls) VALUES ($1, 0, 1, $2, 1000, 'delivered', 250, '2.0.0', 'Ok: queued', $3, $4, $5)",
        &[message.into(), now.into(), "mx.example.com".into(), "192.0.2.25".into(), Value::Null],
    )?;
    append(tx, account, message, "delivered", now)?;
    tx.run(
        "DELETE FROM bodies WHERE message = $1 AND keep_until IS NULL",
        &[message.into()],
    )
}

fn append(tx: &mut Tx<'_>, account: Id, message: Id, kind: &str, at: Time) -> Result<()> {
    events::append(
        tx,
        &Event {
            at,
            account,
            message: Some(message),
            ordinal: Some(0),
            kind,
            data: "{}",
        },
    )
}

/// What this process has used of the processors, from Linux's own books in hundredths of a second.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks = after_name
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|text| text.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}
