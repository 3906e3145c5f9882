//! Load, `kill -9` at random moments, restart: every mail that got its 250 arrives, only what was in flight at a kill
//! may arrive twice, and the credits are those of the mail that is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::json;
use store::{DatabaseUrl, Db, OpenOptions};

use crate::both_engines;
use crate::harness::http::Http;
use crate::harness::sink::Arrived;
use crate::harness::{PASSWORD, Posthouse, Sink, Smtp, eventually};

const ALICE: &str = "alice@example.com";
const SESSIONS: usize = 8;

/// What the senders were told.
#[derive(Default)]
pub struct Ledger {
    next: AtomicUsize,
    pub accepted: Mutex<BTreeSet<usize>>,
    redeemed: AtomicUsize,
    pub over: AtomicBool,
}

impl Ledger {
    pub fn accepted(&self) -> usize {
        self.accepted.lock().unwrap().len()
    }
}

/// Sends numbered messages until the connection breaks or the round is over.
pub fn sender(ledger: &Ledger, server: SocketAddr) -> std::io::Result<()> {
    let mut smtp = Smtp::try_connect(server)?.into_tls();
    smtp.try_reply()?;
    let command = |smtp: &mut Smtp, line: &str| {
        smtp.try_send(format!("{line}\r\n").as_bytes())?;
        smtp.try_reply()
    };
    command(&mut smtp, "EHLO client.example")?;
    let initial = base64::Engine::encode(
        &base64::prelude::BASE64_STANDARD,
        format!("\0{ALICE}\0{PASSWORD}"),
    );
    command(&mut smtp, &format!("AUTH PLAIN {initial}"))?.expect("235");
    while !ledger.over.load(Ordering::SeqCst) {
        let number = ledger.next.fetch_add(1, Ordering::SeqCst);
        command(&mut smtp, &format!("MAIL FROM:<{ALICE}>"))?.expect("250");
        command(&mut smtp, &format!("RCPT TO:<r{number}@sink.example>"))?.expect("250");
        command(&mut smtp, "DATA")?.expect("354");
        let filler = "and the rest of the letter\r\n".repeat(number % 400);
        smtp.try_send(format!("From: <{ALICE}>\r\nSubject: {number}\r\n\r\n{filler}.\r\n").as_bytes())?;
        let reply = smtp.try_reply()?;
        if reply.code() == 250 {
            ledger.accepted.lock().unwrap().insert(number);
        }
    }
    Ok(())
}

