//! Load under faults of every kind at random: kills, lost databases, broken disks, failing receivers, a clock that jumps. Ends with a
//! proof sheet: what was accepted, what became of it, and that nothing is lost.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::time::Instant;

use crate::both_engines;
use crate::crash::{Dice, books};
use crate::harness::broken::{BrokenDisk, Errno, Fault};
use crate::harness::{Act, Engine, PASSWORD, Posthouse, Sink, Smtp, Verb, eventually};

const ALICE: &str = "alice@example.com";
const SESSIONS: usize = 6;
/// How long a run is where nobody asks for a longer one.
const SECONDS: u64 = 5;
/// One message in so many goes to nobody.
const BOUNCES: usize = 40;
/// The load, as a part of what is accepted at first, without faults.
const SHARE: f64 = 0.8;
/// A client whose server is away waits so long.
const PAUSE: Duration = Duration::from_millis(20);
const HOUR: i64 = 3600;

/// What the sources do and were told.
struct Load {
    server: Mutex<SocketAddr>,
    next: AtomicUsize,
    /// The numbers that got a yes.
    accepted: Mutex<Vec<usize>>,
    refused: AtomicUsize,
    /// When the next message may leave, and how long after it the one behind it.
    pace: Mutex<(Instant, Duration)>,
    over: AtomicBool,
}

/// To whom the message of a number goes.
fn recipient(number: usize) -> String {
    let who = if number.is_multiple_of(BOUNCES) {
        "nobody"
    } else {
        "r"
    };
    format!("{who}{number}@sink.example")
}

fn number_of(recipient: &str) -> Option<usize> {
    let local = recipient.strip_suffix("@sink.example")?;
    local
        .trim_start_matches(|c: char| c.is_ascii_alphabetic())
        .parse()
        .ok()
}

impl Load {
    fn accepted(&self) -> usize {
        self.accepted.lock().unwrap().len()
    }

    fn send_until_over(&self) {
        while !self.over.load(Ordering::SeqCst) {
            let server = *self.server.lock().unwrap();
            // The server goes away at any line.
            let _ = self.send_over_one_connection(server);
            thread::park_timeout(PAUSE);
        }
    }

    /// What could not leave in time is not made up for.
    fn wait_for_turn(&self) {
        let turn = {
            let (next, gap) = &mut *self.pace.lock().unwrap();
            let turn = (*next).max(Instant::now());
            *next = turn + *gap;
            turn
        };
        while let Some(left) = turn
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
        {
            thread::park_timeout(left);
        }
    }

    /// Sees how much is accepted within so long, and leaves some room from then on; says how much it was a second.
    fn find_pace(&self, within: Duration) -> f64 {
        eventually("mail is accepted", || (self.accepted() > 0).then_some(()));
        let (before, began) = (self.accepted(), Instant::now());
        while began.elapsed() < within {
            thread::park_timeout(within);
        }
        let rate = (self.accepted() - before) as f64 / began.elapsed().as_secs_f64();
        let gap = Duration::from_secs_f64(1.0 / (SHARE * rate).max(1.0));
        *self.pace.lock().unwrap() = (Instant::now(), gap);
        rate
    }

