//! Vouchers: each code once for an account, not longer and not oftener than was meant, and nothing learned by trying.

use std::net::IpAddr;
use std::time::Duration;

use accounts::credits::{Batch, Kind, NewBatch};
use accounts::{AccountsError, By};
use store::testing::TestDb;
use store::{Db, Id, both_engines};

use crate::credits::{adds_up, books, spend};
use crate::room::{Room, room};

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn batch(codes: u32, uses: u32) -> NewBatch {
    NewBatch {
        reason: "Spring fair".into(),
        amount: 50,
        codes,
        uses,
        expires_at: None,
    }
}

impl Room {
    async fn vouchers_of(&self, new: NewBatch) -> (Batch, Vec<String>) {
        self.accounts.create_vouchers(new, &By::system()).await.unwrap()
    }

    /// The new balance.
    async fn redeems(&self, account: Id, code: &str) -> Result<i64, AccountsError> {
        let redeemed = self.accounts.redeem(account, code, HERE, &By::system()).await?;
        assert_eq!(redeemed.amount, 50);
        Ok(redeemed.balance)
    }
}

/// Nothing of a code is anywhere in the database.
async fn nowhere(test: &TestDb, code: &str) {
    let (shown, bare) = (code.to_owned(), code.replace('-', ""));
    let found = test.db.read("look for a code", move |tx| {
        let mut found = 0;
        for column in [
            "vouchers.code_hash",
            "voucher_batches.reason",
            "audit.target",
            "audit.detail",
            "velocity.name",
        ] {
            let (table, name) = column.split_once('.').unwrap();
            for row in tx.query(&format!("SELECT {name} FROM {table}"), &[])? {
                let value = row.text(0).or_else(|_| {
                    row.blob(0)
                        .map(|blob| String::from_utf8_lossy(&blob).into_owned())
                })?;
                found += usize::from(value.contains(&shown) || value.contains(&bare));
            }
        }
        Ok(found)
    });
    assert_eq!(found.await.unwrap(), 0);
}

