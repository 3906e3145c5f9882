//! Passwords: who gets in, and what a change of password does everywhere.

use accounts::{Accounts, AccountsError, By, Outcome, Settings, StandardLimits, Validity, Via};
use mail::address::Address;
use store::{Clock, both_engines};

use crate::room::{OTHER, PASSWORD, room, signs_in};

both_engines! {
    async fn the_login_address_compares_without_case_and_as_u_or_a_label(test: TestDb) {
        let room = room(&test);
        let account = room.account("Alice@Bücher.example").await;
        for email in ["alice@bücher.example", "ALICE@XN--BCHER-KVA.EXAMPLE"] {
            let alice = room.sign_in(email).await;
            assert_eq!((alice.account, alice.via), (account.id, Via::Login));
        }
    }

    async fn a_wrong_password_and_an_unknown_address_look_the_same(test: TestDb) {
        let room = room(&test);
        room.account("alice@example.com").await;
        for (email, password) in [
            ("alice@example.com", OTHER),
            ("alice@example.com", ""),
            ("bob@example.com", PASSWORD),
            ("not an address", PASSWORD),
            ("", ""),
            ("alice@example.com", &PASSWORD.repeat(100)),
        ] {
            assert_eq!(room.tries(email, password).await, Outcome::Wrong, "{email}");
        }
    }

    async fn a_new_password_counts_at_once_and_the_old_one_stops(test: TestDb) {
        let room = room(&test);
        room.account("alice@example.com").await;
        let before = room.sign_in("alice@example.com").await;
        room.accounts.set_password("alice@example.com", OTHER, &By::system()).await.unwrap();
        assert_eq!(room.tries("alice@example.com", PASSWORD).await, Outcome::Wrong);
        assert!(matches!(room.tries("alice@example.com", OTHER).await, Outcome::In(_)));
        assert_eq!(room.accounts.still_valid(&before).await.unwrap(), Validity::SignedOut);
    }

    async fn a_change_beside_this_process_is_seen_at_the_next_refresh(test: TestDb) {
        let room = room(&test);
        room.account("alice@example.com").await;
        let before = room.sign_in("alice@example.com").await;
        let epoch = room.accounts.refresh().await.unwrap();
        let settings = Settings { free_credits: 0, hostname: "x.example".into(), inbound: false, dkim_zone: None, links: None, day_limits: StandardLimits::default(), guard: accounts::GuardSettings::default(), sign_up: accounts::SignUpMode::Open };
        let cli = Accounts::new(test.reopen().await, Clock::system(), test.ids.clone(), settings);
        cli.set_password("alice@example.com", OTHER, &By::system()).await.unwrap();
        assert!(room.accounts.refresh().await.unwrap() > epoch);
        assert_eq!(room.accounts.still_valid(&before).await.unwrap(), Validity::SignedOut);
        assert_eq!(room.tries("alice@example.com", PASSWORD).await, Outcome::Wrong);
        assert!(matches!(room.tries("alice@example.com", OTHER).await, Outcome::In(_)));
    }

    async fn a_weak_new_password_changes_nothing(test: TestDb) {
        let room = room(&test);
        room.account("alice@example.com").await;
        let weak = room.accounts.set_password("alice@example.com", "1234567890", &By::system()).await;
        assert!(matches!(weak, Err(AccountsError::Weak(_))));
        room.sign_in("alice@example.com").await;
        let nobody = room.accounts.set_password("bob@example.com", OTHER, &By::system()).await;
        assert!(matches!(nobody, Err(AccountsError::NoSuchLogin(_))));
    }

    async fn one_sends_as_ones_login_address_and_nobody_elses(test: TestDb) {
        let room = room(&test);
        room.account("alice@example.com").await;
        room.account("bob@example.com").await;
        let alice = room.sign_in("alice@example.com").await;
        let may = async |sender: &str| {
            room.accounts.may_send_as(&alice, &Address::parse(sender).unwrap()).await.unwrap()
        };
        assert!(may("alice@example.com").await);
        assert!(may("ALICE@example.COM").await);
        assert!(!may("bob@example.com").await);
        assert!(!may("other@example.com").await);
        assert!(!may("аlice@example.com").await, "a Cyrillic а is another letter");
    }

    async fn many_sign_ins_at_once_are_all_answered(test: TestDb) {
        let room = room(&test);
        room.account("alice@example.com").await;
        let tries: Vec<_> = (0..50)
            .map(|n| {
                let accounts = room.accounts.clone();
                tokio::spawn(async move {
                    let password = if n % 25 == 0 { OTHER } else { PASSWORD };
                    signs_in(&accounts, "alice@example.com", password).await.is_some()
                })
            })
            .collect();
        let mut right = 0;
        for one in tries {
            right += usize::from(one.await.unwrap());
        }
        assert_eq!(right, 48);
    }
}
