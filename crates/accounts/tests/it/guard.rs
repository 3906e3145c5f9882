//! The guard: an account whose recipients bounce or complain is paused once, on whatever node looks, and told why.

use accounts::{
    AccountState, AccountsError, By, Decides, GuardSettings, Says, Settings, StandardLimits, Validity,
};
use store::events::{self, Event};
use store::testing::TestDb;
use store::{Clock, Id, both_engines};

use crate::room::{Room, room};

/// What became of so many recipients of an account.
async fn ends(test: &TestDb, room: &Room, account: Id, kind: &'static str, times: usize) {
    let at = room.clock.now();
    let told = test.db.write("tell", move |tx| {
        for _ in 0..times {
            let event = Event {
                at,
                account,
                message: None,
                ordinal: None,
                kind,
                data: "{}",
            };
            events::append(tx, &event)?;
        }
        Ok(())
    });
    told.await.unwrap();
}

/// Looks until there is nothing more; the accounts that were paused.
async fn watch(room: &Room) -> Vec<Id> {
    let mut paused = Vec::new();
    for _ in 0..100 {
        let (seen, before) = (room.accounts.watch().await.unwrap(), paused.len());
        paused.extend(seen.paused.into_iter().map(|(account, _)| account));
        // On PostgreSQL what other tests of the server still have open holds the log back for a moment.
        if !seen.more && paused.len() == before {
            break;
        }
    }
    paused
}

