//! Credits: nobody spends one that is not there, and the ledger always adds up.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

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
        let account = room.accounts.create(NewAccount { credits: Some(10), ..new("a@example.com") }).await.unwrap();
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
        room.accounts.suspend(account.id, "x").await.unwrap();
        assert_eq!(spend(&test.db, account.id, 1, 1).await, Charge::Suspended);
        assert_eq!(spend(&test.db, test.id(), 1, 1).await, Charge::Suspended);
    }

    async fn grants_are_listed_and_never_make_a_debt(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await;
        assert_eq!(room.accounts.grant(account.id, 100, "welcome").await.unwrap(), 600);
        assert_eq!(room.accounts.grant(account.id, -600, "taken back").await.unwrap(), 0);
        assert!(matches!(room.accounts.grant(account.id, -1, "x").await, Err(AccountsError::BelowZero(0))));
        assert!(matches!(room.accounts.grant(account.id, 0, "x").await, Err(AccountsError::NoAmount)));
        assert!(matches!(room.accounts.grant(account.id, i64::MAX, "x").await, Err(AccountsError::TooMuch)));
        assert!(matches!(room.accounts.grant(test.id(), 1, "x").await, Err(AccountsError::NotFound(_))));
        let ops = room.operator("ops@example.com").await;
        assert!(matches!(room.accounts.grant(ops.id, 1, "x").await, Err(AccountsError::Unlimited)));
        let grants = room.accounts.grants(account.id, 10).await.unwrap();
        let amounts: Vec<i64> = grants.iter().map(|grant| grant.amount).collect();
        assert_eq!(amounts, [-600, 100, 500]);
        assert_eq!(books(&test.db, account.id).await, (0, 0));
    }

    async fn the_ledger_adds_up_whoever_spends_and_grants_at_once(test: TestDb) {
        let room = room(&test);
        let account = room.accounts.create(NewAccount { credits: Some(100), ..new("a@example.com") }).await.unwrap();
        let paid = Arc::new(AtomicI64::new(0));
        let spenders: Vec<_> = (0..16_i64)
            .map(|spender| {
                let (db, accounts, paid) = (test.db.clone(), room.accounts.clone(), Arc::clone(&paid));
                tokio::spawn(async move {
                    for turn in 0..25_i64 {
                        // A mixture that covers one and many credits, several days, and grants in between.
                        let amount = 1 + (spender * 7 + turn * 3) % 5;
                        if (spender + turn) % 10 == 0 {
                            accounts.grant(account.id, amount * 3, "topped up").await.unwrap();
                        } else if spend(&db, account.id, amount, turn % 4).await == Charge::Paid {
                            paid.fetch_add(amount, Ordering::SeqCst);
                        }
                    }
                })
            })
            .collect();
        for spender in spenders {
            spender.await.unwrap();
        }
        let (balance, ledger) = books(&test.db, account.id).await;
        assert_eq!(balance, ledger);
        assert!(balance >= 0, "{balance}");
        let granted: i64 = room.accounts.grants(account.id, 1_000).await.unwrap().iter().map(|g| g.amount).sum();
        assert_eq!(granted - paid.load(Ordering::SeqCst), balance);
    }
}
