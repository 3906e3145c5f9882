//! Single sender addresses: asked for by mail, confirmed by its link, and taken away.

use std::time::Duration;

use accounts::senders::MOST_SENDERS;
use accounts::{AccountsError, By, Says};
use mail::address::Address;
use store::{Id, both_engines};

use crate::room::{Room, room};

/// The token in the next mail of ours.
async fn mailed(room: &Room, to: &str) -> String {
    let letter = room.accounts.next_letter().await.unwrap().expect("a mail is due");
    assert_eq!(letter.to.to_string(), to);
    room.accounts.letter_sent(letter.id).await.unwrap();
    match letter.says {
        Says::SenderAsked { token, by } => {
            assert_eq!(by, "a@example.com");
            token
        }
        other => panic!("another mail: {other:?}"),
    }
}

async fn by_alice(room: &Room) -> By {
    By::principal(&room.sign_in("a@example.com").await, None)
}

both_engines! {
    async fn the_owner_of_an_address_lets_an_account_send_as_it(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await;
        let alice = room.sign_in("a@example.com").await;
        let by = by_alice(&room).await;
        let address = Address::parse("Press@Paper.example").unwrap();
        let may_send = async || {
            room.accounts.refresh().await.unwrap();
            room.accounts.may_send_as(&alice, &address).await.unwrap()
        };
        let asked = room.accounts.ask_for_sender(account.id, " Press@Paper.example ", &by).await.unwrap();
        assert_eq!((asked.address.as_str(), asked.confirmed_at), ("Press@paper.example", None));
        assert!(!may_send().await, "asking alone is nothing");
        let token = mailed(&room, "Press@paper.example").await;
        let question = room.accounts.asked_sender(&token).await.unwrap().expect("the link works");
        assert_eq!((question.address.as_str(), question.asked_by.as_str()), ("Press@paper.example", "a@example.com"));
        assert!(!may_send().await, "looking changes nothing");
        room.accounts.confirm_sender(&token).await.unwrap();
        assert!(may_send().await);
        let other = Address::parse("other@paper.example").unwrap();
        assert!(!room.accounts.may_send_as(&alice, &other).await.unwrap(), "one address, not its domain");
        let again = room.accounts.confirm_sender(&token).await.unwrap_err();
        assert!(matches!(again, AccountsError::LinkGone), "{again}");
        let known = room.accounts.ask_for_sender(account.id, "press@paper.example", &by).await.unwrap();
        assert!(known.confirmed_at.is_some());
        assert!(room.accounts.next_letter().await.unwrap().is_none(), "nobody is asked twice");
        assert_eq!(room.accounts.senders(account.id).await.unwrap(), ["a@example.com", "press@paper.example"]);
        room.accounts.remove_sender(account.id, known.id, &by).await.unwrap();
        assert!(!may_send().await);
    }

    async fn a_link_ends_with_a_newer_one_with_the_address_and_with_its_time(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await;
        let by = by_alice(&room).await;
        let ask = async || room.accounts.ask_for_sender(account.id, "x@paper.example", &by).await.unwrap();
        let gone = async |token: &str| {
            let refused = room.accounts.confirm_sender(token).await;
            matches!(refused, Err(AccountsError::LinkGone))
        };
        ask().await;
        let first = mailed(&room, "x@paper.example").await;
        let sender = ask().await;
        assert!(gone(&first).await, "a newer mail is on its way");
        let second = mailed(&room, "x@paper.example").await;
        room.accounts.remove_sender(account.id, sender.id, &by).await.unwrap();
        assert!(gone(&second).await, "the account does not ask any more");
        ask().await;
        let third = mailed(&room, "x@paper.example").await;
        room.hand.advance(Duration::from_hours(7 * 24));
        assert!(gone(&third).await);
        assert!(gone("nonsense").await);
    }

    async fn nobody_is_written_to_more_often_than_they_can_bear(test: TestDb) {
        let room = room(&test);
        let (a, b) = (room.account("a@example.com").await, room.account("b@example.com").await);
        let by = by_alice(&room).await;
        for account in [a.id, a.id, b.id] {
            room.accounts.ask_for_sender(account, "x@paper.example", &by).await.unwrap();
        }
        let refused = room.accounts.ask_for_sender(b.id, "X@paper.example", &by).await.unwrap_err();
        assert!(matches!(refused, AccountsError::TooOften(_)), "{refused}");
        let bad = room.accounts.ask_for_sender(a.id, "no address", &by).await.unwrap_err();
        assert!(matches!(bad, AccountsError::Address(_)), "{bad}");
    }

    async fn neither_the_sandbox_nor_a_suspended_account_writes_to_strangers_by_asking_them(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await;
        let by = by_alice(&room).await;
        let ask = async |address: &str| room.accounts.ask_for_sender(account.id, address, &by).await;
        for address in ["x+1@paper.example", "x+2@paper.example", "x@paper.example"] {
            ask(address).await.unwrap();
        }
        let refused = ask("x+3@paper.example").await.unwrap_err();
        assert!(matches!(refused, AccountsError::TooOften(_)), "one mailbox: {refused}");
        room.accounts.suspend(account.id, "spam", &By::system()).await.unwrap();
        let refused = ask("other@paper.example").await.unwrap_err();
        assert!(matches!(refused, AccountsError::Stopped), "{refused}");
    }

    async fn an_account_has_so_many_sender_addresses_and_no_others(test: TestDb) {
        let room = room(&test);
        let (a, b) = (room.account("a@example.com").await, room.account("b@example.com").await);
        let by = by_alice(&room).await;
        let first = room.accounts.ask_for_sender(a.id, "x@paper.example", &by).await.unwrap();
        let theirs = room.accounts.remove_sender(b.id, first.id, &by).await.unwrap_err();
        assert!(matches!(theirs, AccountsError::NotFound(_)), "{theirs}");
        assert!(room.accounts.single_senders(b.id).await.unwrap().is_empty());
        let ids: Vec<Id> = (1..MOST_SENDERS).map(|_| test.id()).collect();
        test.db
            .write("fill the account", move |tx| {
                for id in &ids {
                    tx.run(
                        "INSERT INTO senders (id, account, address, address_key, language, asked_by, created_at, asked_at) \
                         VALUES ($1, $2, $3, $3, 'en', '', 0, 0)",
                        &[id.into(), (&a.id).into(), format!("{id}@paper.example").as_str().into()],
                    )?;
                }
                Ok(())
            })
            .await
            .unwrap();
        let refused = room.accounts.ask_for_sender(a.id, "more@paper.example", &by).await.unwrap_err();
        assert!(matches!(refused, AccountsError::TooMany { most: 100, .. }), "{refused}");
        room.accounts.ask_for_sender(a.id, "x@paper.example", &by).await.expect("it has this one");
    }
}
