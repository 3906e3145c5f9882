//! Unsubscribe links: each recipient's own in what arrives, under its signature, and what mailbox providers, people and
//! scanners do with them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::both_engines;
use crate::dkim::{add_domain, judged_by_dkimpy, judged_by_opendkim};
use crate::harness::http::{Answer, Http};
use crate::harness::server::Setup;
use crate::harness::sink::Arrived;
use crate::harness::smtp::Smtp;
use crate::harness::{Engine, Posthouse, Sink, eventually};

const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@sink.example";
const CAROL: &str = "carol@sink.example";
const SITE: &str = "https://mail.example.com";

fn setup(engine: Engine, sink: &Sink) -> Setup {
    Posthouse::on(engine)
        .route_to(sink)
        .set("smtp.inbound", "[\"127.0.0.1:0\"]")
        .set("http.public_url", &format!("\"{SITE}\""))
}

fn started(setup: Setup) -> (Posthouse, Http) {
    let server = setup.start();
    let http = server.owner(ALICE);
    (server, http)
}

/// A message in the stream for marketing, as it arrived.
fn newsletter(server: &Posthouse, sink: &Sink, to: &str) -> Arrived {
    submit(server, &[to], "X-Posthouse-Stream: marketing\r\n", "News.\r\n");
    sink.wait_for_recipient(to)
}

fn submit(server: &Posthouse, to: &[&str], fields: &str, rest: &str) {
    let text = format!("From: {ALICE}\r\nTo: {BOB}\r\nSubject: News\r\n{fields}\r\n{rest}");
    server
        .signed_in(ALICE)
        .submit(ALICE, to, text.as_bytes())
        .expect("250 2.0.0");
}

/// The path of the link in the List-Unsubscribe field.
fn link(arrived: &Arrived) -> String {
    let field = arrived.header("list-unsubscribe").pop().unwrap();
    let url = field.strip_prefix('<').unwrap().split('>').next().unwrap();
    url.strip_prefix(SITE).unwrap().to_owned()
}

fn address(arrived: &Arrived) -> String {
    let field = arrived.header("list-unsubscribe").pop().unwrap();
    let (_, mailto) = field.split_once("<mailto:").unwrap();
    mailto.split('?').next().unwrap().to_owned()
}

/// A client that is no browser and knows nothing but the link.
fn provider(server: &Posthouse) -> Http {
    let mut http = server.http();
    http.origin = None;
    http.headers = vec![("user-agent".into(), "Mozilla/5.0 (compatible; one-click)".into())];
    http
}

fn one_click(server: &Posthouse, path: &str) -> Answer {
    provider(server).submit(path, &[("List-Unsubscribe", "One-Click")])
}

/// Address, stream and reason of each entry.
fn suppressed(http: &Http) -> Vec<[String; 3]> {
    let list = http.get("/api/v1/suppressions").expect(200).json();
    let text = |one: &Value, field: &str| one[field].as_str().unwrap_or("*").to_owned();
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|one| ["address", "stream", "reason"].map(|field| text(one, field)))
        .collect()
}

fn events(http: &Http, kind: &str) -> Vec<Value> {
    let page = http
        .get(&format!("/api/v1/events?type={kind}"))
        .expect(200)
        .json();
    page["items"].as_array().unwrap().clone()
}

/// The last message to Bob. What tells the sender about one that was not sent comes behind it.
fn newest(http: &Http) -> Value {
    let page = http
        .get(&format!("/api/v1/messages?limit=1&q={BOB}"))
        .expect(200)
        .json();
    let id = page["items"][0]["id"].as_str().unwrap().to_owned();
    http.get(&format!("/api/v1/messages/{id}")).expect(200).json()
}

fn inbound(server: &Posthouse) -> Smtp {
    let mut smtp = Smtp::connect(server.address("inbound"));
    smtp.reply().expect("220");
    smtp.ehlo().expect("250");
    smtp
}

/// What is said of a link that is none, to who looks and to who acts.
fn gone(server: &Posthouse, path: &str) -> String {
    let looked = provider(server).get(path).expect(404).text;
    let acted = one_click(server, path).expect(404).text;
    assert!(looked.contains("This link does not work"), "{looked}");
    assert_eq!(looked, acted);
    looked.replace(path, "")
}

