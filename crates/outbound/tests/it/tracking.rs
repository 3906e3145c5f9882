//! Opens and clicks: where a link leads, who counts, and what is told of it.

use std::time::Duration;

use mail::time::Time;
use outbound::Outbound;
use outbound::route::Route;
use outbound::token::{self, About, Purpose};
use outbound::tracking::{self, Count, Engaged, Figures, Leads, Range, Request, Source, Tracking};
use serde_json::{Value, json};
use store::{Clock, Hand, Id, both_engines, events};

use crate::sink::{Script, Sink};
use crate::world::World;

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0";
const TARGETS: [&str; 4] = [
    "https://shop.example/a?x=1&y=2",
    "http://shop.example/b?secret=1#x",
    "https://shop.example/c",
    "https://shop.example/d",
];

/// A message that was delivered to two recipients a minute ago, and its reader's end.
struct Reader {
    world: World,
    tracking: Tracking,
    clock: Clock,
    hand: Hand,
    message: Id,
}

impl Reader {
    async fn new(world: World) -> Self {
        let outbound = Outbound::idle(world.parts(&Route::Capture));
        let message = world
            .accept(&outbound, &["one@there.example", "two@there.example"])
            .await
            .id;
        world
            .change(
                "UPDATE recipients SET state = 'delivered' WHERE message = $1 AND ordinal = 0",
                message,
            )
            .await;
        world
            .change(
                "UPDATE recipients SET state = 'delivered' WHERE message = $1 AND ordinal = 1",
                message,
            )
            .await;
        let (clock, hand) = Clock::manual(world.clock.now().plus(Duration::from_mins(1)));
        let tracking = Tracking::new(world.test.db.clone(), clock.clone(), world.accounts.clone());
        let reader = Self {
            world,
            tracking,
            clock,
            hand,
            message,
        };
        assert_eq!(reader.keep(&TARGETS).await, [0, 1, 2, 3]);
        reader
    }

    async fn keep(&self, targets: &[&str]) -> Vec<u16> {
        let of = Source {
            message: self.message,
            account: self.world.principal.account,
            test: false,
        };
        let targets: Vec<_> = targets.iter().map(ToString::to_string).collect();
        let keep = move |tx: &mut store::Tx<'_>| tracking::keep(tx, &of, &targets);
        self.world.test.db.write("keep", keep).await.unwrap()
    }

    fn about(&self, ordinal: u32) -> About {
        About {
            message: self.message,
            ordinal,
        }
    }

    async fn click(&self, ordinal: u32, link: u16, request: &Request) -> Option<String> {
        let key = self.world.accounts.signing_key().await.unwrap();
        let token = token::make_click(&key, self.about(ordinal), link, self.clock.now()).unwrap();
        match self.tracking.clicked(&token, request).await.unwrap() {
            Leads::To(target) => Some(target),
            _ => None,
        }
    }

    async fn open(&self, ordinal: u32, request: &Request) {
        let key = self.world.accounts.signing_key().await.unwrap();
        let token = token::make(&key, Purpose::Open, self.about(ordinal), self.clock.now()).unwrap();
        self.tracking.opened(&token, request).await.unwrap();
    }

    /// Kinds, recipients and what is said.
    async fn told(&self) -> Vec<(String, i64, Value)> {
        self.tracking.write(true).await.unwrap();
        let message = self.message;
        let read = move |tx: &mut store::Tx<'_>| events::of_message(tx, message, 100);
        let events = self.world.test.db.read("read", read).await.unwrap();
        events
            .into_iter()
            .filter(|event| ["opened", "clicked"].contains(&event.kind.as_str()))
            .map(|event| {
                (
                    event.kind,
                    event.ordinal.unwrap(),
                    serde_json::from_str(&event.data).unwrap(),
                )
            })
            .collect()
    }

    async fn figures(&self, stream: Option<&str>) -> Figures {
        let range = Range {
            account: self.world.principal.account,
            stream: stream.map(str::to_owned),
            since: self.clock.now().minus(Duration::from_hours(48)),
            until: self.clock.now(),
            by_day: false,
        };
        let read = move |tx: &mut store::Tx<'_>| tracking::figures(tx, &range);
        self.world.test.db.read("read", read).await.unwrap()
    }

