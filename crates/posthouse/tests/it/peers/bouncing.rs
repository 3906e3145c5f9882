//! A Postfix that takes a message, finds out later that nobody wants it, and sends its bounce to our return path.

use super::postfix::Postfix;
use crate::both_engines;
use crate::harness::{Act, PASSWORD, Posthouse, Sink, Verb, eventually, ports};

const ALICE: &str = "alice@example.com";

both_engines! {
    fn what_a_postfix_bounces_after_taking_it_comes_back_to_its_recipient(engine) {
        // Behind the Postfix stands the server that does not know the mailbox.
        let behind = Sink::start();
        behind.always(Verb::Rcpt, "", Act::reply("550 5.1.1 no such user here"));
        let port = ports::free().port();
        let postfix = Postfix::start(&format!(
            "mydestination =\nrelay_domains = sink.example\nrelayhost = [127.0.0.1]:{port}\n\
             transport_maps = inline:{{sink.example=smtp:[127.0.0.1]:{}}}\n",
            behind.address().port()
        ));
        let setup = Posthouse::on(engine)
            .set("delivery.route", &format!("\"smtp://{}\"", postfix.address()))
            .set("smtp.inbound", &format!("[\"127.0.0.1:{port}\"]"));
        let server = setup.start();
        server.create_account(ALICE);
        let message = b"From: <alice@example.com>\r\nSubject: hello\r\n\r\nhello\r\n";
        server.signed_in(ALICE).submit(ALICE, &["bob@sink.example"], message).expect("250 2.0.0");
        let mut http = server.http();
        http.sign_in(ALICE, PASSWORD);
        let entry = eventually("the recipient is suppressed", || {
            let list = http.get("/api/v1/suppressions").expect(200).json();
            list["items"].as_array()?.first().cloned()
        });
        assert_eq!((&entry["address"], &entry["reason"]), (&"bob@sink.example".into(), &"hard_bounce".into()));
        let id = entry["message"].as_str().unwrap();
        let message = http.get(&format!("/api/v1/messages/{id}")).expect(200).json();
        let recipient = &message["recipients"][0];
        assert_eq!((&recipient["state"], &recipient["class"]), (&"bounced".into(), &"unknown_mailbox".into()));
        let outcomes: Vec<_> = recipient["attempts"].as_array().unwrap().iter().map(|one| one["outcome"].as_str().unwrap()).collect();
        assert_eq!(outcomes, ["delivered", "bounced"]);
    }
}
