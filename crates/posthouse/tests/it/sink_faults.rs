//! The next hop fails at every verb in every way: what the source was told is compared with what arrived, one table for all.

use std::collections::BTreeMap;

use crate::both_engines;
use crate::harness::{Act, Posthouse, Sink, Verb, eventually};

const ALICE: &str = "alice@example.com";

const VERBS: [Verb; 6] = [
    Verb::Connect,
    Verb::Ehlo,
    Verb::Mail,
    Verb::Rcpt,
    Verb::Data,
    Verb::EndOfData,
];

/// The same at each verb; none is a refusal for good, so everything has to arrive.
fn faults() -> [Act; 5] {
    [
        Act::Drop,
        Act::Silence,
        Act::ReplyAndDrop("421 4.3.2 going away".to_owned()),
        Act::reply("\u{1}\u{2} garbage"),
        // Too early or too late for it, at each of the verbs.
        Act::reply("334 more"),
    ]
}

/// What a verb has of its own: a yes in the wrong place, a no for one of several, a yes that gets lost.
fn further() -> [(Verb, Act); 6] {
    [
        (Verb::Data, Act::reply("250 2.0.0 already")),
        (Verb::EndOfData, Act::reply("354 go on")),
        (Verb::EndOfData, Act::reply("451 4.3.0 not stored")),
        (Verb::EndOfData, Act::KeepAndDrop),
        (Verb::Rcpt, Act::reply("451 4.2.1 not this one")),
        (Verb::Mail, Act::reply("452 4.3.1 no room")),
    ]
}

both_engines! {
    fn whatever_the_next_hop_does_at_whichever_verb_everything_arrives_and_nothing_twice(engine) {
        let sink = Sink::start();
        let server = Posthouse::on(engine)
            // What is given up after the yes was sent comes twice, so a busy machine has long for its yes.
            .environment("POSTHOUSE_TEST_PATIENCE", "1500,20000")
            .route_to(&sink)
            .retry_fast()
            .start();
        server.create_account(ALICE);
        let mut smtp = server.signed_in(ALICE);
        let each = VERBS.into_iter().flat_map(|verb| faults().map(|act| (verb, act)));
        let (mut told, mut may_double) = (Vec::new(), Vec::new());
        for (number, (verb, act)) in each.chain(further()).enumerate() {
            // The one of three to whom it happens, where the verb names one; and never over a connection that is past the verb.
            let to = ["one", "two", "three"].map(|who| format!("{who}{number}@sink.example"));
            sink.hang_up();
            sink.once(verb, if verb == Verb::Rcpt { &to[1] } else { "" }, act.clone());
            let to = to.each_ref().map(String::as_str);
            smtp.submit(ALICE, &to, format!("From: <{ALICE}>\r\nSubject: {number}\r\n\r\nHello\r\n").as_bytes())
                .expect("250 2.0.0");
            told.extend(to.map(str::to_owned));
            if matches!(act, Act::KeepAndDrop) {
                may_double.extend(to.map(str::to_owned));
            }
            eventually(&format!("{verb:?} {act:?}: it happened"), || sink.has_done_its_script().then_some(()));
            for recipient in to {
                sink.wait_for_recipient(recipient);
            }
            // Not only that it came: who hangs up before the yes was heard is sent it again.
            eventually("all that was told is recorded", || {
                let text = server.http().get("/metrics").expect(200).text;
                text.contains(&format!("posthouse_recipients_delivered_total {}\n", told.len())).then_some(())
            });
        }
        let mut came: BTreeMap<String, usize> = BTreeMap::new();
        for to in sink.arrived().into_iter().flat_map(|mail| mail.recipients) {
            *came.entry(to).or_default() += 1;
        }
        assert_eq!(came.len(), told.len());
        for (to, times) in came {
            let expected = 1 + usize::from(may_double.contains(&to));
            assert_eq!(times, expected, "{to}");
        }
    }
}
