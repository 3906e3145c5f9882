//! Web sessions: how they open, and the four ways in which they end.

use std::time::Duration;

use accounts::{By, SessionOrigin, Via};
use store::both_engines;

use crate::room::{OTHER, PASSWORD, Room, room};

const DAY: Duration = Duration::from_hours(24);

async fn open(room: &Room) -> String {
    let alice = room.sign_in("alice@example.com").await;
    room.accounts
        .open_session(&alice, SessionOrigin::default())
        .await
        .unwrap()
        .expect("the session opens")
}

async fn is_open(room: &Room, token: &str) -> bool {
    room.accounts.find_session(token).await.unwrap().is_some()
}

both_engines! {
    async fn a_token_opens_its_session_until_it_is_closed(test: TestDb) {
        let room = room(&test);
        let account = room.account("alice@example.com").await;
        let (one, two) = (open(&room).await, open(&room).await);
        assert_ne!(one, two);
        let session = room.accounts.find_session(&one).await.unwrap().expect("the session is open");
        assert_eq!((session.principal.account, session.principal.via), (account.id, Via::Session));
        room.accounts.close_session(&one).await.unwrap();
        assert!(!is_open(&room, &one).await);
        assert!(is_open(&room, &two).await);
        assert!(!is_open(&room, "").await);
    }

    async fn a_session_ends_after_fourteen_days_without_use(test: TestDb) {
        let room = room(&test);
        room.account("alice@example.com").await;
        let token = open(&room).await;
        room.hand.advance(13 * DAY);
        assert!(is_open(&room, &token).await);
        room.hand.advance(13 * DAY);
        assert!(is_open(&room, &token).await, "use prolongs it");
        room.hand.advance(2 * DAY);
        assert!(is_open(&room, &token).await);
        room.hand.advance(2 * DAY);
        assert!(!is_open(&room, &token).await, "but not beyond thirty days");
        let token = open(&room).await;
        room.hand.advance(14 * DAY);
        assert!(!is_open(&room, &token).await);
    }

    async fn a_password_change_ends_every_session_but_the_one_that_made_it(test: TestDb) {
        let room = room(&test);
        room.account("alice@example.com").await;
        let (mine, other) = (open(&room).await, open(&room).await);
        room.changes_password("alice@example.com", PASSWORD, OTHER, Some(&mine)).await.unwrap();
        assert!(is_open(&room, &mine).await);
        assert!(!is_open(&room, &other).await);
        room.accounts.set_password("alice@example.com", PASSWORD, &By::system()).await.unwrap();
        assert!(!is_open(&room, &mine).await);
    }

    async fn changing_ones_password_takes_the_current_one(test: TestDb) {
        let room = room(&test);
        room.account("alice@example.com").await;
        let refused = room.changes_password("alice@example.com", OTHER, OTHER, None).await;
        assert!(matches!(refused, Err(accounts::AccountsError::WrongPassword)));
        room.sign_in("alice@example.com").await;
    }

    async fn a_sign_in_with_the_old_password_opens_no_session_after_the_change(test: TestDb) {
        let room = room(&test);
        room.account("alice@example.com").await;
        let before = room.sign_in("alice@example.com").await;
        room.accounts.set_password("alice@example.com", OTHER, &By::system()).await.unwrap();
        assert_eq!(room.accounts.open_session(&before, SessionOrigin::default()).await.unwrap(), None);
    }
}
