//! An operator who sees the console as an account: how it begins, the ways in which it ends, and who hears of it.

use std::time::Duration;

use accounts::{
    AccountsError, AuditFilter, By, Impersonation, Principal, Requester, Role, Says, SessionOrigin, Via,
};
use store::{Id, both_engines};

use crate::room::{OTHER, Room, room};

const MINUTE: Duration = Duration::from_mins(1);

/// An operator with an open session.
struct Ops {
    who: Principal,
    session: String,
}

async fn signed_in(room: &Room, email: &str) -> Ops {
    let mut who = room.sign_in(email).await;
    who.via = Via::Session;
    let session = room
        .accounts
        .open_session(&who, SessionOrigin::default())
        .await
        .unwrap()
        .unwrap();
    Ops { who, session }
}

async fn begins(room: &Room, ops: &Ops, account: Id) -> accounts::Result<(String, Impersonation)> {
    let by = By::principal(&ops.who, None);
    room.accounts
        .begin_impersonation(&ops.session, (account, " mail waits "), &ops.who, &by)
        .await
}

async fn stands(room: &Room, ops: &Ops, token: &str) -> bool {
    room.accounts
        .find_impersonation(token, &ops.session)
        .await
        .unwrap()
        .is_some()
}

/// What the account's log says of it, newest first.
async fn said(room: &Room, account: Id) -> Vec<String> {
    let filter = AuditFilter {
        account: Some(account),
        what: Some("impersonation".into()),
        limit: 50,
        ..AuditFilter::default()
    };
    let lines = room.accounts.audit(filter).await.unwrap().items;
    assert!(
        lines
            .iter()
            .all(|line| line.behind.as_deref() == Some("ops@example.com")),
        "{lines:?}"
    );
    lines
        .iter()
        .map(|line| format!("{} {}: {} {}", line.via, line.action, line.target, line.detail))
        .collect()
}

async fn letters(room: &Room) -> Vec<(String, Says)> {
    let mut all = Vec::new();
    while let Some(letter) = room.accounts.next_letter().await.unwrap() {
        room.accounts.letter_sent(letter.id).await.unwrap();
        all.push((letter.to.to_string(), letter.says));
    }
    all
}

