//! Footers: under each text and each HTML, before our signature and our link, and never under what its sender signed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{ALICE, BOB, accepted, hook, hook_of, on_message, remove, runs, server};
use crate::both_engines;
use crate::dkim::{add_domain, judged_by_dkimpy};
use crate::harness::smtp::Smtp;
use crate::harness::{Posthouse, Sink};

const HEAD: &str =
    "From: alice@example.com\r\nTo: bob@example.net\r\nSubject: Hello\r\nMIME-Version: 1.0\r\n";
const MIXED: &str = "Content-Type: multipart/mixed; boundary=a\r\n\r\npreamble\r\n--a\r\n\
    Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Transfer-Encoding: 8bit\r\n\r\nGrüße  \r\n\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\
    Content-Transfer-Encoding: quoted-printable\r\n\r\n<html><body><p>Gr=C3=BC=C3=9Fe=\r\n!</p></body></html>\r\n--b--\r\n\
    --a\r\nContent-Type: text/plain; name=a.txt\r\nContent-Disposition: attachment\r\n\r\nfile\r\n--a--\r\nend\r\n";
const SIGNED: &str = "Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=b\r\n\r\n--b\r\n\
    Content-Type: text/plain\r\n\r\nHello\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n";
const SMIME: &str = "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\n\
    Content-Transfer-Encoding: base64\r\n\r\nMIIB\r\n";

fn rule(text: &str, html: Option<&str>) -> Value {
    json!({"kind": "rule", "body": json!({"rule": "add_footer", "text": text, "html": html}).to_string()})
}

/// What arrives of a message whose head has `fields` and whose rest is `rest`.
fn passed(smtp: &mut Smtp, sink: &Sink, fields: &str, rest: &[u8]) -> (String, Vec<u8>, Vec<u8>) {
    let before = sink.arrived().len();
    let message = [HEAD.as_bytes(), fields.as_bytes(), rest].concat();
    accepted(smtp.submit(ALICE, &[BOB], &message).0.trim_end());
    let arrived = sink.wait_for(before + 1).remove(before);
    (arrived.text(), arrived.body().to_vec(), arrived.bytes)
}

fn verifies(message: &[u8], records: &[(String, String)]) {
    let judged = judged_by_dkimpy(message, records);
    assert!(
        judged.len() == 2 && judged.iter().all(|one| one.ends_with("pass")),
        "{judged:?}"
    );
}

fn ready(server: &Posthouse) -> (Vec<(String, String)>, Smtp) {
    (add_domain(server), server.signed_in(ALICE))
}

