//! What is told of sign-in attempts, and to whom.

use std::time::Duration;

use accounts::{AttemptFilter, By, Reason, SignInAttempt};
use store::{Id, both_engines};

use crate::room::{HERE, OTHER, PASSWORD, Room, from, room, tries};

const ALICE: &str = "alice@example.com";

impl Room {
    /// The attempts that an account sees, or all of them.
    pub async fn attempts(&self, account: Option<Id>) -> Vec<SignInAttempt> {
        while self.accounts.write_attempts().await.unwrap() {}
        let filter = AttemptFilter {
            account,
            limit: 100,
            ..AttemptFilter::default()
        };
        self.accounts.sign_in_attempts(filter).await.unwrap()
    }
}

fn reasons(attempts: &[SignInAttempt]) -> Vec<(&str, u64)> {
    attempts
        .iter()
        .map(|one| (one.reason.as_str(), one.count))
        .collect()
}

both_engines! {
    async fn an_old_password_is_one_line_with_a_count_and_says_until_when_it_was_right(test: TestDb) {
        let room = room(&test);
        let alice = room.account(ALICE).await;
        room.hand.advance(Duration::from_hours(1));
        let changed = room.clock.now();
        room.accounts.set_password(ALICE, OTHER, &By::system()).await.unwrap();
        for day in 1..=3 {
            room.hand.advance(Duration::from_hours(24));
            for _ in 0..4 {
                room.tries(ALICE, PASSWORD).await;
            }
            let attempts = room.attempts(Some(alice.id)).await;
            assert_eq!(reasons(&attempts), [("old_password", day * 4)]);
        }
        let attempts = room.attempts(Some(alice.id)).await;
        assert_eq!(attempts[0].reason, Reason::OldPassword { until: changed });
        assert_eq!(attempts[0].last_at.since(attempts[0].first_at), Duration::from_hours(48));
        assert_eq!((attempts[0].ip.as_str(), attempts[0].client.as_str(), attempts[0].port), (HERE, "laptop.example", 587));
    }

    async fn the_last_three_old_passwords_are_known_for_a_year(test: TestDb) {
        let room = room(&test);
        let alice = room.account(ALICE).await;
        let passwords: Vec<String> = (0..5).map(|n| format!("seven green lanterns and {n} horses")).collect();
        for password in &passwords {
            room.hand.advance(Duration::from_mins(1));
            room.accounts.set_password(ALICE, password, &By::system()).await.unwrap();
        }
        for (age, word) in [(1, "old_password"), (2, "old_password"), (3, "old_password"), (4, "wrong_password")] {
            let client = accounts::Approach { client: format!("host-{age}"), ..from(HERE) };
            tries(&room.accounts, &client, ALICE, &passwords[4 - age]).await;
            let attempts = room.attempts(Some(alice.id)).await;
            let one = attempts.iter().find(|one| one.client == client.client).unwrap();
            assert_eq!(one.reason.as_str(), word, "{age} changes ago");
        }
        room.hand.advance(Duration::from_hours(366 * 24));
        room.accounts.set_password(ALICE, PASSWORD, &By::system()).await.unwrap();
        let client = accounts::Approach { client: "later".into(), ..from(HERE) };
        tries(&room.accounts, &client, ALICE, &passwords[3]).await;
        assert_eq!(room.attempts(Some(alice.id)).await[0].reason, Reason::WrongPassword);
    }

    async fn a_slip_in_the_address_is_shown_to_whoever_has_the_address_that_was_meant(test: TestDb) {
        let room = room(&test);
        let alice = room.account(ALICE).await;
        let bob = room.account("robert@example.org").await;
        room.tries("alcie@example.com", PASSWORD).await;
        room.tries("somebody.else@example.net", PASSWORD).await;
        let own = room.attempts(Some(alice.id)).await;
        assert_eq!(reasons(&own), [("unknown_address", 1)]);
        assert_eq!((own[0].login.as_str(), own[0].reason.near()), ("alcie@example.com", Some(ALICE)));
        assert!(room.attempts(Some(bob.id)).await.is_empty());
        let all = room.attempts(None).await;
        assert_eq!(all.len(), 2);
        assert!(all.iter().any(|one| one.login == "somebody.else@example.net" && one.reason.near().is_none()));
    }

    async fn a_password_in_the_field_of_the_address_is_not_kept(test: TestDb) {
        let room = room(&test);
        room.tries(PASSWORD, "").await;
        let all = room.attempts(None).await;
        assert_eq!((all[0].login.as_str(), &all[0].reason), ("", &Reason::NotAnAddress));
    }

    async fn a_good_sign_in_is_noted_once_an_hour_and_a_locked_one_with_its_end(test: TestDb) {
        let room = room(&test);
        let alice = room.account(ALICE).await;
        for _ in 0..5 {
            room.sign_in(ALICE).await;
        }
        assert_eq!(reasons(&room.attempts(Some(alice.id)).await), [("signed_in", 1)]);
        room.hand.advance(Duration::from_mins(1));
        room.fails(10, HERE, ALICE).await;
        room.hand.advance(Duration::from_mins(1));
        room.tries(ALICE, PASSWORD).await;
        let attempts = room.attempts(Some(alice.id)).await;
        assert_eq!(reasons(&attempts), [("locked", 1), ("wrong_password", 10), ("signed_in", 1)]);
        assert_eq!(attempts[0].reason.until(), Some(room.clock.now().plus(Duration::from_mins(4))));
    }

    async fn a_flood_of_lines_becomes_a_count(test: TestDb) {
        let room = room(&test);
        for n in 0..500 {
            let client = accounts::Approach { client: format!("host-{n}"), ..from(HERE) };
            room.accounts.note_attempt(Some("x@example.com"), &client, Reason::NoTls);
        }
        room.accounts.write_attempts().await.unwrap();
        let filter = AttemptFilter { limit: 1_000, ..AttemptFilter::default() };
        let all = room.accounts.sign_in_attempts(filter).await.unwrap();
        let more = all.iter().find(|one| one.reason == Reason::More).unwrap();
        assert_eq!((all.len(), more.count), (121, 380));
    }

    async fn lists_have_pages_and_old_lines_go(test: TestDb) {
        let room = room(&test);
        for n in 0..5 {
            let client = accounts::Approach { client: format!("host-{n}"), ..from(HERE) };
            room.accounts.note_attempt(Some(ALICE), &client, Reason::NoTls);
            room.hand.advance(Duration::from_secs(1));
        }
        room.accounts.write_attempts().await.unwrap();
        let mut filter = AttemptFilter { login: Some(ALICE.into()), limit: 2, ..AttemptFilter::default() };
        let mut seen = Vec::new();
        loop {
            let page = room.accounts.sign_in_attempts(filter.clone()).await.unwrap();
            let Some(last) = page.last() else { break };
            filter.after = Some(last.id);
            seen.extend(page.into_iter().map(|one| one.client));
        }
        assert_eq!(seen, ["host-4", "host-3", "host-2", "host-1", "host-0"]);
        room.hand.advance(Duration::from_hours(31 * 24));
        room.tidy().await;
        assert!(room.attempts(None).await.is_empty());
    }
}
