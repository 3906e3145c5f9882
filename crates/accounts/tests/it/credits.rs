//! Credits: nobody spends one that is not there, and the ledger always adds up.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use accounts::credits::{Charge, Kind, LedgerEntry, Left, charge};
use accounts::{AccountsError, By, NewAccount, Says};
use mail::time::Time;
use store::{Db, Id, Ids, StoreError, both_engines};

use crate::room::{new, room};

/// Noon of a day counted from 1970-01-01.
fn noon(day: i64) -> Time {
    Time::from_secs(day * 86_400 + 43_200)
}

pub async fn spend(db: &Db, account: Id, amount: i64, day: i64) -> Charge {
    let ids = Ids::new();
    db.write("charge", move |tx| charge(tx, &ids, account, amount, noon(day)))
        .await
        .unwrap()
}

/// What holds of every ledger, wherever it is looked at: each balance follows from the one below it, and the top is `balance`.
pub fn adds_up(entries: &[LedgerEntry], balance: i64) {
    let mut expected = balance;
    for entry in entries {
        assert_eq!(entry.balance, expected, "{entries:#?}");
        assert!(entry.balance >= 0, "{entries:#?}");
        expected -= entry.amount;
    }
    assert_eq!(expected, 0, "{entries:#?}");
}

/// The balance, and the sum of what was granted less the sum of what was used.
pub async fn books(db: &Db, account: Id) -> (i64, i64) {
    db.read("read the books", move |tx| {
        let row = tx.query_opt(
            "SELECT balance, \
             (SELECT CAST(COALESCE(SUM(g.amount), 0) AS BIGINT) FROM credit_grants g WHERE g.account = a.id) \
             - (SELECT CAST(COALESCE(SUM(u.amount), 0) AS BIGINT) FROM credit_usage u WHERE u.account = a.id) \
             FROM accounts a WHERE a.id = $1",
            &[(&account).into()],
        )?;
        let row = row.ok_or_else(|| StoreError::other("read the books", "no account"))?;
        Ok((row.int(0)?, row.int(1)?))
    })
    .await
    .unwrap()
}