    async fn readers(&self) -> Vec<Engaged> {
        let message = self.message;
        let read = move |tx: &mut store::Tx<'_>| tracking::of_message(tx, message);
        self.world.test.db.read("read", read).await.unwrap()
    }

    async fn prune(&self, oldest: Time, now: Time) -> u64 {
        let prune = move |tx: &mut store::Tx<'_>| tracking::prune(tx, oldest, now, 50);
        self.world.test.db.write("prune", prune).await.unwrap()
    }
}

fn request(agent: &str) -> Request {
    Request {
        method: "GET".to_owned(),
        agent: agent.to_owned(),
        ip: [192, 0, 2, 9].into(),
        country: None,
    }
}

/// The same text with what leads past us put back, and the paths of the links and the picture in their order.
fn untracked(text: &str, targets: &[&str]) -> (String, Vec<String>) {
    let (mut out, mut paths, mut rest) = (String::new(), Vec::new(), text);
    let mut targets = targets.iter();
    while let Some((before, behind)) = rest.split_once("https://us.example/t/") {
        let (token, behind) = behind.split_once('"').unwrap();
        paths.push(token.to_owned());
        if token.starts_with("c/") {
            out.push_str(before);
            out.push_str(targets.next().unwrap());
            rest = &text[text.len() - behind.len() - 1..];
        } else {
            out.push_str(before.strip_suffix("<img src=\"").unwrap());
            rest = behind
                .strip_prefix(" alt=\"\" width=\"1\" height=\"1\" border=\"0\">")
                .unwrap();
        }
    }
    (out + rest, paths)
}

