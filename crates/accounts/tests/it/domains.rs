//! Sending domains: keys, verification, who may send and sign.

use std::time::Duration;

use accounts::domains::{
    Answer, Due, Findings, Looked, MOST_DOMAINS, OVERLAP, SendingDomain, Stage, VerifiedBy,
};
use accounts::{AccountsError, By};
use mail::address::{Address, Domain};
use store::{Id, both_engines};

use crate::room::room;

/// DNS with these records of `domain` published, by number.
fn published(domain: &SendingDomain, records: &[usize]) -> Looked {
    let mut findings = Findings::new();
    for (number, record) in domain.records.iter().enumerate() {
        let found = if records.contains(&number) {
            vec![record.value.clone()]
        } else {
            Vec::new()
        };
        findings.insert(record.name.clone(), Answer::Found(found));
    }
    Looked {
        findings,
        resolver: "192.0.2.53".to_owned(),
    }
}

/// DNS that answers nothing.
fn silence(domain: &SendingDomain) -> Looked {
    let failed = |name: &String| (name.clone(), Answer::Failed("no answer".to_owned()));
    Looked {
        findings: domain.records.iter().map(|record| failed(&record.name)).collect(),
        resolver: String::new(),
    }
}

fn stages(domain: &SendingDomain) -> Vec<(&str, Stage)> {
    let of_keys = domain
        .records
        .iter()
        .filter(|record| record.name.contains("._domainkey."));
    of_keys
        .map(|record| (record.name.split_once('.').unwrap().0, record.stage))
        .collect()
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
        let questions = room.accounts.questions(account.id, domain.id).await.unwrap();
        let asked: Vec<_> = questions.iter().map(|one| (one.kind.as_str(), one.name.as_str())).collect();
        assert!(asked.contains(&("TXT", "ph2611r._domainkey.xn--bcher-kva.example")), "{asked:?}");
        assert!(asked.contains(&("CNAME", "bounces.xn--bcher-kva.example")), "{asked:?}");
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
        assert!(not_found(room.accounts.record_check(b.id, domain.id, Looked::default(), &By::system()).await));
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

    async fn new_keys_sign_once_they_are_published_and_the_old_ones_leave_after_a_week(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await;
        let domain = room.accounts.add_domain(account.id, "shop.example", false, &By::system()).await.unwrap();
        let (id, by) = (domain.id, By::system());
        let signing = async || -> Vec<String> {
            room.accounts.refresh().await.unwrap();
            let signers = room.accounts.signers(account.id, &domain.name).await.unwrap();
            signers.iter().map(|signer| signer.selector.clone()).collect()
        };
        let check = async |found: &[usize]| {
            let now = room.accounts.domain(account.id, id).await.unwrap();
            room.accounts.record_check(account.id, id, published(&now, found), &by).await.unwrap()
        };
        check(&[0, 1]).await;
        let renewed = room.accounts.renew_domain_keys(account.id, id, &by).await.unwrap();
        let old_and_new = [
            ("ph2611r", Stage::InUse), ("ph2611e", Stage::InUse), ("ph2611r2", Stage::Next), ("ph2611e2", Stage::Next),
        ];
        assert_eq!(stages(&renewed), old_and_new);
        assert_eq!(signing().await, ["ph2611r", "ph2611e"]);
        let refused = room.accounts.renew_domain_keys(account.id, id, &by).await.unwrap_err();
        assert!(matches!(refused, AccountsError::KeysWait(_)), "{refused}");
        check(&[0, 1, 2]).await;
        assert_eq!(signing().await, ["ph2611r2", "ph2611e"], "each algorithm by itself");
        let unanswered = silence(&room.accounts.domain(account.id, id).await.unwrap());
        room.accounts.record_check(account.id, id, unanswered, &by).await.unwrap();
        assert_eq!(signing().await, ["ph2611r2", "ph2611e"], "a silent DNS changes nothing");
        let replaced = check(&[0, 1, 2, 3]).await;
        assert_eq!(signing().await, ["ph2611r2", "ph2611e2"]);
        let leaves = Stage::Leaving(room.clock.now().plus(OVERLAP));
        let staged = [("ph2611r", leaves), ("ph2611e", leaves), ("ph2611r2", Stage::InUse), ("ph2611e2", Stage::InUse)];
        assert_eq!(stages(&replaced), staged);
        assert!(replaced.records[..2].iter().all(|record| !record.verifies));
        let refused = room.accounts.renew_domain_keys(account.id, id, &by).await.unwrap_err();
        assert!(matches!(refused, AccountsError::KeysLeave(..)), "never more than two pairs: {refused}");
        room.hand.advance(OVERLAP.checked_sub(Duration::from_secs(1)).unwrap());
        assert_eq!(room.accounts.forget_old_keys().await.unwrap(), 0);
        room.hand.advance(Duration::from_secs(1));
        assert_eq!(room.accounts.forget_old_keys().await.unwrap(), 2);
        assert_eq!(signing().await, ["ph2611r2", "ph2611e2"]);
        room.accounts.renew_domain_keys(account.id, id, &by).await.expect("the next ones may come");
    }

    async fn who_publishes_one_of_the_two_records_renews_as_often_as_anybody(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await;
        let domain = room.accounts.add_domain(account.id, "shop.example", false, &By::system()).await.unwrap();
        let (id, by) = (domain.id, By::system());
        let check = async |found: &[usize]| {
            let now = room.accounts.domain(account.id, id).await.unwrap();
            room.accounts.record_check(account.id, id, published(&now, found), &by).await.unwrap()
        };
        check(&[0]).await;
        for _ in 0..2 {
            room.hand.advance(Duration::from_secs(1));
            let renewed = room.accounts.renew_domain_keys(account.id, id, &by).await.unwrap();
            let rsa = renewed.records.iter().rposition(|record| record.purpose.as_str() == "dkim_rsa").unwrap();
            let replaced = check(&[0, rsa]).await;
            assert!(stages(&replaced).iter().all(|(_, stage)| *stage != Stage::Next), "{:?}", stages(&replaced));
            room.hand.advance(OVERLAP);
            room.accounts.forget_old_keys().await.unwrap();
        }
    }

    async fn a_key_that_was_never_published_is_not_relied_on_and_a_lost_record_does_not_silence_the_domain(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await;
        let domain = room.accounts.add_domain(account.id, "shop.example", true, &By::system()).await.unwrap();
        let (id, by) = (domain.id, By::system());
        room.accounts.renew_domain_keys(account.id, id, &by).await.unwrap();
        let found = room.accounts.domain(account.id, id).await.unwrap();
        let checked = room.accounts.record_check(account.id, id, published(&found, &[]), &by).await.unwrap();
        let since = checked.missing_since.expect("a verified domain without any record");
        let signers = room.accounts.signers(account.id, &domain.name).await.unwrap();
        assert_eq!(signers.iter().map(|one| one.selector.as_str()).collect::<Vec<_>>(), ["ph2611r", "ph2611e"]);
        room.hand.advance(Duration::from_mins(1));
        let again = room.accounts.record_check(account.id, id, published(&found, &[]), &by).await.unwrap();
        assert_eq!(again.missing_since, Some(since));
        let silent = room.accounts.record_check(account.id, id, silence(&found), &by).await.unwrap();
        assert_eq!(silent.missing_since, None, "nobody knows");
        assert_eq!(again.resolver, "192.0.2.53");
    }

    async fn each_domain_is_looked_at_when_its_turn_comes_by_one_node(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await;
        let domain = room.accounts.add_domain(account.id, "shop.example", false, &By::system()).await.unwrap();
        let (id, by) = (domain.id, By::system());
        let due = async || room.accounts.domains_due(10).await.unwrap();
        let mine = [Due { account: account.id, domain: id }];
        assert!(!room.accounts.has_domains_due().await.unwrap());
        room.hand.advance(Duration::from_mins(10));
        assert!(room.accounts.has_domains_due().await.unwrap());
        assert_eq!(due().await, mine);
        assert_eq!(due().await, [], "another node has it");
        let check = async |found: &[usize]| {
            let now = room.accounts.domain(account.id, id).await.unwrap();
            room.accounts.record_check(account.id, id, published(&now, found), &by).await.unwrap()
        };
        for (found, minutes) in [(&[][..], 10), (&[1], 24 * 60), (&[], 60), (&[0], 24 * 60)] {
            check(found).await;
            room.hand.advance(Duration::from_mins(minutes).checked_sub(Duration::from_secs(1)).unwrap());
            assert_eq!(due().await, [], "{found:?} is looked at after {minutes} minutes");
            room.hand.advance(Duration::from_secs(1));
            assert_eq!(due().await, mine, "{found:?} is looked at after {minutes} minutes");
        }
    }

    async fn bounces_come_to_a_name_of_the_domain_that_leads_to_us(test: TestDb) {
        let room = room(&test);
        let account = room.account("a@example.com").await;
        let domain = room.accounts.add_domain(account.id, "shop.example", true, &By::system()).await.unwrap();
        let comes_to = async || {
            room.accounts.refresh().await.unwrap();
            room.accounts.return_path(account.id, &domain.name).await.unwrap().map(|name| name.to_string())
        };
        assert_eq!(comes_to().await, None);
        room.accounts.record_check(account.id, domain.id, published(&domain, &[4]), &By::system()).await.unwrap();
        assert_eq!(comes_to().await.as_deref(), Some("bounces.shop.example"));
        room.accounts.record_check(account.id, domain.id, published(&domain, &[]), &By::system()).await.unwrap();
        assert_eq!(comes_to().await, None);
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
