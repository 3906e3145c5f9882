//! An account's day: what it may send is counted once, whoever sends it, and what is refused does not count.

use std::sync::Arc;

use accounts::{Accounts, Allowance, By, DayLimits, LimitOf, OwnLimits, StandardLimits, Taken, Taking};
use mail::address::Address;
use store::{Db, Id, both_engines};

use crate::room::{Room, room, room_with};

async fn allowance(accounts: &Accounts, email: &str, to: &[String]) -> Allowance {
    let who = accounts.vouched(email).await.unwrap();
    let to: Vec<Address> = to.iter().map(|to| Address::parse(to).unwrap()).collect();
    accounts.allowance(&who, to.iter()).await.unwrap()
}

/// Takes it as the door does; the limit that was in the way.
async fn take(room: &Room, db: &Db, account: Id, allowance: Allowance) -> Result<Taken, LimitOf> {
    let now = room.clock.now();
    let taken = db.write_for(account, "take", move |tx| allowance.take(tx, account, now));
    match taken.await.unwrap() {
        Taking::Taken(taken) => Ok(taken),
        Taking::Reached(reached) => Err(reached.of),
    }
}

async fn send(room: &Room, db: &Db, account: Id, to: &[String]) -> Result<Taken, LimitOf> {
    let allowance = allowance(&room.accounts, "a@example.com", to).await;
    take(room, db, account, allowance).await
}

fn people(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("person{n}@there.example")).collect()
}

const LIMITED: OwnLimits = OwnLimits {
    recipients: Some(10),
    first_time: Some(4),
};

