//! Guessers are locked out over SMTP and in the console, owners are not, and both can find out why.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::both_engines;
use crate::harness::engine::postgres_is_here;
use crate::harness::http::Http;
use crate::harness::{Engine, PASSWORD, Posthouse, Smtp, eventually};

const ALICE: &str = "alice@example.com";
const NEW: &str = "eleven-saddles-by-dusk-42";
const MINUTE: Duration = Duration::from_mins(1);
const HERE: [u8; 4] = [127, 0, 0, 1];
const THERE: [u8; 4] = [127, 0, 1, 7];

fn server(engine: Engine) -> Posthouse {
    let server = Posthouse::on(engine).moving_clock().start();
    server.create_account(ALICE);
    server
}

/// No guess is made twice: the same one again would not count.
static GUESSES: AtomicU32 = AtomicU32::new(0);

/// Fails `times` times with ever other passwords, on as many connections as the server makes that need.
fn guess(server: &Posthouse, ip: [u8; 4], login: &str, times: usize) {
    let mut smtp: Option<Smtp> = None;
    for n in 0..times {
        let client = smtp.get_or_insert_with(|| server.smtp_from(ip));
        client
            .auth_plain(
                login,
                &format!("guess {}", GUESSES.fetch_add(1, Ordering::Relaxed)),
            )
            .expect("535 5.7.8 Authentication failed");
        if n % 3 == 2 {
            client.reply().expect("421 4.7.0");
            smtp = None;
        }
    }
}

fn operator(server: &Posthouse) -> Http {
    server.cli(
        &[
            "account",
            "create",
            "ops@example.com",
            "--operator",
            "--password-stdin",
        ],
        PASSWORD,
    );
    let mut http = server.http();
    http.sign_in("ops@example.com", PASSWORD);
    http
}

