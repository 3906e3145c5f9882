//! Lists and searches read a part of a table, however much is stored; told by the plans of both engines.

use mail::address::Address;
use mail::bounce::Class;
use mail::time::Time;
use outbound::feed::{self, Wanted};
use outbound::history::{self, Filter};
use outbound::model::State;
use outbound::statistics::{self, By, Range};
use outbound::suppressions::{self, EVERY_STREAM, New, Why};
use store::search::LOOKED_THROUGH;
use store::{Engine, Id, Plan, Tx, both_engines, events};

use crate::world::World;

/// More than a page looks through.
const STORED: i64 = LOOKED_THROUGH as i64 + 500;
/// What grows with the mail, with the letter that a search calls it by.
const LARGE: [&str; 8] = [
    "messages",
    "recipients",
    "attempts",
    "events",
    "suppressions",
    "statistics",
    "m",
    "r",
];

/// An account that has two messages in a thousand, among those of the other.
const SMALL: Id = Id::from_bytes([7; 16]);

/// Messages, recipients and events as they are stored, one of each a millisecond; one recipient in a hundred bounced.
async fn fill(world: &World) {
    let account = world.principal.account;
    let db = &world.test.db;
    db.write("fill", move |tx| {
        let (id, bytes) = match tx.engine() {
            Engine::Sqlite => ("unhex(printf('%012x70008%015x', i, i))", "BLOB"),
            Engine::Postgres => ("decode(lpad(to_hex(i), 12, '0') || '70008' || lpad(to_hex(i), 15, '0'), 'hex')", "BYTEA"),
        };
        let rows = format!(
            "WITH RECURSIVE n(i) AS (SELECT CAST($2 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < {STORED}), \
             m AS (SELECT i, {id} AS id, CASE WHEN i % 1000 < 2 THEN CAST($3 AS {bytes}) ELSE CAST($1 AS {bytes}) END AS account FROM n) "
        );
        for into in [
            "INSERT INTO messages (id, account, reverse_path, header_from, subject, message_id, size, recipients, origin, created_at, stream, \
             tags) SELECT id, account, 'a@b.example', 'a@b.example', 'Hello', 'x@b.example', 1, 1, '{}', i * 1000, \
             CASE WHEN i % 3 = 0 THEN 'marketing' ELSE 'transactional' END, CASE WHEN i % 2 = 0 THEN '\norder\n' ELSE '' END FROM m",
            "INSERT INTO recipients (message, ordinal, account, address, domain, notify, state, reason, attempts, next_at, expires_at, \
             updated_at, class) SELECT id, 0, account, 'r' || (i % 7000) || '@there.example', 'there.example', '', \
             CASE WHEN i % 100 = 0 THEN 'bounced' ELSE 'delivered' END, '', 1, 0, 0, 0, CASE WHEN i % 100 = 0 THEN 'spam' END FROM m",
            "INSERT INTO events (at, account, message, ordinal, kind, data) SELECT i * 1000, account, id, 0, 'delivered', '{}' FROM m",
            "INSERT INTO suppressions (account, stream, address_key, id, address, why, note, created_at) \
             SELECT account, '', 'gone' || i || '@there.example', id, 'gone' || i || '@there.example', 'hard_bounce', '', 0 FROM m",
            "INSERT INTO statistics (account, dimension, day, name, kind, class, seen) SELECT account, 'stream', i, 'marketing', 'delivered', '', 1 \
             FROM m",
        ] {
            tx.run(&format!("{rows}{into}"), &[account.into(), 1.into(), SMALL.into()])?;
        }
        Ok(())
    })
    .await
    .unwrap();
    if db.engine() == Engine::Postgres {
        db.write("analyze", |tx| tx.run("ANALYZE", &[])).await.unwrap();
    }
}

/// The message with this number.
fn id_of(i: i64) -> Id {
    let bits = ((i as u128) << 80) | (0x70008_u128 << 60) | i as u128;
    Id::from_bytes(bits.to_be_bytes())
}

