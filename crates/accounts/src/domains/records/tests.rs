//! Records as they are asked for, and what is made of those that were found.

use super::*;

fn domain() -> Domain {
    Domain::parse("example.com").unwrap()
}

const ID: Id = Id::from_bytes([7; 16]);

const HOST: Host<'_> = Host {
    name: "mail.example.net",
    inbound: true,
    dkim_zone: None,
    links: None,
};

fn keys() -> Vec<StagedKey> {
    let key = |selector: &str, algorithm, public_key: &str| StagedKey {
        key: PublicKey {
            selector: selector.into(),
            algorithm,
            public_key: public_key.into(),
        },
        stage: Stage::InUse,
    };
    vec![
        key("ph2611r", Algorithm::RsaSha256, "MIIBabc+/="),
        key("ph2611e", Algorithm::Ed25519Sha256, "AbCd="),
    ]
}

fn with(name: &str, found: &[&str]) -> Vec<Record> {
    let found = found.iter().map(ToString::to_string).collect();
    let findings = Findings::from([(name.to_owned(), Answer::Found(found))]);
    records((&domain(), ID), &keys(), HOST, &findings)
}

fn problem(name: &str, found: &[&str]) -> Option<String> {
    let records = with(name, found);
    records
        .into_iter()
        .find(|r| r.name == name)
        .expect("the name is one of ours")
        .problem
}

#[test]
fn nothing_is_judged_before_the_first_check() {
    let records = records((&domain(), ID), &keys(), HOST, &Findings::new());
    assert_eq!(records.len(), 6);
    assert!(records.iter().all(|r| r.ok.is_none() && r.problem.is_none()));
    assert_eq!(records[0].name, "ph2611r._domainkey.example.com");
    assert_eq!(records[0].value, "v=DKIM1; k=rsa; p=MIIBabc+/=");
    assert_eq!(records[1].value, "v=DKIM1; k=ed25519; p=AbCd=");
    assert_eq!(records[2].value, "v=spf1 a:mail.example.net ~all");
    assert_eq!(
        (
            records[4].kind,
            records[4].name.as_str(),
            records[4].value.as_str()
        ),
        (Kind::Cname, "bounces.example.com", "mail.example.net")
    );
    let silent = Host {
        inbound: false,
        dkim_zone: None,
        links: None,
        ..HOST
    };
    assert_eq!(
        questions((&domain(), ID), &keys(), silent).len(),
        5,
        "nothing comes back to us"
    );
}

#[test]
fn a_domain_leads_to_the_operators_keys_where_there_is_a_zone_for_them() {
    let zone = Domain::parse("dkim.example.net").unwrap();
    let host = Host {
        dkim_zone: Some(&zone),
        links: None,
        ..HOST
    };
    let id = "07070707-0707-0707-0707-070707070707";
    let right = format!("{id}.s1.DKIM.example.net");
    let answer = |found: &str| Answer::Found(vec![found.to_owned()]);
    let findings = Findings::from([
        ("ph1._domainkey.example.com".to_owned(), answer(&right)),
        // That of another account, or of this one before it was removed.
        (
            "ph2._domainkey.example.com".to_owned(),
            answer("08080808.s2.dkim.example.net"),
        ),
    ]);
    let records = records((&domain(), ID), &keys(), host, &findings);
    let delegated: Vec<_> = records
        .iter()
        .filter(|one| one.purpose == Purpose::DkimDelegated)
        .collect();
    assert_eq!(delegated.len(), 2);
    assert_eq!(
        (
            delegated[0].kind,
            delegated[0].name.as_str(),
            delegated[0].value.as_str(),
            delegated[0].ok
        ),
        (
            Kind::Cname,
            "ph1._domainkey.example.com",
            "07070707-0707-0707-0707-070707070707.s1.dkim.example.net",
            Some(true)
        )
    );
    assert_eq!(delegated[1].ok, Some(false), "{:?}", delegated[1].problem);
}

#[test]
fn a_logo_is_nobodys_duty_and_shown_only_with_a_policy() {
    let bimi = |found: &[&str], dmarc: &str| {
        let texts = |all: &[&str]| Answer::Found(all.iter().map(ToString::to_string).collect());
        let findings = Findings::from([
            ("default._bimi.example.com".to_owned(), texts(found)),
            ("_dmarc.example.com".to_owned(), texts(&[dmarc])),
        ]);
        let records = records((&domain(), ID), &keys(), HOST, &findings);
        let record = records
            .into_iter()
            .find(|one| one.purpose == Purpose::Bimi)
            .unwrap();
        (record.ok, record.problem.unwrap_or_default())
    };
    let logo = "v=BIMI1; l=https://example.com/logo.svg; a=";
    assert_eq!(bimi(&[], "v=DMARC1; p=none"), (None, String::new()));
    assert_eq!(
        bimi(&["something else"], "v=DMARC1; p=none"),
        (None, String::new())
    );
    assert_eq!(bimi(&[logo], "v=DMARC1; p=reject").0, Some(true));
    assert_eq!(bimi(&[logo], "v=DMARC1; p=quarantine; pct=100").0, Some(true));
    for (found, dmarc, says) in [
        (&[logo][..], "v=DMARC1; p=none", "p=quarantine"),
        (&[logo], "v=DMARC1; p=reject; pct=20", "pct"),
        (
            &["v=BIMI1; l=http://example.com/logo.svg"],
            "v=DMARC1; p=reject",
            "https://",
        ),
        (&[logo, logo], "v=DMARC1; p=reject", "more than one"),
    ] {
        let (ok, problem) = bimi(found, dmarc);
        assert!(ok == Some(false) && problem.contains(says), "{problem}");
    }
}