both_engines! {
    fn a_copy_that_its_sender_keeps_as_a_test_speaks_for_nobody(engine) {
        let sink = Sink::start();
        let (server, http) = started(setup(engine, &sink));
        one_click(&server, &link(&newsletter(&server, &sink, BOB))).expect(200);
        let listed = || http.get("/api/v1/suppressions").expect(200).json()["items"].as_array().unwrap().len();
        assert_eq!(listed(), 1);
        submit(&server, &[BOB], "X-Posthouse-Stream: marketing\r\nX-Posthouse-Sandbox: yes\r\n", "News.\r\n");
        let kept = eventually("the copy is in the inbox", || {
            let inbox = http.get("/api/v1/inbox").expect(200).json();
            inbox["items"].as_array().unwrap().first().cloned()
        });
        let source = http.get(&format!("/api/v1/inbox/{}/source", kept["id"].as_str().unwrap())).expect(200).text;
        let path = source.split(SITE).nth(1).unwrap().split('>').next().unwrap();
        assert!(path.starts_with("/u/"), "{source}");
        let back = provider(&server).submit(path, &[("do", "return"), ("stream", "marketing")]);
        assert!([404, 410].contains(&back.status), "{} {}", back.status, back.text);
        assert_eq!(listed(), 1);
    }

    fn the_button_of_a_mail_program_unsubscribes_from_the_stream_and_nothing_else(engine) {
        let sink = Sink::start();
        let (server, http) = started(setup(engine, &sink));
        let arrived = newsletter(&server, &sink, BOB);
        assert_eq!(arrived.header("list-unsubscribe-post"), ["List-Unsubscribe=One-Click"]);
        let path = link(&arrived);
        for _ in 0..2 {
            let answer = one_click(&server, &path).expect(200);
            assert_eq!((answer.header("set-cookie"), answer.header("location")), (None, None));
        }
        assert_eq!(suppressed(&http), [[BOB, "marketing", "unsubscribe"].map(String::from)]);
        let told = eventually("it is told", || Some(events(&http, "unsubscribed")).filter(|told| !told.is_empty()));
        assert_eq!(told.len(), 1, "{told:?}");
        let data = &told[0]["data"];
        assert_eq!((&data["recipient"], &data["stream"], &data["by"]), (&json!(BOB), &json!("marketing"), &json!("one_click")));

        submit(&server, &[BOB, CAROL], "X-Posthouse-Stream: marketing\r\n", "More.\r\n");
        let message = newest(&http);
        assert_eq!(message["recipients"][0]["state"], "suppressed");
        submit(&server, &[BOB], "", "A receipt.\r\n");
        eventually("the receipt and what others get arrives", || {
            let to = |who: &str| sink.arrived().iter().filter(|one| one.recipients == [who]).count();
            (to(BOB) == 2 && to(CAROL) == 1).then_some(())
        });
        let last = newest(&http);
        eventually("the receipt is delivered", || {
            let id = last["id"].as_str().unwrap();
            let now = http.get(&format!("/api/v1/messages/{id}")).expect(200).json();
            (now["recipients"][0]["state"] == "delivered").then_some(())
        });

        // The other encoding that the RFC allows.
        let arrived = newsletter(&server, &sink, "dave@sink.example");
        let body = "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n";
        provider(&server).send("POST", &link(&arrived), Some(("multipart/form-data; boundary=b", body.to_owned()))).expect(200);
        assert_eq!(suppressed(&http).len(), 2);
    }

    fn looking_changes_nothing_whoever_looks(engine) {
        let sink = Sink::start();
        let (server, http) = started(setup(engine, &sink));
        let path = link(&newsletter(&server, &sink, BOB));
        for method in ["GET", "HEAD"] {
            for base in ["", "/en", "/fr"] {
                provider(&server).request(method, &format!("{base}{path}"), None).expect(200);
            }
        }
        // A form that says nothing, or something else.
        for fields in [&[][..], &[("a", "b")], &[("do", "leave"), ("stream", "other")], &[("stream", "*")]] {
            provider(&server).submit(&path, fields).expect(200);
        }
        assert!(suppressed(&http).is_empty());
        let page = provider(&server).get(&path).expect(200);
        assert!(page.text.contains("Unsubscribe from example.com?"), "{}", page.text);
        assert!(page.text.contains("b\u{2026}@sink.example receives"), "{}", page.text);
        for told in [BOB, ALICE, "<script", "http-equiv"] {
            assert!(!page.text.contains(told), "{told}");
        }
        for (name, value) in [("referrer-policy", "no-referrer"), ("cache-control", "no-store"), ("content-language", "en")] {
            assert_eq!(page.header(name), Some(value));
        }
        assert_eq!(page.header("set-cookie"), None);
        let french = provider(&server).get(&format!("/fr{path}")).expect(200);
        assert!(french.text.contains("Se désabonner de example.com"), "{}", french.text);
        let token = path.strip_prefix("/u/").unwrap();
        assert!(server.log().iter().all(|line| !line.to_string().contains(token)));
    }

    fn the_page_takes_its_reader_out_of_one_or_all_and_back_but_never_undoes_what_others_did(engine) {
        let sink = Sink::start();
        let (server, http) = started(setup(engine, &sink));
        http.post("/api/v1/streams", &json!({"slug": "offers", "name": "Special offers", "kind": "marketing"})).expect(201);
        http.post("/api/v1/streams", &json!({"slug": "dunning", "name": "Dunning", "kind": "transactional"})).expect(201);
        let path = link(&newsletter(&server, &sink, BOB));
        let page = provider(&server).get(&path).expect(200).text;
        assert!(page.contains("Special offers") && !page.contains("Dunning"), "{page}");
        let said = |stream: &str, what: &str| provider(&server).submit(&path, &[("do", what), ("stream", stream)]).expect(200).text;
        assert!(said("offers", "leave").contains("Saved."));
        assert!(said("marketing", "leave").contains("You are unsubscribed"));
        let entries = suppressed(&http);
        assert_eq!(entries.len(), 2, "{entries:?}");
        said("offers", "return");
        said("marketing", "return");
        assert!(suppressed(&http).is_empty());
        for kind in ["unsubscribed", "resubscribed"] {
            eventually(kind, || (events(&http, kind).len() == 2).then_some(()));
        }
        // Out of everything, and back.
        assert!(said("*", "leave").contains("You receive nothing more"));
        submit(&server, &[BOB], "", "A receipt.\r\n");
        assert_eq!(newest(&http)["recipients"][0]["state"], "suppressed");
        said("*", "return");
        assert!(suppressed(&http).is_empty());
        // What somebody of the account put there stays, and so does what bounced.
        http.post("/api/v1/suppressions", &json!({"address": BOB, "stream": "marketing", "note": "asked by phone"})).expect(201);
        let before = suppressed(&http);
        assert!(said("marketing", "return").contains("for another reason"));
        said("marketing", "leave");
        assert_eq!(suppressed(&http), before);
        eventually("no more is told", || (events(&http, "unsubscribed").len() == 3).then_some(()));
    }

    fn a_link_that_is_none_says_the_same_whatever_is_wrong_with_it(engine) {
        let sink = Sink::start();
        let (mut server, _) = started(setup(engine, &sink).moving_clock().set("storage.keep_messages", "\"2d\""));
        let arrived = newsletter(&server, &sink, BOB);
        let path = link(&arrived);
        let altered = format!("{}{}", &path[..path.len() - 1], if path.ends_with('a') { "b" } else { "a" });
        let forged = gone(&server, &altered);
        assert_eq!(gone(&server, "/u/x"), forged);
        // A token counts for what it was made for only.
        let report = arrived.from.strip_prefix("b-").unwrap().split('@').next().unwrap();
        assert_eq!(gone(&server, &format!("/u/{report}")), forged);
        let mut smtp = inbound(&server);
        smtp.mail(BOB).expect("250");
        smtp.rcpt(&format!("u-{report}@mail.example.com")).expect("550 5.7.1");
        drop(smtp);
        // Old messages are purged at the start.
        server.stop();
        server.pass(Duration::from_hours(24 * 4));
        server.start_again();
        eventually("the message is purged", || (provider(&server).get(&path).status == 404).then_some(()));
        assert_eq!(gone(&server, &path), forged);
        server.pass(Duration::from_hours(24 * 400));
        assert_eq!(gone(&server, &path), forged);
    }

    fn who_guesses_links_has_to_wait_and_who_has_one_does_not(engine) {
        let sink = Sink::start();
        let (server, http) = started(setup(engine, &sink));
        let arrived = newsletter(&server, &sink, BOB);
        let path = link(&arrived);
        for _ in 0..60 {
            provider(&server).get("/u/guess").expect(404);
        }
        let refused = provider(&server).get("/u/guess").expect(429);
        assert!(refused.header("retry-after").is_some());
        one_click(&server, &path).expect(200);
        assert_eq!(suppressed(&http).len(), 1);
        // Nor does anybody fill the log by changing a mind.
        let mut last = 200;
        for n in 0..40 {
            let what = if n % 2 == 0 { "return" } else { "leave" };
            last = provider(&server).submit(&path, &[("do", what), ("stream", "marketing")]).status;
            if last == 429 && suppressed(&http).is_empty() {
                break;
            }
        }
        assert_eq!(last, 429);
        assert!(events(&http, "resubscribed").len() < 20);
        // Whoever writes instead is not told that it was done.
        let mail = format!("From: {BOB}\r\nSubject: unsubscribe\r\n\r\nStop.\r\n");
        assert!(suppressed(&http).is_empty());
        inbound(&server).submit(BOB, &[&address(&arrived)], mail.as_bytes()).expect("450 4.7.1");
        assert!(suppressed(&http).is_empty());
    }

    fn mail_to_the_address_unsubscribes_unless_nobody_wrote_it(engine) {
        let sink = Sink::start();
        let (server, http) = started(setup(engine, &sink));
        let arrived = newsletter(&server, &sink, BOB);
        let to = address(&arrived);
        let mail = |fields: &str| format!("From: {BOB}\r\nSubject: unsubscribe\r\n{fields}\r\nStop.\r\n").into_bytes();
        inbound(&server).submit("", &[&to], &mail("")).expect("250 2.0.0");
        for automatic in ["Auto-Submitted: auto-replied\r\n", "Precedence: bulk\r\n"] {
            inbound(&server).submit(BOB, &[&to], &mail(automatic)).expect("250 2.0.0");
        }
        assert!(suppressed(&http).is_empty());
        // Local parts get folded on their way.
        for _ in 0..2 {
            inbound(&server).submit("bob@elsewhere.example", &[&to.to_uppercase()], &mail("")).expect("250 2.0.0");
        }
        assert_eq!(suppressed(&http), [[BOB, "marketing", "unsubscribe"].map(String::from)]);
        let told = eventually("it is told", || events(&http, "unsubscribed").pop());
        assert_eq!(told["data"]["by"], "mail");
        let mut smtp = inbound(&server);
        smtp.mail(BOB).expect("250");
        smtp.rcpt(&to).expect("250");
        smtp.rcpt(&arrived.from).expect("452");
    }

    fn mail_to_the_address_that_runs_in_a_circle_is_refused(engine) {
        let sink = Sink::start();
        let (server, http) = started(setup(engine, &sink));
        let to = address(&newsletter(&server, &sink, BOB));
        let trace = "Received: from a.example by b.example; Mon, 23 Nov 2026 20:00:00 +0000\r\n";
        let mail = format!("{}From: {BOB}\r\nSubject: unsubscribe\r\n\r\nStop.\r\n", trace.repeat(60));
        inbound(&server).submit(BOB, &[&to], mail.as_bytes()).expect("554 5.4.6");
        assert!(suppressed(&http).is_empty());
    }

    fn a_stream_says_what_its_mail_wants_and_a_message_says_otherwise(engine) {
        let sink = Sink::start();
        let (server, http) = started(setup(engine, &sink));
        let wants = || newest(&http)["wants"].clone();
        let send = |more: Value| {
            let mut message = json!({"from": ALICE, "to": [BOB], "subject": "Hello", "text": "Hello"});
            message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            http.post("/api/v1/messages", &message).expect(202);
            wants()
        };
        let said = |unsubscribe: &str, opens: bool, clicks: bool| json!({"unsubscribe": unsubscribe, "track_opens": opens, "track_clicks": clicks});
        assert_eq!(send(json!({})), said("none", false, false));
        let changed = http.request("PATCH", "/api/v1/streams/transactional", Some(&json!({"unsubscribe": true, "track_opens": true}))).expect(200).json();
        assert_eq!((&changed["unsubscribe"], &changed["track_opens"], &changed["track_clicks"]), (&json!(true), &json!(true), &json!(false)));
        assert_eq!(send(json!({})), said("appended", true, false));
        assert_eq!(send(json!({"unsubscribe": false, "track": {"clicks": true}})), said("none", false, true));
        submit(&server, &[BOB], "X-Posthouse-Unsubscribe: off\r\nX-Posthouse-Track: none\r\n", "Hello\r\n");
        assert_eq!(wants(), said("none", false, false));
        let lines = http.get("/api/v1/account/audit").expect(200).json();
        assert_eq!((&lines["items"][0]["action"], &lines["items"][0]["detail"]), (&json!("stream.changed"), &json!("opens on, unsubscribe link on")));
        http.request("PATCH", "/api/v1/streams/marketing", Some(&json!({"unsubscribe": false}))).expect(200);
        // Marketing has a way out all the same.
        assert_eq!(send(json!({"stream": "marketing"})), said("named", false, false));
    }

    fn every_copy_is_signed_as_it_arrives_and_nothing_else_in_it_changes(engine) {
        let sink = Sink::start();
        let (server, _) = started(setup(engine, &sink));
        let records = add_domain(&server);
        let file: String = ["JVBERi0xLjQKJeLjz9MK".repeat(3), "AAECAwQ=".to_owned()].join("\r\n");
        let mixed = |text: &str| {
            format!(
                "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"m\"\r\n\r\n--m\r\nContent-Type: multipart/alternative; boundary=\"a\"\r\n\r\n\
                 --a\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe, {text}\r\n\
                 --a\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<html><body><p>Grüße, <a href=\"{text}\">stop</a></p></body></html>\r\n\
                 --a--\r\n\r\n--m\r\nContent-Type: application/pdf; name=\"a.pdf\"\r\nContent-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\n{file}\r\n--m--\r\n"
            )
        };
        let base64 = "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nPHA+e3t1bnN1YnNjcmliZV91cmx9fTwvcD4=\r\n".to_owned();
        for (why, fields, rest) in [
            ("named in each part", "", mixed("{{unsubscribe_url}}")),
            ("appended to each part", "X-Posthouse-Stream: marketing\r\n", mixed("https://a.example/")),
            ("named in base64", "", base64),
            ("named in the field", "List-Unsubscribe: <{{unsubscribe_url}}>\r\n", "\r\nHello\r\n".to_owned()),
            ("signed by others", "X-Posthouse-Unsubscribe: on\r\n", "Content-Type: multipart/signed; boundary=s; protocol=\"application/pgp-signature\"\r\n\r\n--s\r\n\r\nHello\r\n--s\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--s--\r\n".to_owned()),
        ] {
            let before = sink.arrived().len();
            let text = format!("From: {ALICE}\r\nTo: {BOB}\r\nSubject: News\r\nDate: Thu, 26 Nov 2026 04:00:00 +0000\r\nMessage-ID: <{before}@example.com>\r\n{fields}{rest}");
            server.signed_in(ALICE).submit(ALICE, &[BOB, CAROL], text.as_bytes()).expect("250 2.0.0");
            let copies = &sink.wait_for(before + 2)[before..];
            let links: Vec<String> = copies.iter().map(link).collect();
            assert_ne!(links[0], links[1], "{why}");
            for (copy, link) in copies.iter().zip(&links) {
                let mut judged = judged_by_dkimpy(&copy.bytes, &records);
                judged.sort();
                assert_eq!(judged, ["ed25519-sha256 pass", "rsa-sha256 pass"], "{why}");
                let said = judged_by_opendkim(&copy.bytes, &records);
                assert!(said.contains("2048-bit key) succeeded"), "{why}: {said}");
                for signature in copy.header("dkim-signature") {
                    let signed: String = signature.split_whitespace().collect();
                    assert!(signed.contains("list-unsubscribe:list-unsubscribe-post:"), "{why}: {signed}");
                }
                assert_eq!(copy.header("list-unsubscribe-post"), ["List-Unsubscribe=One-Click"], "{why}");
                let arrived = copy.text();
                match why {
                    "named in each part" => {
                        let own = format!("{SITE}{link}");
                        // Soft line breaks may stand in the quoted part.
                        let joined = arrived.replace("=\r\n", "");
                        assert_eq!(joined.matches(&format!("{own}\r\n")).count(), 1, "{arrived}");
                        assert!(joined.contains(&format!("<a href=\"{own}\">stop</a></p></body>")), "{arrived}");
                    }
                    "appended to each part" => {
                        let own = format!("{SITE}{link}");
                        let joined = arrived.replace("=\r\n", "");
                        assert!(joined.contains(&format!("To stop receiving these messages:\r\n{own}\r\n")), "{arrived}");
                        assert!(joined.contains(&format!("<a href=\"{own}\">Unsubscribe</a></p>\r\n</body>")), "{arrived}");
                    }
                    "named in base64" => assert!(!arrived.contains("e3t1bnN1")),
                    _ => assert!(text.ends_with(std::str::from_utf8(copy.body()).unwrap()), "{why}: {arrived}"),
                }
                if why.ends_with("each part") {
                    assert!(arrived.contains(&format!("base64\r\n\r\n{file}\r\n--m--\r\n")), "{arrived}");
                    assert!(arrived.contains("Gr=C3=BC=C3=9Fe, ") && arrived.contains("Grüße, "), "{arrived}");
                }
            }
        }
    }
}