/// What all pages of a search hold.
async fn pages(world: &World, mut filter: Filter) -> Vec<Id> {
    let mut found = Vec::new();
    loop {
        let asked = filter.clone();
        let page = world
            .test
            .db
            .read("search", move |tx| history::list(tx, &asked))
            .await
            .unwrap();
        found.extend(page.items.iter().map(|one| one.id));
        let full = page.items.len() == filter.limit as usize;
        let last = page.items.last().map(|one| one.id).filter(|_| full);
        filter.after = last.or(page.looked_to);
        if last.or(page.looked_to).is_none() {
            return found;
        }
    }
}

/// The plans of a search, on PostgreSQL as those of a table so large that reading all of it is out of the question.
async fn plans<T: Send + 'static>(
    world: &World,
    work: impl Fn(&mut Tx<'_>) -> store::Result<T> + Send + Sync + 'static,
) -> Vec<Plan> {
    let explain = move |tx: &mut Tx<'_>| {
        if tx.engine() == Engine::Postgres {
            tx.run("SET LOCAL enable_seqscan = off", &[])?;
        }
        tx.plans(&work)
    };
    world.test.db.write("explain", explain).await.unwrap()
}

/// Indexes that hold nothing but what waits, however much was sent.
const OF_WHAT_WAITS: [&str; 4] = [
    "recipients_due",
    "recipients_in_hand",
    "recipients_held",
    "recipients_scheduled",
];

/// The steps that read all of a large table, and not from a place in an index on.
fn readings_of_everything(plan: &Plan, engine: Engine) -> Vec<String> {
    let table = |step: &str, before: &str| {
        let words: Vec<&str> = step.split(before).nth(1)?.split_whitespace().collect();
        let named = words.iter().position(|word| *word == "on").map_or(0, |on| on + 1);
        words.get(named).map(|word| (*word).to_owned())
    };
    let is_large =
        |step: &str, before: &str| table(step, before).is_some_and(|table| LARGE.contains(&table.as_str()));
    let steps = plan.steps.iter().enumerate();
    steps
        .filter(|(place, step)| match engine {
            // What another step has made is called as its table is.
            // All of an account may be nearly all of the table.
            Engine::Sqlite if is_large(step, "SEARCH ") && step.ends_with("(account=?)") => true,
            // So may be what lies between two messages that the people of the console choose.
            Engine::Sqlite if step.starts_with("SEARCH r ") && step.contains("(message>") => true,
            Engine::Sqlite => {
                is_large(step, "SCAN ")
                    && !["CO-ROUTINE", "MATERIALIZE"].iter().any(|made| {
                        table(step, "SCAN ")
                            .is_some_and(|table| plan.steps.contains(&format!("{made} {table}")))
                            && !step.contains("USING")
                    })
            }
            Engine::Postgres => {
                let large = is_large(step, "Scan ")
                    && !step.contains("Bitmap Heap")
                    && !step.contains("Subquery Scan");
                let found = plan.steps.get(place + 1).is_some_and(|next| {
                    let account_alone = next.contains("(account = ") && !next.contains(" AND ");
                    let between = next.contains("Cond: ((message >");
                    next.contains("Index Cond") && !account_alone && !between
                });
                // The end of an index is one row of it.
                let ends = plan.sql.contains("max(")
                    || plan.sql.contains("min(")
                    || plan.sql.contains("DESC LIMIT 1)");
                large && !found && !(ends && step.contains("Index"))
            }
        })
        .map(|(_, step)| step.clone())
        .filter(|step| !OF_WHAT_WAITS.iter().any(|index| step.contains(index)))
        .collect()
}

#[track_caller]
fn assert_bounded(what: &str, plans: &[Plan], engine: Engine) {
    assert!(!plans.is_empty(), "{what} asks nothing");
    for plan in plans {
        let all = readings_of_everything(plan, engine);
        assert!(all.is_empty(), "{what} reads everything: {all:?} of {plan:#?}");
    }
}

