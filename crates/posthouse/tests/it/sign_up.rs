//! From a form to the first mail and back in after the password is forgotten, with every link taken from its mail.

use serde_json::{Value, json};

use crate::both_engines;
use crate::harness::engine::{Database, postgres_is_here};
use crate::harness::http::{Answer, Http};
use crate::harness::wait::eventually;
use crate::harness::{Act, Engine, PASSWORD, Posthouse, Sink, Verb};
use crate::peers::clients::{Client, Login, Security};

const ALICE: &str = "alice@example.org";
const NEW: &str = "eleven-saddles-by-dusk-42";
const MESSAGE: &[u8] = b"From: <alice@example.org>\r\nSubject: to myself\r\n\r\nhello\r\n";

/// A server where accounts open as `mode` says, with an operator, and the operator's client.
fn server(engine: Engine, mode: &str) -> (Posthouse, Http) {
    let server = Posthouse::on(engine)
        .set("accounts.signup", &format!("{mode:?}"))
        .start();
    let ops = operator(&server);
    (server, ops)
}

fn operator(server: &Posthouse) -> Http {
    let create = [
        "account",
        "create",
        "ops@example.com",
        "--operator",
        "--password-stdin",
    ];
    server.cli(&create, PASSWORD);
    let mut http = server.http();
    http.sign_in("ops@example.com", PASSWORD);
    http
}

fn form(email: &str) -> Value {
    json!({"email": email, "password": PASSWORD, "country": "FR", "time_zone": "Europe/Paris", "language": "en"})
}

/// Kept mails to `to` whose subject holds `subject`, newest first.
pub fn inbox(ops: &Http, to: &str, subject: &str) -> Vec<Value> {
    let all = ops
        .get(&format!("/api/v1/inbox?limit=200&q={to}"))
        .expect(200)
        .json();
    let mut items = all["items"].as_array().unwrap().clone();
    items.retain(|mail| mail["to"] == to && mail["subject"].as_str().unwrap().contains(subject));
    items
}

/// The text of the only kept mail to `to` about `subject`, once it is there.
#[track_caller]
pub fn mail(ops: &Http, to: &str, subject: &str) -> String {
    let mails = eventually("the mail arrives", || {
        let mails = inbox(ops, to, subject);
        (!mails.is_empty()).then_some(mails)
    });
    assert_eq!(mails.len(), 1, "{mails:?}");
    let id = mails[0]["id"].as_str().unwrap();
    let source = ops.get(&format!("/api/v1/inbox/{id}/source")).expect(200).text;
    assert!(
        source.contains("\r\nAuto-Submitted: auto-generated\r\n"),
        "{source}"
    );
    let content = ops.get(&format!("/api/v1/inbox/{id}/content")).expect(200).json();
    content["text"].as_str().unwrap().to_owned()
}

/// The one link of a mail, without the server.
#[track_caller]
fn url(text: &str) -> String {
    let line = text
        .lines()
        .find(|line| line.starts_with("http://"))
        .expect("a link");
    let path = line.splitn(4, '/').nth(3).unwrap();
    format!("/{}", path.trim())
}

/// The one link of a mail: its path, and the token behind it.
#[track_caller]
pub fn link(text: &str) -> (String, String) {
    let url = url(text);
    let (path, token) = url.split_once('=').expect("a token");
    (path.to_owned(), token.to_owned())
}

/// What `path` holds is a link: the operator's session reads it, no key of the operator does, and `list` names none.
#[track_caller]
fn unread_by_keys(server: &Posthouse, ops: &Http, path: &str, list: &str) {
    for scopes in [json!(["messages"]), json!(["messages", "operator"])] {
        let key = json!({"name": "reader", "scopes": scopes});
        let mut program = server.http();
        program.bearer = ops.post("/api/v1/keys", &key).expect(201).json()["key"]
            .as_str()
            .map(str::to_owned);
        for part in ["content", "source", "html"] {
            program.get(&format!("{path}/{part}")).expect(404);
        }
        let listed = program.get(list).expect(200).text;
        assert!(listed.contains(ALICE) && !listed.contains("token"), "{listed}");
    }
    for part in ["content", "source", "html"] {
        let read = ops.get(&format!("{path}/{part}")).expect(200).text;
        assert!(
            part == "content" || read.contains("/password/reset?token"),
            "{read}"
        );
    }
}

