//! Named SMTP credentials and the switch that keeps login passwords off SMTP, against real connections and real clients.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::both_engines;
use crate::harness::engine::postgres_is_here;
use crate::harness::http::Http;
use crate::harness::{Engine, PASSWORD, Posthouse, Sink, Smtp, eventually};

const ALICE: &str = "alice@example.com";
const MESSAGE: &[u8] = b"From: <alice@example.com>\r\nSubject: s\r\n\r\nhello\r\n";
const HERE: [u8; 4] = [127, 0, 0, 1];
const THERE: [u8; 4] = [127, 0, 1, 7];
const TO: &str = "bob@sink.example";

fn alice(server: &Posthouse) -> Http {
    let mut http = server.http();
    http.sign_in(ALICE, PASSWORD);
    http
}

/// A new credential: its id and its password.
#[track_caller]
fn create(http: &Http, wanted: &Value) -> (String, String) {
    let made = http.post("/api/v1/smtp-credentials", wanted).expect(201).json();
    let text = |field: &str| made[field].as_str().unwrap().to_owned();
    (text("id"), text("password"))
}

fn path(id: &str) -> String {
    format!("/api/v1/smtp-credentials/{id}")
}

#[track_caller]
fn signed_in(server: &Posthouse, ip: [u8; 4], password: &str) -> Smtp {
    let mut smtp = server.smtp_from(ip);
    smtp.auth_plain(ALICE, password).expect("235 2.7.0");
    smtp
}

/// Waits until the account's list says why a sign-in failed.
fn reason(http: &Http, reason: &str) -> Value {
    eventually(reason, || {
        let list = http.get("/api/v1/account/sign-in-attempts").expect(200).json();
        let items = list["items"].as_array().unwrap();
        items.iter().find(|one| one["reason"] == reason).cloned()
    })
}

fn only_message(http: &Http) -> Value {
    let list = http.get("/api/v1/messages").expect(200).json();
    let id = list["items"][0]["id"].as_str().unwrap().to_owned();
    http.get(&format!("/api/v1/messages/{id}")).expect(200).json()
}

/// A client with a new API key.
fn key(server: &Posthouse, http: &Http, wanted: &Value) -> Http {
    let made = http.post("/api/v1/keys", wanted).expect(201).json();
    let mut key = server.http();
    key.bearer = made["key"].as_str().map(str::to_owned);
    key
}