fn searches(account: Option<Id>) -> Vec<(String, Filter)> {
    let plain = || Filter {
        account,
        limit: 51,
        ..Filter::default()
    };
    let text = |text: &str| Filter {
        text: Some(text.to_owned()),
        ..plain()
    };
    let mut searches = vec![
        ("everything".to_owned(), plain()),
        ("a part".to_owned(), text("zebra")),
        ("a recipient".to_owned(), text("r77@there.example")),
        (
            "a tag".to_owned(),
            Filter {
                tag: Some("none".into()),
                ..plain()
            },
        ),
        (
            "a stream".to_owned(),
            Filter {
                stream: Some("marketing".into()),
                ..plain()
            },
        ),
        (
            "the usual stream".to_owned(),
            Filter {
                stream: Some("transactional".into()),
                ..plain()
            },
        ),
        (
            "a class".to_owned(),
            Filter {
                class: Some(Class::Spam),
                ..plain()
            },
        ),
        (
            "dates".to_owned(),
            Filter {
                since: Some(Time::from_micros(1_000)),
                until: Some(Time::from_micros(9_000_000)),
                ..plain()
            },
        ),
        (
            "a recipient and a state".to_owned(),
            Filter {
                state: Some(State::Bounced),
                ..text("r77@there.example")
            },
        ),
        (
            "a stream, a class and a tag".to_owned(),
            Filter {
                stream: Some("marketing".into()),
                class: Some(Class::Spam),
                tag: Some("order".into()),
                ..plain()
            },
        ),
    ];
    for state in [
        State::Delivered,
        State::Bounced,
        State::Queued,
        State::Held,
        State::Scheduled,
    ] {
        searches.push((
            state.as_str().to_owned(),
            Filter {
                state: Some(state),
                ..plain()
            },
        ));
    }
    let oldest: Vec<_> = searches
        .iter()
        .map(|(name, filter)| {
            let filter = Filter {
                oldest_first: true,
                ..filter.clone()
            };
            (format!("{name}, oldest first"), filter)
        })
        .collect();
    searches.extend(oldest);
    searches
}

