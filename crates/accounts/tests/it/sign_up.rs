//! Opening an account by oneself: links, their life, what is counted, and the sandbox.

use std::net::IpAddr;
use std::time::Duration;

use accounts::{Accounts, AccountsError, By, Letter, NewSignUp, Outcome, Requester, Says};
use mail::address::Address;
use store::both_engines;

use crate::room::{OTHER, PASSWORD, Room, room};

pub fn from(ip: &str) -> Requester {
    Requester::new(ip.parse::<IpAddr>().unwrap(), "Mozilla/5.0\r\nX-Evil: 1")
}

fn new(email: &str) -> NewSignUp {
    NewSignUp {
        email: email.into(),
        password: PASSWORD.into(),
        country: "FR".into(),
        time_zone: "Europe/Paris".into(),
        language: "fr".into(),
    }
}

/// The mails that are due, written and handed over.
pub async fn letters(accounts: &Accounts) -> Vec<Letter> {
    let mut letters = Vec::new();
    while let Some(letter) = accounts.next_letter().await.unwrap() {
        accounts.letter_sent(letter.id).await.unwrap();
        letters.push(letter);
    }
    letters
}

async fn token(room: &Room, email: &str) -> String {
    room.accounts
        .sign_up(new(email), &from("192.0.2.1"))
        .await
        .unwrap();
    match letters(&room.accounts).await.pop().unwrap().says {
        Says::Confirm { token } => token,
        other => panic!("{other:?}"),
    }
}

async fn may_send_to(room: &Room, who: &accounts::Principal, to: &str) -> bool {
    let to = Address::parse(to).unwrap();
    room.accounts.refresh().await.unwrap();
    room.accounts.may_send_to(who, [&to]).await.unwrap()
}

