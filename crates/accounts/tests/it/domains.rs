//! Sending domains: keys, verification, who may send and sign.

use accounts::domains::{Answer, Findings, MOST_DOMAINS, SendingDomain, VerifiedBy};
use accounts::{AccountsError, By};
use mail::address::{Address, Domain};
use store::{Id, both_engines};

use crate::room::room;

/// DNS with these records of `domain` published, by number.
fn published(domain: &SendingDomain, records: &[usize]) -> Findings {
    let mut findings = Findings::new();
    for (number, record) in domain.records.iter().enumerate() {
        let found = if records.contains(&number) {
            vec![record.value.clone()]
        } else {
            Vec::new()
        };
        findings.insert(record.name.clone(), Answer::Found(found));
    }
    findings
}

fn selectors(domain: &SendingDomain) -> Vec<&str> {
    domain
        .records
        .iter()
        .filter_map(|r| r.name.split_once("._domainkey.").map(|(selector, _)| selector))
        .collect()
}

both_engines! {
    async fn an_account_has_at_most_a_thousand_domains(test: TestDb) {
        let room = room(&test);
        let account = room.account("agency@example.com").await;
        let domain = room.accounts.add_domain(account.id, "one.example", false, &By::system()).await.unwrap();
        // As many rows as would otherwise take a thousand RSA keys to make.
        let ids: Vec<Id> = (1..MOST_DOMAINS).map(|_| test.id()).collect();
        test.db
            .write("fill the account", move |tx| {
                for id in &ids {
                    tx.run(
                        "INSERT INTO domains (id, account, name, state, verified_by, created_at, findings) \
                         VALUES ($1, $2, $3, 'pending', '', 0, '{}')",
                        &[id.into(), (&account.id).into(), format!("{id}.example").as_str().into()],
                    )?;
                }
                Ok(())
            })
            .await
            .unwrap();
        let refused = room.accounts.add_domain(account.id, "more.example", false, &By::system()).await.unwrap_err();
        assert!(matches!(refused, AccountsError::TooMany { most: 1_000, .. }), "{refused}");
        let again = room.accounts.add_domain(account.id, "one.example", false, &By::system()).await.unwrap_err();
        assert!(matches!(again, AccountsError::DomainExists(_)), "{again}");
        room.accounts.remove_domain(account.id, domain.id, &By::system()).await.unwrap();
        room.accounts.add_domain(account.id, "more.example", false, &By::system()).await.expect("there is room again");
    }

    async fn a_new_domain_has_two_keys_and_waits_for_its_records(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await;
        let domain = room.accounts.add_domain(account.id, "Bücher.Example.", false, &By::system()).await.unwrap();
        assert_eq!(domain.name.as_str(), "xn--bcher-kva.example");
        assert_eq!(domain.verified, None);
        assert_eq!(selectors(&domain), ["ph2611r", "ph2611e"]);
        let names = room.accounts.names_to_check(account.id, domain.id).await.unwrap();
        assert!(names.contains(&"ph2611r._domainkey.xn--bcher-kva.example".to_owned()));
        assert!(room.accounts.signers(account.id, &domain.name).await.unwrap().is_empty());
        let a = room.sign_in("a@example.com").await;
        let sender = Address::parse("shop@bücher.example").unwrap();
        assert!(!room.accounts.may_send_as(&a, &sender).await.unwrap());
    }

    async fn either_dkim_record_verifies_the_domain_and_its_key_signs(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await;
        let a = room.sign_in("a@example.com").await;
        let domain = room.accounts.add_domain(account.id, "shop.example", false, &By::system()).await.unwrap();
        let unmoved = room.accounts.record_check(account.id, domain.id, published(&domain, &[2, 3]), &By::system()).await.unwrap();
        assert_eq!(unmoved.verified, None, "SPF and DMARC prove nothing");
        let checked = room.accounts.record_check(account.id, domain.id, published(&domain, &[1]), &By::system()).await.unwrap();
        assert!(matches!(checked.verified, Some((VerifiedBy::Dns, _))));
        assert_eq!(checked.records[1].ok, Some(true));
        assert!(checked.records[0].problem.is_some());
        room.accounts.refresh().await.unwrap();
        let sender = Address::parse("any.body@shop.example").unwrap();
        assert!(room.accounts.may_send_as(&a, &sender).await.unwrap());
        let below = Address::parse("x@sub.shop.example").unwrap();
        assert!(!room.accounts.may_send_as(&a, &below).await.unwrap());
        let signers = room.accounts.signers(account.id, &domain.name).await.unwrap();
        assert_eq!(signers.iter().map(|s| s.selector.as_str()).collect::<Vec<_>>(), ["ph2611e"]);
        room.accounts.record_check(account.id, domain.id, published(&domain, &[0, 1]), &By::system()).await.unwrap();
        room.accounts.refresh().await.unwrap();
        assert_eq!(room.accounts.signers(account.id, &domain.name).await.unwrap().len(), 2);
        let gone = room.accounts.record_check(account.id, domain.id, published(&domain, &[]), &By::system()).await.unwrap();
        assert!(gone.verified.is_some(), "a bad day of DNS stops no mail");
        assert_eq!(room.accounts.senders(account.id).await.unwrap(), ["a@example.com", "*@shop.example"]);
    }

    async fn a_domain_the_operator_trusts_signs_at_once(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await;
        let domain = room.accounts.add_domain(account.id, "shop.example", true, &By::system()).await.unwrap();
        assert!(matches!(domain.verified, Some((VerifiedBy::Operator, _))));
        let signers = room.accounts.signers(account.id, &domain.name).await.unwrap();
        let message = b"From: a@shop.example\r\n\r\nhello\r\n";
        let header = mail::dkim::sign(message, &signers, mail::time::Time::from_secs(1_800_000_000)).unwrap();
        let header = String::from_utf8(header).unwrap();
        assert!(header.contains("a=rsa-sha256") && header.contains("a=ed25519-sha256"), "{header}");
        assert!(header.contains("d=shop.example"), "{header}");
    }

    async fn a_domain_belongs_to_its_account(test: TestDb) {
        let room = room(&test);
        let (a, b) = (room.account("a@example.com").await, room.account("b@example.com").await);
        let domain = room.accounts.add_domain(a.id, "shop.example", true, &By::system()).await.unwrap();
        let not_found = |refused| matches!(refused, Err(AccountsError::NotFound("domain")));
        assert!(not_found(room.accounts.domain(b.id, domain.id).await));
        assert!(not_found(room.accounts.record_check(b.id, domain.id, Findings::new(), &By::system()).await));
        assert!(not_found(room.accounts.remove_domain(b.id, domain.id, &By::system()).await.map(|()| domain.clone())));
        assert!(room.accounts.signers(b.id, &domain.name).await.unwrap().is_empty());
        let theirs = room.accounts.add_domain(b.id, "shop.example", false, &By::system()).await.unwrap();
        assert_eq!(selectors(&theirs), ["ph2611r2", "ph2611e2"], "two accounts cannot share a name in DNS");
        assert!(room.accounts.domains(b.id).await.unwrap().iter().all(|d| d.account == b.id));
    }

    async fn a_removed_domain_neither_sends_nor_signs(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await;
        let a = room.sign_in("a@example.com").await;
        let domain = room.accounts.add_domain(account.id, "shop.example", true, &By::system()).await.unwrap();
        room.accounts.refresh().await.unwrap();
        let sender = Address::parse("x@shop.example").unwrap();
        assert!(room.accounts.may_send_as(&a, &sender).await.unwrap());
        room.accounts.remove_domain(account.id, domain.id, &By::system()).await.unwrap();
        room.accounts.refresh().await.unwrap();
        assert!(!room.accounts.may_send_as(&a, &sender).await.unwrap());
        assert!(room.accounts.signers(account.id, &domain.name).await.unwrap().is_empty());
        assert!(room.accounts.domains(account.id).await.unwrap().is_empty());
    }

    async fn names_that_are_no_sending_domain_are_refused(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await;
        for name in ["com", "localhost", "", "192.0.2.1", "a b.example", "x@shop.example"] {
            assert!(room.accounts.add_domain(account.id, name, false, &By::system()).await.is_err(), "{name}");
        }
        room.accounts.add_domain(account.id, "shop.example", false, &By::system()).await.unwrap();
        let twice = room.accounts.add_domain(account.id, "SHOP.example", false, &By::system()).await;
        assert!(matches!(twice, Err(AccountsError::DomainExists(_))));
        let nobody = room.accounts.add_domain(test.id(), "other.example", false, &By::system()).await;
        assert!(matches!(nobody, Err(AccountsError::NotFound("account"))));
        let domain = Domain::parse("never.example").unwrap();
        assert!(room.accounts.signers(account.id, &domain).await.unwrap().is_empty());
    }
}