/// Signs somebody up and takes the token from the mail.
fn asked(server: &Posthouse, ops: &Http, email: &str) -> String {
    server.http().post("/api/v1/sign-up", &form(email)).expect(202);
    let (path, token) = link(&mail(ops, email, "Confirm"));
    assert_eq!(path, "/sign-up/confirm?token");
    token
}

fn opened(server: &Posthouse, ops: &Http, email: &str) -> Http {
    let token = asked(server, ops, email);
    let mut http = server.http();
    let made = http
        .post(
            "/api/v1/sign-up/confirm",
            &json!({"token": token, "password": PASSWORD}),
        )
        .expect(201);
    http.keep_cookie(&made);
    http
}

fn problem(answer: &Answer) -> String {
    answer.json()["type"].as_str().unwrap().to_owned()
}

both_engines! {
    fn from_the_form_to_the_first_mail_and_back_in_without_the_password(engine) {
        let (server, ops) = server(engine, "open");
        let mut http = server.http();
        assert_eq!(http.get("/api/v1/sign-up").expect(200).json(), json!({"mode": "open", "free_credits": 500}));
        let token = asked(&server, &ops, ALICE);

        // Until the address is confirmed there is nobody to sign in, which only the operator is told.
        let doctor = server.try_cli(&["doctor", "auth", ALICE], "");
        let said = String::from_utf8(doctor.stdout).unwrap();
        assert!(said.contains("not confirmed yet"), "{said}");
        let mut smtp = server.smtps();
        smtp.ehlo().expect("250");
        smtp.auth_plain(ALICE, PASSWORD).expect("535 5.7.8");
        http.post("/api/v1/session", &json!({"email": ALICE, "password": PASSWORD})).expect(401);
        let wrong = http.post("/api/v1/sign-up/confirm", &json!({"token": token, "password": NEW})).expect(422);
        assert_eq!(wrong.json()["errors"][0]["field"], "password");
        let confirmation = json!({"token": token, "password": PASSWORD});
        let made = http.post("/api/v1/sign-up/confirm", &confirmation).expect(201);
        assert_eq!(problem(&http.post("/api/v1/sign-up/confirm", &confirmation).expect(410)), "/problems/link-gone");
        http.keep_cookie(&made);
        let account = http.get("/api/v1/account").expect(200).json();
        assert_eq!((&account["credits"], &account["sandbox"]), (&json!(500), &json!(true)));
        assert_eq!((&account["country"], &account["time_zone"]), (&json!("FR"), &json!("Europe/Paris")));

        // Address and password are the SMTP username and password; the sandbox lets mail to oneself through.
        let login = Login {
            server: server.address("submission"),
            security: Security::Starttls,
            mechanism: "plain",
            user: ALICE,
            password: PASSWORD,
        };
        Client::Swaks.send(&login, ALICE, &[ALICE], MESSAGE).unwrap();
        let elsewhere = Client::Swaks.send(&login, ALICE, &["zoe@example.net"], MESSAGE).unwrap_err();
        assert!(elsewhere.contains("550 5.7.1") && elsewhere.contains("sandbox"), "{elsewhere}");
        eventually("the mail to oneself arrives", || (!inbox(&ops, ALICE, "to myself").is_empty()).then_some(()));

        let mut open = server.signed_in(ALICE);
        http.post("/api/v1/password/forgot", &json!({"email": ALICE})).expect(202);
        let (path, token) = link(&mail(&ops, ALICE, "Choose a new password"));
        assert_eq!(path, "/password/reset?token");
        let fresh = server.http();
        fresh.post("/api/v1/password/reset", &json!({"token": token, "password": "password123"})).expect(422);
        fresh.post("/api/v1/password/reset", &json!({"token": token, "password": NEW})).expect(204);
        fresh.post("/api/v1/password/reset", &json!({"token": token, "password": PASSWORD})).expect(410);
        open.mail(ALICE).expect("421 4.7.0");
        open.expect_closed();
        http.get("/api/v1/session").expect(401);
        let mut again = server.smtps();
        again.ehlo().expect("250");
        again.auth_plain(ALICE, PASSWORD).expect("535 5.7.8");
        again.auth_plain(ALICE, NEW).expect("235 2.7.0");
        let told = mail(&ops, ALICE, "password on mail.example.com was changed");
        assert!(told.contains("127.0.0.1") && told.contains("a link that had been sent"), "{told}");
    }

    fn the_sandbox_keeps_no_recipient_out_that_it_lets_in_alone(engine) {
        let (server, ops) = server(engine, "open");
        let http = opened(&server, &ops, ALICE);
        let mut smtp = server.signed_in(ALICE);
        smtp.mail(ALICE).expect("250");
        smtp.rcpt("zoe@example.net").expect("550 5.7.1");
        smtp.rcpt("ALICE@example.org").expect("250");
        smtp.rcpt("bob@example.org").expect("550 5.7.1");
        smtp.data(MESSAGE).expect("250");
        let message = |to: &str| json!({"from": ALICE, "to": [to], "subject": "s", "text": "t"});
        assert_eq!(problem(&http.post("/api/v1/messages", &message("zoe@example.net")).expect(403)), "/problems/sandbox");
        http.post("/api/v1/messages", &message(ALICE)).expect(202);
        let account = http.get("/api/v1/account").expect(200).json();
        assert_eq!(account["credits"], 498);
        server.cli(&["domain", "add", "alice.example", "--account", ALICE], "");
        http.post("/api/v1/messages", &message("zoe@example.net")).expect(202);
        smtp.mail(ALICE).expect("250");
        smtp.rcpt("zoe@example.net").expect("250");
    }

    fn nobody_learns_whether_an_address_has_an_account(engine) {
        let (server, ops) = server(engine, "open");
        server.create_account(ALICE);
        let http = server.http();
        let forgotten = |email: &str| json!({"email": email});
        for (path, asking) in [("/api/v1/sign-up", form as fn(&str) -> Value), ("/api/v1/password/forgot", forgotten)] {
            let ask = |email: &str| {
                let answer = http.post(path, &asking(email)).expect(202);
                let mut headers = answer.headers;
                // How much who asks may still ask tells nothing of whom is asked about.
                headers.retain(|(name, _)| name != "date" && name != "content-length" && !name.starts_with("ratelimit"));
                (answer.text.replace(email, "EMAIL"), headers)
            };
            assert_eq!(ask(ALICE), ask("nobody@example.org"));
        }
        assert!(mail(&ops, ALICE, "already").contains("was not told"));
        mail(&ops, ALICE, "Choose a new password");
        assert_eq!(inbox(&ops, ALICE, "already")[0]["from"], "postmaster@mail.example.com");
        assert!(inbox(&ops, "nobody@example.org", "Choose a new password").is_empty());
    }

    fn nothing_that_is_given_becomes_a_header_or_a_second_recipient(engine) {
        let (server, ops) = server(engine, "open");
        let http = server.http();
        let evil = "x\r\nBcc: eve@example.com";
        for field in ["email", "country", "time_zone", "language"] {
            let mut given = form(ALICE);
            given[field] = format!("{}{evil}", given[field].as_str().unwrap()).into();
            let status = http.post("/api/v1/sign-up", &given).status;
            assert!([400, 422].contains(&status), "{field}: {status}");
        }
        let list = json!({"email": "alice@example.org, eve@example.com"});
        http.post("/api/v1/password/forgot", &list).expect(422);
        http.post("/api/v1/password/forgot", &json!({"email": format!("{ALICE}\r\nBcc: eve@example.com")})).expect(422);
        ops.post("/api/v1/invitations", &json!({"email": "bob@example.org\r\nBcc: eve@example.com"})).expect(422);
        opened(&server, &ops, ALICE);
        assert!(inbox(&ops, "eve@example.com", "").is_empty());
    }

    fn an_invitation_opens_an_account_where_nobody_else_can(engine) {
        let (server, ops) = server(engine, "invite");
        let mut http = server.http();
        assert_eq!(http.get("/api/v1/sign-up").expect(200).json()["mode"], "invite");
        http.post("/api/v1/sign-up", &form(ALICE)).expect(403);
        http.post("/api/v1/invitations", &json!({"email": ALICE})).expect(401);
        server.cli(&["account", "invite", ALICE, "--language", "fr"], "");
        let (path, token) = link(&mail(&ops, ALICE, "Vous êtes invité"));
        assert_eq!(path, "/sign-up?invitation");
        let with = |email: &str| {
            let mut form = form(email);
            form["invitation"] = token.as_str().into();
            form
        };
        http.post("/api/v1/sign-up", &with("eve@example.com")).expect(422);
        let made = http.post("/api/v1/sign-up", &with(ALICE)).expect(201);
        http.keep_cookie(&made);
        assert_eq!(http.get("/api/v1/session").expect(200).json()["account"]["sandbox"], true);
        http.post("/api/v1/sign-up", &with(ALICE)).expect(410);
        http.post("/api/v1/invitations", &json!({"email": "bob@example.org"})).expect(403);
        ops.post("/api/v1/invitations", &json!({"email": ALICE})).expect(409);
        ops.post("/api/v1/invitations", &json!({"email": "bob@example.org"})).expect(202);
        mail(&ops, "bob@example.org", "You are invited");
    }

    fn where_sign_up_is_closed_nobody_opens_an_account(engine) {
        let (server, ops) = server(engine, "closed");
        let http = server.http();
        http.post("/api/v1/sign-up", &form(ALICE)).expect(403);
        ops.post("/api/v1/invitations", &json!({"email": ALICE})).expect(409);
        let refused = server.try_cli(&["account", "invite", ALICE], "");
        assert!(!refused.status.success());
        assert!(String::from_utf8_lossy(&refused.stderr).contains("accounts.signup"));
    }

    fn a_weak_password_hears_why_in_the_language_of_the_page(engine) {
        let (server, _) = server(engine, "open");
        let fields = [("email", ALICE), ("password", "password1234"), ("country", "FR"), ("time_zone", "Europe/Paris")];
        for (page, why) in [
            ("/en/sign-up", "Many people have this password. Add another word or two"),
            ("/fr/sign-up", "Beaucoup de gens ont ce mot de passe. Ajoutez un mot ou deux"),
        ] {
            let said = server.http().submit(page, &fields).expect(422).text;
            assert!(said.contains(why), "{said}");
        }
    }

    fn the_owner_is_told_of_every_change_of_the_password(engine) {
        let (server, ops) = server(engine, "closed");
        let http = server.owner(ALICE);
        http.post("/api/v1/account/password", &json!({"current": PASSWORD, "new": NEW})).expect(204);
        http.get("/api/v1/session").expect(200);
        let told = mail(&ops, ALICE, "was changed");
        assert!(told.contains("signed in and knew the old one") && told.contains("/password/forgot"), "{told}");
        ops.delete("/api/v1/inbox").expect(204);
        server.cli(&["account", "password", ALICE, "--password-stdin"], PASSWORD);
        let told = mail(&ops, ALICE, "was changed");
        assert!(told.contains("Somebody who runs mail.example.com"), "{told}");
    }

    fn no_key_reads_a_link_in_mail_of_our_own(engine) {
        let sink = Sink::start();
        sink.always(Verb::Rcpt, ALICE, Act::reply("450 4.2.1 later"));
        let server = Posthouse::on(engine).route_to(&sink).start();
        let ops = operator(&server);
        server.create_account(ALICE);
        server.http().post("/api/v1/password/forgot", &json!({"email": ALICE})).expect(202);
        let path = eventually("the link waits", || {
            let list = ops.get("/api/v1/messages").expect(200).json();
            list["items"][0]["id"].as_str().map(|id| format!("/api/v1/messages/{id}"))
        });
        unread_by_keys(&server, &ops, &path, "/api/v1/messages");
    }

    fn no_key_reads_a_link_in_the_inbox(engine) {
        let server = Posthouse::on(engine).start();
        let ops = operator(&server);
        server.create_account(ALICE);
        server.http().post("/api/v1/password/forgot", &json!({"email": ALICE})).expect(202);
        let path = eventually("the link is kept", || {
            let mails = inbox(&ops, ALICE, "Choose a new password");
            mails.first().map(|mail| format!("/api/v1/inbox/{}", mail["id"].as_str().unwrap()))
        });
        unread_by_keys(&server, &ops, &path, "/api/v1/inbox");
    }

    fn a_reset_by_link_ends_a_lockout_at_once(engine) {
        let (server, ops) = server(engine, "closed");
        server.create_account(ALICE);
        let http = server.http();
        let tries = |password: &str| http.post("/api/v1/session", &json!({"email": ALICE, "password": password}));
        for n in 0..10 {
            tries(&format!("guess {n}")).expect(401);
        }
        tries(PASSWORD).expect(429);
        http.post("/api/v1/password/forgot", &json!({"email": ALICE})).expect(202);
        let (_, token) = link(&mail(&ops, ALICE, "Choose a new password"));
        http.post("/api/v1/password/reset", &json!({"token": token, "password": NEW})).expect(204);
        tries(NEW).expect(200);
        let mut smtp = server.smtps();
        smtp.ehlo().expect("250");
        smtp.auth_plain(ALICE, NEW).expect("235 2.7.0");
    }

    fn a_sign_up_that_waits_cannot_be_confirmed_once_sign_up_is_closed(engine) {
        let (mut server, ops) = server(engine, "open");
        let token = asked(&server, &ops, ALICE);
        for (mode, heading) in [("closed", "Accounts are not opened here"), ("invite", "By invitation")] {
            server.stop();
            server.start_again_with("accounts.signup", &format!("{mode:?}"));
            let http = server.http();
            let page = http.get(&format!("/sign-up/confirm?token={token}")).expect(200).text;
            assert!(page.contains(heading) && !page.contains("<form"), "{page}");
            http.submit("/sign-up/confirm", &[("token", &token), ("password", PASSWORD)]).expect(403);
            http.post("/api/v1/sign-up/confirm", &json!({"token": token, "password": PASSWORD})).expect(403);
        }
        server.stop();
        server.start_again_with("accounts.signup", "\"open\"");
        server.http().post("/api/v1/sign-up/confirm", &json!({"token": token, "password": PASSWORD})).expect(201);
    }

    fn every_link_in_mail_of_our_own_leads_to_a_page(engine) {
        let (server, ops) = server(engine, "open");
        let http = server.http();
        server.create_account("bob@example.org");
        http.post("/api/v1/sign-up", &form(ALICE)).expect(202);
        http.post("/api/v1/sign-up", &form("bob@example.org")).expect(202);
        http.post("/api/v1/password/forgot", &json!({"email": "bob@example.org"})).expect(202);
        ops.post("/api/v1/invitations", &json!({"email": "zoe@example.org"})).expect(202);
        server.cli(&["account", "password", "bob@example.org", "--password-stdin"], NEW);
        for (to, subject, expected) in [
            (ALICE, "Confirm", "/sign-up/confirm?token="),
            ("bob@example.org", "already", "/login"),
            ("bob@example.org", "Choose a new password", "/password/reset?token="),
            ("zoe@example.org", "You are invited", "/sign-up?invitation="),
            ("bob@example.org", "was changed", "/password/forgot"),
        ] {
            let url = url(&mail(&ops, to, subject));
            assert!(url.starts_with(expected), "{url}");
            let page = http.get(&url).expect(200).text;
            assert!(page.contains("<form"), "{url}: {page}");
        }
    }

    fn a_new_account_takes_the_place_of_whatever_session_the_browser_had(engine) {
        let (server, ops) = server(engine, "open");
        server.create_account("bob@example.org");
        let token = asked(&server, &ops, ALICE);
        let mut http = server.http();
        http.sign_in("bob@example.org", PASSWORD);
        let mut planted = server.http();
        planted.cookie.clone_from(&http.cookie);
        http.post("/api/v1/sign-up/confirm", &json!({"token": token, "password": PASSWORD})).expect(201);
        planted.get("/api/v1/session").expect(401);
    }

    fn what_our_own_mail_says_is_not_kept(engine) {
        let sink = Sink::start();
        let server = Posthouse::on(engine).set("accounts.signup", "\"open\"").route_to(&sink).start();
        let ops = operator(&server);
        server.http().post("/api/v1/sign-up", &form(ALICE)).expect(202);
        let arrived = sink.wait_for(1);
        assert_eq!((arrived[0].from.as_str(), arrived[0].recipients.as_slice()), ("", [ALICE.to_owned()].as_slice()));
        let list = eventually("the operator sees the mail as delivered", || {
            let list = ops.get("/api/v1/messages").expect(200).json();
            (list["items"][0]["states"]["delivered"] == 1 || list["items"][0].to_string().contains("delivered")).then_some(list)
        });
        let id = list["items"][0]["id"].as_str().unwrap();
        ops.get(&format!("/api/v1/messages/{id}/source")).expect(404);
    }
}

