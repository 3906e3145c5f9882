//! API keys and IP-range credentials.

use std::net::IpAddr;

use accounts::{
    AccountsError, By, MOST_KEYS, MOST_RANGES, Principal, Role, Scope, Scopes, Validity, Via, WantedKey,
};
use store::both_engines;

use crate::room::room;

fn scopes(scopes: &[Scope]) -> Scopes {
    scopes.iter().copied().collect()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

both_engines! {
    async fn a_key_opens_its_account_until_it_is_revoked(test: TestDb) {
        let room = room(&test);
        let account = room.account("alice@example.com").await;
        let alice = room.sign_in("alice@example.com").await;
        let held = Role::Owner.scopes(false);
        let made = room.accounts.create_key(&alice, &held, WantedKey::new("shop", scopes(&[Scope::Send])), &By::system()).await.unwrap();
        assert!(made.secret.starts_with("ph_") && made.secret.starts_with(&made.key.prefix));
        let (principal, found, _) = room.accounts.find_key(&made.secret).await.unwrap().expect("the key is known");
        assert_eq!((principal.account, principal.via), (account.id, Via::Key(made.key.id)));
        assert_eq!(found, scopes(&[Scope::Send]));
        assert_eq!(room.accounts.still_valid(&principal).await.unwrap(), Validity::Ok);
        assert_eq!(room.accounts.keys(account.id, None).await.unwrap()[0].name, "shop");
        room.accounts.revoke_key(account.id, made.key.id, None, &By::system()).await.unwrap();
        assert!(room.accounts.find_key(&made.secret).await.unwrap().is_none());
        room.accounts.refresh().await.unwrap();
        assert_eq!(room.accounts.still_valid(&principal).await.unwrap(), Validity::SignedOut);
        assert!(room.accounts.keys(account.id, None).await.unwrap().is_empty());
    }

    async fn a_key_never_mints_a_right_it_does_not_have(test: TestDb) {
        let room = room(&test);
        room.account("alice@example.com").await;
        let alice = room.sign_in("alice@example.com").await;
        let held = scopes(&[Scope::Account, Scope::Send]);
        let beyond = room.accounts.create_key(&alice, &held, WantedKey::new("k", scopes(&[Scope::Domains])), &By::system()).await;
        assert!(matches!(beyond, Err(AccountsError::ScopeNotHeld(Scope::Domains))));
        let person = Role::Owner.scopes(false);
        let operator = room.accounts.create_key(&alice, &person, WantedKey::new("k", scopes(&[Scope::Operator])), &By::system()).await;
        assert!(matches!(operator, Err(AccountsError::ScopeNotHeld(Scope::Operator))));
        let none = room.accounts.create_key(&alice, &person, WantedKey::new("k", scopes(&[])), &By::system()).await;
        assert!(matches!(none, Err(AccountsError::NoScope)));
        let nameless = room.accounts.create_key(&alice, &person, WantedKey::new(" ", scopes(&[Scope::Send])), &By::system()).await;
        assert!(matches!(nameless, Err(AccountsError::BadName)));
    }

    async fn a_key_of_another_account_cannot_be_revoked(test: TestDb) {
        let room = room(&test);
        room.account("alice@example.com").await;
        let bob = room.account("bob@example.com").await;
        let alice = room.sign_in("alice@example.com").await;
        let made = room
            .accounts
            .create_key(&alice, &Role::Owner.scopes(false), WantedKey::new("k", scopes(&[Scope::Send])), &By::system())
            .await
            .unwrap();
        let refused = room.accounts.revoke_key(bob.id, made.key.id, None, &By::system()).await;
        assert!(matches!(refused, Err(AccountsError::NotFound(_))));
        assert!(room.accounts.find_key(&made.secret).await.unwrap().is_some());
        assert!(room.accounts.find_key("ph_guess").await.unwrap().is_none());
    }

    async fn a_client_in_a_range_is_its_account_without_a_password(test: TestDb) {
        let room = room(&test);
        let account = room.account("printer@example.com").await;
        assert_eq!(room.accounts.by_ip(ip("10.1.2.3")).await.unwrap(), None);
        let range = room.accounts.create_ip_credential("Printer@example.com", "10.1.2.3/16", "", &By::system()).await.unwrap();
        assert_eq!((range.range.as_str(), range.name.as_str()), ("10.1.0.0/16", "10.1.0.0/16"));
        let found = room.accounts.by_ip(ip("10.1.200.1")).await.unwrap().expect("in the range");
        let expected = Principal { account: account.id, via: Via::IpRange(range.id), ..found.clone() };
        assert_eq!(found, expected);
        assert_eq!(found.email, "printer@example.com");
        assert_eq!(room.accounts.by_ip(ip("10.2.0.1")).await.unwrap(), None);
        assert_eq!(room.accounts.still_valid(&found).await.unwrap(), Validity::Ok);
        room.accounts.revoke_ip_credential(range.id, &By::system()).await.unwrap();
        assert_eq!(room.accounts.by_ip(ip("10.1.200.1")).await.unwrap(), None);
        assert_eq!(room.accounts.still_valid(&found).await.unwrap(), Validity::SignedOut);
    }

    async fn one_range_stands_for_one_account(test: TestDb) {
        let room = room(&test);
        room.account("a@example.com").await;
        room.account("b@example.com").await;
        room.accounts.create_ip_credential("a@example.com", "192.0.2.0/24", "lab", &By::system()).await.unwrap();
        let taken = room.accounts.create_ip_credential("b@example.com", "192.0.2.9/24", "lab", &By::system()).await;
        assert!(matches!(taken, Err(AccountsError::RangeExists(_))));
        let nobody = room.accounts.create_ip_credential("c@example.com", "198.51.100.0/24", "x", &By::system()).await;
        assert!(matches!(nobody, Err(AccountsError::NoSuchLogin(_))));
        assert_eq!(room.accounts.ip_credentials().await.unwrap().len(), 1);
    }

    async fn an_account_has_at_most_a_hundred_keys_and_a_revoked_one_makes_room(test: TestDb) {
        let room = room(&test);
        let account = room.account("alice@example.com").await;
        room.account("bob@example.com").await;
        let (alice, bob) = (room.sign_in("alice@example.com").await, room.sign_in("bob@example.com").await);
        let make = async |who: &Principal| {
            room.accounts.create_key(who, &Role::Owner.scopes(false), WantedKey::new("k", scopes(&[Scope::Send])), &By::system()).await
        };
        // Many at once make no more than one after the other.
        let wanted: Vec<_> = (0..MOST_KEYS + 20)
            .map(|_| {
                let (accounts, alice) = (room.accounts.clone(), alice.clone());
                tokio::spawn(async move {
                    let held = Role::Owner.scopes(false);
                    accounts.create_key(&alice, &held, WantedKey::new("k", scopes(&[Scope::Send])), &By::system()).await.is_ok()
                })
            })
            .collect();
        let mut made = 0;
        for one in wanted {
            made += i64::from(one.await.unwrap());
        }
        assert_eq!(made, MOST_KEYS);
        let refused = make(&alice).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the account has 100 API keys, the most that one can have; revoke one that nothing uses any more"
        );
        make(&bob).await.expect("another account has its own limit");
        let keys = room.accounts.keys(account.id, None).await.unwrap();
        room.accounts.revoke_key(account.id, keys[0].id, None, &By::system()).await.unwrap();
        make(&alice).await.expect("there is room again");
    }

    async fn an_account_has_at_most_a_hundred_ranges(test: TestDb) {
        let room = room(&test);
        room.account("lab@example.com").await;
        room.account("bob@example.com").await;
        let let_in = async |email: &str, number: i64| {
            room.accounts.create_ip_credential(email, &format!("10.0.{number}.0/24"), "", &By::system()).await
        };
        let mut last = None;
        for number in 0..MOST_RANGES {
            last = Some(let_in("lab@example.com", number).await.unwrap());
        }
        let refused = let_in("lab@example.com", 200).await.unwrap_err();
        assert!(matches!(refused, AccountsError::TooMany { most: 100, .. }), "{refused}");
        let_in("bob@example.com", 200).await.expect("another account has its own limit");
        room.accounts.revoke_ip_credential(last.unwrap().id, &By::system()).await.unwrap();
        let_in("lab@example.com", 201).await.expect("there is room again");
    }
}
