//! The delegated way: the operator publishes keys once, domains lead to them, and a new key takes over without their doing.

use std::time::Duration;

use accounts::domains::{
    Answer, DelegatedKey, Findings, Kind, Looked, OVERLAP, Purpose, SendingDomain, Stage,
};
use accounts::{AccountsError, By, Says, StandardLimits};
use mail::address::{Address, Domain};
use store::both_engines;

use crate::room::{Room, room, room_in};

fn delegated(test: &store::testing::TestDb) -> Room {
    let zone = Domain::parse("dkim.example.net").unwrap();
    room_in(test, StandardLimits::default(), Some(zone))
}

/// DNS in which the domain's aliases to these places are right.
fn leading(domain: &SendingDomain, places: &[&str]) -> Looked {
    let answer = |name: &str, value: &str| {
        let right = places.iter().any(|place| name.starts_with(place));
        Answer::Found(if right { vec![value.to_owned()] } else { Vec::new() })
    };
    let records = domain.records.iter();
    Looked {
        findings: records
            .map(|record| (record.name.clone(), answer(&record.name, &record.value)))
            .collect(),
        resolver: "192.0.2.53".to_owned(),
    }
}

/// DNS in which these of the operator's keys are published.
fn publishing(keys: &[DelegatedKey]) -> Findings {
    let findings = keys.iter().map(|key| {
        let name = key.name.replacen('*', "posthouse", 1);
        (name, Answer::Found(vec![key.value.clone()]))
    });
    findings.collect()
}

async fn check(room: &Room, domain: &SendingDomain, looked: Looked) -> SendingDomain {
    let checked = room
        .accounts
        .record_check(domain.account, domain.id, looked, &By::system())
        .await;
    room.accounts.refresh().await.unwrap();
    checked.unwrap()
}

async fn selectors(room: &Room, domain: &SendingDomain) -> Vec<String> {
    room.accounts.refresh().await.unwrap();
    let signers = room.accounts.signers(domain.account, &domain.name).await.unwrap();
    assert!(signers.iter().all(|signer| signer.domain == domain.name));
    signers.iter().map(|signer| signer.selector.clone()).collect()
}