#[test]
fn one_network_cannot_ask_for_ever() {
    let (server, _) = server(Engine::Sqlite, "open");
    let http = server.http();
    for n in 0..20 {
        let email = json!({"email": format!("a{n}@example.org")});
        http.post("/api/v1/password/forgot", &email).expect(202);
    }
    let refused = http
        .post("/api/v1/password/forgot", &json!({"email": ALICE}))
        .expect(429);
    assert_eq!(problem(&refused), "/problems/too-often");
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() <= 3_600);
}

#[test]
fn a_password_changed_at_one_node_counts_at_the_other_at_once() {
    if !postgres_is_here("a_password_changed_at_one_node_counts_at_the_other_at_once") {
        return;
    }
    let database = Database::create();
    let node = || {
        Posthouse::on(Engine::Sqlite)
            .database_url(&database.url())
            .start()
    };
    let (here, there) = (node(), node());
    here.create_account(ALICE);
    let mut http = here.http();
    http.sign_in(ALICE, PASSWORD);
    let (mut idle, mut under_way) = (there.signed_in(ALICE), there.signed_in(ALICE));
    under_way.mail(ALICE).expect("250");
    under_way.rcpt("bob@example.net").expect("250");

    http.post(
        "/api/v1/account/password",
        &json!({"current": PASSWORD, "new": NEW}),
    )
    .expect(204);

    idle.mail(ALICE).expect("421 4.7.0");
    idle.expect_closed();
    let reply = under_way.command("DATA");
    if reply.code() == 354 {
        under_way.send(&crate::harness::smtp::stuffed(MESSAGE));
        under_way.reply().expect("421 4.7.0");
    } else {
        reply.expect("421 4.7.0");
    }
    let mut again = there.smtps();
    again.ehlo().expect("250");
    again.auth_plain(ALICE, PASSWORD).expect("535 5.7.8");
    again.auth_plain(ALICE, NEW).expect("235 2.7.0");
    // The web session that made the change goes on, at either node.
    let mut elsewhere = there.http();
    elsewhere.cookie.clone_from(&http.cookie);
    elsewhere.get("/api/v1/session").expect(200);
}

