//! API keys and IP-range credentials.

use std::net::IpAddr;

use accounts::{AccountsError, Principal, Scope, Scopes, Validity, Via};
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
        let held = Scopes::of_a_person(false);
        let made = room.accounts.create_key(&alice, &held, "shop", scopes(&[Scope::Send])).await.unwrap();
        assert!(made.secret.starts_with("ph_") && made.secret.starts_with(&made.key.prefix));
        let (principal, found) = room.accounts.find_key(&made.secret).await.unwrap().expect("the key is known");
        assert_eq!((principal.account, principal.via), (account.id, Via::Key(made.key.id)));
        assert_eq!(found, scopes(&[Scope::Send]));
        assert_eq!(room.accounts.still_valid(&principal).await.unwrap(), Validity::Ok);
        assert_eq!(room.accounts.keys(account.id).await.unwrap()[0].name, "shop");
        room.accounts.revoke_key(account.id, made.key.id).await.unwrap();
        assert!(room.accounts.find_key(&made.secret).await.unwrap().is_none());
        room.accounts.refresh().await.unwrap();
        assert_eq!(room.accounts.still_valid(&principal).await.unwrap(), Validity::SignedOut);
        assert!(room.accounts.keys(account.id).await.unwrap().is_empty());
    }

    async fn a_key_never_mints_a_right_it_does_not_have(test: TestDb) {
        let room = room(&test);
        room.account("alice@example.com").await;
        let alice = room.sign_in("alice@example.com").await;
        let held = scopes(&[Scope::Account, Scope::Send]);
        let beyond = room.accounts.create_key(&alice, &held, "k", scopes(&[Scope::Domains])).await;
        assert!(matches!(beyond, Err(AccountsError::ScopeNotHeld(Scope::Domains))));
        let person = Scopes::of_a_person(false);
        let operator = room.accounts.create_key(&alice, &person, "k", scopes(&[Scope::Operator])).await;
        assert!(matches!(operator, Err(AccountsError::ScopeNotHeld(Scope::Operator))));
        let none = room.accounts.create_key(&alice, &person, "k", scopes(&[])).await;
        assert!(matches!(none, Err(AccountsError::NoScope)));
        let nameless = room.accounts.create_key(&alice, &person, " ", scopes(&[Scope::Send])).await;
        assert!(matches!(nameless, Err(AccountsError::BadName)));
    }

    async fn a_key_of_another_account_cannot_be_revoked(test: TestDb) {
        let room = room(&test);
        room.account("alice@example.com").await;
        let bob = room.account("bob@example.com").await;
        let alice = room.sign_in("alice@example.com").await;
        let made = room
            .accounts
            .create_key(&alice, &Scopes::of_a_person(false), "k", scopes(&[Scope::Send]))
            .await
            .unwrap();
        let refused = room.accounts.revoke_key(bob.id, made.key.id).await;
        assert!(matches!(refused, Err(AccountsError::NotFound(_))));
        assert!(room.accounts.find_key(&made.secret).await.unwrap().is_some());
        assert!(room.accounts.find_key("ph_guess").await.unwrap().is_none());
    }

    async fn a_client_in_a_range_is_its_account_without_a_password(test: TestDb) {
        let room = room(&test);
        let account = room.account("printer@example.com").await;
        assert_eq!(room.accounts.by_ip(ip("10.1.2.3")).await.unwrap(), None);
        let range = room.accounts.create_ip_credential("Printer@example.com", "10.1.2.3/16", "").await.unwrap();
        assert_eq!((range.range.as_str(), range.name.as_str()), ("10.1.0.0/16", "10.1.0.0/16"));
        let found = room.accounts.by_ip(ip("10.1.200.1")).await.unwrap().expect("in the range");
        let expected = Principal { account: account.id, via: Via::IpRange(range.id), ..found.clone() };
        assert_eq!(found, expected);
        assert_eq!(found.email, "printer@example.com");
        assert_eq!(room.accounts.by_ip(ip("10.2.0.1")).await.unwrap(), None);
        assert_eq!(room.accounts.still_valid(&found).await.unwrap(), Validity::Ok);
        room.accounts.revoke_ip_credential(range.id).await.unwrap();
        assert_eq!(room.accounts.by_ip(ip("10.1.200.1")).await.unwrap(), None);
        assert_eq!(room.accounts.still_valid(&found).await.unwrap(), Validity::SignedOut);
    }

    async fn one_range_stands_for_one_account(test: TestDb) {
        let room = room(&test);
        room.account("a@example.com").await;
        room.account("b@example.com").await;
        room.accounts.create_ip_credential("a@example.com", "192.0.2.0/24", "lab").await.unwrap();
        let taken = room.accounts.create_ip_credential("b@example.com", "192.0.2.9/24", "lab").await;
        assert!(matches!(taken, Err(AccountsError::RangeExists(_))));
        let nobody = room.accounts.create_ip_credential("c@example.com", "198.51.100.0/24", "x").await;
        assert!(matches!(nobody, Err(AccountsError::NoSuchLogin(_))));
        assert_eq!(room.accounts.ip_credentials().await.unwrap().len(), 1);
    }
}