both_engines! {
    async fn a_domain_that_leads_to_the_operators_key_is_verified_and_signed_with_it(test: TestDb) {
        let room = delegated(&test);
        room.accounts.start_delegation().await.unwrap();
        room.accounts.start_delegation().await.unwrap();
        let keys = room.accounts.delegated_keys().await.unwrap();
        assert_eq!(keys.len(), 1, "it is made once");
        assert_eq!(keys[0].name, "*.s1.dkim.example.net");
        assert!(keys[0].value.starts_with("v=DKIM1; k=rsa; p="));

        let account = room.account("a@example.com").await;
        let domain = room.accounts.add_domain(account.id, "shop.example", false, &By::system()).await.unwrap();
        let aliases: Vec<_> = domain.records.iter().filter(|one| one.purpose == Purpose::DkimDelegated).collect();
        assert_eq!((aliases.len(), aliases[0].kind, aliases[0].verifies), (2, Kind::Cname, true));
        assert_eq!(aliases[0].value, format!("{}.s1.dkim.example.net", domain.id));

        let of_another = {
            let other = room.account("b@example.com").await;
            let same = room.accounts.add_domain(other.id, "shop.example", false, &By::system()).await.unwrap();
            check(&room, &same, leading(&domain, &["ph1.", "ph2."])).await
        };
        assert_eq!(of_another.verified, None, "its owner led here for another account");

        let checked = check(&room, &domain, leading(&domain, &["ph1.", "ph2."])).await;
        assert!(checked.verified.is_some() && checked.missing_since.is_none());
        assert_ne!(selectors(&room, &domain).await, ["ph1"], "its record is not found yet");
        room.accounts.record_delegation(publishing(&keys)).await.unwrap();
        assert_eq!(selectors(&room, &domain).await, ["ph1"]);
        let also = room.accounts.add_domain(account.id, "also.example", false, &By::system()).await.unwrap();
        check(&room, &also, leading(&also, &["ph1."])).await;
        assert_eq!(selectors(&room, &also).await, ["ph1"], "by the same key, in its own name");
        let sender = Address::parse("any@shop.example").unwrap();
        assert!(room.accounts.may_send_as(&room.sign_in("a@example.com").await, &sender).await.unwrap());

        let silent = Looked {
            findings: checked.records.iter().map(|one| (one.name.clone(), Answer::Failed("no answer".into()))).collect(),
            resolver: String::new(),
        };
        check(&room, &domain, silent).await;
        assert_eq!(selectors(&room, &domain).await, ["ph1"], "a bad day of DNS changes nothing");
        assert_eq!(check(&room, &domain, leading(&domain, &[])).await.missing_since, Some(room.clock.now()));
    }

    async fn a_new_key_takes_over_for_all_and_the_old_record_stays_a_week(test: TestDb) {
        let room = delegated(&test);
        room.accounts.start_delegation().await.unwrap();
        let waits = room.accounts.renew_delegated_key().await.unwrap_err();
        assert!(matches!(waits, AccountsError::KeysWait(_)), "{waits}");
        let first = room.accounts.delegated_keys().await.unwrap();
        room.accounts.record_delegation(publishing(&first)).await.unwrap();
        let account = room.account("a@example.com").await;
        let domain = room.accounts.add_domain(account.id, "shop.example", false, &By::system()).await.unwrap();
        check(&room, &domain, leading(&domain, &["ph1.", "ph2."])).await;

        room.accounts.renew_delegated_key().await.unwrap();
        let both = room.accounts.delegated_keys().await.unwrap();
        assert_eq!(both[1].name, "*.s2.dkim.example.net");
        assert_eq!((both[0].stage, both[1].stage), (Stage::InUse, Stage::Next));
        assert_eq!(selectors(&room, &domain).await, ["ph1"]);
        // The old key where the new one should be proves nothing.
        let mixed = vec![DelegatedKey { value: first[0].value.clone(), ..both[1].clone() }];
        room.accounts.record_delegation(publishing(&mixed)).await.unwrap();
        assert_eq!(selectors(&room, &domain).await, ["ph1"]);
        room.accounts.record_delegation(publishing(&both)).await.unwrap();
        assert_eq!(selectors(&room, &domain).await, ["ph2"]);
        let half = room.accounts.add_domain(account.id, "half.example", false, &By::system()).await.unwrap();
        check(&room, &half, leading(&half, &["ph1."])).await;
        assert_eq!(selectors(&room, &half).await, ["ph1"], "better the key that is leaving than one that nobody published");
        let leaving = room.accounts.delegated_keys().await.unwrap();
        assert_eq!(leaving[0].stage, Stage::Leaving(room.clock.now().plus(OVERLAP)));
        let refused = room.accounts.renew_delegated_key().await.unwrap_err();
        assert!(matches!(refused, AccountsError::KeysLeave(..)), "{refused}");

        room.hand.advance(OVERLAP + Duration::from_secs(1));
        room.accounts.forget_old_keys().await.unwrap();
        room.accounts.renew_delegated_key().await.unwrap();
        let third = room.accounts.delegated_keys().await.unwrap();
        assert_eq!((third[0].name.as_str(), third[1].name.as_str()), ("*.s2.dkim.example.net", "*.s1.dkim.example.net"));
        assert_ne!(third[1].value, first[0].value);
    }

    async fn owners_are_told_once_when_the_records_of_a_domain_stay_away(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await;
        let domain = room.accounts.add_domain(account.id, "shop.example", false, &By::system()).await.unwrap();
        let letters = async || {
            let mut told = Vec::new();
            while let Some(letter) = room.accounts.next_letter().await.unwrap() {
                room.accounts.letter_sent(letter.id).await.unwrap();
                told.push((letter.to.to_string(), letter.says));
            }
            told
        };
        check(&room, &domain, leading(&domain, &["ph2611r"])).await;
        for hour in 0..3 {
            check(&room, &domain, leading(&domain, &[])).await;
            assert_eq!(letters().await, [], "it may be mended within {hour} hours");
            room.hand.advance(Duration::from_hours(1));
        }
        check(&room, &domain, leading(&domain, &[])).await;
        let says = Says::DomainMissing { name: "shop.example".to_owned() };
        assert_eq!(letters().await, [("a@example.com".to_owned(), says)]);
        for _ in 0..30 {
            room.hand.advance(Duration::from_hours(1));
            check(&room, &domain, leading(&domain, &[])).await;
        }
        assert_eq!(letters().await, [], "once");
    }
}
