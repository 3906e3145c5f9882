//! Who is locked out after failed sign-ins, for how long, and who is not.

use std::time::Duration;

use accounts::{Accounts, AccountsError, By, Outcome, Settings, StandardLimits};
use store::testing::TestDb;
use store::{Tx, both_engines};

use crate::room::{HERE, OTHER, PASSWORD, from, room, tries};

const ALICE: &str = "alice@example.com";
const MINUTE: Duration = Duration::from_mins(1);

/// Locked, with so many minutes left.
fn locked(minutes: u32) -> Outcome {
    Outcome::Locked {
        left: MINUTE * minutes,
    }
}

async fn rows(test: &TestDb, table: &'static str) -> i64 {
    let count = move |tx: &mut Tx<'_>| {
        let row = tx.query_opt(&format!("SELECT count(*) FROM {table}"), &[])?;
        row.expect("a count is a row").int(0)
    };
    test.db.read("count rows", count).await.unwrap()
}

both_engines! {
    async fn ten_failures_lock_the_pair_and_nobody_else(test: TestDb) {
        let room = room(&test);
        room.account(ALICE).await;
        room.account("bob@example.com").await;
        room.fails(10, HERE, ALICE).await;
        assert_eq!(room.tries(ALICE, PASSWORD).await, locked(5), "even the right password");
        assert_eq!(room.tries("Alice@EXAMPLE.com", OTHER).await, locked(5));
        assert!(matches!(room.tries_from("192.0.2.2", ALICE, PASSWORD).await, Outcome::In(_)));
        assert!(matches!(room.tries("bob@example.com", PASSWORD).await, Outcome::In(_)));
        room.hand.advance(MINUTE * 5);
        assert!(matches!(room.tries(ALICE, PASSWORD).await, Outcome::In(_)), "it ends by itself");
    }

    async fn a_lock_grows_while_it_goes_on(test: TestDb) {
        let room = room(&test);
        room.account(ALICE).await;
        room.fails(10, HERE, ALICE).await;
        room.hand.advance(MINUTE * 5);
        room.fails(10, HERE, ALICE).await;
        assert_eq!(room.tries(ALICE, PASSWORD).await, locked(10));
        let lockouts = room.accounts.lockouts().await.unwrap();
        assert_eq!((lockouts.len(), lockouts[0].locks, lockouts[0].login.as_deref()), (1, 2, Some(ALICE)));
    }

    async fn an_unknown_address_meets_the_same_counters(test: TestDb) {
        let room = room(&test);
        for login in ["nobody@example.com", "no address", ""] {
            room.fails(10, HERE, login).await;
            assert_eq!(room.tries(login, PASSWORD).await, locked(5), "{login:?}");
        }
    }

    async fn the_same_wrong_password_counts_once(test: TestDb) {
        let room = room(&test);
        room.account(ALICE).await;
        for _ in 0..15 {
            assert_eq!(room.tries(ALICE, OTHER).await, Outcome::Wrong);
        }
        room.fails(8, HERE, ALICE).await;
        assert!(matches!(room.tries(ALICE, PASSWORD).await, Outcome::In(_)), "nine so far");
        // A success wiped them; each counts anew, the repeated one included once its window is over.
        room.hand.advance(MINUTE * 10);
        assert_eq!(room.tries(ALICE, OTHER).await, Outcome::Wrong);
        room.fails(9, HERE, ALICE).await;
        assert!(matches!(room.tries(ALICE, PASSWORD).await, Outcome::Locked { .. }));
    }

    async fn many_guesses_at_once_are_no_more_than_one_after_the_other(test: TestDb) {
        let room = room(&test);
        room.account(ALICE).await;
        let guesses: Vec<_> = (0..30)
            .map(|n| {
                let accounts = room.accounts.clone();
                tokio::spawn(async move { tries(&accounts, &from(HERE), ALICE, &format!("guess {n}")).await })
            })
            .collect();
        let mut looked_at = 0;
        for guess in guesses {
            looked_at += usize::from(guess.await.unwrap() == Outcome::Wrong);
        }
        assert_eq!(looked_at, 10);
    }

    async fn a_hundred_failures_lock_the_network_but_not_who_is_known_there(test: TestDb) {
        let room = room(&test);
        room.account(ALICE).await;
        room.account("bob@example.com").await;
        // Alice works in that network; Bob knows his password and was never there.
        room.sign_in(ALICE).await;
        for host in 100..112 {
            let times = if host == 111 { 1 } else { 9 };
            room.fails(times, &format!("192.0.2.{host}"), "bob@example.com").await;
        }
        assert_eq!(room.tries_from("192.0.2.7", "bob@example.com", PASSWORD).await, locked(15));
        assert_eq!(room.tries_from("192.0.2.7", ALICE, PASSWORD).await, locked(15), "not from there");
        assert!(matches!(room.tries(ALICE, PASSWORD).await, Outcome::In(_)));
        // Nor does it help a guesser there to have a login of one's own.
        assert_eq!(room.tries(  "bob@example.com", PASSWORD).await, locked(15));
        assert!(matches!(room.tries_from("198.51.100.1", "bob@example.com", PASSWORD).await, Outcome::In(_)));
        room.hand.advance(MINUTE * 15);
        assert!(matches!(room.tries_from("192.0.2.7", "bob@example.com", PASSWORD).await, Outcome::In(_)));
    }

    async fn whoever_was_known_long_ago_is_known_no_more(test: TestDb) {
        let room = room(&test);
        room.account(ALICE).await;
        room.sign_in(ALICE).await;
        room.hand.advance(Duration::from_hours(31 * 24));
        for host in 100..112 {
            let times = if host == 111 { 1 } else { 9 };
            room.fails(times, &format!("192.0.2.{host}"), "x@example.com").await;
        }
        assert!(matches!(room.tries(ALICE, PASSWORD).await, Outcome::Locked { .. }));
    }

    async fn a_new_password_and_the_operator_lift_a_lock(test: TestDb) {
        let room = room(&test);
        room.account(ALICE).await;
        room.fails(10, HERE, ALICE).await;
        room.accounts.set_password(ALICE, OTHER, &By::system()).await.unwrap();
        assert!(matches!(room.tries(ALICE, OTHER).await, Outcome::In(_)));

        room.fails(10, HERE, ALICE).await;
        let lock = room.accounts.lockouts_of(ALICE).await.unwrap().remove(0);
        room.accounts.lift_lockout(lock.id, &By::system()).await.unwrap();
        assert!(matches!(room.tries(ALICE, OTHER).await, Outcome::In(_)));
        assert!(matches!(room.accounts.lift_lockout(lock.id, &By::system()).await, Err(AccountsError::NotFound(_))));

        room.fails(10, HERE, ALICE).await;
        assert_eq!(room.accounts.lift_lockouts(ALICE, &By::system()).await.unwrap(), 1);
        assert!(matches!(room.tries(ALICE, OTHER).await, Outcome::In(_)));
        assert_eq!(room.accounts.lift_lockouts("192.0.2.0/24", &By::system()).await.unwrap(), 0);
        assert!(room.accounts.lockouts().await.unwrap().is_empty());
    }

    async fn another_node_and_a_restart_know_of_a_lock(test: TestDb) {
        let room = room(&test);
        room.account(ALICE).await;
        let settings = Settings { free_credits: 0, hostname: "x.example".into(), inbound: false, dkim_zone: None, links: None, day_limits: StandardLimits::default(), guard: accounts::GuardSettings::default(), sign_up: accounts::SignUpMode::Open };
        let other = Accounts::new(test.reopen().await, room.clock.clone(), test.ids.clone(), settings);
        room.fails(5, HERE, ALICE).await;
        for n in 0..5 {
            assert_eq!(tries(&other, &from(HERE), ALICE, &format!("over there {n}")).await, Outcome::Wrong);
        }
        assert_eq!(room.tries(ALICE, PASSWORD).await, locked(5));
        assert_eq!(tries(&other, &from(HERE), ALICE, PASSWORD).await, locked(5));
    }

    async fn a_remembered_pair_is_locked_out_too(test: TestDb) {
        let room = room(&test);
        room.account(ALICE).await;
        room.sign_in(ALICE).await;
        room.fails(10, HERE, ALICE).await;
        assert_eq!(room.tries(ALICE, PASSWORD).await, locked(5));
    }

    async fn what_says_nothing_any_more_is_removed(test: TestDb) {
        let room = room(&test);
        room.fails(3, HERE, "x@example.com").await;
        room.tidy().await;
        assert_eq!(rows(&test, "sign_in_limits").await, 2, "a pair and its network");
        room.hand.advance(MINUTE * 11);
        room.tidy().await;
        assert_eq!(rows(&test, "sign_in_limits").await, 0);
    }

    async fn a_login_that_moves_about_leaves_a_bounded_trail(test: TestDb) {
        let room = room(&test);
        room.account(ALICE).await;
        for host in 1..=210 {
            room.hand.advance(Duration::from_secs(1));
            let outcome = room.tries_from(&format!("198.51.100.{host}"), ALICE, PASSWORD).await;
            assert!(matches!(outcome, Outcome::In(_)));
        }
        assert_eq!(rows(&test, "known_clients").await, 200);
        room.hand.advance(Duration::from_hours(31 * 24));
        room.tidy().await;
        assert_eq!(rows(&test, "known_clients").await, 0);
    }
}
