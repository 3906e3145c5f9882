//! Turns, taken by several nodes over one table.

use store::both_engines;
use store::testing::TestDb;

use super::*;

const NOW: Time = Time::from_secs(1_795_000_000);

fn after(minutes: u64) -> Time {
    NOW.plus(Duration::from_mins(minutes))
}

fn asked(links: &[(&str, Id)], hurry: Option<Time>) -> Asked {
    Asked {
        directory: "https://ca.example/dir".to_owned(),
        own: "mail.example".to_owned(),
        links: links
            .iter()
            .map(|(name, account)| ((*name).to_owned(), *account))
            .collect(),
        hurry,
    }
}

async fn wanted(test: &TestDb, links: &[&str]) {
    let links: Vec<String> = links.iter().map(|&name| name.to_owned()).collect();
    let want = move |tx: &mut Tx<'_>| {
        want(tx, "mail.example", false, NOW)?;
        links.iter().try_for_each(|name| want(tx, name, true, NOW))
    };
    test.db.write("want", want).await.unwrap();
}

async fn turn(test: &TestDb, asked: &Asked, now: Time) -> Option<Turn> {
    let asked = asked.clone();
    let take = move |tx: &mut Tx<'_>| take_turn(tx, &asked, now);
    test.db.write("take a turn", take).await.unwrap()
}

/// The order failed, or ended with this.
async fn ended(
    test: &TestDb,
    turn: &Turn,
    issued: Option<&rcgen::CertifiedKey<rcgen::KeyPair>>,
    now: Time,
) -> bool {
    let turn = turn.clone();
    let outcome = match issued {
        Some(made) => {
            let pem = format!("{}{}", made.signing_key.serialize_pem(), made.cert.pem());
            let pair = Pair::of(&pem, "the test's").unwrap();
            Ok((pem, pair))
        }
        None => Err((Fault::Authority, "not today".to_owned())),
    };
    let conclude = move |tx: &mut Tx<'_>| conclude(tx, &turn, &outcome, now);
    test.db.write("conclude", conclude).await.unwrap()
}

async fn kept(test: &TestDb, names: &str) -> Kept {
    let names = names.to_owned();
    let read = move |tx: &mut Tx<'_>| one(tx, &names);
    test.db.read("read", read).await.unwrap().expect("it is kept")
}

both_engines! {
    async fn one_node_orders_at_a_time_and_what_a_late_one_brings_is_dropped(test: TestDb) {
        wanted(&test, &[]).await;
        let asked = asked(&[], None);
        let first = turn(&test, &asked, NOW).await.expect("the first has it");
        assert!(turn(&test, &asked, after(4)).await.is_none());
        let second = turn(&test, &asked, after(6)).await.expect("the first one is taken for dead");
        put_proof(&test.db, &second, "token".to_owned(), "proof".to_owned()).await.unwrap();

        let made = rcgen::generate_simple_self_signed(vec!["mail.example".to_owned()]).unwrap();
        assert!(!ended(&test, &first, Some(&made), after(7)).await);
        keep_account(&test.db, &first, Some("late".to_owned())).await.unwrap();
        assert_eq!(kept(&test, "mail.example").await.state(after(7)), State::Waiting);
        assert_eq!(proof(&test.db, "token".to_owned()).await.unwrap().as_deref(), Some("proof"));

        keep_account(&test.db, &second, Some("ours".to_owned())).await.unwrap();
        assert!(ended(&test, &second, Some(&made), after(8)).await);
        assert_eq!(kept(&test, "mail.example").await.state(after(8)), State::Issued);
        assert_eq!(proof(&test.db, "token".to_owned()).await.unwrap(), None, "a proof is nobody's any more");
        assert!(turn(&test, &asked, after(9)).await.is_none(), "nothing is due");
        let renewal = turn(&test, &asked, kept(&test, "mail.example").await.next_at).await.expect("it is due");
        assert_eq!(renewal.credentials.as_deref(), Some("ours"));
    }

    async fn a_turn_that_a_clock_of_the_future_took_holds_nobody_up(test: TestDb) {
        wanted(&test, &[]).await;
        let asked = asked(&[], None);
        turn(&test, &asked, after(60 * 24 * 365)).await.expect("whatever the clock says");
        let row = kept(&test, "mail.example").await;
        assert!(row.next_at > after(60 * 24), "it was noted as tried");
        let hurried = Asked { hurry: Some(after(60 * 24 * 366)), ..asked };
        test.db
            .write("fail it", |tx| tx.run("UPDATE certificates SET fault = 'authority'", &[]))
            .await
            .unwrap();
        assert!(turn(&test, &hurried, NOW).await.is_some());
    }

    async fn failures_make_wait_and_a_hurry_ends_the_wait_once(test: TestDb) {
        wanted(&test, &[]).await;
        let (calm, mut now) = (asked(&[], None), NOW);
        for wait in [5, 20, 60, 360, 360] {
            let tried = turn(&test, &calm, now).await.expect("its turn has come");
            assert!(ended(&test, &tried, None, now).await);
            assert_eq!(kept(&test, "mail.example").await.next_at, now.plus(Duration::from_mins(wait)));
            assert!(turn(&test, &calm, now.plus(Duration::from_mins(wait - 1))).await.is_none());
            now = now.plus(Duration::from_mins(wait));
        }
        let hurried = asked(&[], Some(now.minus(Duration::from_mins(1))));
        let tried = turn(&test, &hurried, now.minus(Duration::from_secs(30))).await.expect("somebody asked");
        assert!(ended(&test, &tried, None, now).await);
        assert!(turn(&test, &hurried, now).await.is_none());
    }

    async fn our_own_names_come_first_then_what_is_renewed_and_no_account_or_hour_has_more_than_its_share(test: TestDb) {
        let (busy, quiet) = (test.id(), test.id());
        let names: Vec<String> = (0..50).map(|n| format!("links.{n:02}.example")).collect();
        let all: Vec<&str> = names.iter().map(String::as_str).chain(["links.quiet.example"]).collect();
        wanted(&test, &all).await;
        let of_busy = names.iter().map(|name| (name.as_str(), busy));
        let links: Vec<(&str, Id)> = of_busy.chain([("links.quiet.example", quiet)]).collect();
        let asked = asked(&links, None);
        let own = turn(&test, &asked, NOW).await.expect("a turn");
        assert_eq!(own.names, "mail.example");
        let made = rcgen::generate_simple_self_signed(vec!["mail.example".to_owned()]).unwrap();
        assert!(ended(&test, &own, Some(&made), NOW).await);

        // Twenty orders an hour, whatever there is.
        let mut ordered = Vec::new();
        for hour in 0..4 {
            let now = after(61 * hour);
            while let Some(turn) = turn(&test, &asked, now).await {
                let made = rcgen::generate_simple_self_signed(turn.names()).unwrap();
                assert!(ended(&test, &turn, Some(&made), now).await);
                ordered.push(turn.names);
            }
            assert!(ordered.len() <= 20 * (usize::try_from(hour).unwrap() + 1), "{}", ordered.len());
        }
        // Forty of one account a day; the other's are not behind them for long.
        assert_eq!(ordered.iter().filter(|name| *name != "links.quiet.example").count(), 40);
        assert!(ordered.contains(&"links.quiet.example".to_owned()));
        let over = kept(&test, "links.49.example").await;
        assert_eq!((over.fault, over.state(after(200))), (Some(Fault::Limit), State::Failing));
    }
}