/// Sends a form as a browser without JavaScript does.
fn submit(server: &Posthouse, path: &str, fields: &[(&str, &str)]) -> Answer {
    server.http().submit(path, fields)
}

#[test]
fn every_step_works_without_javascript_and_a_link_that_is_only_looked_at_changes_nothing() {
    let (server, ops) = server(Engine::Sqlite, "open");
    let http = server.http();
    let page = http.get("/sign-up").expect(200).text;
    assert!(page.contains("name=\"country\"") && page.contains("Europe/Paris"));
    assert_eq!(
        page.matches("<script").count(),
        page.matches("<script src=\"/site/strength-").count()
    );
    let good = submit(
        &server,
        "/password/strength",
        &[("password", PASSWORD), ("email", ALICE)],
    )
    .expect(200)
    .text;
    assert!(
        good.contains("data-good=\"yes\"") && good.contains("good password"),
        "{good}"
    );
    let bad = submit(
        &server,
        "/fr/password/strength",
        &[("password", "password123"), ("email", ALICE)],
    )
    .expect(200)
    .text;
    assert!(
        bad.contains("data-good=\"no\"") && bad.contains("Beaucoup de gens ont ce mot de passe."),
        "{bad}"
    );
    let fields = [
        ("email", ALICE),
        ("password", PASSWORD),
        ("country", "FR"),
        ("time_zone", "Europe/Paris"),
    ];
    let weak = [fields[0], ("password", "password123"), fields[2], fields[3]];
    let again = submit(&server, "/fr/sign-up", &weak).expect(422).text;
    assert!(again.contains("n’est pas assez bon") && again.contains(ALICE) && !again.contains("password123"));
    let sent = submit(&server, "/sign-up", &fields).expect(200).text;
    assert!(sent.contains("Look into your mailbox"), "{sent}");

    let (path, token) = link(&mail(&ops, ALICE, "Confirm"));
    let url = format!("{path}={token}");
    for _ in 0..2 {
        let page = http.get(&url).expect(200).text;
        assert!(
            page.contains(&token) && page.contains("method=\"post\""),
            "{page}"
        );
    }
    submit(
        &server,
        "/sign-up/confirm",
        &[("token", &token), ("password", NEW)],
    )
    .expect(422);
    let entered = submit(
        &server,
        "/sign-up/confirm",
        &[("token", &token), ("password", PASSWORD)],
    )
    .expect(303);
    assert_eq!(entered.header("location"), Some("/app/"));
    assert!(entered.header("set-cookie").unwrap().contains("HttpOnly"));

    let sent = submit(&server, "/password/forgot", &[("email", ALICE)]).expect(200);
    let unknown = submit(&server, "/password/forgot", &[("email", "nobody@example.org")]).expect(200);
    assert_eq!(sent.text, unknown.text);
    let (path, token) = link(&mail(&ops, ALICE, "Choose a new password"));
    http.get(&format!("{path}={token}")).expect(200);
    submit(
        &server,
        "/password/reset",
        &[("token", &token), ("password", NEW)],
    )
    .expect(303);
    let gone = submit(
        &server,
        "/password/reset",
        &[("token", &token), ("password", PASSWORD)],
    )
    .expect(410);
    assert!(gone.text.contains("used up or too old"), "{}", gone.text);
    server.http().sign_in(ALICE, NEW);
}

#[test]
fn a_page_says_when_accounts_are_not_opened() {
    let (closed, _) = server(Engine::Sqlite, "closed");
    let page = closed.http().get("/sign-up").expect(200).text;
    assert!(
        page.contains("not opened here") && !page.contains("<form"),
        "{page}"
    );
    assert!(!closed.http().get("/login").expect(200).text.contains("/sign-up"));
    submit(
        &closed,
        "/sign-up",
        &[
            ("email", ALICE),
            ("password", PASSWORD),
            ("country", "FR"),
            ("time_zone", "UTC"),
        ],
    )
    .expect(403);
}