/// Waits for an attempt with this reason in the list at `path`.
fn attempt(http: &Http, path: &str, reason: &str) -> Value {
    eventually(reason, || {
        let list = http.get(path).expect(200).json();
        list["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["reason"] == reason)
            .cloned()
    })
}

both_engines! {
    fn ten_failures_lock_an_smtp_client_with_the_minutes_left_and_nobody_elsewhere(engine) {
        let server = server(engine);
        guess(&server, HERE, ALICE, 10);
        let mut locked = server.smtp_from(HERE);
        locked.auth_plain(ALICE, PASSWORD).expect("454 4.7.0 Too many failed sign-ins, try again in 5 minutes");
        server.smtp_from(THERE).auth_plain(ALICE, PASSWORD).expect("235 2.7.0");
        // A new connection knows of it, and so does a server that was started again.
        server.pass(MINUTE * 3);
        let mut server = server;
        server.stop();
        server.start_again();
        server.smtp_from(HERE).auth_login(ALICE, PASSWORD).expect("454 4.7.0 Too many failed sign-ins, try again in 2 minutes");
        server.pass(MINUTE * 2);
        server.smtp_from(HERE).auth_plain(ALICE, PASSWORD).expect("235 2.7.0");
    }

    fn a_locked_client_that_goes_on_is_hung_up_on(engine) {
        let server = server(engine);
        guess(&server, HERE, "nobody@example.com", 10);
        let mut smtp = server.smtp_from(HERE);
        for _ in 0..3 {
            smtp.auth_plain("nobody@example.com", PASSWORD).expect("454 4.7.0");
        }
        smtp.reply().expect("421 4.7.0");
    }

    fn a_new_password_lifts_the_lock_and_so_does_the_operator(engine) {
        let server = server(engine);
        guess(&server, HERE, ALICE, 10);
        server.cli(&["account", "password", ALICE, "--password-stdin"], NEW);
        server.smtp_from(HERE).auth_plain(ALICE, NEW).expect("235 2.7.0");

        guess(&server, HERE, ALICE, 10);
        let listed = server.cli(&["lockout", "list"], "");
        assert!(listed.contains(ALICE) && listed.contains("127.0.0.1/32"), "{listed}");
        server.cli(&["lockout", "lift", ALICE], "");
        server.smtp_from(HERE).auth_plain(ALICE, NEW).expect("235 2.7.0");

        guess(&server, HERE, ALICE, 10);
        let http = operator(&server);
        let lockouts = http.get("/api/v1/lockouts").expect(200).json();
        assert_eq!(lockouts["items"][0]["login"], ALICE);
        let id = lockouts["items"][0]["id"].as_str().unwrap().to_owned();
        http.delete(&format!("/api/v1/lockouts/{id}")).expect(204);
        http.delete(&format!("/api/v1/lockouts/{id}")).expect(404);
        server.smtp_from(HERE).auth_plain(ALICE, NEW).expect("235 2.7.0");
    }

    fn the_console_answers_429_and_says_when_to_come_back(engine) {
        let server = server(engine);
        let http = server.http();
        let try_with = |password: &str| http.post("/api/v1/session", &json!({"email": ALICE, "password": password}));
        let mut mine = server.http();
        mine.sign_in(ALICE, PASSWORD);
        for n in 0..5 {
            try_with(&format!("guess {n}")).expect(401);
        }
        // Changing the password asks for it too, and counts with the rest.
        for n in 5..10 {
            let change = json!({"current": format!("guess {n}"), "new": NEW});
            mine.post("/api/v1/account/password", &change).expect(422);
        }
        let stopped = try_with(PASSWORD).expect(429);
        let wait: u64 = stopped.header("retry-after").unwrap().parse().unwrap();
        assert!(wait <= 300, "{wait}");
        mine.post("/api/v1/account/password", &json!({"current": PASSWORD, "new": NEW})).expect(429);
        server.smtp_from(HERE).auth_plain(ALICE, PASSWORD).expect("454 4.7.0");
        server.pass(MINUTE * 5);
        try_with(PASSWORD).expect(200);
    }

    fn the_owner_reads_why_a_device_fails_and_the_doctor_says_the_same(engine) {
        let server = server(engine);
        server.create_account("bob@example.com");
        server.pass(MINUTE);
        server.cli(&["account", "password", ALICE, "--password-stdin"], NEW);
        let mut mine = server.http();
        mine.sign_in(ALICE, NEW);
        let mut smtp = server.smtp_from(THERE);
        smtp.auth_plain(ALICE, PASSWORD).expect("535 5.7.8");
        smtp.auth_plain(ALICE, PASSWORD).expect("535 5.7.8");
        server.smtp_from(THERE).auth_plain("alcie@example.com", NEW).expect("535 5.7.8");
        let mut plain = server.smtp();
        plain.ehlo().expect("250");
        plain.auth_plain(ALICE, NEW).expect("538 5.7.11");

        let own = "/api/v1/account/sign-in-attempts";
        let old = eventually("both are counted in one line", || {
            Some(attempt(&mine, own, "old_password")).filter(|old| old["count"] == 2)
        });
        assert_eq!((&old["ip"], &old["client"]), (&json!("127.0.1.7"), &json!("client.example")));
        assert!(old["until"].is_string() && old["tls"].is_string(), "{old}");
        assert_eq!(attempt(&mine, own, "unknown_address")["near"], ALICE);
        assert_eq!(attempt(&mine, own, "no_tls")["tls"], Value::Null);
        assert_eq!(attempt(&mine, own, "signed_in")["door"], "web");
        let mut bob = server.http();
        bob.sign_in("bob@example.com", PASSWORD);
        attempt(&bob, own, "signed_in");
        assert_eq!(bob.get(own).expect(200).json()["items"].as_array().unwrap().len(), 1, "only his own");
        bob.get("/api/v1/sign-in-attempts").expect(403);
        let http = operator(&server);
        attempt(&http, &format!("/api/v1/sign-in-attempts?login={ALICE}"), "old_password");

        let said = server.cli(&["doctor", "auth", ALICE], "");
        for part in ["login: alice@example.com", "old password, right until", "2 times", "give it the new one", "without TLS", "settings: host mail.example.com"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        let typo = server.try_cli(&["doctor", "auth", "alcie@example.com"], "");
        let said = String::from_utf8(typo.stdout).unwrap();
        assert!(!typo.status.success() && said.contains("use alice@example.com, which is probably meant"), "{said}");
    }

    fn a_revoked_key_is_told_apart_from_one_that_never_was(engine) {
        let server = server(engine);
        let mut mine = server.http();
        mine.sign_in(ALICE, PASSWORD);
        let key = mine.post("/api/v1/keys", &json!({"name": "old", "scopes": ["send"]})).expect(201).json();
        mine.delete(&format!("/api/v1/keys/{}", key["id"].as_str().unwrap())).expect(204);
        let mut program = server.http();
        program.bearer = key["key"].as_str().map(str::to_owned);
        program.get("/api/v1/account").expect(401);
        assert_eq!(attempt(&mine, "/api/v1/account/sign-in-attempts", "revoked_key")["door"], "api");
        program.bearer = Some("ph_nobody".into());
        program.get("/api/v1/account").expect(401);
        attempt(&operator(&server), "/api/v1/sign-in-attempts", "unknown_key");
    }
}

#[test]
fn two_servers_over_one_database_share_a_lock() {
    if !postgres_is_here(concat!(
        module_path!(),
        "::two_servers_over_one_database_share_a_lock"
    )) {
        return;
    }
    let one = server(Engine::Postgres);
    let other = one.second();
    guess(&one, HERE, ALICE, 6);
    guess(&other, HERE, ALICE, 4);
    for server in [&one, &other] {
        server
            .smtp_from(HERE)
            .auth_plain(ALICE, PASSWORD)
            .expect("454 4.7.0");
    }
    one.cli(&["lockout", "lift", ALICE], "");
    for server in [&one, &other] {
        server
            .smtp_from(HERE)
            .auth_plain(ALICE, PASSWORD)
            .expect("235 2.7.0");
    }
}

both_engines! {
    /// The one test whose subject is a time: what the clock would tell a guesser. Each round asks once in every way and is measured by
    /// how long its own wrong password took, so that whatever else the machine does falls on all of them alike, however the rounds
    /// differ; what is compared is the medians of that, with room for the noise of a busy machine. A hash that is missing (a fifth of the
    /// time or less) or the three that tell an old password from a wrong one (four times) are far outside of it.
    fn unknown_wrong_old_and_locked_take_the_same_time(engine) {
        const ROUNDS: usize = 31;
        let server = server(engine);
        server.create_account("bob@example.com");
        server.create_account("locked@example.com");
        server.cli(&["account", "password", ALICE, "--password-stdin"], NEW);
        guess(&server, HERE, "locked@example.com", 10);
        let once = |login: &str, password: &str, expected: &str| {
            let mut smtp = server.smtp_from(HERE);
            let start = Instant::now();
            smtp.auth_plain(login, password).expect(expected);
            start.elapsed().as_secs_f64()
        };
        let mut ratios: [Vec<f64>; 4] = Default::default();
        for round in 0..ROUNDS {
            // Fewer wrong passwords for one login than lock it, fewer failures than lock the network; the same one again counts
            // once and is hashed each time.
            let unknown = once(
                &format!("nobody-{round}@example.net"),
                "a guess",
                "535 5.7.8",
            );
            let wrong = once(
                "bob@example.com",
                &format!("guess {}", round % 8),
                "535 5.7.8",
            );
            let old = once(ALICE, PASSWORD, "535 5.7.8");
            let locked = once("locked@example.com", PASSWORD, "454 4.7.0");
            for (ratios, took) in ratios.iter_mut().zip([unknown, wrong, old, locked]) {
                ratios.push(took / wrong);
            }
        }
        let medians = ratios.map(|mut ratios| {
            ratios.sort_by(f64::total_cmp);
            ratios[ROUNDS / 2]
        });
        eprintln!("medians of unknown, wrong, old, locked, each by the wrong one of its round: {medians:.4?}");
        let (least, most) = (
            medians.iter().copied().fold(f64::MAX, f64::min),
            medians.iter().copied().fold(0.0, f64::max),
        );
        assert!(most / least < 2.5, "{medians:?}");
    }
}