both_engines! {
    async fn it_takes_both_tokens_lasts_half_an_hour_and_is_told(test: TestDb) {
        let room = room(&test);
        let (ops_account, alice) = (room.operator("ops@example.com").await, room.account("alice@example.com").await);
        let ops = signed_in(&room, "ops@example.com").await;
        let other = signed_in(&room, "ops@example.com").await;
        let (token, begun) = begins(&room, &ops, alice.id).await.unwrap();
        assert_eq!((begun.account, begun.reason.as_str(), begun.operator.email.as_str()), (alice.id, "mail waits", "ops@example.com"));
        assert!(stands(&room, &ops, &token).await);
        assert!(!stands(&room, &other, &token).await, "another session of the same operator");
        assert!(!stands(&room, &ops, &other.session).await, "the token of a session is none of these");
        assert!(room.accounts.find_session(&token).await.unwrap().is_none(), "and the other way round");
        assert_eq!(letters(&room).await, [("alice@example.com".to_owned(), Says::Impersonated { reason: "mail waits".into() })]);

        room.hand.advance(29 * MINUTE);
        assert!(stands(&room, &ops, &token).await);
        room.hand.advance(MINUTE);
        assert!(!stands(&room, &ops, &token).await);
        for account in [alice.id, ops_account.id] {
            assert_eq!(said(&room, account).await, [
                "system impersonation.ended: alice@example.com mail waits (after 30 minutes)",
                "session impersonation.begun: alice@example.com mail waits",
            ]);
        }
        assert_eq!(letters(&room).await, []);
        assert!(room.accounts.find_session(&ops.session).await.unwrap().is_some());
    }

    async fn it_ends_with_whatever_it_rests_on(test: TestDb) {
        let room = room(&test);
        let (ops_account, alice) = (room.operator("ops@example.com").await, room.account("alice@example.com").await);
        let (by, accounts) = (By::system(), &room.accounts);
        let mut ended = Vec::new();

        let ops = signed_in(&room, "ops@example.com").await;
        let (token, _) = begins(&room, &ops, alice.id).await.unwrap();
        accounts.leave_impersonation(&token, "192.0.2.7".parse().unwrap()).await.unwrap();
        assert!(!stands(&room, &ops, &token).await);
        ended.push("session impersonation.ended: alice@example.com mail waits (left)");

        let (token, _) = begins(&room, &ops, alice.id).await.unwrap();
        accounts.close_session(&ops.session).await.unwrap();
        assert!(!stands(&room, &ops, &token).await);
        ended.push("session impersonation.ended: alice@example.com mail waits (signed out)");

        let gone = "system impersonation.ended: alice@example.com mail waits (the operator's session ended)";
        let ops = signed_in(&room, "ops@example.com").await;
        let (token, _) = begins(&room, &ops, alice.id).await.unwrap();
        let elsewhere = signed_in(&room, "ops@example.com").await;
        accounts.end_other_sessions(ops.who.login.unwrap(), &elsewhere.session).await.unwrap();
        assert!(!stands(&room, &ops, &token).await);
        ended.push(gone);

        let (token, _) = begins(&room, &elsewhere, alice.id).await.unwrap();
        accounts.suspend(ops_account.id, "enough", &by).await.unwrap();
        assert!(!stands(&room, &elsewhere, &token).await);
        assert!(begins(&room, &elsewhere, alice.id).await.is_err(), "nor does a suspended operator begin one");
        accounts.resume(ops_account.id, &by).await.unwrap();
        assert!(!stands(&room, &elsewhere, &token).await);
        ended.push(gone);

        // The session in which the password is changed goes on; what rests on it does not.
        let (token, _) = begins(&room, &elsewhere, alice.id).await.unwrap();
        room.changes_password("ops@example.com", crate::room::PASSWORD, OTHER, Some(&elsewhere.session)).await.unwrap();
        assert!(accounts.find_session(&elsewhere.session).await.unwrap().is_some());
        assert!(!stands(&room, &elsewhere, &token).await);
        ended.push(gone);
        accounts.set_password("ops@example.com", crate::room::PASSWORD, &by).await.unwrap();

        let ops = signed_in(&room, "ops@example.com").await;
        let (token, _) = begins(&room, &ops, alice.id).await.unwrap();
        let offered = accounts.invite_user(ops_account.id, ("two@example.com", Role::Owner), None, &by).await.unwrap();
        assert_eq!(offered.role, Role::Owner);
        let second = letters(&room).await.into_iter().find_map(|(_, says)| match says {
            Says::UserInvitation { token, .. } => Some(token),
            _ => None,
        });
        accounts.join(&second.unwrap(), OTHER, "en", &Requester::new("192.0.2.7".parse().unwrap(), "")).await.unwrap();
        accounts.set_role(ops_account.id, ops.who.login.unwrap(), Role::Developer, &by).await.unwrap();
        accounts.tidy().await.unwrap();
        ended.push(gone);
        let lines = said(&room, alice.id).await;
        let mut ends: Vec<&str> = lines.iter().map(String::as_str).filter(|line| line.contains("ended")).collect();
        ends.reverse();
        assert_eq!(ends, ended, "and what nobody came back to is noted as well");
        assert!(!stands(&room, &ops, &token).await);
    }

    async fn a_session_sees_one_account_at_a_time_and_no_operators(test: TestDb) {
        let room = room(&test);
        room.operator("ops@example.com").await;
        let second = room.operator("second@example.com").await;
        let (alice, bob) = (room.account("alice@example.com").await, room.account("bob@example.com").await);
        let ops = signed_in(&room, "ops@example.com").await;
        for operators in [ops.who.account, second.id] {
            assert!(matches!(begins(&room, &ops, operators).await, Err(AccountsError::OperatorsAccount)));
        }
        let (first, _) = begins(&room, &ops, alice.id).await.unwrap();
        let (next, _) = begins(&room, &ops, bob.id).await.unwrap();
        assert!(!stands(&room, &ops, &first).await && stands(&room, &ops, &next).await);
        let no_operator = signed_in(&room, "alice@example.com").await;
        assert!(begins(&room, &no_operator, bob.id).await.is_err());
        for reason in ["", " ", "two\nlines", &"x".repeat(201)] {
            let by = By::principal(&ops.who, None);
            let refused = room.accounts.begin_impersonation(&ops.session, (alice.id, reason), &ops.who, &by).await;
            assert!(matches!(refused, Err(AccountsError::BadReason)), "{reason:?}");
        }
        assert_eq!(said(&room, alice.id).await.len(), 2, "what was refused left no line");
        for _ in 0..18 {
            begins(&room, &ops, alice.id).await.unwrap();
        }
        assert!(matches!(begins(&room, &ops, alice.id).await, Err(AccountsError::TooOften(_))));
    }
}