both_engines! {
    async fn a_charge_is_paid_whole_or_not_at_all(test: TestDb) {
        let room = room(&test);
        let account = room.accounts.create(NewAccount { credits: Some(10), ..new("a@example.com") }, &By::system()).await.unwrap();
        assert_eq!(spend(&test.db, account.id, 7, 1).await, Charge::Paid);
        assert_eq!(spend(&test.db, account.id, 4, 1).await, Charge::TooFew { left: 3 });
        assert_eq!(spend(&test.db, account.id, 3, 2).await, Charge::Paid);
        assert_eq!(spend(&test.db, account.id, 1, 2).await, Charge::TooFew { left: 0 });
        assert_eq!(books(&test.db, account.id).await, (0, 0));
    }

    async fn an_account_without_limit_pays_nothing_and_a_suspended_one_cannot(test: TestDb) {
        let room = room(&test);
        let ops = room.operator("ops@example.com").await;
        assert_eq!(spend(&test.db, ops.id, 1_000, 1).await, Charge::Paid);
        assert_eq!(books(&test.db, ops.id).await, (0, 0));
        let account = room.account("a@example.com").await;
        room.accounts.suspend(account.id, "x", &By::system()).await.unwrap();
        assert_eq!(spend(&test.db, account.id, 1, 1).await, Charge::Suspended);
        assert_eq!(spend(&test.db, test.id(), 1, 1).await, Charge::Suspended);
    }

    async fn grants_are_listed_and_never_make_a_debt(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await;
        assert_eq!(room.accounts.grant(account.id, 100, "welcome", &By::system()).await.unwrap(), 600);
        assert_eq!(room.accounts.grant(account.id, -600, "taken back", &By::system()).await.unwrap(), 0);
        assert!(matches!(room.accounts.grant(account.id, -1, "x", &By::system()).await, Err(AccountsError::BelowZero(0))));
        assert!(matches!(room.accounts.grant(account.id, 0, "x", &By::system()).await, Err(AccountsError::NoAmount)));
        assert!(matches!(room.accounts.grant(account.id, i64::MAX, "x", &By::system()).await, Err(AccountsError::TooMuch)));
        assert!(matches!(room.accounts.grant(test.id(), 1, "x", &By::system()).await, Err(AccountsError::NotFound(_))));
        let ops = room.operator("ops@example.com").await;
        assert!(matches!(room.accounts.grant(ops.id, 1, "x", &By::system()).await, Err(AccountsError::Unlimited)));
        for reason in ["", "  ", "two\nlines", &"x".repeat(201)] {
            assert!(matches!(room.accounts.grant(account.id, 5, reason, &By::system()).await, Err(AccountsError::BadReason)));
        }
        let ledger = room.accounts.ledger(account.id, None, 10).await.unwrap();
        let grants: Vec<_> = ledger.iter().map(|entry| (entry.kind, entry.amount, entry.reason.as_str())).collect();
        assert_eq!(
            grants,
            [(Kind::Correction, -600, "taken back"), (Kind::Grant, 100, "welcome"), (Kind::Opening, 500, "")]
        );
        adds_up(&ledger, 0);
        assert_eq!(books(&test.db, account.id).await, (0, 0));
    }

    async fn the_ledger_shows_grants_one_by_one_and_use_by_the_day(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await;
        let today = room.clock.now().day();
        // Two grants in one moment, use before and behind a grant of the same day, days without anything.
        room.accounts.grant(account.id, 10, "first", &By::system()).await.unwrap();
        room.accounts.grant(account.id, 20, "second", &By::system()).await.unwrap();
        spend(&test.db, account.id, 3, today).await;
        room.hand.advance(Duration::from_hours(3 * 24));
        spend(&test.db, account.id, 400, today + 3).await;
        room.accounts.grant(account.id, 1_000, "pack", &By::system()).await.unwrap();
        spend(&test.db, account.id, 5, today + 3).await;
        room.hand.advance(Duration::from_hours(24));
        room.accounts.grant(account.id, -122, "a slip", &By::system()).await.unwrap();
        let whole = room.accounts.ledger(account.id, None, 50).await.unwrap();
        let shown: Vec<_> = whole.iter().map(|entry| (entry.kind, entry.amount, entry.balance)).collect();
        assert_eq!(
            shown,
            [
                (Kind::Correction, -122, 1_000),
                (Kind::Usage, -405, 1_122),
                (Kind::Grant, 1_000, 1_527),
                (Kind::Usage, -3, 527),
                (Kind::Grant, 20, 530),
                (Kind::Grant, 10, 510),
                (Kind::Opening, 500, 500),
            ]
        );
        adds_up(&whole, 1_000);
        for limit in 1..whole.len() as u32 {
            let mut paged: Vec<LedgerEntry> = Vec::new();
            loop {
                let after = paged.last().map(|entry| entry.place);
                let page = room.accounts.ledger(account.id, after, limit).await.unwrap();
                if page.is_empty() {
                    break;
                }
                paged.extend(page);
            }
            assert_eq!(paged, whole, "pages of {limit}");
        }
        // Nobody's entry is a place in another's ledger.
        let other = room.account("b@example.com").await;
        let place = Some(whole[0].place);
        assert!(matches!(room.accounts.ledger(other.id, place, 5).await, Err(AccountsError::NotFound(_))));
    }

    async fn few_credits_are_mailed_about_once_at_each_step_and_again_after_a_grant(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await;
        let today = room.clock.now().day();
        let letters = async || {
            let mut found = Vec::new();
            while let Some(letter) = room.accounts.next_letter().await.unwrap() {
                assert_eq!(letter.to.to_string(), "a@example.com");
                let Says::Credits { few, left, mark } = letter.says else {
                    panic!("{letter:?}")
                };
                room.accounts.letter_sent(letter.id).await.unwrap();
                found.push((few, left, mark));
            }
            found
        };
        for (amount, expected) in [
            (399, vec![]),
            (1, vec![(Left::Fifth, 100, 500)]),
            (74, vec![]),
            (1, vec![(Left::Twentieth, 25, 500)]),
            (1, vec![]),
            (24, vec![(Left::Nothing, 0, 500)]),
            (1, vec![]),
        ] {
            spend(&test.db, account.id, amount, today).await;
            assert_eq!(letters().await, expected, "after {amount}");
        }
        room.accounts.grant(account.id, 10, "more", &By::system()).await.unwrap();
        assert_eq!(letters().await, []);
        // A step that is jumped over is not told, and neither is one that a grant came before.
        spend(&test.db, account.id, 9, today).await;
        spend(&test.db, account.id, 1, today).await;
        assert_eq!(letters().await, [(Left::Nothing, 0, 10)]);
        room.accounts.grant(account.id, 10, "more", &By::system()).await.unwrap();
        spend(&test.db, account.id, 8, today).await;
        room.accounts.grant(account.id, 100, "in time", &By::system()).await.unwrap();
        assert_eq!(letters().await, []);
        room.accounts.grant(account.id, -102, "all of it", &By::system()).await.unwrap();
        assert_eq!(letters().await, [(Left::Nothing, 0, 0)]);
    }

    async fn a_step_is_told_once_however_many_spend_at_once(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await;
        let processes = [test.db.clone(), test.reopen().await];
        let spenders: Vec<_> = (0..20_usize)
            .map(|n| {
                let db = processes[n % 2].clone();
                tokio::spawn(async move {
                    for _ in 0..25 {
                        spend(&db, account.id, 1, 20_000).await;
                    }
                })
            })
            .collect();
        for spender in spenders {
            spender.await.unwrap();
        }
        let notices = test.db.read("count the mails", |tx| {
            let row = tx.query_opt("SELECT COUNT(*) FROM notices WHERE matter LIKE '%credits%'", &[])?;
            row.map_or(Ok(0), |row| row.int(0))
        });
        assert_eq!(notices.await.unwrap(), 3);
    }

    async fn the_ledger_adds_up_at_every_moment_whoever_spends_and_grants_at_once(test: TestDb) {
        let room = room(&test);
        let account = room.accounts.create(NewAccount { credits: Some(100), ..new("a@example.com") }, &By::system()).await.unwrap();
        // As two processes do, each with its own connections.
        let processes = [test.db.clone(), test.reopen().await];
        let sums = Arc::new(Sums::default());
        let today = room.clock.now().day();
        let spenders: Vec<_> = (0..16_i64)
            .map(|spender| {
                let (db, accounts) = (processes[spender as usize % 2].clone(), room.accounts.clone());
                let sums = Arc::clone(&sums);
                tokio::spawn(async move {
                    for turn in 0..25_i64 {
                        // A mixture that covers one and many credits, several days, grants and what is taken back of them.
                        let amount = 1 + (spender * 7 + turn * 3) % 5;
                        let granted = match (spender + turn) % 10 {
                            0 => amount * 3,
                            5 => -amount,
                            _ => {
                                if spend(&db, account.id, amount, today + turn % 4).await == Charge::Paid {
                                    sums.paid.fetch_add(amount, Ordering::SeqCst);
                                }
                                continue;
                            }
                        };
                        match accounts.grant(account.id, granted, "more or less", &By::system()).await {
                            Ok(_) => sums.granted.fetch_add(granted, Ordering::SeqCst),
                            Err(AccountsError::BelowZero(_)) if granted < 0 => continue,
                            Err(error) => panic!("{error}"),
                        };
                    }
                })
            })
            .collect();
        let mut looks = 0;
        while !spenders.iter().all(tokio::task::JoinHandle::is_finished) {
            let (balance, ledger) = books(&processes[looks % 2], account.id).await;
            assert_eq!(balance, ledger, "in the middle");
            assert!(balance >= 0, "{balance}");
            let ledger = room.accounts.ledger(account.id, None, 1_000).await.unwrap();
            adds_up(&ledger, ledger[0].balance);
            looks += 1;
        }
        for spender in spenders {
            spender.await.unwrap();
        }
        assert!(looks > 1, "nobody looked while they were at it");
        let (balance, ledger) = books(&test.db, account.id).await;
        assert_eq!(balance, ledger);
        let told = 100 + sums.granted.load(Ordering::SeqCst) - sums.paid.load(Ordering::SeqCst);
        assert_eq!(balance, told, "what the callers were told");
        adds_up(&room.accounts.ledger(account.id, None, 1_000).await.unwrap(), told);
    }
}

/// What callers were told.
#[derive(Default)]
struct Sums {
    granted: AtomicI64,
    paid: AtomicI64,
}
