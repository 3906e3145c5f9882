//! A forgotten password: the link, its life, and what a new password ends.

use std::time::Duration;

use accounts::{AccountsError, By, ChangedBy, Outcome, Requester, Says, SessionOrigin, Validity};
use store::both_engines;

use crate::room::{HERE, OTHER, PASSWORD, Room, room};
use crate::sign_up::{from, letters};

async fn token(room: &Room, email: &str) -> String {
    room.accounts
        .forgot_password(email, &from("192.0.2.1"))
        .await
        .unwrap();
    match letters(&room.accounts).await.pop().unwrap().says {
        Says::Reset { token } => token,
        other => panic!("{other:?}"),
    }
}

both_engines! {
    async fn a_reset_lifts_a_lock(test: TestDb) {
        let room = room(&test);
        room.account("alice@example.com").await;
        room.fails(10, HERE, "alice@example.com").await;
        assert!(matches!(room.tries("alice@example.com", PASSWORD).await, Outcome::Locked { .. }));
        let link = token(&room, "alice@example.com").await;
        room.accounts.reset_password(&link, OTHER, &from(HERE)).await.unwrap();
        assert!(matches!(room.tries("alice@example.com", OTHER).await, Outcome::In(_)));
    }

    async fn a_link_sets_the_password_once_and_ends_every_session(test: TestDb) {
        let room = room(&test);
        room.account("alice@example.com").await;
        let alice = room.sign_in("alice@example.com").await;
        let session = room.accounts.open_session(&alice, SessionOrigin::default()).await.unwrap().unwrap();
        let (first, second) = (token(&room, "Alice@example.com").await, token(&room, "alice@example.com").await);
        let weak = room.accounts.reset_password(&first, "password123", &from("192.0.2.9")).await;
        assert!(matches!(weak, Err(AccountsError::Weak(_))), "the link is not used up by a weak password");
        let login = room.accounts.reset_password(&first, OTHER, &from("192.0.2.9")).await.unwrap();
        assert_eq!(login.email, "alice@example.com");
        assert!(room.accounts.find_session(&session).await.unwrap().is_none());
        assert_eq!(room.accounts.still_valid(&alice).await.unwrap(), Validity::SignedOut);
        assert!(room.tries("alice@example.com", PASSWORD).await == Outcome::Wrong);
        assert!(matches!(room.tries("alice@example.com", OTHER).await, Outcome::In(_)));
        for used in [&first, &second] {
            let again = room.accounts.reset_password(used, PASSWORD, &from("192.0.2.9")).await;
            assert!(matches!(again, Err(AccountsError::LinkGone)), "{again:?}");
        }
        let told = letters(&room.accounts).await;
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].says, Says::PasswordChanged { by: ChangedBy::Link });
        assert_eq!(told[0].requester.as_ref().unwrap().ip.to_string(), "192.0.2.9");
    }

    async fn a_link_lives_for_half_an_hour_and_opens_nothing_when_it_is_changed(test: TestDb) {
        let room = room(&test);
        room.account("alice@example.com").await;
        let late = token(&room, "alice@example.com").await;
        room.hand.advance(Duration::from_mins(30));
        let gone = room.accounts.reset_password(&late, OTHER, &from("192.0.2.1")).await;
        assert!(matches!(gone, Err(AccountsError::LinkGone)));
        let good = token(&room, "alice@example.com").await;
        for wrong in [String::new(), good[1..].to_owned(), format!("{good} "), good.to_lowercase()] {
            let gone = room.accounts.reset_password(&wrong, OTHER, &from("192.0.2.1")).await;
            assert!(matches!(gone, Err(AccountsError::LinkGone)), "{wrong:?}");
        }
        assert!(matches!(room.accounts.confirm_sign_up(&good, PASSWORD).await, Err(AccountsError::LinkGone)));
        room.hand.advance(Duration::from_mins(29));
        room.accounts.reset_password(&good, OTHER, &from("192.0.2.1")).await.unwrap();
    }

    async fn an_unknown_address_gets_the_same_answer_and_no_mail(test: TestDb) {
        let room = room(&test);
        room.accounts.forgot_password("nobody@example.com", &from("192.0.2.1")).await.unwrap();
        assert!(letters(&room.accounts).await.is_empty());
    }

    async fn three_links_an_hour_for_an_address_and_twenty_requests_for_a_network(test: TestDb) {
        let room = room(&test);
        room.account("alice@example.com").await;
        for n in 0..5 {
            room.accounts.forgot_password("alice@example.com", &from(&format!("192.0.{n}.1"))).await.unwrap();
        }
        assert_eq!(letters(&room.accounts).await.len(), 3);
        for n in 0..20 {
            room.accounts.forgot_password(&format!("a{n}@example.com"), &from("2001:db8::1")).await.unwrap();
        }
        let refused = room.accounts.forgot_password("b@example.com", &from("2001:db8:0:ffff::1")).await;
        assert!(matches!(refused, Err(AccountsError::TooOften(_))));
        room.accounts.forgot_password("b@example.com", &from("2001:db8:1::1")).await.unwrap();
        room.hand.advance(Duration::from_hours(1));
        token(&room, "alice@example.com").await;
    }

    async fn every_change_of_a_password_is_told_to_its_owner_and_voids_the_links(test: TestDb) {
        let room = room(&test);
        room.account("alice@example.com").await;
        let link = token(&room, "alice@example.com").await;
        room.changes_password("alice@example.com", PASSWORD, OTHER, None).await.unwrap();
        let void = room.accounts.reset_password(&link, PASSWORD, &from("192.0.2.1")).await;
        assert!(matches!(void, Err(AccountsError::LinkGone)));
        room.accounts.set_password("alice@example.com", PASSWORD, &By::system()).await.unwrap();
        let told: Vec<_> = letters(&room.accounts).await.into_iter().map(|letter| (letter.says, letter.requester)).collect();
        assert_eq!(told, [
            (Says::PasswordChanged { by: ChangedBy::Owner }, Some(Requester::new("192.0.2.1".parse().unwrap(), "laptop.example"))),
            (Says::PasswordChanged { by: ChangedBy::Operator }, None),
        ]);
    }
}