both_engines! {
    async fn a_day_holds_its_recipients_and_a_new_one_begins_at_midnight(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await.id;
        room.accounts.limit_day(account, OwnLimits { recipients: Some(10), first_time: None }, &By::system()).await.unwrap();
        assert!(send(&room, &test.db, account, &people(0..7)).await.is_ok());
        assert_eq!(send(&room, &test.db, account, &people(0..4)).await, Err(LimitOf::Recipients));
        // What was refused did not count.
        assert!(send(&room, &test.db, account, &people(0..3)).await.is_ok());
        let day = room.accounts.day(account).await.unwrap();
        assert_eq!((day.used.recipients, day.used.first_time), (10, 0));
        assert_eq!(day.opens_at.rfc3339(), "2026-11-24T00:00:00Z");
        assert_eq!(send(&room, &test.db, account, &people(0..1)).await, Err(LimitOf::Recipients));
        room.hand.advance(std::time::Duration::from_hours(12));
        assert_eq!(room.accounts.day(account).await.unwrap().used.recipients, 0);
        assert!(send(&room, &test.db, account, &people(0..10)).await.is_ok());
        // More than a whole day holds never fits.
        room.hand.advance(std::time::Duration::from_hours(24));
        assert_eq!(send(&room, &test.db, account, &people(0..11)).await, Err(LimitOf::Recipients));
    }

    async fn whom_it_wrote_to_before_is_no_first_time_recipient(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await.id;
        room.accounts.limit_day(account, LIMITED, &By::system()).await.unwrap();
        assert!(send(&room, &test.db, account, &people(0..3)).await.is_ok());
        assert_eq!(send(&room, &test.db, account, &people(2..5)).await, Err(LimitOf::FirstTime));
        // Neither the recipients nor their being known was counted.
        let used = room.accounts.day(account).await.unwrap().used;
        assert_eq!((used.recipients, used.first_time), (3, 3));
        let again = ["PERSON0@there.example".to_owned(), "person3@THERE.example".to_owned()];
        assert!(send(&room, &test.db, account, &again).await.is_ok());
        assert_eq!(room.accounts.day(account).await.unwrap().used.first_time, 4);
        assert!(send(&room, &test.db, account, &people(0..4)).await.is_ok());
        assert_eq!(send(&room, &test.db, account, &people(4..5)).await, Err(LimitOf::FirstTime));
        room.hand.advance(std::time::Duration::from_hours(24));
        assert!(send(&room, &test.db, account, &people(4..8)).await.is_ok());
    }

    async fn a_long_list_is_known_to_its_last_recipient(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await.id;
        let limits = OwnLimits { recipients: Some(5_000), first_time: Some(700) };
        room.accounts.limit_day(account, limits, &By::system()).await.unwrap();
        assert!(send(&room, &test.db, account, &people(0..700)).await.is_ok());
        assert!(send(&room, &test.db, account, &people(0..700)).await.is_ok());
        assert_eq!(send(&room, &test.db, account, &people(699..701)).await, Err(LimitOf::FirstTime));
    }

    async fn what_is_given_back_was_never_taken(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await.id;
        room.accounts.limit_day(account, LIMITED, &By::system()).await.unwrap();
        assert!(send(&room, &test.db, account, &people(0..1)).await.is_ok());
        let allowance = Arc::new(allowance(&room.accounts, "a@example.com", &people(0..3)).await);
        let now = room.clock.now();
        test.db.write_for(account, "take and give back", move |tx| {
            let Taking::Taken(taken) = allowance.take(tx, account, now)? else { panic!("it fits") };
            allowance.give_back(tx, account, &taken)
        }).await.unwrap();
        let used = room.accounts.day(account).await.unwrap().used;
        assert_eq!((used.recipients, used.first_time), (1, 1));
        assert!(send(&room, &test.db, account, &people(0..4)).await.is_ok());
        assert_eq!(room.accounts.day(account).await.unwrap().used.first_time, 4);
    }

    async fn two_processes_share_one_day(test: TestDb) {
        let limits = StandardLimits {
            made: DayLimits { recipients: Some(60), first_time: Some(25) },
            opened: DayLimits::default(),
        };
        let room = Arc::new(room_with(&test, limits));
        let account = room.account("a@example.com").await.id;
        let processes = [test.db.clone(), test.reopen().await];
        let senders: Vec<_> = (0..16_usize).map(|sender| {
            let (room, db) = (Arc::clone(&room), processes[sender % 2].clone());
            tokio::spawn(async move {
                let mut sent = 0;
                for turn in 0..8 {
                    // Overlapping lists, so that the same recipient comes from two sides at once.
                    let first = (sender * 3 + turn * 5) % 40;
                    sent += usize::from(send(&room, &db, account, &people(first..first + 2)).await.is_ok()) * 2;
                }
                sent
            })
        }).collect();
        let mut sent = 0;
        for sender in senders {
            sent += sender.await.unwrap();
        }
        let used = room.accounts.day(account).await.unwrap().used;
        assert_eq!(used.recipients as usize, sent);
        assert!(used.recipients <= 60 && used.first_time <= 25, "{used:?}");
        let known = test.db.read("count the known", |tx| {
            tx.query_opt("SELECT COUNT(*) FROM known_recipients", &[])?.map(|row| row.int(0)).transpose()
        });
        assert_eq!(known.await.unwrap(), Some(i64::from(used.first_time)));
        assert!(used.first_time > 20, "{used:?}");
    }

    async fn an_smtp_transaction_hears_of_each_recipient_that_does_not_fit(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await.id;
        let who = room.accounts.vouched("a@example.com").await.unwrap();
        assert!(room.accounts.quota(&who).await.unwrap().is_none());
        room.accounts.limit_day(account, LIMITED, &By::system()).await.unwrap();
        assert!(send(&room, &test.db, account, &people(0..3)).await.is_ok());
        let mut quota = room.accounts.quota(&who).await.unwrap().unwrap();
        let mut answers = Vec::new();
        for n in [0, 3, 3, 4, 1, 2, 0, 1, 2] {
            let one = Address::parse(&people(n..n + 1)[0]).unwrap();
            answers.push(room.accounts.fits(&mut quota, &one).await.unwrap().map(|reached| reached.of));
        }
        let (new, full) = (Some(LimitOf::FirstTime), Some(LimitOf::Recipients));
        assert_eq!(answers, [None, None, None, new, None, None, None, None, full]);
    }

    async fn long_forgotten_recipients_are_first_time_recipients_again(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await.id;
        room.accounts.limit_day(account, LIMITED, &By::system()).await.unwrap();
        assert!(send(&room, &test.db, account, &people(0..4)).await.is_ok());
        room.hand.advance(std::time::Duration::from_hours(24 * 399));
        room.accounts.tidy().await.unwrap();
        assert_eq!(send(&room, &test.db, account, &people(0..4)).await.map(|_| ()), Ok(()));
        assert_eq!(room.accounts.day(account).await.unwrap().used.first_time, 0);
        room.hand.advance(std::time::Duration::from_hours(24 * 2));
        room.accounts.tidy().await.unwrap();
        assert!(send(&room, &test.db, account, &people(0..4)).await.is_ok());
        assert_eq!(room.accounts.day(account).await.unwrap().used.first_time, 4);
    }
}