both_engines! {
    async fn a_code_gives_its_credits_once(test: TestDb) {
        let room = room(&test);
        let (ann, bob) = (room.account("ann@example.com").await.id, room.account("bob@example.com").await.id);
        let (batch, codes) = room.vouchers_of(batch(2, 1)).await;
        assert_eq!((batch.codes, codes.len()), (2, 2));
        nowhere(&test, &codes[0]).await;
        let typed = codes[0].to_lowercase().replace('-', " ");
        assert_eq!(room.redeems(ann, &typed).await.unwrap(), 550);
        assert!(matches!(room.redeems(ann, &codes[0]).await, Err(AccountsError::RedeemedBefore)));
        assert!(matches!(room.redeems(bob, &codes[0]).await, Err(AccountsError::UselessCode)));
        assert_eq!(room.redeems(bob, &codes[1]).await.unwrap(), 550);
        nowhere(&test, &codes[0]).await;
        let ledger = room.accounts.ledger(ann, None, 1).await.unwrap();
        assert_eq!((ledger[0].kind, ledger[0].amount, ledger[0].reason.as_str()), (Kind::Voucher, 50, "Spring fair"));
        assert_eq!(room.accounts.vouchers(None, 10).await.unwrap()[0].used, 2);
        for account in [ann, bob] {
            assert_eq!(books(&test.db, account).await, (550, 550));
        }
    }

    async fn a_code_for_many_is_used_by_as_many_and_once_by_each(test: TestDb) {
        let room = room(&test);
        let (_, codes) = room.vouchers_of(batch(1, 2)).await;
        let mut accounts = Vec::new();
        for name in ["a", "b", "c"] {
            accounts.push(room.account(&format!("{name}@example.com")).await.id);
        }
        assert_eq!(room.redeems(accounts[0], &codes[0]).await.unwrap(), 550);
        assert!(matches!(room.redeems(accounts[0], &codes[0]).await, Err(AccountsError::RedeemedBefore)));
        assert_eq!(room.redeems(accounts[1], &codes[0]).await.unwrap(), 550);
        assert!(matches!(room.redeems(accounts[2], &codes[0]).await, Err(AccountsError::UselessCode)));
    }

    async fn what_is_too_old_revoked_or_never_made_is_refused_in_the_same_words(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await.id;
        let end = room.clock.now().plus(Duration::from_hours(1));
        let (_, old) = room.vouchers_of(NewBatch { expires_at: Some(end), ..batch(1, 1) }).await;
        let (gone, revoked) = room.vouchers_of(batch(1, 1)).await;
        room.accounts.revoke_vouchers(gone.id, &By::system()).await.unwrap();
        let again = room.accounts.revoke_vouchers(gone.id, &By::system()).await;
        assert!(matches!(again, Err(AccountsError::NotFound(_))));
        room.hand.advance(Duration::from_hours(1));
        for code in [&old[0], &revoked[0], "0000-0000-0000-0000", "", "nonsense", &"7".repeat(10_000)] {
            assert!(matches!(room.redeems(account, code).await, Err(AccountsError::UselessCode)), "{code}");
        }
        assert_eq!(books(&test.db, account).await, (500, 500));
        let past = NewBatch { expires_at: Some(end), ..batch(1, 1) };
        let refused = room.accounts.create_vouchers(past, &By::system()).await;
        assert!(matches!(refused, Err(AccountsError::EndsBefore)));
        for wrong in [
            NewBatch { amount: 0, ..batch(1, 1) },
            NewBatch { amount: i64::MAX, ..batch(1, 1) },
            batch(0, 1),
            batch(1_001, 1),
            batch(1, 0),
            NewBatch { reason: " ".into(), ..batch(1, 1) },
        ] {
            assert!(room.accounts.create_vouchers(wrong.clone(), &By::system()).await.is_err(), "{wrong:?}");
        }
    }

    async fn whoever_tries_many_codes_waits_and_so_does_a_network_of_accounts(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await.id;
        let (_, codes) = room.vouchers_of(batch(1, 1)).await;
        for _ in 0..20 {
            assert!(matches!(room.redeems(account, "guess").await, Err(AccountsError::UselessCode)));
        }
        // The right one too: nobody learns that it is.
        assert!(matches!(room.redeems(account, &codes[0]).await, Err(AccountsError::TooOften(_))));
        for n in 0..4 {
            let account = room.account(&format!("farm{n}@example.com")).await.id;
            for _ in 0..19 {
                assert!(matches!(room.redeems(account, "guess").await, Err(AccountsError::UselessCode)));
            }
        }
        let other = room.account("b@example.com").await.id;
        for _ in 0..4 {
            let _ = room.redeems(other, "guess").await;
        }
        assert!(matches!(room.redeems(other, "guess").await, Err(AccountsError::TooOften(_))));
        room.hand.advance(Duration::from_hours(1));
        assert_eq!(room.redeems(account, &codes[0]).await.unwrap(), 550);
    }

    async fn the_last_use_of_a_code_is_had_by_one_of_those_who_try_at_once(test: TestDb) {
        let room = room(&test);
        let (_, codes) = room.vouchers_of(batch(1, 3)).await;
        let mut accounts = Vec::new();
        for n in 0..6 {
            accounts.push(room.account(&format!("a{n}@example.com")).await.id);
        }
        // Each account twice at once, too.
        let tries: Vec<_> = accounts
            .iter()
            .chain(&accounts)
            .map(|account| {
                let (accounts, account, code) = (room.accounts.clone(), *account, codes[0].clone());
                tokio::spawn(async move { accounts.redeem(account, &code, HERE, &By::system()).await.is_ok() })
            })
            .collect();
        let mut had = 0;
        for one in tries {
            had += usize::from(one.await.unwrap());
        }
        assert_eq!(had, 3);
        assert_eq!(room.accounts.vouchers(None, 1).await.unwrap()[0].used, 3);
        let mut sum = 0;
        for account in accounts {
            let (balance, ledger) = books(&test.db, account).await;
            assert_eq!(balance, ledger);
            sum += balance;
        }
        assert_eq!(sum, 6 * 500 + 3 * 50);
    }

    async fn an_account_without_limit_uses_no_code_up(test: TestDb) {
        let room = room(&test);
        let ops = room.operator("ops@example.com").await.id;
        let (_, codes) = room.vouchers_of(batch(1, 1)).await;
        assert!(matches!(room.redeems(ops, &codes[0]).await, Err(AccountsError::Unlimited)));
        let account = room.account("a@example.com").await.id;
        assert_eq!(room.redeems(account, &codes[0]).await.unwrap(), 550);
    }
}