both_engines! {
    fn swaks_and_smtplib_send_with_a_named_credential(engine) {
        let sink = Sink::start();
        let server = Posthouse::on(engine).route_to(&sink).start();
        server.create_account(ALICE);
        let http = alice(&server);
        let (_, password) = create(&http, &json!({"name": "Web shop"}));
        let port = server.address("submission").port().to_string();
        let swaks = Command::new("swaks")
            .args(["--server", "127.0.0.1", "--port", &port, "--tls", "--auth", "PLAIN"])
            .args(["--auth-user", ALICE, "--auth-password", &password, "--from", ALICE, "--to", TO])
            .output()
            .unwrap();
        assert!(swaks.status.success(), "{}", String::from_utf8_lossy(&swaks.stdout));
        let script = "import smtplib, ssl, sys\n\
            s = smtplib.SMTP('127.0.0.1', int(sys.argv[1]))\n\
            s.starttls(context=ssl._create_unverified_context())\n\
            s.login(sys.argv[2], sys.argv[3])\n\
            s.sendmail(sys.argv[2], [sys.argv[4]], 'From: <%s>\\r\\nSubject: s\\r\\n\\r\\nhi\\r\\n' % sys.argv[2])\n\
            s.quit()\n";
        let python = Command::new("python3").args(["-c", script, &port, ALICE, &password, TO]).output().unwrap();
        assert!(python.status.success(), "{}", String::from_utf8_lossy(&python.stderr));
        sink.wait_for(2);
        let message = only_message(&http);
        assert_eq!((&message["origin"]["login"], &message["origin"]["credential"]["name"]), (&json!(ALICE), &json!("Web shop")));
        let used = eventually("the last use is noted", || {
            let list = http.get("/api/v1/smtp-credentials").expect(200).json();
            list["items"][0]["used_at"].as_str().is_some().then(|| list["items"][0].clone())
        });
        assert_eq!(used["used_from"], "127.0.0.1");
        let attempt = reason(&http, "signed_in");
        assert!(attempt["login"] == ALICE, "{attempt}");
        http.post("/api/v1/session", &json!({"email": ALICE, "password": password})).expect(401);
        assert_eq!(reason(&http, "credential_not_here")["credential"], "Web shop");
        assert!(!server.log().iter().any(|line| line.to_string().contains(&password)));
    }

    fn a_revoked_credential_ends_on_open_connections_and_says_why_to_its_owner(engine) {
        let server = Posthouse::on(engine).start();
        server.create_account(ALICE);
        let http = alice(&server);
        let (id, password) = create(&http, &json!({"name": "Web shop"}));
        let (mut idle, mut busy) = (signed_in(&server, HERE, &password), signed_in(&server, HERE, &password));
        let mut owner = server.signed_in(ALICE);
        busy.submit(ALICE, &[TO], MESSAGE).expect("250 2.0.0");
        http.delete(&path(&id)).expect(204);
        busy.mail(ALICE).expect("421 4.7.0");
        busy.expect_closed();
        idle.command("NOOP").expect("421 4.7.0");
        owner.submit(ALICE, &[TO], MESSAGE).expect("250 2.0.0");
        server.smtp_from(HERE).auth_login(ALICE, &password).expect("535 5.7.8 Authentication failed");
        let attempt = reason(&http, "revoked_credential");
        assert_eq!(attempt["credential"], "Web shop");
        assert!(attempt["until"].is_string(), "{attempt}");
        http.delete(&path(&id)).expect(404);
    }

    fn a_message_under_way_when_its_credential_is_revoked_is_refused(engine) {
        let server = Posthouse::on(engine).start();
        server.create_account(ALICE);
        let http = alice(&server);
        let (id, password) = create(&http, &json!({"name": "Web shop"}));
        let mut smtp = signed_in(&server, HERE, &password);
        smtp.mail(ALICE).expect("250");
        smtp.rcpt(TO).expect("250");
        smtp.command("DATA").expect("354");
        http.delete(&path(&id)).expect(204);
        smtp.send(&crate::harness::smtp::stuffed(MESSAGE));
        smtp.reply().expect("421 4.7.0");
        assert_eq!(http.get("/api/v1/messages").expect(200).json()["items"], json!([]));
    }

    fn a_credential_is_bound_to_its_networks_also_when_they_change_under_an_open_connection(engine) {
        let server = Posthouse::on(engine).start();
        server.create_account(ALICE);
        let http = alice(&server);
        let (id, password) = create(&http, &json!({"name": "Web shop", "networks": ["127.0.0.0/24"]}));
        let mut open = signed_in(&server, HERE, &password);
        server.smtp_from(THERE).auth_plain(ALICE, &password).expect("535 5.7.8 Authentication failed");
        let attempt = reason(&http, "ip_not_allowed");
        assert_eq!((&attempt["credential"], &attempt["ip"]), (&json!("Web shop"), &json!("127.0.1.7")));
        http.request("PATCH", &path(&id), Some(&json!({"limits": {"networks": ["127.0.1.0/24"]}}))).expect(200);
        open.mail(ALICE).expect("421 4.7.0");
        signed_in(&server, THERE, &password).submit(ALICE, &[TO], MESSAGE).expect("250 2.0.0");
    }

    fn a_credential_ends_at_its_time(engine) {
        let server = Posthouse::on(engine).moving_clock().start();
        server.create_account(ALICE);
        let http = alice(&server);
        let until = store::Clock::system().now().plus(Duration::from_hours(48));
        let (_, password) = create(&http, &json!({"name": "Web shop", "expires_at": until.rfc3339()}));
        let mut open = signed_in(&server, HERE, &password);
        server.pass(Duration::from_hours(47));
        open.submit(ALICE, &[TO], MESSAGE).expect("250 2.0.0");
        server.pass(Duration::from_hours(2));
        open.mail(ALICE).expect("421 4.7.0");
        server.smtp_from(HERE).auth_plain(ALICE, &password).expect("535 5.7.8");
        reason(&http, "expired_credential");
        let past = json!({"name": "x", "expires_at": until.rfc3339()});
        alice(&server).post("/api/v1/smtp-credentials", &past).expect(422);
    }

    fn a_key_without_the_scope_to_send_lets_no_credential_send_more(engine) {
        let server = Posthouse::on(engine).start();
        server.create_account(ALICE);
        let http = alice(&server);
        let (id, password) = create(&http, &json!({"name": "Web shop", "networks": ["192.0.2.1/32"]}));
        let key = key(&server, &http, &json!({"name": "k", "scopes": ["credentials"]}));
        let path = format!("/api/v1/smtp-credentials/{id}");
        let free = json!({"limits": {"networks": []}});
        key.request("PATCH", &path, Some(&free)).expect(403);
        server.smtp_from(HERE).auth_plain(ALICE, &password).expect("535 5.7.8");
        key.request("PATCH", &path, Some(&json!({"name": "Shop"}))).expect(200);
        http.request("PATCH", &path, Some(&free)).expect(200);
        signed_in(&server, HERE, &password);
    }

    fn a_key_is_bound_to_its_stream_from_its_first_moment(engine) {
        let server = Posthouse::on(engine).start();
        server.create_account(ALICE);
        let http = alice(&server);
        for n in 0..5 {
            let bound = json!({"name": format!("k{n}"), "scopes": ["credentials", "send"], "stream": "transactional"});
            let key = key(&server, &http, &bound);
            key.post("/api/v1/keys", &json!({"name": "m", "scopes": ["send"]})).expect(403);
        }
    }

    fn recipients_beyond_the_rate_wait_and_nothing_is_lost(engine) {
        let server = Posthouse::on(engine).moving_clock().start();
        server.create_account(ALICE);
        let http = alice(&server);
        let (_, password) = create(&http, &json!({"name": "Web shop", "rate": 3}));
        let mut smtp = signed_in(&server, HERE, &password);
        smtp.submit(ALICE, &[TO], MESSAGE).expect("250 2.0.0");
        server.pass(Duration::from_mins(30));
        smtp.mail(ALICE).expect("250");
        for n in 0..2 {
            smtp.rcpt(&format!("r{n}@sink.example")).expect("250");
        }
        let limit = "451 4.7.1 The hourly limit of this credential is reached, try again in 30 minutes";
        smtp.rcpt("r2@sink.example").expect(limit);
        smtp.data(MESSAGE).expect("250 2.0.0");
        // Another connection, and the same server started again, count on.
        let mut server = server;
        server.stop();
        server.start_again();
        let mut other = signed_in(&server, HERE, &password);
        other.mail(ALICE).expect("250");
        other.rcpt(TO).expect("451 4.7.1");
        server.signed_in(ALICE).submit(ALICE, &[TO], MESSAGE).expect("250 2.0.0");
        server.pass(Duration::from_mins(31));
        signed_in(&server, HERE, &password).submit(ALICE, &[TO], MESSAGE).expect("250 2.0.0");
    }

    fn a_test_credential_reaches_nobody_and_costs_nothing(engine) {
        let sink = Sink::start();
        let server = Posthouse::on(engine).route_to(&sink).start();
        server.create_account(ALICE);
        let http = alice(&server);
        let credits = || http.get("/api/v1/account").expect(200).json()["credits"].clone();
        let before = credits();
        let (_, password) = create(&http, &json!({"name": "Tests", "sandbox": true}));
        let mut smtp = signed_in(&server, HERE, &password);
        smtp.command(&format!("MAIL FROM:<{ALICE}> RET=FULL")).expect("250");
        smtp.command("RCPT TO:<one@elsewhere.example> NOTIFY=SUCCESS,FAILURE").expect("250");
        smtp.command("RCPT TO:<two@elsewhere.example>").expect("250");
        smtp.data(MESSAGE).expect("250 2.0.0");
        let message = only_message(&http);
        assert_eq!(message["origin"]["credential"]["sandbox"], true);
        assert_eq!(message["states"], json!({"delivered": 2}));
        assert_eq!(message["recipients"][0]["attempts"][0]["host"], "inbox");
        let inbox = http.get("/api/v1/inbox").expect(200).json();
        let mut to: Vec<&str> = inbox["items"].as_array().unwrap().iter().map(|one| one["to"].as_str().unwrap()).collect();
        to.sort_unstable();
        assert_eq!(to, ["one@elsewhere.example", "two@elsewhere.example"]);
        assert_eq!(credits(), before);
        // What goes out after it shows that nothing went before.
        server.signed_in(ALICE).submit(ALICE, &[TO], MESSAGE).expect("250 2.0.0");
        let arrived = sink.wait_for(1);
        assert_eq!(arrived.len(), 1);
        assert!(!sink.commands().iter().any(|line| line.contains("elsewhere.example")));
        assert_eq!(http.get("/api/v1/messages").expect(200).json()["items"].as_array().unwrap().len(), 2, "no report");
    }

    fn the_switch_keeps_the_login_password_off_smtp_and_leaves_the_console(engine) {
        let server = Posthouse::on(engine).start();
        server.create_account(ALICE);
        let http = alice(&server);
        let (_, password) = create(&http, &json!({"name": "Web shop"}));
        let mut open = server.signed_in(ALICE);
        let put = |allowed: bool| {
            http.request("PUT", "/api/v1/smtp-passwords", Some(&json!({"allowed": allowed}))).expect(200);
        };
        put(false);
        open.mail(ALICE).expect("421 4.7.0");
        server.smtp_from(HERE).auth_plain(ALICE, PASSWORD).expect("535 5.7.8 Authentication failed");
        reason(&http, "password_switched_off");
        signed_in(&server, HERE, &password).submit(ALICE, &[TO], MESSAGE).expect("250 2.0.0");
        alice(&server);
        let listed = http.get("/api/v1/smtp-passwords").expect(200).json();
        assert_eq!(listed["items"], json!([{"username": ALICE, "allowed": false}]));
        put(true);
        server.signed_in(ALICE);
    }

    fn another_account_sees_and_changes_none_of_it(engine) {
        let server = Posthouse::on(engine).start();
        server.create_account(ALICE);
        server.create_account("bob@example.com");
        let (id, password) = create(&alice(&server), &json!({"name": "Web shop"}));
        let mut bob = server.http();
        bob.sign_in("bob@example.com", PASSWORD);
        assert_eq!(bob.get("/api/v1/smtp-credentials").expect(200).json()["items"], json!([]));
        bob.delete(&path(&id)).expect(404);
        bob.request("PATCH", &path(&id), Some(&json!({"name": "mine"}))).expect(404);
        bob.post("/api/v1/smtp-credentials", &json!({"name": "x", "username": ALICE})).expect(422);
        bob.request("PUT", "/api/v1/smtp-passwords", Some(&json!({"username": ALICE, "allowed": false}))).expect(422);
        signed_in(&server, HERE, &password);
        let send_only = alice(&server).post("/api/v1/keys", &json!({"name": "k", "scopes": ["send"]})).expect(201).json();
        let mut key = server.http();
        key.bearer = send_only["key"].as_str().map(str::to_owned);
        key.get("/api/v1/smtp-credentials").expect(403);
        key.post("/api/v1/smtp-credentials", &json!({"name": "x"})).expect(403);
    }

    fn a_key_that_does_not_send_mints_no_password_that_does(engine) {
        let server = Posthouse::on(engine).start();
        server.create_account(ALICE);
        for (scopes, status) in [(&["credentials"][..], 403), (&["account"], 403), (&["credentials", "send"], 201)] {
            let made = alice(&server).post("/api/v1/keys", &json!({"name": "k", "scopes": scopes})).expect(201).json();
            let mut key = server.http();
            key.bearer = made["key"].as_str().map(str::to_owned);
            key.get("/api/v1/smtp-credentials").expect(200);
            key.post("/api/v1/smtp-credentials", &json!({"name": "x"})).expect(status);
        }
    }

    fn commands_make_list_and_revoke_credentials_beside_the_server(engine) {
        let server = Posthouse::on(engine).start();
        server.create_account(ALICE);
        let made = server.cli(&["credential", "create", "--smtp", "--account", ALICE, "--name", "Printer", "--ip", "127.0.0.0/8", "--rate", "50", "--days", "30"], "");
        let password = made.lines().find_map(|line| line.strip_prefix("password: ")).unwrap().to_owned();
        let mut open = signed_in(&server, HERE, &password);
        let listed = server.cli(&["credential", "list", "--account", ALICE], "");
        assert!(listed.contains("Printer") && listed.contains("127.0.0.0/8, 50 an hour, until") && !listed.contains(&password), "{listed}");
        let id = listed.lines().nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
        server.cli(&["credential", "revoke", &id, "--account", ALICE], "");
        open.command("NOOP").expect("421 4.7.0");
        let doctor = server.try_cli(&["credential", "create", "--smtp", "--account", ALICE], "");
        assert!(!doctor.status.success(), "a name is needed");
    }
}

#[test]
fn two_processes_on_one_postgresql_see_a_revocation_and_share_the_rate() {
    if !postgres_is_here("two processes see a revocation") {
        return;
    }
    let server = Posthouse::on(Engine::Postgres).start();
    server.create_account(ALICE);
    let second = server.second();
    let http = alice(&server);
    let (id, password) = create(&http, &json!({"name": "Web shop", "rate": 2}));
    let mut open = signed_in(&second, HERE, &password);
    open.submit(ALICE, &[TO], MESSAGE).expect("250 2.0.0");
    let mut first = signed_in(&server, HERE, &password);
    first.submit(ALICE, &[TO], MESSAGE).expect("250 2.0.0");
    open.mail(ALICE).expect("250");
    open.rcpt(TO).expect("451 4.7.1");
    open.command("RSET").expect("250");
    http.delete(&path(&id)).expect(204);
    open.mail(ALICE).expect("421 4.7.0");
    second
        .smtp_from(HERE)
        .auth_plain(ALICE, &password)
        .expect("535 5.7.8");
}
