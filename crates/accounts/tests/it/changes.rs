//! What a change of an account does to what is remembered, of it and of others.

use accounts::By;
use accounts::changes::changed_since;
use accounts::{
    Accounts, Epoch, Outcome, Principal, Role, Scope, Settings, StandardLimits, Validity, WantedKey,
};
use store::testing::TestDb;
use store::{Clock, Id, both_engines};

use crate::room::{OTHER, PASSWORD, Room, room};

/// The room of another process on the same database.
async fn beside(test: &TestDb) -> Accounts {
    let settings = Settings {
        free_credits: 0,
        hostname: "x.example".into(),
        inbound: false,
        dkim_zone: None,
        links: None,
        day_limits: StandardLimits::default(),
        guard: accounts::GuardSettings::default(),
        sign_up: accounts::SignUpMode::Open,
    };
    Accounts::new(test.reopen().await, Clock::system(), test.ids.clone(), settings)
}

async fn make_key(room: &Room, who: &Principal) -> Id {
    let (held, scopes) = (Role::Owner.scopes(false), [Scope::Send].into_iter().collect());
    let made = room
        .accounts
        .create_key(who, &held, WantedKey::new("loop", scopes), &By::system())
        .await;
    made.unwrap().key.id
}

/// Changes a row without saying so: only who reads it anew sees it.
async fn unannounced(test: &TestDb, sql: &'static str, id: Id) {
    test.db
        .write("change a row", move |tx| tx.run(sql, &[(&id).into()]))
        .await
        .unwrap();
}

async fn changed(test: &TestDb, account: Id, epoch: Epoch) -> bool {
    let look = test.db.write("look", move |tx| changed_since(tx, account, epoch));
    look.await.unwrap()
}

both_engines! {
    async fn a_change_of_one_account_makes_nobody_read_another_anew(test: TestDb) {
        let room = room(&test);
        room.account("alice@example.com").await;
        room.account("bob@example.com").await;
        let (alice, bob) = (room.sign_in("alice@example.com").await, room.sign_in("bob@example.com").await);
        assert_eq!(room.accounts.still_valid(&bob).await.unwrap(), Validity::Ok);
        let stamp = "UPDATE logins SET stamp = stamp + 1, password_hash = '' WHERE id = $1";
        unannounced(&test, stamp, bob.login.unwrap()).await;
        for _ in 0..3 {
            make_key(&room, &alice).await;
            room.accounts.refresh().await.unwrap();
            assert_eq!(room.accounts.still_valid(&bob).await.unwrap(), Validity::Ok);
            room.sign_in("bob@example.com").await;
        }
        make_key(&room, &bob).await;
        room.accounts.refresh().await.unwrap();
        assert_eq!(room.accounts.still_valid(&bob).await.unwrap(), Validity::SignedOut);
        assert_eq!(room.tries("bob@example.com", PASSWORD).await, Outcome::Wrong);
        assert_eq!(room.accounts.still_valid(&alice).await.unwrap(), Validity::Ok);
    }

    async fn only_a_change_of_ranges_makes_the_ranges_be_read_anew(test: TestDb) {
        let room = room(&test);
        room.account("alice@example.com").await;
        room.account("lab@example.com").await;
        let alice = room.sign_in("alice@example.com").await;
        let range = room.accounts.create_ip_credential("lab@example.com", "10.0.0.0/8", "", &By::system()).await.unwrap();
        let client = "10.1.1.1".parse().unwrap();
        assert!(room.accounts.by_ip(client).await.unwrap().is_some());
        unannounced(&test, "UPDATE ip_credentials SET revoked_at = 1 WHERE id = $1", range.id).await;
        make_key(&room, &alice).await;
        room.accounts.set_password("lab@example.com", OTHER, &By::system()).await.unwrap();
        assert!(room.accounts.by_ip(client).await.unwrap().is_some());
        room.accounts.create_ip_credential("alice@example.com", "192.0.2.0/24", "", &By::system()).await.unwrap();
        assert!(room.accounts.by_ip(client).await.unwrap().is_none());
    }

    async fn a_transaction_sees_whose_account_changed_since_it_was_checked(test: TestDb) {
        let room = room(&test);
        let (alice, bob) = (room.account("alice@example.com").await.id, room.account("bob@example.com").await.id);
        let checked = room.accounts.refresh().await.unwrap();
        assert!(!changed(&test, alice, checked).await);
        room.accounts.set_password("alice@example.com", OTHER, &By::system()).await.unwrap();
        assert!(changed(&test, alice, checked).await);
        assert!(!changed(&test, bob, checked).await);
        let again = room.accounts.refresh().await.unwrap();
        assert!(!changed(&test, alice, again).await);
    }

    async fn an_address_that_was_unknown_signs_in_as_soon_as_another_process_made_it(test: TestDb) {
        let room = room(&test);
        assert_eq!(room.tries("new@example.com", PASSWORD).await, Outcome::Wrong);
        beside(&test).await.create(crate::room::new("new@example.com"), &By::system()).await.unwrap();
        room.sign_in("new@example.com").await;
    }

    async fn every_process_sees_each_change_as_soon_as_it_is_made_however_many_make_some(test: TestDb) {
        let room = room(&test);
        let other = beside(&test).await;
        let mut workers = Vec::new();
        for number in 0..6 {
            let email = format!("user{number}@example.com");
            room.account(&email).await;
            let principal = room.sign_in(&email).await;
            let (changes, sees) = if number % 2 == 0 {
                (room.accounts.clone(), other.clone())
            } else {
                (other.clone(), room.accounts.clone())
            };
            workers.push(tokio::spawn(async move {
                for _ in 0..30 {
                    changes.suspend(principal.account, "testing", &By::system()).await.unwrap();
                    sees.refresh().await.unwrap();
                    let suspended = Validity::Suspended("testing".into());
                    assert_eq!(sees.still_valid(&principal).await.unwrap(), suspended, "{}", principal.email);
                    changes.resume(principal.account, &By::system()).await.unwrap();
                    sees.refresh().await.unwrap();
                    assert_eq!(sees.still_valid(&principal).await.unwrap(), Validity::Ok, "{}", principal.email);
                }
            }));
        }
        for worker in workers {
            worker.await.unwrap();
        }
    }
}