    fn send_over_one_connection(&self, server: SocketAddr) -> io::Result<()> {
        let mut smtp = Smtp::try_connect(server)?.into_tls();
        smtp.try_reply()?;
        let command = |smtp: &mut Smtp, line: &str| {
            smtp.try_send(format!("{line}\r\n").as_bytes())?;
            smtp.try_reply().map(|reply| reply.code())
        };
        command(&mut smtp, "EHLO client.example")?;
        let initial = BASE64_STANDARD.encode(format!("\0{ALICE}\0{PASSWORD}"));
        if command(&mut smtp, &format!("AUTH PLAIN {initial}"))? != 235 {
            return Ok(());
        }
        while !self.over.load(Ordering::SeqCst) {
            self.wait_for_turn();
            let number = self.next.fetch_add(1, Ordering::SeqCst);
            let to = recipient(number);
            let envelope = [
                (format!("MAIL FROM:<{ALICE}>"), 250),
                (format!("RCPT TO:<{to}>"), 250),
                ("DATA".to_owned(), 354),
            ];
            let mut code = 0;
            for (line, wanted) in envelope {
                code = command(&mut smtp, &line)?;
                if code != wanted {
                    break;
                }
            }
            if code == 354 {
                let filler = "and the rest of the letter\r\n".repeat(number % 300);
                smtp.try_send(
                    format!("From: <{ALICE}>\r\nSubject: {number}\r\n\r\n{filler}.\r\n").as_bytes(),
                )?;
                code = smtp.try_reply()?.code();
            }
            if code == 250 {
                self.accepted.lock().unwrap().push(number);
                continue;
            }
            self.refused.fetch_add(1, Ordering::SeqCst);
            assert_eq!(code / 100, 4, "nothing is refused for good");
            if code == 421 {
                return Ok(());
            }
            command(&mut smtp, "RSET")?;
            thread::park_timeout(PAUSE);
        }
        Ok(())
    }
}

/// What the receiver saw.
#[derive(Default)]
struct Seen {
    /// For each number the arrivals, each with its connection.
    arrivals: HashMap<usize, Vec<(usize, usize)>>,
    /// The last arrival of each connection.
    last: HashMap<usize, usize>,
    /// The numbers that their sender was told to have bounced.
    reported: HashMap<usize, usize>,
    count: usize,
}

impl Seen {
    fn take(&mut self, sink: &Sink) {
        for mail in sink.take_arrived() {
            self.count += 1;
            self.last.insert(mail.connection, self.count);
            if mail.recipients[0] == ALICE {
                let text = mail.text();
                let line = text.lines().find(|line| line.starts_with("Final-Recipient:"));
                let told = line.and_then(|line| number_of(line.rsplit([';', ' ']).next()?.trim()));
                *self
                    .reported
                    .entry(told.expect("the report names whom"))
                    .or_default() += 1;
            } else if let Some(number) = number_of(&mail.recipients[0]) {
                let arrivals = self.arrivals.entry(number).or_default();
                arrivals.push((mail.connection, self.count));
            }
        }
    }

    fn missing(&self, accepted: &[usize]) -> usize {
        let settled = |number: &&usize| {
            if number.is_multiple_of(BOUNCES) {
                self.reported.contains_key(*number)
            } else {
                self.arrivals.contains_key(*number)
            }
        };
        accepted.iter().filter(|number| !settled(number)).count()
    }

    /// How many arrivals were not the first of their number. Each earlier one was the last word on its connection: the server died, or
    /// the conversation broke, between the receiver's yes and its record.
    fn doubled(&self) -> usize {
        let mut doubled = 0;
        for (number, arrivals) in &self.arrivals {
            for (connection, at) in &arrivals[..arrivals.len() - 1] {
                doubled += 1;
                assert_eq!(
                    self.last[connection], *at,
                    "{number} was doubled without a reason"
                );
            }
        }
        doubled
    }
}