both_engines! {
    async fn no_list_and_no_search_reads_a_whole_table(test: TestDb) {
        let world = World::new(test).await;
        fill(&world).await;
        let (account, engine) = (world.principal.account, world.test.db.engine());
        for whose in [Some(account), Some(SMALL), None] {
            for (name, filter) in searches(whose) {
                let seen = plans(&world, move |tx| history::list(tx, &filter)).await;
                assert_bounded(&format!("{name} of {whose:?}"), &seen, engine);
            }
        }
        for (text, stream) in [(None, None), (Some("zebra"), None), (Some("gone7@there.example"), None), (None, Some("marketing"))] {
            let filter = suppressions::Filter {
                text: text.map(str::to_owned),
                stream: stream.map(str::to_owned),
                limit: 51,
                ..suppressions::Filter::default()
            };
            let seen = plans(&world, move |tx| suppressions::list(tx, account, &filter)).await;
            assert_bounded(&format!("suppressions by {text:?} and {stream:?}"), &seen, engine);
        }
        let seen = plans(&world, move |tx| suppressions::is_full(tx, account, 1)).await;
        assert_bounded("the limit of suppressions", &seen, engine);
        for (by, stream) in [(By::Day, None), (By::Stream, None), (By::Provider, None), (By::Day, Some("marketing"))] {
            let days = Range { from: 1, to: 30 };
            let seen = plans(&world, move |tx| statistics::read(tx, account, (by, stream), days)).await;
            assert_bounded(&format!("statistics by {by:?} of {stream:?}"), &seen, engine);
        }
        for since in [None, Some(Time::from_micros(5_000_000))] {
            let wanted = Wanted {
                account,
                kinds: vec!["complained".to_owned()],
                stream: None,
                message: None,
                since,
                until: None,
                after: None,
                limit: 50,
            };
            let seen = plans(&world, move |tx| feed::read(tx, &wanted)).await;
            assert_bounded(&format!("events since {since:?}"), &seen, engine);
        }
        let message = world.test.id();
        let seen = plans(&world, move |tx| events::forget(tx, message)).await;
        assert_bounded("forgetting a message", &seen, engine);
    }

    async fn a_search_goes_on_behind_what_it_looked_through(test: TestDb) {
        let world = World::new(test).await;
        fill(&world).await;
        let account = world.principal.account;
        let find = async |text: &str, state: Option<State>, after| {
            let filter = Filter {
                account: Some(account),
                text: Some(text.to_owned()),
                state,
                limit: 1_000,
                after,
                ..Filter::default()
            };
            world.test.db.read("search", move |tx| history::list(tx, &filter)).await.unwrap()
        };
        let first = find("zebra", None, None).await;
        assert!(first.items.is_empty());
        let place = first.looked_to.expect("there is more than one page looks through");
        let second = find("zebra", None, Some(place)).await;
        assert_eq!((second.items.len(), second.looked_to), (0, None));
        let bounced = find("hello", Some(State::Bounced), None).await;
        let expected = (1..=STORED).filter(|i| i % 1_000 >= 2 && i % 100 == 0).count();
        assert_eq!((bounced.items.len(), bounced.looked_to), (expected, None), "an index knows them all");
    }

    async fn pages_follow_each_other_through_what_is_between_the_mail_of_others(test: TestDb) {
        let world = World::new(test).await;
        fill(&world).await;
        let wanted = |of: &dyn Fn(i64) -> bool, oldest_first: bool| {
            let mut ids: Vec<Id> = (1..=STORED).filter(|i| i % 1_000 < 2 && of(*i)).map(id_of).collect();
            if !oldest_first {
                ids.reverse();
            }
            ids
        };
        let plain = Filter { account: Some(SMALL), ..Filter::default() };
        for oldest_first in [false, true] {
            let by = |state, stream: Option<&str>, text: Option<&str>| Filter {
                state,
                stream: stream.map(str::to_owned),
                text: text.map(str::to_owned),
                oldest_first,
                limit: 4,
                ..plain.clone()
            };
            let all = pages(&world, by(None, None, None)).await;
            assert_eq!(all, wanted(&|_| true, oldest_first));
            let bounced = pages(&world, by(Some(State::Bounced), None, None)).await;
            assert_eq!(bounced, wanted(&|i| i % 100 == 0, oldest_first));
            let delivered = pages(&world, by(Some(State::Delivered), None, None)).await;
            assert_eq!(delivered, wanted(&|i| i % 100 != 0, oldest_first));
            let stream = pages(&world, by(None, Some("marketing"), None)).await;
            assert_eq!(stream, wanted(&|i| i % 3 == 0, oldest_first));
            let both = pages(&world, by(Some(State::Bounced), Some("marketing"), Some("hello"))).await;
            assert_eq!(both, wanted(&|i| i % 100 == 0 && i % 3 == 0, oldest_first));
            let between = Filter {
                since: Some(Time::from_micros(4_000_000)),
                until: Some(Time::from_micros(9_000_000)),
                ..by(Some(State::Bounced), None, None)
            };
            assert_eq!(pages(&world, between).await, wanted(&|i| i % 100 == 0 && (4_000..9_000).contains(&i), oldest_first));
            let one = Filter { tag: Some("order".into()), ..by(None, None, Some(&id_of(6_000).to_string())) };
            assert_eq!(pages(&world, one).await, [id_of(6_000)]);
        }
    }

    async fn people_fill_their_list_up_to_its_limit_and_it_is_never_counted(test: TestDb) {
        let world = World::new(test).await;
        let (account, ids, now) = (world.principal.account, world.test.ids.clone(), world.clock.now());
        world.test.db.write("suppress", move |tx| {
            let mut add = |name: &str, why| {
                let address = Address::parse(name).unwrap();
                let new = New { account, stream: EVERY_STREAM, address: &address, why, note: "", of: None };
                let id = ids.next(now);
                suppressions::add(tx, (id, now), &new).map(|_| id)
            };
            let first = add("a@there.example", Why::Manual)?;
            add("a@there.example", Why::Manual)?;
            add("b@there.example", Why::HardBounce)?;
            let most = suppressions::MOST as usize;
            assert!(!suppressions::is_full(tx, account, most - 1)? && suppressions::is_full(tx, account, most)?);
            assert!(suppressions::remove(tx, account, first)?);
            assert!(!suppressions::is_full(tx, account, most)?);
            Ok(())
        })
        .await
        .unwrap();
    }
}