both_engines! {
    fn a_footer_comes_into_every_kind_of_part_and_nothing_else_changes(engine) {
        let sink = Sink::start();
        let (server, http) = server(engine, &sink);
        let (records, mut smtp) = ready(&server);
        let id = hook(&http, &rule("Ärzte & Söhne\nBerlin", None));
        let latin = |text: &str| text.chars().map(|c| c as u8).collect::<Vec<u8>>();
        for (fields, body, expected) in [
            (
                "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
                "Grüße \r\n".as_bytes().to_vec(),
                "Grüße \r\n\r\nÄrzte & Söhne\r\nBerlin\r\n".as_bytes().to_vec(),
            ),
            (
                "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
                latin("Grüße\r\n"),
                latin("Grüße\r\n\r\nÄrzte & Söhne\r\nBerlin\r\n"),
            ),
            (
                "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
                b"Gr=FC=\r\n=DFe\r\n".to_vec(),
                b"Gr=FC=\r\n=DFe\r\n=\r\n\r\n=C4rzte & S=F6hne\r\nBerlin\r\n".to_vec(),
            ),
            (
                "Content-Type: text/html; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n",
                b"<body>Hi</body>\r\n".to_vec(),
                b"<body>Hi\r\n<div>&#196;rzte &amp; S&#246;hne<br>\r\nBerlin</div>\r\n</body>\r\n".to_vec(),
            ),
            (
                "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n",
                format!("{}\r\n", STANDARD.encode("Grüße\r\n")).into_bytes(),
                format!("{}\r\n", STANDARD.encode("Grüße\r\n\r\nÄrzte & Söhne\r\nBerlin\r\n")).into_bytes(),
            ),
            // What has only 7 bits of ASCII becomes text that can hold the words.
            (
                "\r\n",
                b"Hello\r\n".to_vec(),
                b"Hello\r\n\r\n=C3=84rzte & S=C3=B6hne\r\nBerlin\r\n".to_vec(),
            ),
        ] {
            let (_, arrived, whole) = passed(&mut smtp, &sink, fields, &body);
            assert_eq!(String::from_utf8_lossy(&arrived).replace("\r\n", "\n"), String::from_utf8_lossy(&expected).replace("\r\n", "\n"), "{fields}");
            if !expected.starts_with(b"R3") {
                assert_eq!(arrived, expected, "{fields}");
            }
            verifies(&whole, &records);
        }
        remove(&http, &id);
        // Without a hook every octet of this stays; with one only the two footers are new.
        let (fields, rest) = MIXED.split_once("\r\n").unwrap();
        let fields = format!("{fields}\r\n");
        let (_, before, _) = passed(&mut smtp, &sink, &fields, rest.as_bytes());
        on_message(&http, "add_footer('Us Ltd.', '<p class=\"f\">Us <b>Ltd.</b></p>')");
        let (_, after, whole) = passed(&mut smtp, &sink, &fields, rest.as_bytes());
        let expected = String::from_utf8(before).unwrap()
            .replace("Grüße  \r\n\r\n--b", "Grüße  \r\n\r\nUs Ltd.\r\n\r\n--b")
            .replace("</p></body>", "</p>=\r\n\r\n<p class=3D\"f\">Us <b>Ltd.</b></p>\r\n</body>");
        assert_eq!(String::from_utf8(after).unwrap(), expected);
        verifies(&whole, &records);
    }

    fn what_its_sender_signed_or_encrypted_stays_and_the_log_says_so(engine) {
        let sink = Sink::start();
        let (server, http) = server(engine, &sink);
        let (records, mut smtp) = ready(&server);
        let id = on_message(&http, "add_footer('Us')");
        for (nth, message) in [SIGNED, SMIME].into_iter().enumerate() {
            let (fields, rest) = message.split_once("\r\n").unwrap();
            let (_, body, whole) = passed(&mut smtp, &sink, &format!("{fields}\r\n"), rest.as_bytes());
            let (_, sent) = message.split_once("\r\n\r\n").unwrap();
            assert_eq!(String::from_utf8_lossy(&body), sent);
            verifies(&whole, &records);
            let run = runs(&http, &id, nth + 1).remove(0);
            assert_eq!(run["log"], "no footer: the message is signed or encrypted by its sender\n");
        }
        let trace = http.post("/api/v1/hooks/test", &json!({"kind": "script",
            "body": "function on_message(m) add_footer('<b>Us') end", "message": format!("{HEAD}{SIGNED}")})).expect(200).json();
        assert_eq!((&trace["actions"], &trace["log"]), (&json!(["add footer <b>Us"]), &json!(["no footer: the message is signed or encrypted by its sender"])));
        http.post("/api/v1/hooks", &json!({"name": "x", "kind": "rule", "body": json!({"rule": "add_footer", "text": "x".repeat(4_097)}).to_string()})).expect(422);
    }

    fn footers_stand_in_the_order_of_hooks_and_the_unsubscribe_link_behind_them(engine) {
        let sink = Sink::start();
        let (server, http) = server(engine, &sink);
        let (records, mut smtp) = ready(&server);
        let operator = server.operator();
        let own = hook(&http, &rule("Of the account.", None));
        hook_of(&operator, "?everybody=true", &rule("Of the operator.", None));
        let fields = "X-Posthouse-Stream: marketing\r\nContent-Type: text/html\r\n";
        let (text, _, whole) = passed(&mut smtp, &sink, fields, b"\r\n<body>News</body>\r\n");
        let at = |words: &str| text.find(words).unwrap_or_else(|| panic!("{words} in {text}"));
        assert!(at("Of the operator.") < at("Of the account.") && at("Of the account.") < at(">Unsubscribe</a>"), "{text}");
        verifies(&whole, &records);
        // A footer may name the link itself, and then it is appended nowhere.
        remove(&http, &own);
        hook(&http, &rule("Leave: {{unsubscribe_url}}", Some("<a href=\"{{unsubscribe_url}}\">Leave</a>")));
        let (text, _, whole) = passed(&mut smtp, &sink, fields, b"\r\n<body>News</body>\r\n");
        assert!(text.contains("/u/") && text.contains("\">Leave</a>") && !text.contains("Unsubscribe</a>"), "{text}");
        verifies(&whole, &records);
    }
}