#[test]
fn bounces_come_to_the_domain_where_its_alias_leads_to_us() {
    let to = |found: &[&str]| {
        let found = found.iter().map(ToString::to_string).collect();
        let findings = Findings::from([("bounces.example.com".to_owned(), Answer::Found(found))]);
        return_path(&domain(), HOST, &findings)
    };
    assert_eq!(to(&["MAIL.example.net"]).unwrap().as_str(), "bounces.example.com");
    assert_eq!(to(&["mail.example.org"]), None);
    assert_eq!(to(&[]), None);
    let problem = problem("bounces.example.com", &["mail.example.org"]).unwrap();
    assert!(
        problem.contains("leads to mail.example.org instead of mail.example.net"),
        "{problem}"
    );
}

#[test]
fn links_have_a_name_of_the_domain_where_its_alias_leads_to_us() {
    let host = Host {
        links: Some("www.example.net"),
        ..HOST
    };
    let to = |found: &[&str]| {
        let found = found.iter().map(ToString::to_string).collect();
        let findings = Findings::from([("links.example.com".to_owned(), Answer::Found(found))]);
        (
            links(&domain(), host, &findings),
            links(&domain(), HOST, &findings),
        )
    };
    let (ours, none) = to(&["www.EXAMPLE.net"]);
    assert_eq!((ours.unwrap().as_str(), none), ("links.example.com", None));
    assert_eq!(to(&["mail.example.net"]), (None, None));
    assert_eq!(to(&[]), (None, None));
}

#[test]
fn a_published_key_is_found_however_its_white_space_fell() {
    let name = "ph2611r._domainkey.example.com";
    assert_eq!(problem(name, &["v=DKIM1; k=rsa; p=MIIBabc+/="]), None);
    assert_eq!(problem(name, &["v=DKIM1;p=MIIB abc+/ =;"]), None);
    assert_eq!(problem(name, &["k=rsa; p=MIIBabc+/="]), None);
}

#[test]
fn a_wrong_key_record_says_what_is_wrong() {
    let name = "ph2611r._domainkey.example.com";
    let says = |found: &[&str], part: &str| {
        let problem = problem(name, found).expect("a problem");
        assert!(problem.contains(part), "{problem}");
    };
    says(&[], "no TXT record");
    says(&["a", "b"], "2 TXT records");
    says(&["v=spf1 -all"], "not a DKIM key");
    says(&["v=DKIM1; p="], "revoked");
    says(&["v=DKIM1; k=ed25519; p=MIIBabc+/="], "k=ed25519");
    says(&["v=DKIM1; k=rsa; p=MIIBab"], "cut off");
    says(&["v=DKIM1; k=rsa; p=XXXX"], "Another key");
}

#[test]
fn spf_and_dmarc_are_recommended_not_required() {
    assert_eq!(
        problem("example.com", &["v=spf1 a:mail.example.net -all", "other"]),
        None
    );
    assert_eq!(
        problem("example.com", &["v=spf1 include:_spf.example.org -all"]),
        None
    );
    assert!(
        problem("example.com", &["v=spf1 a -all"])
            .unwrap()
            .contains("a:mail.example.net")
    );
    assert!(
        problem("example.com", &["v=spf1 -all", "v=spf1 ~all"])
            .unwrap()
            .contains("more than one")
    );
    assert_eq!(problem("_dmarc.example.com", &["v=DMARC1; p=reject"]), None);
    assert!(problem("_dmarc.example.com", &["v=DMARC12; p=reject"]).is_some());
    assert!(
        with("example.com", &[])
            .iter()
            .all(|r| r.verifies == r.purpose.as_str().starts_with("dkim"))
    );
}

#[test]
fn dns_that_does_not_answer_is_told_from_a_missing_record() {
    let name = "ph2611r._domainkey.example.com".to_owned();
    let findings = Findings::from([(name, Answer::Failed("timed out".into()))]);
    let records = records((&domain(), ID), &keys(), HOST, &findings);
    assert_eq!(records[0].ok, Some(false));
    assert!(records[0].problem.as_ref().unwrap().contains("timed out"));
}
