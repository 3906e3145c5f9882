//! Credits: nobody spends one that is not there, and the ledger always adds up.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use accounts::By;
use accounts::credits::{Charge, charge};
use accounts::{AccountsError, NewAccount};
use store::{Db, Id, StoreError, both_engines};

use crate::room::{new, room};

async fn spend(db: &Db, account: Id, amount: i64, day: i64) -> Charge {
    db.write("charge", move |tx| charge(tx, account, amount, day))
        .await
        .unwrap()
}

/// The balance, and the sum of what was granted less the sum of what was used.
async fn books(db: &Db, account: Id) -> (i64, i64) {
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
        assert_eq!(spend(&test.db, account.id, 4, 1).await, Charge::Empty);
        assert_eq!(spend(&test.db, account.id, 3, 2).await, Charge::Paid);
        assert_eq!(spend(&test.db, account.id, 1, 2).await, Charge::Empty);
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
        let grants = room.accounts.grants(account.id, 10).await.unwrap();
        let amounts: Vec<i64> = grants.iter().map(|grant| grant.amount).collect();
        assert_eq!(amounts, [-600, 100, 500]);
        assert_eq!(books(&test.db, account.id).await, (0, 0));
    }

    async fn the_ledger_adds_up_at_every_moment_whoever_spends_and_grants_at_once(test: TestDb) {
        let room = room(&test);
        let account = room.accounts.create(NewAccount { credits: Some(100), ..new("a@example.com") }, &By::system()).await.unwrap();
        // As two processes do, each with its own connections.
        let processes = [test.db.clone(), test.reopen().await];
        let sums = Arc::new(Sums::default());
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
                                if spend(&db, account.id, amount, turn % 4).await == Charge::Paid {
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
    }
}

/// What callers were told.
#[derive(Default)]
struct Sums {
    granted: AtomicI64,
    paid: AtomicI64,
}