both_engines! {
    async fn a_confirmed_sign_up_is_an_account_with_free_credits_in_the_sandbox(test: TestDb) {
        let room = room(&test);
        let token = token(&room, "Alice@example.com").await;
        assert!(room.tries("alice@example.com", PASSWORD).await == Outcome::Wrong);
        let alice = room.accounts.confirm_sign_up(&token, PASSWORD).await.unwrap();
        let account = room.accounts.account(alice.account).await.unwrap();
        assert_eq!((account.credits, account.sandbox, account.operator), (Some(500), true, false));
        assert_eq!((account.country.as_str(), account.time_zone.as_str()), ("FR", "Europe/Paris"));
        assert_eq!(room.accounts.ledger(alice.account, None, 9).await.unwrap()[0].amount, 500);
        assert_eq!(room.sign_in("alice@example.com").await.account, alice.account);
        assert!(letters(&room.accounts).await.is_empty());
    }

    async fn a_link_works_once_for_a_day_and_only_as_it_was_sent(test: TestDb) {
        let room = room(&test);
        let gone = |outcome| assert!(matches!(outcome, Err(AccountsError::LinkGone)), "{outcome:?}");
        let first = token(&room, "alice@example.com").await;
        let mut tampered = first.clone();
        tampered.replace_range(..1, if first.starts_with('0') { "1" } else { "0" });
        for wrong in ["", "x", tampered.as_str(), &first[1..], &format!("{first}0")] {
            gone(room.accounts.confirm_sign_up(wrong, PASSWORD).await);
        }
        // A link for one thing opens no other.
        assert!(matches!(room.accounts.reset_password(&first, OTHER, &from("192.0.2.1")).await, Err(AccountsError::LinkGone)));
        assert_eq!(room.accounts.invited(&first).await.unwrap(), None);
        let (one, two) = tokio::join!(
            room.accounts.confirm_sign_up(&first, PASSWORD),
            room.accounts.confirm_sign_up(&first, PASSWORD)
        );
        assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1);
        gone(room.accounts.confirm_sign_up(&first, PASSWORD).await);
        let late = token(&room, "bob@example.com").await;
        room.hand.advance(Duration::from_hours(24));
        gone(room.accounts.confirm_sign_up(&late, PASSWORD).await);
    }

    async fn whoever_follows_the_link_gives_the_password_of_the_sign_up(test: TestDb) {
        let room = room(&test);
        let token = token(&room, "alice@example.com").await;
        let wrong = room.accounts.confirm_sign_up(&token, OTHER).await;
        assert!(matches!(wrong, Err(AccountsError::WrongPassword)));
        room.accounts.confirm_sign_up(&token, PASSWORD).await.unwrap();
    }

    async fn a_second_sign_up_for_an_account_tells_its_owner_only(test: TestDb) {
        let room = room(&test);
        room.account("alice@example.com").await;
        let tried = NewSignUp { password: OTHER.into(), ..new("ALICE@example.com") };
        room.accounts.sign_up(tried, &from("198.51.100.7")).await.unwrap();
        let letters = letters(&room.accounts).await;
        assert_eq!(letters.len(), 1);
        assert_eq!(letters[0].says, Says::HasAccount);
        assert_eq!(letters[0].requester.as_ref().unwrap().agent(), "Mozilla/5.0X-Evil: 1");
        assert!(room.tries("alice@example.com", OTHER).await == Outcome::Wrong);
    }

    async fn of_two_sign_ups_for_an_address_the_first_confirmed_counts(test: TestDb) {
        let room = room(&test);
        let (first, second) = (token(&room, "alice@example.com").await, token(&room, "alice@example.com").await);
        room.accounts.confirm_sign_up(&second, PASSWORD).await.unwrap();
        assert!(matches!(room.accounts.confirm_sign_up(&first, PASSWORD).await, Err(AccountsError::LinkGone)));
    }

    async fn what_nobody_confirms_is_removed(test: TestDb) {
        let room = room(&test);
        room.accounts.sign_up(new("alice@example.com"), &from("192.0.2.1")).await.unwrap();
        room.hand.advance(Duration::from_hours(2 * 24));
        room.accounts.tidy().await.unwrap();
        assert!(matches!(letters(&room.accounts).await[0].says, Says::Confirm { .. }));
        room.accounts.sign_up(new("bob@example.com"), &from("192.0.2.1")).await.unwrap();
        room.hand.advance(Duration::from_hours(3 * 24));
        room.accounts.tidy().await.unwrap();
        assert!(letters(&room.accounts).await.is_empty());
    }

    async fn one_network_signs_up_slower_and_slower_until_it_is_refused(test: TestDb) {
        let room = room(&test);
        for n in 0..20 {
            let from = from(&format!("192.0.2.{n}"));
            room.accounts.sign_up(new(&format!("a{n}@example{n}.com")), &from).await.unwrap();
        }
        assert_eq!(letters(&room.accounts).await.len(), 3);
        let refused = room.accounts.sign_up(new("late@example.com"), &from("192.0.2.200")).await;
        assert!(matches!(refused, Err(AccountsError::TooOften(wait)) if wait == Duration::from_hours(1)));
        room.accounts.sign_up(new("other@example.com"), &from("198.51.100.1")).await.unwrap();
        assert_eq!(letters(&room.accounts).await.len(), 1);
        room.hand.advance(Duration::from_mins(1));
        assert_eq!(letters(&room.accounts).await.len(), 1);
        room.hand.advance(Duration::from_mins(1));
        assert_eq!(letters(&room.accounts).await.len(), 1);
        room.hand.advance(Duration::from_mins(58));
        assert_eq!(letters(&room.accounts).await.len(), 15);
        room.accounts.sign_up(new("late@example.com"), &from("192.0.2.200")).await.unwrap();
        assert_eq!(letters(&room.accounts).await.len(), 1);
    }

    async fn one_address_gets_three_mails_a_day_and_a_stranger_who_causes_them_keeps_nobody_out(test: TestDb) {
        let room = room(&test);
        for n in 0..5 {
            let stranger = NewSignUp { password: OTHER.into(), ..new("Alice@example.com") };
            room.accounts.sign_up(stranger, &from(&format!("192.0.{n}.1"))).await.unwrap();
        }
        room.accounts.sign_up(new("alice@example.com"), &from("198.51.100.1")).await.unwrap();
        let mails = letters(&room.accounts).await;
        assert_eq!(mails.len(), 3);
        let Says::Confirm { token } = &mails[0].says else {
            panic!("{mails:?}");
        };
        let neither = room.accounts.confirm_sign_up(token, "three quiet rivers in the fog").await;
        assert!(matches!(neither, Err(AccountsError::WrongPassword)));
        room.accounts.confirm_sign_up(token, PASSWORD).await.unwrap();
        room.sign_in("alice@example.com").await;
        assert!(room.tries("alice@example.com", OTHER).await == Outcome::Wrong);
    }

    async fn one_network_asks_for_an_address_three_times_a_day(test: TestDb) {
        let room = room(&test);
        for _ in 0..3 {
            room.accounts.sign_up(new("alice@example.com"), &from("192.0.2.1")).await.unwrap();
        }
        let refused = room.accounts.sign_up(new("alice@example.com"), &from("192.0.2.9")).await;
        assert!(matches!(refused, Err(AccountsError::TooOften(_))), "{refused:?}");
        room.accounts.sign_up(new("alice@example.com"), &from("198.51.100.1")).await.unwrap();
    }

    async fn mails_to_a_domain_wait_after_a_hundred_an_hour_and_what_is_not_mailed_does_not_count(test: TestDb) {
        let room = room(&test);
        for n in 0..110 {
            room.accounts.sign_up(new("alice@example.com"), &from(&format!("192.0.{n}.1"))).await.unwrap();
        }
        assert_eq!(letters(&room.accounts).await.len(), 3);
        for n in 3..100 {
            room.accounts.sign_up(new(&format!("a{n}@example.com")), &from(&format!("192.1.{n}.1"))).await.unwrap();
        }
        assert_eq!(letters(&room.accounts).await.len(), 97);
        room.accounts.sign_up(new("b@example.com"), &from("198.51.100.1")).await.unwrap();
        assert!(letters(&room.accounts).await.is_empty());
        room.accounts.sign_up(new("b@example.net"), &from("198.51.100.1")).await.unwrap();
        assert_eq!(letters(&room.accounts).await.len(), 1);
        room.hand.advance(Duration::from_hours(1));
        assert_eq!(letters(&room.accounts).await.len(), 1);
    }

    async fn weak_passwords_and_odd_values_are_refused_before_anything_is_stored(test: TestDb) {
        let room = room(&test);
        let good = new("alice@example.com");
        for bad in [
            NewSignUp { email: "alice@example.com\r\nBcc: eve@example.org".into(), ..good.clone() },
            NewSignUp { email: "alice".into(), ..good.clone() },
            NewSignUp { password: "password123".into(), ..good.clone() },
            NewSignUp { country: "F\r".into(), ..good.clone() },
            NewSignUp { country: "fra".into(), ..good.clone() },
            NewSignUp { time_zone: String::new(), ..good.clone() },
            NewSignUp { time_zone: "Europe/Paris\nX: y".into(), ..good.clone() },
        ] {
            assert!(room.accounts.sign_up(bad.clone(), &from("192.0.2.1")).await.is_err(), "{bad:?}");
        }
        assert!(letters(&room.accounts).await.is_empty());
    }

    async fn an_invitation_opens_the_account_of_its_address_within_a_week(test: TestDb) {
        let room = room(&test);
        let invitation = async || {
            room.accounts.invite("bob@example.com", "fr").await.unwrap();
            let letter = letters(&room.accounts).await.pop().unwrap();
            assert_eq!((letter.to.to_string().as_str(), letter.language.as_str()), ("bob@example.com", "fr"));
            match letter.says {
                Says::Invitation { token } => token,
                other => panic!("{other:?}"),
            }
        };
        let late = invitation().await;
        room.hand.advance(Duration::from_hours(7 * 24));
        assert!(matches!(room.accounts.accept_invitation(&late, new("bob@example.com")).await, Err(AccountsError::LinkGone)));
        let token = invitation().await;
        assert_eq!(room.accounts.invited(&token).await.unwrap().as_deref(), Some("bob@example.com"));
        let other = room.accounts.accept_invitation(&token, new("eve@example.com")).await;
        assert!(matches!(other, Err(AccountsError::NotInvited(_))));
        let bob = room.accounts.accept_invitation(&token, new("Bob@example.com")).await.unwrap();
        assert!(room.accounts.account(bob.account).await.unwrap().sandbox);
        assert!(matches!(room.accounts.accept_invitation(&token, new("bob@example.com")).await, Err(AccountsError::LinkGone)));
        let again = room.accounts.invite("BOB@example.com", "en").await;
        assert!(matches!(again, Err(AccountsError::LoginExists(_))));
    }

    async fn the_sandbox_ends_with_a_verified_domain_and_never_holds_who_was_made_by_the_operator(test: TestDb) {
        let room = room(&test);
        let token = token(&room, "alice@example.com").await;
        let alice = room.accounts.confirm_sign_up(&token, PASSWORD).await.unwrap();
        assert!(may_send_to(&room, &alice, "ALICE@example.com").await);
        assert!(!may_send_to(&room, &alice, "zoe@example.net").await);
        room.account("bob@example.com").await;
        assert!(may_send_to(&room, &room.sign_in("bob@example.com").await, "zoe@example.net").await);
        room.accounts.add_domain(alice.account, "alice.example", true, &By::system()).await.unwrap();
        assert!(may_send_to(&room, &alice, "zoe@example.net").await);
        assert!(!room.accounts.account(alice.account).await.unwrap().sandbox);
    }

    async fn a_mail_that_is_not_handed_over_comes_again_later_and_is_given_up_in_the_end(test: TestDb) {
        let room = room(&test);
        room.account("alice@example.com").await;
        room.accounts.set_password("alice@example.com", OTHER, &By::system()).await.unwrap();
        let id = room.accounts.next_letter().await.unwrap().unwrap().id;
        assert_eq!(room.accounts.next_letter().await.unwrap(), None);
        for gap in [1, 2, 4, 8, 16, 32, 60, 60] {
            room.hand.advance(Duration::from_secs(gap * 60 - 1));
            assert_eq!(room.accounts.next_letter().await.unwrap(), None, "{gap}");
            room.hand.advance(Duration::from_secs(1));
            assert_eq!(room.accounts.next_letter().await.unwrap().unwrap().id, id, "{gap}");
        }
        room.hand.advance(Duration::from_hours(3 * 24));
        assert_eq!(room.accounts.next_letter().await.unwrap(), None);
    }
}