/// Redeems these codes one after the other; ends by a panic where the server is killed meanwhile.
fn redeemer(ledger: &Ledger, http: &Http, codes: &[String]) {
    for code in codes {
        let answer = http.post("/api/v1/account/credits/redeem", &json!({"code": code}));
        if answer.status == 200 {
            ledger.redeemed.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// The credits of [`ALICE`], as the database has them.
#[derive(Debug)]
pub struct Books {
    pub balance: i64,
    pub granted: i64,
    pub used: i64,
    /// The recipients of all mail that is stored, but for reports of ours, which nobody pays for.
    pub recipients: i64,
    /// What vouchers brought by the ledger, and how often codes were used.
    redeemed: i64,
    codes: i64,
}

#[tokio::main(flavor = "current_thread")]
pub async fn books(database: &DatabaseUrl) -> Books {
    let options = OpenOptions {
        create: false,
        ..OpenOptions::default()
    };
    let db = Db::open(database, options).await.unwrap();
    let sum = |column: &str, table: &str| {
        format!("(SELECT CAST(COALESCE(SUM({column}), 0) AS BIGINT) FROM {table} WHERE account = a.id)")
    };
    let sql = format!(
        "SELECT a.balance, {}, {}, \
         (SELECT CAST(COALESCE(SUM(recipients), 0) AS BIGINT) FROM messages WHERE account = a.id AND reverse_path <> ''), \
         (SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM credit_grants WHERE account = a.id AND kind = 'voucher'), \
         (SELECT CAST(COALESCE(SUM(used), 0) AS BIGINT) FROM vouchers) \
         FROM accounts a WHERE a.name = $1",
        sum("amount", "credit_grants"),
        sum("amount", "credit_usage"),
    );
    let books = db.read("read the books", move |tx| {
        let row = tx
            .query_opt(&sql, &[ALICE.into()])?
            .expect("the account is there");
        Ok(Books {
            balance: row.int(0)?,
            granted: row.int(1)?,
            used: row.int(2)?,
            recipients: row.int(3)?,
            redeemed: row.int(4)?,
            codes: row.int(5)?,
        })
    });
    let books = books.await.unwrap();
    db.close().await.unwrap();
    books
}

/// A small generator with a seed that is printed: a failing run can be looked into.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// Numbers that arrived more than once, each of whose earlier arrivals must have been the last word on its connection.
fn doubled(arrived: &[Arrived]) -> usize {
    let mut last_on_connection = BTreeMap::new();
    let mut arrivals: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, message) in arrived.iter().enumerate() {
        last_on_connection.insert(message.connection, at);
        arrivals.entry(&message.recipients[0]).or_default().push(at);
    }
    let mut doubled = 0;
    for (recipient, arrivals) in arrivals.into_iter().filter(|(_, arrivals)| arrivals.len() > 1) {
        doubled += 1;
        for &at in &arrivals[..arrivals.len() - 1] {
            let connection = arrived[at].connection;
            assert_eq!(
                last_on_connection[&connection], at,
                "{recipient} came twice though its first delivery was not in flight at a kill"
            );
        }
    }
    doubled
}

both_engines! {
    fn every_accepted_mail_arrives_whenever_the_server_is_killed(engine) {
        let rounds: usize = std::env::var("POSTHOUSE_CRASH_ROUNDS").map_or(4, |rounds| rounds.parse().expect("a number"));
        let seed = u64::from(std::process::id());
        let mut dice = Dice(seed);
        let sink = Sink::start();
        let mut server = Posthouse::on(engine).route_to(&sink).retry_fast().set("delivery.connections_per_lane", "10").start();
        server.create_account(ALICE);
        server.cli(&["account", "credits", ALICE, "100000000", "--reason", "test"], "");
        let codes = server.cli(&["voucher", "create", "7", "--reason", "test", "--codes", "1000"], "");
        let codes: Vec<String> = codes.lines().map(str::to_owned).collect();
        let mut http = server.http();
        http.sign_in(ALICE, PASSWORD);
        let key = http.post("/api/v1/keys", &json!({"name": "test", "scopes": ["account"]})).expect(201).json();
        let key = key["key"].as_str().expect("it is shown once").to_owned();
        let ledger = Arc::new(Ledger::default());
        for round in 0..rounds {
            let address = server.address("submissions");
            let senders: Vec<_> = (0..SESSIONS)
                .map(|_| {
                    let ledger = Arc::clone(&ledger);
                    thread::spawn(move || { let _ = sender(&ledger, address); })
                })
                .collect();
            // As many as an account may try in an hour, a few in each round.
            let some: Vec<String> = codes.iter().skip(round * 5).take(5).cloned().collect();
            let mut http = server.http();
            http.bearer = Some(key.clone());
            let redeeming = {
                let ledger = Arc::clone(&ledger);
                thread::spawn(move || redeemer(&ledger, &http, &some))
            };
            let enough = ledger.accepted() + 1 + dice.roll(300);
            let redeemed = || ledger.redeemed.load(Ordering::SeqCst);
            eventually("mail is accepted and a code redeemed", || {
                (ledger.accepted() >= enough && redeemed() > 0).then_some(())
            });
            // Not where the load stands still, but anywhere in it.
            thread::park_timeout(Duration::from_micros(dice.roll(20_000) as u64));
            server.kill();
            // It panics where its answer was cut off.
            let _ = redeeming.join();
            let books = books(&server.database());
            assert!(books.codes >= redeemed() as i64, "{books:?}, {} told (seed {seed})", redeemed());
            assert_eq!(books.balance, books.granted - books.used, "{books:?} (seed {seed})");
            assert_eq!(books.used, books.recipients, "{books:?} (seed {seed})");
            assert_eq!(books.redeemed, 7 * books.codes, "{books:?} (seed {seed})");
            for sender in senders {
                sender.join().expect("replies as they must be");
            }
            server.start_again();
        }
        ledger.over.store(true, Ordering::SeqCst);
        let accepted = ledger.accepted.lock().unwrap().clone();
        let missing = || {
            let arrived: BTreeSet<String> = sink.arrived().into_iter().map(|message| message.recipients[0].clone()).collect();
            accepted.iter().filter(|number| !arrived.contains(&format!("r{number}@sink.example"))).count()
        };
        eventually(&format!("all {} accepted mails arrive (seed {seed})", accepted.len()), || (missing() == 0).then_some(()));
        let arrived = sink.arrived();
        let doubled = doubled(&arrived);
        println!(
            "{engine:?}: {rounds} kills, {} accepted, 0 lost, {} arrived, {doubled} twice, all of them in flight at a kill",
            accepted.len(),
            arrived.len()
        );
        assert!(doubled <= rounds * 10, "{doubled} doubled by {rounds} kills");
    }
}