/// How often each kind of fault happened, by its name.
#[derive(Default)]
struct Faults(HashMap<&'static str, usize>);

impl Faults {
    fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    fn text(&self) -> String {
        let mut all: Vec<_> = self.0.iter().collect();
        all.sort();
        all.iter().fold(String::new(), |mut text, (what, times)| {
            let _ = write!(text, "{times} {what}, ");
            text
        })
    }
}

/// The server under torture, and what it is tortured with.
struct Chamber {
    server: Posthouse,
    sink: Sink,
    /// Where the database is a file.
    disk: Option<BrokenDisk>,
    load: Arc<Load>,
    dice: Dice,
    faults: Faults,
    /// Seconds that the clock is off, and the most it ever was.
    clock: (i64, i64),
}

impl Chamber {
    /// Waits until so many more messages are accepted.
    fn let_some_in(&self, more: usize) {
        let enough = self.load.accepted() + more;
        eventually("mail is accepted", || {
            (self.load.accepted() >= enough).then_some(())
        });
        // Not where the load stands still, but anywhere in it.
    }

    fn start(&mut self, environment: &[(&str, &str)]) {
        self.server.start_again_in(environment);
        *self.load.server.lock().unwrap() = self.server.address("submissions");
    }

    fn one_fault(&mut self) {
        let some = 1 + self.dice.roll(60);
        self.let_some_in(some);
        thread::park_timeout(Duration::from_micros(self.dice.roll(20_000) as u64));
        match self.dice.roll(6) {
            0 => {
                self.server.kill();
                self.start(&[]);
                self.faults.count("kills");
            }
            1 => self.die_at_a_commit(),
            2 | 3 => self.break_the_sink(),
            4 => self.move_the_clock(),
            _ => self.take_the_database_away(),
        }
    }

    fn die_at_a_commit(&mut self) {
        let edge = ["before", "after"][self.dice.roll(2)];
        let commit = ["accept", "settle"][self.dice.roll(2)];
        let act = ["die", "cut"][self.dice.roll(2)];
        self.server.stop();
        let fault = format!("{edge} {commit} {} {act}", 1 + self.dice.roll(40));
        self.start(&[("POSTHOUSE_TEST_FAULT", &fault)]);
        self.server.wait_for_log("a fault that a test ordered");
        if act == "die" {
            self.server.kill();
            self.start(&[]);
            self.faults.count("deaths at a commit");
        } else {
            self.faults.count("commits whose answer was lost");
        }
    }

    fn break_the_sink(&mut self) {
        let verbs = [
            Verb::Connect,
            Verb::Ehlo,
            Verb::Mail,
            Verb::Rcpt,
            Verb::Data,
            Verb::EndOfData,
        ];
        for _ in 0..=self.dice.roll(4) {
            let verb = verbs[self.dice.roll(verbs.len())];
            let act = match self.dice.roll(6) {
                0 => Act::Drop,
                1 => Act::Silence,
                2 => Act::reply("\u{1} garbage"),
                3 => Act::ReplyAndDrop("421 4.3.2 going away".to_owned()),
                4 if verb == Verb::EndOfData => Act::KeepAndDrop,
                _ => Act::reply("451 4.3.0 not now"),
            };
            self.sink.once(verb, "", act);
            self.faults.count("receiver's faults");
        }
    }

    fn move_the_clock(&mut self) {
        let target = self.dice.roll(10) as i64 * HOUR - 5 * HOUR;
        let by = target - self.clock.0;
        let time = Duration::from_secs(by.unsigned_abs());
        if by < 0 {
            self.server.set_back(time);
        } else {
            self.server.pass(time);
        }
        self.clock = (target, self.clock.1.max(target));
        self.faults.count("jumps of the clock");
    }

    fn take_the_database_away(&mut self) {
        let Some(disk) = &self.disk else {
            self.server.cut_database();
            self.faults.count("cut databases");
            return;
        };
        let errno = [Errno::NoSpace, Errno::Io, Errno::ReadOnly][self.dice.roll(3)];
        let mut fault = Fault::default();
        if self.dice.roll(3) == 0 {
            fault.sync = Some(Errno::Io);
        } else {
            fault.write = Some(errno);
        }
        disk.breaks(fault);
        eventually("the disk fails", || disk.was_met().then_some(()));
        thread::park_timeout(Duration::from_millis(self.dice.roll(300) as u64));
        disk.is_mended();
        self.faults.count("broken disks");
    }

    /// No more faults, and the clock as late as it ever was: what waits for a date is due.
    fn relent(&mut self) {
        // There is nobody by this name as before, or what still waits for him would arrive, and nobody be told of a bounce.
        self.sink.forget_turns();
        let forward = self.clock.1 - self.clock.0 + HOUR;
        self.server.pass(Duration::from_secs(forward.unsigned_abs()));
    }
}

both_engines! {
    fn whatever_fails_at_random_all_that_was_accepted_is_accounted_for(engine) {
        let seconds = std::env::var("POSTHOUSE_TORTURE_SECONDS").map_or(SECONDS, |text| text.parse().expect("seconds"));
        let seed = std::env::var("POSTHOUSE_TORTURE_SEED").map_or(u64::from(std::process::id()), |text| text.parse().expect("a number"));
        let sink = Sink::start();
        sink.always(Verb::Rcpt, "nobody", Act::reply("550 5.1.1 no such user"));
        let disk = (engine == Engine::Sqlite).then(BrokenDisk::new);
        let setup = Posthouse::on(engine)
            .environment("POSTHOUSE_TEST_PATIENCE", "500")
            .set("delivery.connections_per_lane", "10")
            .moving_clock()
            .route_to(&sink)
            .retry_fast();
        let server = match &disk {
            Some(disk) => disk.under(setup),
            None => setup,
        }
        .start();
        server.create_account(ALICE);
        server.cli(&["account", "credits", ALICE, "100000000", "--reason", "test"], "");
        let load = Arc::new(Load {
            server: Mutex::new(server.address("submissions")),
            next: AtomicUsize::new(1),
            accepted: Mutex::default(),
            refused: AtomicUsize::new(0),
            pace: Mutex::new((Instant::now(), Duration::ZERO)),
            over: AtomicBool::new(false),
        });
        let sources: Vec<_> = (0..SESSIONS)
            .map(|_| {
                let load = Arc::clone(&load);
                thread::spawn(move || load.send_until_over())
            })
            .collect();
        let capacity = load.find_pace(Duration::from_secs(seconds.div_ceil(10).min(20)));
        let mut chamber = Chamber { server, sink, disk, load, dice: Dice(seed), faults: Faults::default(), clock: (0, 0) };
        let mut receiver = Seen::default();
        let begun = Instant::now();
        while begun.elapsed().as_secs() < seconds {
            chamber.one_fault();
            receiver.take(&chamber.sink);
        }
        let load = Arc::clone(&chamber.load);
        load.over.store(true, Ordering::SeqCst);
        for source in sources {
            source.join().expect("replies as they must be");
        }
        chamber.relent();
        let accepted = load.accepted.lock().unwrap().clone();
        let mut missing = receiver.missing(&accepted);
        while missing > 0 {
            let mut looks = 0;
            missing = eventually(&format!("{missing} of {} settle (seed {seed})", accepted.len()), || {
                looks += 1;
                if looks % 100 == 0 {
                    // A conversation that broke as all this ended leaves what it carried, and its lane, waiting for minutes.
                    chamber.server.pass(Duration::from_mins(1));
                }
                receiver.take(&chamber.sink);
                let left = receiver.missing(&accepted);
                (left < missing).then_some(left)
            });
        }
        chamber.server.stop();
        receiver.take(&chamber.sink);
        let books = books(&chamber.server.database());
        assert_eq!(books.balance, books.granted - books.used, "{books:?} (seed {seed})");
        assert_eq!(books.used, books.recipients, "{books:?} (seed {seed})");
        let bounced = accepted.iter().filter(|number| number.is_multiple_of(BOUNCES)).count();
        println!(
            "{engine:?}, {seconds} s at {SHARE} of {capacity:.0} mails/s, seed {seed}: {}{} accepted, {} delivered, {bounced} bounced, 0 lost; {} refused for the time being, \
             {} arrivals doubled, each in flight when its connection broke",
            chamber.faults.text(),
            accepted.len(),
            accepted.len() - bounced,
            load.refused.load(Ordering::SeqCst),
            receiver.doubled(),
        );
    }
}
