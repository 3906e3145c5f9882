//! Two-step sign-in: setting it up, the code behind the password, what half a session cannot do, and getting out again.

use std::time::Duration;

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use super::users::{gives, joins};
use super::{faults, with_key};
use crate::both_engines;
use crate::harness::http::{Answer, Http};
use crate::harness::{Engine, PASSWORD, Posthouse, eventually};

const ALICE: &str = "alice@example.com";
const OPS: &str = "ops@example.com";
const NOBODY: &str = "01a20a5d-c849-71b5-8b3c-790d5a50fb8c";
const STEP: Duration = Duration::from_secs(30);

fn server(engine: Engine) -> Posthouse {
    let server = Posthouse::on(engine).moving_clock().start();
    server.cli(
        &["account", "create", OPS, "--operator", "--password-stdin"],
        PASSWORD,
    );
    server.create_account(ALICE);
    server
}

/// An app with the key that was scanned.
struct App(Vec<u8>);

impl App {
    fn scan(secret: &str) -> Self {
        let (mut octets, mut bits, mut held) = (Vec::new(), 0u32, 0);
        for sign in secret.bytes() {
            let value = match sign {
                b'A'..=b'Z' => sign - b'A',
                _ => sign - b'2' + 26,
            };
            bits = bits << 5 | u32::from(value);
            held += 5;
            if held >= 8 {
                held -= 8;
                octets.push((bits >> held) as u8);
                bits &= (1 << held) - 1;
            }
        }
        Self(octets)
    }