/// A small generator with a seed that a failing run prints.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// One thing that happens to an account's credits, whatever comes of it.
async fn happens(room: &Room, db: &Db, account: Id, codes: &[String], dice: &mut Dice) {
    let amount = 1 + dice.roll(40) as i64;
    let day = room.clock.now().day();
    match dice.roll(10) {
        // More than there is, too, which is refused as a whole.
        0..=4 => {
            spend(db, account, amount * 3, day).await;
        }
        5 => {
            let _ = room.accounts.grant(account, amount, "more", &By::system()).await;
        }
        6 => {
            let _ = room.accounts.grant(account, -amount, "less", &By::system()).await;
        }
        7 => {
            let _ = room
                .accounts
                .redeem(account, "nonsense", HERE, &By::system())
                .await;
        }
        _ => {
            let code = &codes[dice.roll(codes.len() as u64) as usize];
            let _ = room.accounts.redeem(account, code, HERE, &By::system()).await;
        }
    }
}

both_engines! {
    async fn any_history_of_grants_vouchers_use_and_refusals_adds_up(test: TestDb) {
        let seed = test.id().to_string().bytes().fold(7, |seed: u64, byte| seed.wrapping_mul(31) + u64::from(byte));
        println!("seed {seed}");
        let room = room(&test);
        let (_, codes) = room.vouchers_of(batch(5, 2)).await;
        let mut accounts = Vec::new();
        for name in ["a", "b", "c"] {
            accounts.push(room.account(&format!("{name}@example.com")).await.id);
        }
        let other = test.reopen().await;
        let mut dice = Dice(seed);
        for _ in 0..40 {
            // Four at once, over two processes' connections, then the books.
            let (mut one, mut two, mut three, mut four) =
                (Dice(dice.roll(1 << 30)), Dice(dice.roll(1 << 30)), Dice(dice.roll(1 << 30)), Dice(dice.roll(1 << 30)));
            let who = |dice: &mut Dice| accounts[dice.roll(3) as usize];
            let (a, b, c, d) = (who(&mut one), who(&mut two), who(&mut three), who(&mut four));
            tokio::join!(
                happens(&room, &test.db, a, &codes, &mut one),
                happens(&room, &other, b, &codes, &mut two),
                happens(&room, &test.db, c, &codes, &mut three),
                happens(&room, &other, d, &codes, &mut four),
            );
            let mut redeemed = 0;
            for account in &accounts {
                let (balance, sum) = books(&test.db, *account).await;
                assert_eq!(balance, sum, "seed {seed}");
                let ledger = room.accounts.ledger(*account, None, 1_000).await.unwrap();
                adds_up(&ledger, balance);
                redeemed += ledger.iter().filter(|entry| entry.kind == Kind::Voucher).count();
            }
            let used = room.accounts.vouchers(None, 1).await.unwrap()[0].used;
            assert_eq!(used, redeemed as i64, "seed {seed}");
            // Tries are forgotten and the day ends.
            if dice.roll(4) == 0 {
                room.hand.advance(Duration::from_hours(7));
            }
        }
        other.close().await.unwrap();
    }
}
