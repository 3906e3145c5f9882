//! Opens and clicks, from the message that goes out to what its sender is told.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::both_engines;
use crate::dkim::{add_domain, judged_by_dkimpy};
use crate::harness::dns::Dns;
use crate::harness::http::{Answer, Http};
use crate::harness::server::signal;
use crate::harness::wait::PATIENCE;
use crate::harness::{Engine, PASSWORD, Posthouse, Receiver, Sink, eventually};

const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.net";
const CAROL: &str = "carol@example.net";
const SITE: &str = "https://mail.example.com";
const HTML: &str = "<html><body><p>Hello</p>\r\n<a href=\"https://shop.example/offer?id=7&amp;x=y#top\">Offer</a>\r\n\
    <a class='b' href='http://shop.example/é t'>Caf\u{e9}</a> <a href=\"https://shop.example/c\">C</a> \
    <a href=\"mailto:a@b.example\">Write</a>\r\n</body></html>\r\n";
const TARGETS: [&str; 3] = [
    "https://shop.example/offer?id=7&x=y#top",
    "http://shop.example/%C3%A9%20t",
    "https://shop.example/c",
];

const BOTH: &str = "X-Posthouse-Track: opens, clicks\r\n";
const ACCOUNT: &str = "/api/v1/account/tracking";

/// Nobody keeps the answer, lists it, or tells others where it was.
#[track_caller]
fn is_discreet(answer: &Answer) {
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(answer.header("x-robots-tag"), Some("noindex, nofollow"));
    assert_eq!(answer.header("set-cookie"), None);
}

/// The paths below `/t/` that a copy leads to, in their order.
fn paths(copy: &str) -> Vec<String> {
    let begin = format!("{SITE}/t/");
    let found = copy.match_indices(&begin).map(|(at, _)| {
        let rest = &copy[at + SITE.len()..];
        let end = rest.find(['"', '\'']).unwrap();
        rest[..end].to_owned()
    });
    found.collect()
}

fn server(engine: Engine, sink: &Sink) -> (Posthouse, Http) {
    let server = Posthouse::on(engine)
        .environment("POSTHOUSE__WEBHOOKS__ALLOW_PRIVATE", "true")
        .set("http.public_url", &format!("\"{SITE}\""))
        .moving_clock()
        .route_to(sink)
        .start();
    let http = server.owner(ALICE);
    (server, http)
}

/// Whoever fetches, by what he calls himself.
fn reader(server: &Posthouse, agent: &str) -> Http {
    let mut http = server.http();
    http.origin = None;
    http.headers.push(("user-agent".to_owned(), agent.to_owned()));
    http
}

fn events(http: &Http, kind: &str, count: usize) -> Vec<Value> {
    eventually(&format!("{count} events {kind}"), || {
        let page = http
            .get(&format!("/api/v1/events?type={kind}"))
            .expect(200)
            .json();
        let items = page["items"].as_array().unwrap().clone();
        (items.len() == count).then_some(items)
    })
}

/// The smallest database in the MMDB format: every IPv4 address is in one country.
fn everything_is_in(country: &str) -> Vec<u8> {
    let text = |text: &str| [&[0x40 | text.len() as u8], text.as_bytes()].concat();
    // A tree of one node, whose both sides lead to the record at the beginning of the data.
    let (nodes, record) = (1_u8, 1 + 16);
    let tree = [0, 0, record, 0, 0, record];
    let data = [
        &[0xe1],
        text("country").as_slice(),
        &[0xe1],
        &text("iso_code"),
        &text(country),
    ]
    .concat();
    let short = |number: u8| vec![0xa1, number];
    let mut all = [&tree, [0; 16].as_slice(), &data, b"\xab\xcd\xefMaxMind.com\xe9"].concat();
    for (name, value) in [
        ("binary_format_major_version", short(2)),
        ("binary_format_minor_version", vec![0xa0]),
        ("build_epoch", vec![0x01, 0x02, 1]),
        ("database_type", text("Country")),
        ("description", vec![0xe0]),
        ("ip_version", short(4)),
        ("languages", vec![0x00, 0x04]),
        ("node_count", vec![0xc1, nodes]),
        ("record_size", short(24)),
    ] {
        all.extend(text(name));
        all.extend(value);
    }
    all
}