    /// What it shows while the server's clock says what it says.
    fn shows(&self, server: &Posthouse) -> String {
        let step = server.now().as_micros() / 30_000_000;
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let at = usize::from(tag.as_ref()[19] & 15);
        let number = u32::from_be_bytes(tag.as_ref()[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
        format!("{:06}", number % 1_000_000)
    }

    /// What it shows next.
    fn next(&self, server: &Posthouse) -> String {
        server.pass(STEP);
        self.shows(server)
    }
}

fn signed_in(server: &Posthouse, email: &str) -> Http {
    let mut http = server.http();
    http.sign_in(email, PASSWORD);
    http
}

/// Switches it on for whoever is signed in; the app and the recovery codes.
fn switch_on(server: &Posthouse, http: &Http) -> (App, Vec<String>) {
    let begun = http
        .post("/api/v1/account/second-step/app", &json!({}))
        .expect(200)
        .json();
    let app = App::scan(begun["secret"].as_str().unwrap());
    let confirmed = confirm_app(http, &app.shows(server)).expect(200).json();
    (app, codes_of(&confirmed))
}

fn codes_of(answer: &Value) -> Vec<String> {
    let codes = answer["recovery_codes"].as_array().unwrap();
    codes
        .iter()
        .map(|code| code.as_str().unwrap().to_owned())
        .collect()
}

fn confirm_app(http: &Http, code: &str) -> Answer {
    http.post("/api/v1/account/second-step/app/confirm", &json!({"code": code}))
}

/// Gives the right password, and is half in.
fn half_in(server: &Posthouse) -> Http {
    let mut http = server.http();
    let asked = http.sign_in(ALICE, PASSWORD);
    assert!(asked["second"].is_array(), "{asked}");
    http
}

fn give(http: &Http, code: &str) -> Answer {
    http.post("/api/v1/session/second", &json!({"code": code}))
}

fn second_step(http: &Http) -> Value {
    http.get("/api/v1/account/second-step").expect(200).json()
}

both_engines! {
    fn an_app_counts_when_a_code_of_it_was_given_and_is_asked_for_from_then_on(engine) {
        let server = server(engine);
        let http = signed_in(&server, ALICE);
        assert_eq!(second_step(&http)["on"], false);
        let begun = http.post("/api/v1/account/second-step/app", &json!({})).expect(200).json();
        assert!(begun["qr"].as_str().unwrap().contains("<svg"));
        let secret = begun["secret"].as_str().unwrap();
        assert!(begun["uri"].as_str().unwrap().contains(&format!("secret={secret}")));
        let app = App::scan(secret);
        assert_eq!(faults(&confirm_app(&http, "000000").expect(422).json()), ["code"]);
        // Nothing is asked for yet.
        assert!(server.http().sign_in(ALICE, PASSWORD)["login"].is_object());
        let codes = codes_of(&confirm_app(&http, &app.shows(&server)).expect(200).json());
        assert_eq!(codes.len(), 10);
        let now = second_step(&http);
        assert_eq!((&now["on"], &now["recovery_codes_left"]), (&json!(true), &json!(10)));

        let mut half = half_in(&server);
        assert_eq!(half.get("/api/v1/session/second").expect(200).json()["second"], json!(["totp", "recovery"]));
        let half_cookie = half.cookie.clone().unwrap();
        assert!(half_cookie.starts_with("posthouse_second="), "{half_cookie}");
        let whole = give(&half, &app.next(&server)).expect(200);
        half.keep_cookie(&whole);
        let cookie = half.cookie.clone().unwrap();
        assert!(cookie.starts_with("posthouse_session="), "{cookie}");
        assert_ne!(cookie.split('=').nth(1), half_cookie.split('=').nth(1), "the token is another");
        assert_eq!(half.get("/api/v1/session").expect(200).json()["login"]["email"], ALICE);
        // The half is used up.
        half.cookie = Some(half_cookie);
        give(&half, &app.next(&server)).expect(401);
        // SMTP has one step.
        server.signed_in(ALICE);
    }

    fn a_code_is_taken_once_and_so_are_those_before_it(engine) {
        let server = server(engine);
        let alice = signed_in(&server, ALICE);
        // From the beginning of a step on, so that what switches it on is shown still when it is given again.
        let begun = server.now().as_micros().unsigned_abs() / 1_000_000 % STEP.as_secs();
        server.pass(Duration::from_secs(STEP.as_secs() - begun));
        let (app, _) = switch_on(&server, &alice);
        // The code that switched it on is used up too.
        give(&half_in(&server), &app.shows(&server)).expect(422);
        let (before, code) = (app.next(&server), app.next(&server));
        give(&half_in(&server), &code).expect(200);
        give(&half_in(&server), &code).expect(422);
        give(&half_in(&server), &before).expect(422);
        give(&half_in(&server), &app.next(&server)).expect(200);
    }

    fn one_code_given_many_times_at_once_opens_once(engine) {
        let server = server(engine);
        let (app, _) = switch_on(&server, &signed_in(&server, ALICE));
        let halves: Vec<Http> = (0..6).map(|_| half_in(&server)).collect();
        let code = app.next(&server);
        let opened = std::thread::scope(|scope| {
            let given: Vec<_> = halves.iter().map(|half| scope.spawn(|| give(half, &code).status)).collect();
            given.into_iter().map(|one| one.join().unwrap()).filter(|status| *status == 200).count()
        });
        assert_eq!(opened, 1);
    }

    fn a_recovery_code_opens_once_and_a_new_set_ends_the_old_one(engine) {
        let server = server(engine);
        let http = signed_in(&server, ALICE);
        let (_, codes) = switch_on(&server, &http);
        let typed = codes[0].to_uppercase().replace('-', " ");
        give(&half_in(&server), &typed).expect(200);
        give(&half_in(&server), &codes[0]).expect(422);
        assert_eq!(second_step(&http)["recovery_codes_left"], 9);
        let made = http.post("/api/v1/account/second-step/recovery-codes", &json!({})).expect(200).json();
        give(&half_in(&server), &codes[1]).expect(422);
        give(&half_in(&server), &codes_of(&made)[1]).expect(200);
    }

    fn five_wrong_codes_end_the_sign_in_and_the_wait_after_them_grows_to_an_hour(engine) {
        let server = server(engine);
        let (app, codes) = switch_on(&server, &signed_in(&server, ALICE));
        for (round, minutes) in [5, 10, 20, 40, 60, 60].into_iter().enumerate() {
            let half = half_in(&server);
            for guess in 0..5 {
                give(&half, &format!("{:06}", 100_000 + round * 5 + guess)).expect(422);
            }
            give(&half, &app.next(&server)).expect(401);
            for right in [app.next(&server), codes[0].clone()] {
                let limited = give(&half_in(&server), &right).expect(429);
                let wait: u64 = limited.header("retry-after").unwrap().parse().unwrap();
                assert!(wait > minutes * 60 - 90 && wait <= minutes * 60, "{minutes} minutes: {wait} s");
            }
            server.pass(Duration::from_mins(minutes));
        }
        give(&half_in(&server), &app.next(&server)).expect(200);
    }

    fn what_wrong_codes_locked_is_lifted_by_the_operator_and_not_by_a_new_password(engine) {
        let server = server(engine);
        let (app, _) = switch_on(&server, &signed_in(&server, ALICE));
        let operator = signed_in(&server, OPS);
        let half = half_in(&server);
        for guess in 0..5 {
            give(&half, &format!("{:06}", 100_000 + guess)).expect(422);
        }
        server.cli(&["account", "password", ALICE, "--password-stdin"], "seven green lanterns by the river");
        server.cli(&["account", "password", ALICE, "--password-stdin"], PASSWORD);
        give(&half_in(&server), &app.next(&server)).expect(429);
        let locks = operator.get("/api/v1/lockouts").expect(200).json()["items"].clone();
        assert_eq!((&locks[0]["login"], &locks[0]["network"], locks.as_array().unwrap().len()), (&json!(ALICE), &json!(""), 1));
        operator.delete(&format!("/api/v1/lockouts/{}", locks[0]["id"].as_str().unwrap())).expect(204);
        give(&half_in(&server), &app.next(&server)).expect(200);
    }

    fn an_admin_of_one_operators_account_does_not_lift_an_owners_of_another(engine) {
        let server = server(engine);
        let operator = signed_in(&server, OPS);
        let second = json!({"email": "second@example.com", "password": PASSWORD, "operator": true});
        let account = operator.post("/api/v1/accounts", &second).expect(201).json()["id"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/accounts/{account}/second-step/off");
        let owner = signed_in(&server, "second@example.com");
        switch_on(&server, &owner);
        let theirs = json!({"email": "second@example.com"});
        let admin = joins(&server, &operator, &operator, "admin@example.net", "admin");
        admin.post(&path, &theirs).expect(403);
        with_key(&server, &admin, &["operator"]).post(&path, &theirs).expect(403);
        assert_eq!(second_step(&owner)["on"], true);
        operator.post(&path, &theirs).expect(204);
    }

    fn half_a_session_ends_after_five_minutes_and_with_a_new_password(engine) {
        let server = server(engine);
        let (app, _) = switch_on(&server, &signed_in(&server, ALICE));
        let (early, late) = (half_in(&server), half_in(&server));
        server.pass(Duration::from_mins(4));
        early.get("/api/v1/session/second").expect(200);
        server.pass(Duration::from_mins(1));
        late.get("/api/v1/session/second").expect(401);
        give(&late, &app.next(&server)).expect(401);
        let half = half_in(&server);
        server.cli(&["account", "password", ALICE, "--password-stdin"], "eleven-saddles-by-dusk-42");
        give(&half, &app.next(&server)).expect(401);
        // A new password does not lift the second step.
        let asked = server.http().sign_in(ALICE, "eleven-saddles-by-dusk-42");
        assert!(asked["second"].is_array(), "{asked}");
    }

    fn half_a_session_is_refused_by_every_operation(engine) {
        let server = server(engine);
        switch_on(&server, &signed_in(&server, ALICE));
        let half = half_in(&server);
        let token = half.cookie.as_deref().unwrap().split('=').nth(1).unwrap().to_owned();
        let mut as_session = server.http();
        as_session.cookie = Some(format!("posthouse_session={token}"));
        let mut as_key = server.http();
        as_key.bearer = Some(token);
        let api = server.http().get("/api/v1/openapi.json").expect(200).json();
        let mut walked = 0;
        for (path, item) in api["paths"].as_object().unwrap() {
            let url = format!("/api/v1{}", path.replace("{id}", NOBODY).replace("{ordinal}", "0"));
            for (method, operation) in item.as_object().unwrap() {
                let open = operation["security"].as_array().unwrap().iter().any(|one| one == &json!({}));
                if open {
                    continue;
                }
                let method = method.to_uppercase();
                let body = (method == "POST").then(|| json!({}));
                for http in [&half, &as_session, &as_key] {
                    let answer = http.request(&method, &url, body.as_ref());
                    assert_eq!(answer.status, 401, "{method} {path}: {}", answer.text);
                }
                walked += 1;
            }
        }
        assert!(walked > 40, "{walked} operations ask for a sign-in");
        half.get("/api/v1/session").expect(401);
    }

    fn another_site_cannot_use_half_a_session(engine) {
        let server = server(engine);
        let (app, _) = switch_on(&server, &signed_in(&server, ALICE));
        let mut half = half_in(&server);
        let code = app.next(&server);
        for origin in [Some("https://evil.example".to_owned()), Some("null".to_owned()), None] {
            half.origin = origin;
            give(&half, &code).expect(403);
            half.submit("/login/code", &[("code", &code)]).expect(403);
        }
        let mut whole = signed_in_with(&server, &app);
        whole.origin = Some("https://evil.example".to_owned());
        for path in ["account/second-step/app", "account/second-step/off", "account/passkeys/begin", "account/second-step/recovery-codes"] {
            whole.post(&format!("/api/v1/{path}"), &json!({})).expect(403);
        }
    }

    fn a_wrong_password_says_nothing_of_a_second_step(engine) {
        let server = server(engine);
        server.create_account("bob@example.com");
        switch_on(&server, &signed_in(&server, ALICE));
        let wrong = |email: &str| {
            let answer = server.http().post("/api/v1/session", &json!({"email": email, "password": "not the password"}));
            let cookies = answer.header("set-cookie").map(str::to_owned);
            (answer.expect(401).json(), cookies)
        };
        assert_eq!(wrong(ALICE), wrong("bob@example.com"));
        assert_eq!(wrong(ALICE), wrong("nobody@example.com"));
    }

    fn switching_it_off_takes_the_password_and_a_code(engine) {
        let server = server(engine);
        let http = signed_in(&server, ALICE);
        let (app, codes) = switch_on(&server, &http);
        let off = |password: &str, code: &str| {
            http.post("/api/v1/account/second-step/off", &json!({"password": password, "code": code}))
        };
        assert_eq!(faults(&off("x", &app.next(&server)).expect(422).json()), ["password"]);
        assert_eq!(faults(&off(PASSWORD, "000000").expect(422).json()), ["code"]);
        off(PASSWORD, &codes[3]).expect(204);
        assert!(server.http().sign_in(ALICE, PASSWORD)["login"].is_object());
        off(PASSWORD, &codes[4]).expect(409);
        assert_eq!(second_step(&http)["recovery_codes_left"], 0);
    }

    fn setting_it_up_wants_a_fresh_password_and_a_person(engine) {
        let server = server(engine);
        let http = signed_in(&server, ALICE);
        let key = with_key(&server, &http, &["account", "send"]);
        key.get("/api/v1/account/second-step").expect(403);
        key.post("/api/v1/account/second-step/app", &json!({})).expect(403);
        key.post("/api/v1/account/second-step/off", &json!({"password": PASSWORD, "code": "000000"})).expect(403);
        server.pass(Duration::from_mins(11));
        for path in ["account/second-step/app", "account/second-step/recovery-codes", "account/passkeys/begin"] {
            let refused = http.post(&format!("/api/v1/{path}"), &json!({})).expect(403).json();
            assert_eq!(refused["type"], "/problems/confirm-password", "{path}");
        }
    }

    fn another_second_step_takes_the_one_that_is_there(engine) {
        let server = server(engine);
        let http = signed_in(&server, ALICE);
        let (app, codes) = switch_on(&server, &http);
        let begun = http.post("/api/v1/account/second-step/app", &json!({})).expect(200).json();
        let other = App::scan(begun["secret"].as_str().unwrap());
        server.pass(Duration::from_mins(11));
        // With the password alone, fresh as it may be, nothing takes its place.
        http.post("/api/v1/session/confirm", &json!({"password": PASSWORD})).expect(204);
        let refuses = |answer: Answer| {
            assert_eq!(answer.expect(403).json()["type"], "/problems/sign-in-anew");
        };
        refuses(confirm_app(&http, &other.shows(&server)));
        let registration = json!({
            "name": "x", "client_data": "", "authenticator_data": "", "public_key": "", "algorithm": -7,
        });
        for (path, body) in [
            ("second-step/app", &json!({})),
            ("second-step/recovery-codes", &json!({})),
            ("passkeys/begin", &json!({})),
            ("passkeys", &registration),
        ] {
            refuses(http.post(&format!("/api/v1/account/{path}"), body));
        }
        give(&half_in(&server), &app.next(&server)).expect(200);
        let mut anew = half_in(&server);
        let whole = give(&anew, &codes[0]).expect(200);
        anew.keep_cookie(&whole);
        let (replaced, none) = switch_on(&server, &anew);
        assert!(none.is_empty(), "the recovery codes stay");
        give(&half_in(&server), &app.next(&server)).expect(422);
        give(&half_in(&server), &replaced.next(&server)).expect(200);
    }

    fn the_operator_lifts_it_and_nobody_else(engine) {
        let server = server(engine);
        let http = signed_in(&server, ALICE);
        switch_on(&server, &http);
        let operator = signed_in(&server, OPS);
        let account = http.get("/api/v1/session").expect(200).json()["account"]["id"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/accounts/{account}/second-step/off");
        http.post(&path, &json!({"email": ALICE})).expect(403);
        operator.post(&path, &json!({"email": OPS})).expect(404);
        operator.post(&path, &json!({"email": ALICE})).expect(204);
        operator.post(&path, &json!({"email": ALICE})).expect(409);
        assert!(server.http().sign_in(ALICE, PASSWORD)["login"].is_object());
        switch_on(&server, &http);
        server.cli(&["account", "second-step", ALICE, "--off"], "");
        assert!(server.http().sign_in(ALICE, PASSWORD)["login"].is_object());
    }

    fn an_admin_of_the_operators_account_does_not_lift_an_owners(engine) {
        let server = server(engine);
        let operator = signed_in(&server, OPS);
        let admin = joins(&server, &operator, &operator, "admin@example.net", "admin");
        let account = operator.get("/api/v1/session").expect(200).json()["account"]["id"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/accounts/{account}/second-step/off");
        switch_on(&server, &operator);
        admin.post(&path, &json!({"email": OPS})).expect(403);
        with_key(&server, &admin, &["operator"]).post(&path, &json!({"email": OPS})).expect(403);
        assert_eq!(second_step(&operator)["on"], true);
        switch_on(&server, &admin);
        admin.post(&path, &json!({"email": "admin@example.net"})).expect(204);
        gives(&operator, "admin@example.net", "owner");
        admin.post(&path, &json!({"email": OPS})).expect(204);
        assert_eq!(second_step(&operator)["on"], false);
    }

    fn the_attempts_say_what_was_right_and_what_was_not(engine) {
        let server = server(engine);
        let http = signed_in(&server, ALICE);
        switch_on(&server, &http);
        give(&half_in(&server), "000000").expect(422);
        for reason in ["password_only", "wrong_code"] {
            eventually(reason, || {
                let list = http.get("/api/v1/account/sign-in-attempts").expect(200).json();
                list["items"].as_array().unwrap().iter().find(|one| one["reason"] == reason).cloned()
            });
        }
    }

    fn the_owner_is_written_to_about_each_change(engine) {
        let server = server(engine);
        let http = signed_in(&server, ALICE);
        let (_, codes) = switch_on(&server, &http);
        give(&half_in(&server), &codes[0]).expect(200);
        http.post("/api/v1/account/second-step/off", &json!({"password": PASSWORD, "code": codes[1]})).expect(204);
        let operator = signed_in(&server, OPS);
        for subject in ["is on", "A recovery code was used", "is off"] {
            eventually(subject, || {
                let sent = operator.get("/api/v1/messages?limit=50").expect(200).json();
                let found = sent["items"].as_array().unwrap().iter().any(|one| {
                    one["subject"].as_str().unwrap_or_default().contains(subject)
                });
                found.then_some(())
            });
        }
    }

    fn the_site_asks_for_the_code_without_a_script(engine) {
        let server = server(engine);
        let (app, _) = switch_on(&server, &signed_in(&server, ALICE));
        let mut http = server.http();
        http.get("/login/code").expect(303);
        let fields = [("email", ALICE), ("password", PASSWORD), ("next", "/app/keys?a=1&b=2")];
        let half = http.submit("/fr/login", &fields).expect(303);
        assert_eq!(half.header("location"), Some("/fr/login/code?next=/app/keys?a=1%26b=2"));
        http.keep_cookie(&half);
        let page = http.get("/fr/login/code?next=/app/keys?a=1%26b=2").expect(200);
        assert!(page.text.contains("Deuxième étape") && page.text.contains("/app/keys?a=1&amp;b=2"), "{}", page.text);
        let wrong = http.submit("/login/code", &[("code", "000000")]).expect(422);
        assert!(wrong.text.contains("The code is not right"));
        let foreign = http.submit("/login/code", &[("code", "000000"), ("next", "//evil.example")]).expect(422);
        assert!(!foreign.text.contains("evil.example"));
        let done = http.submit("/login/code", &[("code", &app.next(&server)), ("next", "/app/keys")]).expect(303);
        assert_eq!(done.header("location"), Some("/app/keys"));
        http.keep_cookie(&done);
        http.get("/api/v1/session").expect(200);
    }
}

fn signed_in_with(server: &Posthouse, app: &App) -> Http {
    let mut http = half_in(server);
    let whole = give(&http, &app.next(server)).expect(200);
    http.keep_cookie(&whole);
    http
}