both_engines! {
    async fn a_tracked_message_differs_in_its_links_and_a_picture_and_nothing_else(test: TestDb) {
        let world = World::new(test).await;
        let sink = Sink::start(Script::default()).await;
        let outbound = world.send_to(sink.address).await;
        let hrefs = ["https://shop.example/?a=1&amp;b=2", "http://shop.example/b#c", "https://shop.example/?a=1&amp;b=2"];
        let html = format!(
            "<html><body>\r\n<A class=x HREF='mailto:a@b.example'>m</A> caf\u{e9}\r\n<a href=\"{}\">1</a><a  href=\"{}\"  >2</a>\r\n<a href=\"{}\">3</a></body></html>\r\n",
            hrefs[0], hrefs[1], hrefs[2]
        );
        let fields = "From: ann@sender.example\r\nSubject: hello\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n";
        let body = format!("X-Posthouse-Track: opens, clicks\r\n{fields}\r\n{html}");
        let sent = outbound.accept(world.submission(&["one@there.example", "two@there.example"], &body)).await.unwrap();
        world.until_all(sent.id, "delivered").await;
        let mut seen = Vec::new();
        for message in sink.messages() {
            let text = String::from_utf8(message).unwrap();
            let (_, arrived) = text.split_once("\r\n\r\n").unwrap();
            let (back, paths) = untracked(arrived, &hrefs);
            assert_eq!(back, html);
            assert_eq!(paths.iter().filter(|path| path.starts_with("c/")).count(), 3, "{paths:?}");
            assert_eq!(paths.iter().filter(|path| path.starts_with("o/")).count(), 1, "{paths:?}");
            assert_eq!(paths[0], paths[2], "one link, one address");
            assert!(!seen.contains(&paths), "each recipient has its own");
            seen.push(paths);
        }
        assert_eq!(seen.len(), 2);
        // Where the links lead is stored once for both.
        let stored = world.count("SELECT COUNT(*) FROM tracked_links").await;
        assert_eq!(stored, 1);
        let tracking = Tracking::new(world.test.db.clone(), world.clock.clone(), world.accounts.clone());
        for paths in &seen {
            for (path, target) in paths.iter().zip(["https://shop.example/?a=1&b=2", "http://shop.example/b#c"]) {
                let token = path.strip_prefix("c/").unwrap();
                assert_eq!(tracking.clicked(token, &request(FIREFOX)).await.unwrap(), Leads::To(target.to_owned()));
            }
        }
        let plain = format!("X-Posthouse-Track: none\r\n{fields}\r\n{html}");
        let count = sink.messages().len();
        let sent = outbound.accept(world.submission(&["one@there.example"], &plain)).await.unwrap();
        world.until_all(sent.id, "delivered").await;
        let text = String::from_utf8(sink.messages()[count].clone()).unwrap();
        assert!(text.ends_with(&html) && !text.contains("/t/"), "{text}");
    }

    async fn a_link_leads_where_it_was_stored_to_lead_and_nowhere_else(test: TestDb) {
        let reader = Reader::new(World::new(test).await).await;
        let person = request(FIREFOX);
        for (n, target) in TARGETS.iter().enumerate() {
            assert_eq!(reader.click(1, n as u16, &person).await.as_deref(), Some(*target));
        }
        assert_eq!(reader.click(1, 4, &person).await, None);
        for token in ["", "x", "https://evil.example/", &"a".repeat(52), &"a".repeat(10_000)] {
            assert_eq!(reader.tracking.clicked(token, &person).await.unwrap(), Leads::Nowhere, "{token}");
            reader.tracking.opened(token, &person).await.unwrap();
        }
        let key = reader.world.accounts.signing_key().await.unwrap();
        let nobodys = About { message: Id::from_bytes([9; 16]), ordinal: 0 };
        let token = token::make_click(&key, nobodys, 0, reader.clock.now()).unwrap();
        assert_eq!(reader.tracking.clicked(&token, &person).await.unwrap(), Leads::Nowhere);
        let token = token::make(&key, Purpose::Open, nobodys, reader.clock.now()).unwrap();
        reader.tracking.opened(&token, &person).await.unwrap();
        assert_eq!(reader.told().await.len(), 4);
    }

    async fn links_keep_their_numbers_whatever_is_found_later(test: TestDb) {
        let reader = Reader::new(World::new(test).await).await;
        assert_eq!(reader.keep(&TARGETS).await, [0, 1, 2, 3]);
        assert_eq!(reader.keep(&[TARGETS[2], "https://new.example/", TARGETS[0]]).await, [2, 4, 0]);
        assert_eq!(reader.keep(&["https://new.example/"]).await, [4]);
        assert_eq!(reader.click(0, 4, &request(FIREFOX)).await.as_deref(), Some("https://new.example/"));
    }

    async fn people_are_counted_once_and_machines_are_told_apart(test: TestDb) {
        let reader = Reader::new(World::new(test).await).await;
        let mut person = request(FIREFOX);
        person.country = Some("FR".to_owned());
        for _ in 0..3 {
            reader.open(0, &person).await;
        }
        reader.click(0, 1, &person).await;
        reader.open(1, &request("Mozilla/5.0")).await;
        let told = reader.told().await;
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told.contains(&("opened".into(), 0, json!({"client": "firefox", "machine": false, "country": "FR", "count": 3}))), "{told:?}");
        assert!(told.contains(&("clicked".into(), 0, json!({"client": "firefox", "machine": false, "country": "FR", "link": 1, "url": "http://shop.example/b"}))));
        assert!(told.contains(&("opened".into(), 1, json!({"client": "other", "machine": true, "why": "apple_privacy"}))));
        let first = reader.clock.now();
        reader.hand.advance(Duration::from_hours(2));
        reader.open(0, &person).await;
        reader.open(1, &request("Mozilla/5.0 (via ggpht.com GoogleImageProxy)")).await;
        reader.tracking.write(false).await.unwrap();
        let figures = reader.figures(None).await;
        let expected = Count { opens: 5, openers: 2, machine_opens: 1, clicks: 1, clickers: 1, machine_clicks: 0 };
        assert_eq!(figures.total, expected);
        assert_eq!(figures.points.len(), 2);
        assert_eq!(figures.points[1].1, Count { opens: 2, openers: 1, ..Count::default() });
        assert_eq!(figures.clients[0].0, "firefox");
        assert_eq!(figures.clients[1], ("gmail".into(), Count { opens: 1, openers: 1, ..Count::default() }));
        assert_eq!(figures.countries, [("FR".into(), Count { opens: 4, openers: 1, clicks: 1, clickers: 1, ..Count::default() })]);
        assert_eq!(reader.figures(Some("transactional")).await, figures);
        assert_eq!(reader.figures(Some("marketing")).await, Figures::default());
        let readers = reader.readers().await;
        assert_eq!((readers[0].opens, readers[0].opened_at, readers[0].clicks, readers[0].clicked_at), (4, Some(first), 1, Some(first)));
        assert_eq!((readers[1].opens, readers[1].opened_at, readers[1].clicks), (1, Some(reader.clock.now()), 0));
    }

    async fn a_scanner_that_follows_every_link_clicks_on_none(test: TestDb) {
        let reader = Reader::new(World::new(test).await).await;
        let person = request(FIREFOX);
        for link in [0, 1, 2] {
            reader.click(0, link, &person).await;
            // What gathers is not written while more may come.
            reader.tracking.write(false).await.unwrap();
            reader.hand.advance(Duration::from_millis(900));
        }
        reader.hand.advance(Duration::from_secs(5));
        reader.click(1, 3, &Request { method: "HEAD".to_owned(), ..person }).await;
        let why: Vec<_> = reader.told().await.into_iter().map(|(_, _, data)| data["why"].clone()).collect();
        assert_eq!(why, ["many_links", "many_links", "many_links", "head"]);
        let expected = Count { machine_clicks: 4, ..Count::default() };
        assert_eq!(reader.figures(None).await.total, expected);
    }

    async fn what_comes_with_or_before_the_delivery_is_a_machine(test: TestDb) {
        let reader = Reader::new(World::new(test).await).await;
        reader.world.change("UPDATE recipients SET state = 'queued' WHERE ordinal = 0 AND message = $1", reader.message).await;
        reader.click(0, 0, &request(FIREFOX)).await;
        reader.open(0, &request(FIREFOX)).await;
        let why: Vec<_> = reader.told().await.into_iter().map(|(_, _, data)| data["why"].clone()).collect();
        assert_eq!(why, ["too_soon", "too_soon"]);
    }

    async fn one_reader_fills_no_log_and_is_counted_all_the_same(test: TestDb) {
        let reader = Reader::new(World::new(test).await).await;
        let scanner = Request { method: "HEAD".to_owned(), ..request(FIREFOX) };
        for one in std::iter::repeat_n(&scanner, 50) {
            reader.open(0, one).await;
            reader.tracking.write(true).await.unwrap();
        }
        assert_eq!(reader.told().await.len(), 10, "a scanner leaves room for who reads");
        for _ in 0..50 {
            reader.open(0, &request(FIREFOX)).await;
            reader.tracking.write(true).await.unwrap();
        }
        assert_eq!(reader.told().await.len(), 40);
        let counted = Count { opens: 50, openers: 1, machine_opens: 50, ..Count::default() };
        assert_eq!(reader.figures(None).await.total, counted);
    }

    async fn readers_go_with_their_message_and_links_and_counters_stay_for_a_year(test: TestDb) {
        let reader = Reader::new(World::new(test).await).await;
        let now = reader.clock.now();
        reader.open(0, &request(FIREFOX)).await;
        reader.tracking.write(true).await.unwrap();
        assert_eq!(reader.prune(now.minus(Duration::from_hours(24)), now).await, 0);
        let later = now.plus(Duration::from_hours(24 * 200));
        assert_eq!(reader.prune(later, later).await, 1);
        assert_eq!(reader.readers().await, []);
        assert!(reader.click(0, 0, &request(FIREFOX)).await.is_some());
        let last = now.plus(Duration::from_hours(24 * 402));
        // One row of links, one counter of the hour and one of the client.
        assert_eq!(reader.prune(last, last).await, 3);
    }
}