both_engines! {
    fn a_tracked_message_keeps_all_but_its_links_and_tells_who_opened_and_followed_them(engine) {
        let (sink, receiver) = (Sink::start(), Receiver::start());
        let (server, http) = server(engine, &sink);
        let records = add_domain(&server);
        http.post("/api/v1/webhooks", &json!({"url": receiver.url("/read"), "types": ["opened", "clicked"]})).expect(201);
        let message = format!(
            "From: {ALICE}\r\nTo: {BOB}\r\nSubject: Hello\r\nMIME-Version: 1.0\r\nX-Posthouse-Track: opens, clicks\r\n\
             X-Posthouse-Tag: spring\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{HTML}"
        );
        let mut smtp = server.signed_in(ALICE);
        smtp.submit(ALICE, &[BOB, CAROL], message.as_bytes()).expect("250");
        let [bobs, carols] = [BOB, CAROL].map(|to| sink.wait_for_recipient(to));
        for arrived in [&bobs, &carols] {
            let mut judged = judged_by_dkimpy(&arrived.bytes, &records);
            judged.sort();
            assert_eq!(judged, ["ed25519-sha256 pass", "rsa-sha256 pass"]);
            // What leads past us put back, it is what was sent.
            let mut body = String::from_utf8(arrived.body().to_vec()).unwrap();
            let paths = paths(&body);
            assert_eq!(paths.len(), 4);
            for (path, written) in paths.iter().zip(["https://shop.example/offer?id=7&amp;x=y#top", "http://shop.example/é t", "https://shop.example/c"]) {
                body = body.replace(&format!("{SITE}{path}"), written);
            }
            let picture = format!("<img src=\"{SITE}{}\" alt=\"\" width=\"1\" height=\"1\" border=\"0\">", paths[3]);
            assert_eq!(body.replace(&picture, ""), HTML);
        }
        let (bob, carol) = (paths(&bobs.text()), paths(&carols.text()));
        assert!(bob.iter().all(|path| !carol.contains(path)));
        let id = http.get("/api/v1/messages").expect(200).json()["items"][0]["id"].as_str().unwrap().to_owned();
        eventually("both are delivered", || {
            let message = http.get(&format!("/api/v1/messages/{id}")).expect(200).json();
            (message["states"] == json!({"delivered": 2})).then_some(())
        });
        // A scanner follows all that Carol was sent, at once.
        let scanner = reader(&server, "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/120.0.0.0 Safari/537.36");
        for (path, target) in carol.iter().zip(TARGETS) {
            let answer = scanner.get(path).expect(302);
            assert_eq!(answer.header("location"), Some(target));
        }
        server.pass(Duration::from_secs(30));
        let robots = events(&http, "clicked", 3);
        assert!(robots.iter().all(|event| event["data"]["machine"] == true && event["data"]["recipient"] == CAROL), "{robots:?}");
        server.pass(Duration::from_mins(10));
        // Bob reads.
        let gmail = reader(&server, "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)");
        let picture = gmail.get(&bob[3]).expect(200);
        is_discreet(&picture);
        gmail.get(&bob[3]).expect(200);
        let person = reader(&server, "Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0");
        let led = person.get(&bob[0]).expect(302);
        is_discreet(&led);
        assert_eq!(led.header("location"), Some(TARGETS[0]));
        let asked = person.request("HEAD", &bob[1], None).expect(302);
        assert_eq!(asked.header("location"), Some(TARGETS[1]));
        // One event, or two where the two looks were noted apart.
        let opened = eventually("it was opened", || {
            let page = http.get("/api/v1/events?type=opened").expect(200).json();
            page["items"].as_array().unwrap().first().cloned()
        });
        let opened = &opened["data"];
        assert_eq!((&opened["client"], &opened["machine"], &opened["recipient"]), (&json!("gmail"), &json!(false), &json!(BOB)));
        assert_eq!((&opened["stream"], &opened["tags"]), (&json!("transactional"), &json!(["spring"])));
        server.pass(Duration::from_secs(5));
        let clicked = events(&http, "clicked", 5);
        let by = |machine: bool| clicked.iter().find(|event| event["data"]["recipient"] == BOB && event["data"]["machine"] == machine).unwrap();
        let (person, head) = (by(false), by(true));
        assert_eq!((&person["data"]["url"], &person["data"]["link"], &person["data"]["client"]), (&json!("https://shop.example/offer"), &json!(0), &json!("firefox")));
        assert_eq!(head["data"]["why"], "head");
        // Each was told to the webhook as the log has it.
        receiver.wait_for("/read", 6);
        eventually("what the person did is among it", || {
            let calls = receiver.calls("/read");
            calls.iter().any(|call| call.json()["data"] == person["data"]).then_some(())
        });
        // Counted is what people did.
        let message = http.get(&format!("/api/v1/messages/{id}")).expect(200).json();
        let [bob, carol] = [0, 1].map(|n| message["recipients"][n].clone());
        assert_eq!((&bob["opens"], &bob["clicks"], bob["opened_at"].is_string(), bob["clicked_at"].is_string()), (&json!(2), &json!(1), true, true));
        assert_eq!((&carol["opens"], &carol["clicks"], &carol["clicked_at"]), (&json!(0), &json!(0), &Value::Null));
        let until = server.now().rfc3339();
        let figures = http.get(&format!("/api/v1/tracking?stream=transactional&by=hour&until={until}")).expect(200).json();
        assert_eq!(figures["total"], json!({"opens": 2, "openers": 1, "machine_opens": 0, "clicks": 1, "clickers": 1, "machine_clicks": 4}));
        assert!(figures["clients"].as_array().unwrap().iter().any(|client| client["name"] == "gmail" && client["openers"] == 1));
        assert_eq!(figures["countries"], json!([]));
        let none = http.get("/api/v1/tracking?stream=marketing").expect(200).json();
        assert_eq!(none["total"]["opens"], 0);
        http.get("/api/v1/tracking?since=2020-01-01T00:00:00Z").expect(422);
        // Nothing of where a reader is was kept, and no address of a link.
        let log: Vec<String> = server.log().iter().map(ToString::to_string).collect();
        assert!(log.iter().all(|line| !line.contains("/t/c/") && !line.contains("/t/o/")));
    }

    fn a_country_is_told_where_the_operator_knows_it(engine) {
        let sink = Sink::start();
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("countries.mmdb");
        std::fs::write(&file, everything_is_in("FR")).unwrap();
        let server = Posthouse::on(engine)
            .set("http.public_url", &format!("\"{SITE}\""))
            .set_path("tracking.geoip", &file)
            .moving_clock()
            .route_to(&sink)
            .start();
        let http = server.owner(ALICE);
        let message = format!(
            "From: {ALICE}\r\nTo: {BOB}\r\nSubject: Hello\r\nX-Posthouse-Track: opens\r\nContent-Type: text/html\r\n\r\n<p>Hello\r\n"
        );
        server.signed_in(ALICE).submit(ALICE, &[BOB], message.as_bytes()).expect("250");
        let path = paths(&sink.wait_for_recipient(BOB).text()).remove(0);
        events(&http, "delivered", 1);
        server.pass(Duration::from_mins(1));
        reader(&server, "Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0").get(&path).expect(200);
        let opened = &events(&http, "opened", 1)[0];
        assert_eq!(opened["data"]["country"], "FR");
        let until = server.now().rfc3339();
        let figures = http.get(&format!("/api/v1/tracking?until={until}")).expect(200).json();
        assert_eq!(figures["countries"][0]["name"], "FR");
        // The operator puts a newer file in its place, which a first time is none.
        std::fs::write(&file, "half a download").unwrap();
        signal(server.pid(), "HUP");
        server.wait_for_log("the changed database of addresses is not used");
        let opened_in = |count: usize| {
            server.pass(Duration::from_mins(1));
            reader(&server, "Mozilla/5.0 (Windows NT 10.0; rv:121.0) Gecko/20100101 Firefox/121.0").get(&path).expect(200);
            events(&http, "opened", count)[count - 1]["data"]["country"].clone()
        };
        assert_eq!(opened_in(2), "FR");
        std::fs::write(&file, everything_is_in("DE")).unwrap();
        signal(server.pid(), "HUP");
        server.wait_for_log("database of addresses loaded");
        assert_eq!(opened_in(3), "DE");
    }

    fn links_have_a_name_of_their_senders_domain_once_it_leads_here_and_nothing_else_is_there(engine) {
        let (dns, sink) = (Dns::start(), Sink::start());
        dns.mx("example.net", 10, "mx.example.net").address_of("mx.example.net", "127.0.0.1");
        let server = Posthouse::on(engine)
            .resolve_with(&dns, sink.address().port())
            .set("http.public_url", "\"http://www.example.org:8080\"")
            .start();
        let http = server.owner(ALICE);
        let domain = http.post("/api/v1/domains", &json!({"name": "shop.example"})).expect(201).json();
        let check = format!("/api/v1/domains/{}/check", domain["id"].as_str().unwrap());
        let record = |purpose: &str| {
            let all = domain["records"].as_array().unwrap();
            let found = all.iter().find(|record| record["purpose"] == purpose).unwrap();
            ["type", "name", "value"].map(|field| found[field].as_str().unwrap().to_owned())
        };
        let [_, name, value] = record("dkim_rsa");
        dns.txt(&name, &value);
        assert_eq!(record("links"), ["CNAME", "links.shop.example", "www.example.org"]);
        assert_eq!(http.post(&check, &json!({})).expect(200).json()["state"], "verified");
        let sent = |to: &str| {
            let message = format!(
                "From: info@shop.example\r\nTo: {to}\r\nSubject: Hello\r\nMIME-Version: 1.0\r\nX-Posthouse-Track: opens, clicks\r\n\
                 Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{HTML}"
            );
            server.signed_in(ALICE).submit("info@shop.example", &[to], message.as_bytes()).expect("250");
            sink.wait_for_recipient(to).text()
        };
        let before = sent("a@example.net");
        assert_eq!(before.matches("http://www.example.org:8080/t/").count(), 4);
        dns.alias("links.shop.example", "www.example.org");
        http.post(&check, &json!({})).expect(200);
        let after = sent("b@example.net");
        assert_eq!(after.matches("http://links.shop.example:8080/t/").count(), 4);
        let path = after.split("http://links.shop.example:8080").nth(1).unwrap().split('"').next().unwrap();
        let mut there = reader(&server, "Mozilla/5.0 Firefox/121.0");
        there.headers.push(("host".to_owned(), "links.shop.example:8080".to_owned()));
        assert_eq!(there.get(path).expect(302).header("location"), Some(TARGETS[0]));
        for shut in ["/", "/login", "/app", "/api/v1/session", "/metrics", "/help/"] {
            assert_eq!(there.get(shut).expect(404).text, "", "{shut}");
        }
        there.get("/t/c/x").expect(404);
    }

    fn a_message_is_tracked_by_what_it_says_and_else_not_at_all(engine) {
        let sink = Sink::start();
        let (server, _http) = server(engine, &sink);
        let submit = |fields: &str, to: &str| {
            let message = format!(
                "From: {ALICE}\r\nTo: {to}\r\nSubject: Hello\r\nMIME-Version: 1.0\r\n{fields}Content-Type: text/html; charset=utf-8\r\n\
                 Content-Transfer-Encoding: 8bit\r\n\r\n{HTML}"
            );
            server.signed_in(ALICE).submit(ALICE, &[to], message.as_bytes()).expect("250");
            String::from_utf8(sink.wait_for_recipient(to).body().to_vec()).unwrap()
        };
        assert_eq!(submit("", "a@example.net"), HTML);
        assert_eq!(submit("X-Posthouse-Track: none\r\n", "b@example.net"), HTML);
        let opens = paths(&submit("X-Posthouse-Track: opens\r\n", "c@example.net"));
        assert!(opens.len() == 1 && opens[0].starts_with("/t/o/"), "{opens:?}");
        let clicks = paths(&submit("X-Posthouse-Track: clicks\r\n", "d@example.net"));
        assert!(clicks.len() == 3 && clicks.iter().all(|path| path.starts_with("/t/c/")), "{clicks:?}");
        // A token opens what it was made for, unaltered.
        let http = reader(&server, "Mozilla/5.0 Firefox/121.0");
        let token = clicks[0].strip_prefix("/t/c/").unwrap();
        let end = if token.ends_with('a') { "b" } else { "a" };
        let altered = format!("{}{end}", &token[..token.len() - 1]);
        for path in [altered.as_str(), opens[0].strip_prefix("/t/o/").unwrap()] {
            assert_eq!(http.get(&format!("/t/c/{path}")).expect(404).header("location"), None);
        }
        http.get(&format!("/t/c/{}", token.to_uppercase())).expect(302);
        http.get(&format!("/t/o/{token}")).expect(200);
    }

    fn what_account_and_domain_do_not_allow_is_not_tracked_whoever_asks(engine) {
        let sink = Sink::start();
        let (server, http) = server(engine, &sink);
        server.cli(&["domain", "add", "shop.example", "--account", ALICE], "");
        http.request("PATCH", "/api/v1/streams/transactional", Some(&json!({"track_opens": true, "track_clicks": true}))).expect(200);
        let mut n = 0;
        let mut tracked = |from: &str, fields: &str| {
            n += 1;
            let to = format!("r{n}@example.net");
            let message = format!(
                "From: {from}\r\nTo: {to}\r\nSubject: Hello\r\nMIME-Version: 1.0\r\n{fields}Content-Type: text/html; charset=utf-8\r\n\
                 Content-Transfer-Encoding: 8bit\r\n\r\n{HTML}"
            );
            server.signed_in(ALICE).submit(ALICE, &[&to], message.as_bytes()).expect("250");
            let copy = String::from_utf8(sink.wait_for_recipient(&to).body().to_vec()).unwrap();
            let paths = paths(&copy);
            if paths.is_empty() {
                assert_eq!(copy, HTML);
            }
            let of = |kind: &str| paths.iter().filter(|path| path.starts_with(kind)).count();
            (of("/t/o/"), of("/t/c/"))
        };
        let info = "info@shop.example";
        assert_eq!(tracked(info, ""), (1, 3));
        // The message says less than its stream.
        assert_eq!(tracked(info, "X-Posthouse-Track: clicks\r\n"), (0, 3));
        // The domain takes away, from its own mail only.
        let domains = http.get("/api/v1/domains").expect(200).json();
        let path = format!("/api/v1/domains/{}", domains["items"][0]["id"].as_str().unwrap());
        assert_eq!(http.get(&path).expect(200).json()["tracking"], json!({"opens": true, "clicks": true}));
        let switched = http.request("PUT", &format!("{path}/tracking"), Some(&json!({"opens": false, "clicks": true}))).expect(200).json();
        assert_eq!(switched["tracking"], json!({"opens": false, "clicks": true}));
        assert_eq!(tracked(info, BOTH), (0, 3));
        assert_eq!(tracked(info, "X-Posthouse-Track: opens\r\n"), (0, 0));
        assert_eq!(tracked(ALICE, BOTH), (1, 3));
        // A domain that is not verified speaks for a single address all the same.
        let pending = http.post("/api/v1/domains", &json!({"name": "example.com"})).expect(201).json();
        let its = format!("/api/v1/domains/{}/tracking", pending["id"].as_str().unwrap());
        http.request("PUT", &its, Some(&json!({"opens": false, "clicks": false}))).expect(200);
        assert_eq!(tracked(ALICE, BOTH), (0, 0));
        http.request("PUT", &its, Some(&json!({"opens": true, "clicks": true}))).expect(200);
        assert_eq!(tracked(ALICE, BOTH), (1, 3));
        // The account takes all away.
        assert_eq!(http.get(ACCOUNT).expect(200).json(), json!({"allowed": true}));
        http.request("PUT", ACCOUNT, Some(&json!({"allowed": false}))).expect(200);
        assert_eq!(http.get(ACCOUNT).expect(200).json(), json!({"allowed": false}));
        assert_eq!(tracked(ALICE, BOTH), (0, 0));
        assert_eq!(tracked(info, ""), (0, 0));
        http.request("PUT", ACCOUNT, Some(&json!({"allowed": true}))).expect(200);
        assert_eq!(tracked(info, ""), (0, 3));
        http.request("PUT", ACCOUNT, Some(&json!({"allowed": "yes"}))).expect(422);
        let log = http.get("/api/v1/account/audit").expect(200).text;
        for line in ["tracking.switched", "domain.tracking", "opens off, clicks as messages and streams say"] {
            assert!(log.contains(line), "{line}: {log}");
        }
        // Another account finds neither switch.
        server.create_account(BOB);
        let mut bob = server.http();
        bob.sign_in(BOB, PASSWORD);
        bob.request("PUT", &format!("{path}/tracking"), Some(&json!({"opens": true, "clicks": true}))).expect(404);
    }

    fn what_is_clicked_while_the_server_stops_is_told(engine) {
        let sink = Sink::start();
        let (mut server, http) = server(engine, &sink);
        let message = format!(
            "From: {ALICE}\r\nTo: {BOB}\r\nSubject: Hello\r\nMIME-Version: 1.0\r\nX-Posthouse-Track: clicks\r\n\
             Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{HTML}"
        );
        server.signed_in(ALICE).submit(ALICE, &[BOB], message.as_bytes()).expect("250");
        let link = paths(&sink.wait_for_recipient(BOB).text()).remove(0);
        events(&http, "delivered", 1);
        // The request has begun when the server is asked to stop.
        let mut stream = TcpStream::connect(server.address("http")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {link} HTTP/1.1\r\nHost: mail.example.com\r\n").unwrap();
        server.http().get("/healthz").expect(200);
        signal(server.pid(), "TERM");
        server.wait_for_log("stopping");
        write!(stream, "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 302 "), "{answer}");
        server.wait_for_log("stopped");
        server.stop();
        server.start_again();
        let mut again = server.http();
        again.sign_in(ALICE, PASSWORD);
        events(&again, "clicked", 1);
    }

    fn the_links_of_a_suspended_account_lead_on_no_more_and_those_of_a_test_never(engine) {
        let sink = Sink::start();
        let (server, http) = server(engine, &sink);
        let submit = |to: &str, fields: &str| {
            let message = format!(
                "From: {ALICE}\r\nTo: {to}\r\nSubject: Hello\r\nMIME-Version: 1.0\r\nX-Posthouse-Track: clicks\r\n{fields}\
                 Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{HTML}"
            );
            server.signed_in(ALICE).submit(ALICE, &[to], message.as_bytes()).expect("250");
        };
        submit(BOB, "");
        let link = paths(&sink.wait_for_recipient(BOB).text()).remove(0);
        let person = reader(&server, "Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0");
        person.get(&link).expect(302);
        server.cli(&["account", "suspend", ALICE, "--reason", "phishing"], "");
        server.pass(Duration::from_secs(2));
        let stopped = person.get(&link).expect(410);
        is_discreet(&stopped);
        assert_eq!(stopped.header("location"), None);
        assert!(stopped.text.contains("does not lead on any more") && !stopped.text.contains("shop.example"), "{}", stopped.text);
        server.cli(&["account", "resume", ALICE], "");
        server.pass(Duration::from_secs(2));
        assert_eq!(person.get(&link).expect(302).header("location"), Some(TARGETS[0]));
        submit(CAROL, "X-Posthouse-Sandbox: on\r\n");
        let kept = eventually("the test is in the inbox", || {
            let page = http.get("/api/v1/inbox").expect(200).json();
            page["items"].as_array().unwrap().first().map(|one| one["id"].as_str().unwrap().to_owned())
        });
        let copy = http.get(&format!("/api/v1/inbox/{kept}/source")).expect(200).text;
        let link = paths(&copy).remove(0);
        let shown = person.get(&link).expect(200);
        is_discreet(&shown);
        assert_eq!(shown.header("location"), None);
        assert!(shown.text.contains("<code>https://shop.example/offer?id=7&amp;x=y#top</code>"), "{}", shown.text);
    }

    fn a_link_that_nobody_made_leads_nowhere_and_its_picture_comes_all_the_same(engine) {
        let server = Posthouse::on(engine).start();
        let mut http = server.http();
        http.headers.push(("accept-language".to_owned(), "fr".to_owned()));
        let long = "a".repeat(5_000);
        for token in ["x", "https:%2F%2Fevil.example", "%0D%0ALocation:%20x", &"a".repeat(52), &long] {
            let page = http.get(&format!("/t/c/{token}")).expect(404);
            is_discreet(&page);
            assert!(page.header("location").is_none() && page.text.contains("Ce lien ne mène nulle part"), "{}", page.text);
            let picture = http.get(&format!("/t/o/{token}")).expect(200);
            is_discreet(&picture);
            assert_eq!(picture.header("content-type"), Some("image/gif"));
            assert_eq!(picture.header("cross-origin-resource-policy"), Some("cross-origin"));
            assert_eq!(picture.header("content-length"), Some("43"));
        }
        http.request("HEAD", "/t/c/x", None).expect(404);
        http.request("HEAD", "/t/o/x", None).expect(200);
        for path in ["/t/c/x", "/t/o/x"] {
            http.submit(path, &[]).expect(405);
        }
        http.get("/t/x").expect(404);
        assert!(server.log().iter().all(|line| !line.to_string().contains("evil.example")));
    }
}