both_engines! {
    async fn an_account_whose_recipients_bounce_is_paused_and_everybody_concerned_is_told(test: TestDb) {
        let room = room(&test);
        let ops = room.operator("ops@example.com").await;
        let (account, other) = (room.account("a@example.com").await, room.account("b@example.com").await);
        let who = room.sign_in("a@example.com").await;
        assert!(watch(&room).await.is_empty());
        ends(&test, &room, account.id, "delivered", 690).await;
        ends(&test, &room, other.id, "delivered", 1_000).await;
        ends(&test, &room, account.id, "bounced", 60).await;
        ends(&test, &room, ops.id, "bounced", 300).await;
        until(&room, account.id, 750).await;
        assert_eq!(room.accounts.still_valid(&who).await.unwrap(), Validity::Ok);
        ends(&test, &room, account.id, "bounced", 1).await;
        until(&room, account.id, 751).await;
        let reason = "61 of the last 751 recipients bounced, more than 8 %".to_owned();
        room.accounts.refresh().await.unwrap();
        assert_eq!(room.accounts.still_valid(&who).await.unwrap(), Validity::Paused(reason.clone()));
        assert!(room.accounts.holds(account.id).await.unwrap());
        assert_eq!(room.accounts.holding().await.unwrap(), [account.id]);
        let standing = room.accounts.guarded(account.id).await.unwrap();
        assert_eq!(standing.state, AccountState::Paused(reason));
        assert_eq!(standing.decides, Decides::Operator);
        assert_eq!((standing.counted.bounced, standing.counted.recipients), (61, 751));
        // The operator's own account goes on, and so does whoever did nothing.
        assert_eq!(room.accounts.account(ops.id).await.unwrap().state, AccountState::Active);
        assert_eq!(room.accounts.account(other.id).await.unwrap().state, AccountState::Active);
        let mut letters = Vec::new();
        while let Some(letter) = room.accounts.next_letter().await.unwrap() {
            let Says::Paused { pause, account, .. } = letter.says else { panic!("{:?}", letter.says) };
            assert_eq!((pause.failed, pause.of), (61, 751));
            letters.push((letter.to.to_string(), account.map(|(_, name)| name)));
            room.accounts.letter_sent(letter.id).await.unwrap();
        }
        letters.sort();
        assert_eq!(letters, [("a@example.com".into(), None), ("ops@example.com".into(), Some("a@example.com".into()))]);
    }

    async fn a_pause_is_lifted_by_the_operator_and_counting_begins_anew(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await.id;
        paused(&test, &room, account).await;
        assert!(matches!(room.accounts.resume_own(account, &By::system()).await, Err(AccountsError::OperatorDecides)));
        // Suspending a paused account keeps its mail where it is.
        room.accounts.suspend(account, "spam", &By::system()).await.unwrap();
        assert!(room.accounts.holds(account).await.unwrap());
        room.accounts.resume(account, &By::system()).await.unwrap();
        let standing = room.accounts.guarded(account).await.unwrap();
        assert_eq!((standing.state, standing.holds, standing.pause), (AccountState::Active, false, None));
        assert_eq!(standing.counted.recipients, 0);
        assert!(!room.accounts.holds(account).await.unwrap());
        assert!(matches!(room.accounts.resume_own(account, &By::system()).await, Err(AccountsError::NotPaused)));
    }

    async fn the_owner_lifts_it_where_the_operator_allows_that_once_a_day(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await.id;
        let settings = Settings {
            free_credits: 0,
            hostname: "x.example".into(), inbound: false,
        dkim_zone: None, links: None,
            day_limits: StandardLimits::default(),
            guard: GuardSettings { owner_resumes: true, ..GuardSettings::default() }, sign_up: accounts::SignUpMode::Open,
        };
        let accounts = accounts::Accounts::new(test.db.clone(), room.clock.clone(), test.ids.clone(), settings);
        paused(&test, &room, account).await;
        assert_eq!(accounts.guarded(account).await.unwrap().decides, Decides::Owner);
        accounts.resume_own(account, &By::system()).await.unwrap();
        paused(&test, &room, account).await;
        assert!(matches!(accounts.resume_own(account, &By::system()).await, Err(AccountsError::TooOften(_))));
        room.hand.advance(std::time::Duration::from_hours(25));
        accounts.resume_own(account, &By::system()).await.unwrap();
    }

    async fn a_suspension_outlives_an_owner_who_resumes_at_the_same_moment(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await.id;
        let settings = Settings {
            free_credits: 0,
            hostname: "x.example".into(), inbound: false,
        dkim_zone: None, links: None,
            day_limits: StandardLimits::default(),
            guard: GuardSettings { owner_resumes: true, ..GuardSettings::default() }, sign_up: accounts::SignUpMode::Open,
        };
        let accounts = accounts::Accounts::new(test.db.clone(), room.clock.clone(), test.ids.clone(), settings);
        for _ in 0..20 {
            let pausing = test.db.write("pause by hand", move |tx| {
                tx.execute("UPDATE accounts SET state = 'paused', holds = 1 WHERE id = $1", &[account.into()])
            });
            assert_eq!(pausing.await.unwrap(), 1);
            let by = By::system();
            let (resumed, suspended) = tokio::join!(accounts.resume_own(account, &by), accounts.suspend(account, "spam", &by));
            suspended.unwrap();
            assert!(matches!(resumed, Ok(()) | Err(AccountsError::NotPaused)), "{resumed:?}");
            let state = accounts.account(account).await.unwrap().state;
            assert_eq!(state, AccountState::Suspended("spam".into()));
            // What lifted nothing is not counted: the owner may still, today.
            if resumed.is_ok() {
                room.hand.advance(std::time::Duration::from_hours(25));
            }
        }
    }

    async fn complaints_pause_as_bounces_do_once_somebody_collects_them(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await.id;
        watch(&room).await;
        ends(&test, &room, account, "delivered", 1_000).await;
        ends(&test, &room, account, "complained", 4).await;
        let pause = loop {
            room.accounts.watch().await.unwrap();
            if let Some(pause) = room.accounts.guarded(account).await.unwrap().pause {
                break pause;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(pause.reason(), "4 of the last 1000 recipients complained, more than 0.3 %");
    }

    async fn two_nodes_that_look_at_once_count_each_recipient_once(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await.id;
        let settings = Settings {
            free_credits: 0,
            hostname: "x.example".into(), inbound: false,
        dkim_zone: None, links: None,
            day_limits: StandardLimits::default(),
            guard: GuardSettings::default(), sign_up: accounts::SignUpMode::Open,
        };
        let other = accounts::Accounts::new(test.reopen().await, Clock::system(), test.ids.clone(), settings);
        room.accounts.watch().await.unwrap();
        for _ in 0..10 {
            ends(&test, &room, account, "delivered", 20).await;
            let (one, two) = tokio::join!(room.accounts.watch(), other.watch());
            // The log may be held back, and a turn may be lost to the other; never is anything counted twice.
            drop((one, two));
        }
        until(&room, account, 200).await;
        assert_eq!(room.accounts.guarded(account).await.unwrap().counted.recipients, 200);
    }
}

/// Looks until so many recipients of an account are counted.
async fn until(room: &Room, account: Id, recipients: u32) {
    loop {
        room.accounts.watch().await.unwrap();
        let counted = room.accounts.guarded(account).await.unwrap().counted.recipients;
        if counted >= recipients {
            assert_eq!(counted, recipients);
            return;
        }
        tokio::task::yield_now().await;
    }
}

async fn paused(test: &TestDb, room: &Room, account: Id) {
    watch(room).await;
    ends(test, room, account, "bounced", 200).await;
    until(room, account, 200).await;
    room.accounts.refresh().await.unwrap();
    let state = room.accounts.account(account).await.unwrap().state;
    assert!(matches!(state, AccountState::Paused(_)), "{state:?}");
}
