//! The DNS records that a sending domain publishes, and what to make of those that were found.

use std::collections::BTreeMap;

use mail::address::Domain;
use mail::time::Time;
use serde::{Deserialize, Serialize};
use store::Id;

use super::delegation::{Place, alias};

#[cfg(test)]
mod tests;

/// The signature algorithm of a DKIM key, as it stands in `a=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    RsaSha256,
    Ed25519Sha256,
}

impl Algorithm {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RsaSha256 => "rsa-sha256",
            Self::Ed25519Sha256 => "ed25519-sha256",
        }
    }

    pub(super) const ALL: [Self; 2] = [Self::RsaSha256, Self::Ed25519Sha256];

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.as_str() == text)
    }

    /// The `k=` tag of the key record. RFC 8463 section 4
    const fn key_type(self) -> &'static str {
        match self {
            Self::RsaSha256 => "rsa",
            Self::Ed25519Sha256 => "ed25519",
        }
    }
}

/// The public half of a DKIM key and where it is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    pub selector: String,
    pub algorithm: Algorithm,
    /// Base64, as it stands in `p=`.
    pub public_key: String,
}

/// What a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    DkimRsa,
    DkimEd25519,
    /// An alias to the operator's key, instead of a key of the domain's own.
    DkimDelegated,
    Spf,
    Dmarc,
    /// A logo beside the mail, for those who have one.
    Bimi,
    /// The name that bounces of the domain's mail come back to.
    ReturnPath,
    /// The name that links in the domain's mail have.
    Links,
}

impl Purpose {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DkimRsa => "dkim_rsa",
            Self::DkimEd25519 => "dkim_ed25519",
            Self::DkimDelegated => "dkim_delegated",
            Self::Spf => "spf",
            Self::Dmarc => "dmarc",
            Self::Bimi => "bimi",
            Self::ReturnPath => "return_path",
            Self::Links => "links",
        }
    }
}

/// The type of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Txt,
    Cname,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Txt => "TXT",
            Self::Cname => "CNAME",
        }
    }
}

/// What a check asks DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub name: String,
    pub kind: Kind,
}

/// Where a record stands in the life of its key. What belongs to no key is always in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    InUse,
    /// Signs as soon as its record is found.
    Next,
    /// Signed until a newer key took over; its record is needed until then, for mail that is on its way.
    Leaving(Time),
}

/// A key and what became of its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedKey {
    pub key: PublicKey,
    pub stage: Stage,
}

/// What DNS answered for one name, as the caller of `record_check` reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The records there are, TXT joined from its strings, aliases without the final dot; none is an empty list.
    Found(Vec<String>),
    /// DNS gave no answer, with the reason.
    Failed(String),
}

/// DNS answers by owner name.
pub type Findings = BTreeMap<String, Answer>;

/// One record to publish and what the last check found in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub purpose: Purpose,
    pub kind: Kind,
    pub stage: Stage,
    /// The full owner name without the final dot.
    pub name: String,
    pub value: String,
    /// It is one of those of which one is enough to verify the domain.
    pub verifies: bool,
    pub found: Vec<String>,
    /// `None` until the name was looked up.
    pub ok: Option<bool>,
    /// What is wrong and what to do, as a sentence.
    pub problem: Option<String>,
}

/// Who sends for the domains.
#[derive(Clone, Copy, Debug)]
pub struct Host<'a> {
    /// The name that mail goes out under.
    pub name: &'a str,
    /// It takes bounces.
    pub inbound: bool,
    /// Where the operator publishes keys that domains lead to.
    pub dkim_zone: Option<&'a Domain>,
    /// Where names for links lead, where it answers at names of the domains.
    pub links: Option<&'a str>,
}

/// What `domain` publishes so that receivers trust mail which `host` sends for it, judged by `findings`.
pub fn records(
    (domain, id): (&Domain, Id),
    keys: &[StagedKey],
    host: Host<'_>,
    findings: &Findings,
) -> Vec<Record> {
    let delegated = host.dkim_zone.into_iter().flat_map(|zone| {
        let record = move |place| {
            alias_record(
                Purpose::DkimDelegated,
                alias(domain, place),
                &place.name(&id.to_string(), zone),
                findings,
            )
        };
        Place::ALL.into_iter().map(record)
    });
    let mut records: Vec<Record> = delegated
        .map(|record| Record {
            verifies: true,
            ..record
        })
        .collect();
    let own = keys.iter().map(|staged| Record {
        stage: staged.stage,
        verifies: !matches!(staged.stage, Stage::Leaving(_)),
        ..dkim_record(domain, &staged.key, findings)
    });
    records.extend(own);
    records.push(spf_record(domain, host.name, findings));
    records.push(dmarc_record(domain, findings));
    if host.inbound {
        records.push(return_path_record(domain, host.name, findings));
    }
    records.extend(host.links.map(|target| links_record(domain, target, findings)));
    records.push(bimi_record(domain, findings));
    records
}

/// What a check has to ask.
pub fn questions(domain: (&Domain, Id), keys: &[StagedKey], host: Host<'_>) -> Vec<Question> {
    records(domain, keys, host, &Findings::new())
        .into_iter()
        // What is leaving is only counted down.
        .filter(|record| !matches!(record.stage, Stage::Leaving(_)))
        .map(|record| Question {
            name: record.name,
            kind: record.kind,
        })
        .collect()
}

/// Where bounces of the domain's mail come back to, where its record leads to us.
pub fn return_path(domain: &Domain, host: Host<'_>, findings: &Findings) -> Option<Domain> {
    let record = return_path_record(domain, host.name, findings);
    (host.inbound && record.ok == Some(true))
        .then(|| Domain::parse(&record.name).ok())
        .flatten()
}

/// The name that links in the domain's mail have, where its record leads to us.
pub fn links(domain: &Domain, host: Host<'_>, findings: &Findings) -> Option<Domain> {
    let record = links_record(domain, host.links?, findings);
    (record.ok == Some(true))
        .then(|| Domain::parse(&record.name).ok())
        .flatten()
}

fn links_record(domain: &Domain, target: &str, findings: &Findings) -> Record {
    alias_record(Purpose::Links, links_name(domain.as_str()), target, findings)
}

/// The name that a domain's links have.
pub fn links_name(domain: &str) -> String {
    format!("links.{domain}")
}

/// The domain whose links have this name.
pub fn domain_of_links(name: &str) -> Option<&str> {
    name.strip_prefix("links.")
}

fn return_path_record(domain: &Domain, hostname: &str, findings: &Findings) -> Record {
    // An alias, and not an MX of its own, so that the operator's SPF and MX records hold for it as well.
    alias_record(
        Purpose::ReturnPath,
        format!("bounces.{}", domain.as_str()),
        hostname,
        findings,
    )
}

fn alias_record(purpose: Purpose, name: String, target: &str, findings: &Findings) -> Record {
    let record = Record {
        kind: Kind::Cname,
        ..Record::unchecked(purpose, name, target.to_owned(), false)
    };
    judge(record, findings, |found| match found {
        [] => Some("There is no CNAME record under this name yet.".to_owned()),
        [alias] if alias.eq_ignore_ascii_case(target) => None,
        [alias] => Some(format!("The name leads to {alias} instead of {target}.")),
        _ => Some(
            "There is more than one CNAME record under this name, which DNS forbids. Leave one.".to_owned(),
        ),
    })
}

/// Whether the record of `key` was found as it should be; none where DNS did not answer.
pub fn is_found(domain: &Domain, key: &PublicKey, findings: &Findings) -> Option<bool> {
    match findings.get(&dkim_name(domain, key)) {
        Some(Answer::Found(_)) => dkim_record(domain, key, findings).ok,
        _ => None,
    }
}

fn dkim_name(domain: &Domain, key: &PublicKey) -> String {
    // RFC 6376 section 3.6.2.1
    format!("{}._domainkey.{}", key.selector, domain.as_str())
}

fn dkim_record(domain: &Domain, key: &PublicKey, findings: &Findings) -> Record {
    let name = dkim_name(domain, key);
    let value = key_record(key);
    let purpose = match key.algorithm {
        Algorithm::RsaSha256 => Purpose::DkimRsa,
        Algorithm::Ed25519Sha256 => Purpose::DkimEd25519,
    };
    judge(Record::unchecked(purpose, name, value, true), findings, |found| {
        key_problem(key, found)
    })
}

pub(super) fn key_record(key: &PublicKey) -> String {
    format!("v=DKIM1; k={}; p={}", key.algorithm.key_type(), key.public_key)
}

pub(super) fn key_problem(key: &PublicKey, found: &[String]) -> Option<String> {
    // RFC 6376 section 3.6.2.2: more than one record under a selector has no defined meaning.
    let [record] = found else {
        return Some(match found.len() {
            0 => "There is no TXT record under this name yet.".to_owned(),
            n => format!("There are {n} TXT records under this name; leave only this one."),
        });
    };
    let tags = tags(record);
    let tag = |name: &str| tags.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    let published: String = tag("p")
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .collect();
    if tag("v").is_some_and(|v| v != "DKIM1") || tag("p").is_none() {
        Some("The record under this name is not a DKIM key.".to_owned())
    } else if published.is_empty() {
        Some("The record has an empty `p=`, which means that the key is revoked.".to_owned())
    } else if tag("k").unwrap_or("rsa") != key.algorithm.key_type() {
        Some(format!(
            "The record has `k={}` instead of `k={}`.",
            tag("k").unwrap_or("rsa"),
            key.algorithm.key_type()
        ))
    } else if key.public_key.starts_with(&published) && published != key.public_key {
        Some(
            "The key was cut off. Split values longer than 255 characters into several quoted strings."
                .to_owned(),
        )
    } else if published != key.public_key {
        Some("Another key is published under this name.".to_owned())
    } else {
        None
    }
}

fn spf_record(domain: &Domain, hostname: &str, findings: &Findings) -> Record {
    let mechanism = format!("a:{hostname}");
    let value = format!("v=spf1 {mechanism} ~all");
    let record = Record::unchecked(Purpose::Spf, domain.as_str().to_owned(), value, false);
    judge(record, findings, |found| {
        let spf: Vec<&String> = found
            .iter()
            .filter(|record| is_version(record, "v=spf1"))
            .collect();
        match spf.as_slice() {
            [] => Some("There is no SPF record yet.".to_owned()),
            // A receiver may reach us through include, mx or ip4, which only evaluating it would tell.
            [record]
                if record
                    .split_ascii_whitespace()
                    .any(|term| covers(term, &mechanism)) =>
            {
                None
            }
            [_] => Some(format!(
                "The SPF record does not name this server: add `{mechanism}` before `all`."
            )),
            // RFC 7208 section 4.5
            _ => {
                Some("There is more than one SPF record; receivers refuse to choose. Merge them.".to_owned())
            }
        }
    })
}

/// Whether an SPF term may let our mail pass: our own mechanism, or one whose target we cannot see from here.
fn covers(term: &str, mechanism: &str) -> bool {
    let term = term.strip_prefix('+').unwrap_or(term).to_ascii_lowercase();
    term == mechanism
        || ["include:", "redirect=", "ip4:", "ip6:", "mx", "exists:"]
            .iter()
            .any(|start| term.starts_with(start))
}

fn dmarc_record(domain: &Domain, findings: &Findings) -> Record {
    let name = format!("_dmarc.{}", domain.as_str());
    let record = Record::unchecked(Purpose::Dmarc, name, "v=DMARC1; p=none".to_owned(), false);
    judge(record, findings, |found| {
        // RFC 7489 section 6.6.3
        match found
            .iter()
            .filter(|record| is_version(record, "v=DMARC1"))
            .count()
        {
            0 => Some("There is no DMARC record yet; large receivers ask for one.".to_owned()),
            1 => None,
            _ => Some("There is more than one DMARC record; receivers then use none. Leave one.".to_owned()),
        }
    })
}

/// A logo is the domain owner's to choose, so a record that is not there is no fault; one that is there may have some.
// draft-brand-indicators-for-message-identification, sections 4.2 and 4.3
fn bimi_record(domain: &Domain, findings: &Findings) -> Record {
    let name = format!("default._bimi.{}", domain.as_str());
    let value = format!("v=BIMI1; l=https://{}/logo.svg; a=", domain.as_str());
    let mut record = judge(
        Record::unchecked(Purpose::Bimi, name, value, false),
        findings,
        |found| {
            let bimi: Vec<&String> = found
                .iter()
                .filter(|record| is_version(record, "v=BIMI1"))
                .collect();
            let [record] = bimi.as_slice() else {
                return (!bimi.is_empty())
                    .then(|| "There is more than one BIMI record; leave one.".to_owned());
            };
            let tags = tags(record);
            let logo = tags
                .iter()
                .find(|(name, _)| name == "l")
                .map_or("", |(_, value)| value);
            // An empty one says that the domain wants no logo.
            if !(logo.is_empty() || logo.starts_with("https://")) {
                return Some("The logo's address (`l=`) has to begin with https://.".to_owned());
            }
            (!enforces(domain, findings)).then(|| {
            "Logos are shown only where the DMARC record says `p=quarantine` or `p=reject`, for all mail (no `pct` below 100)."
                .to_owned()
        })
        },
    );
    if record.found.iter().all(|found| !is_version(found, "v=BIMI1")) {
        record.ok = None;
        record.problem = None;
    }
    record
}

/// Whether the DMARC record asks receivers to act on all mail that fails.
fn enforces(domain: &Domain, findings: &Findings) -> bool {
    let Some(Answer::Found(found)) = findings.get(&format!("_dmarc.{}", domain.as_str())) else {
        return false;
    };
    let Some(record) = found.iter().find(|record| is_version(record, "v=DMARC1")) else {
        return false;
    };
    let tags = tags(record);
    let tag = |name: &str| {
        tags.iter()
            .find(|(tag, _)| tag == name)
            .map(|(_, value)| value.as_str())
    };
    tag("p").is_some_and(|policy| {
        ["quarantine", "reject"]
            .iter()
            .any(|one| policy.eq_ignore_ascii_case(one))
    }) && tag("pct").is_none_or(|percent| percent == "100")
}

impl Record {
    fn unchecked(purpose: Purpose, name: String, value: String, verifies: bool) -> Self {
        Self {
            purpose,
            kind: Kind::Txt,
            stage: Stage::InUse,
            name,
            value,
            verifies,
            found: Vec::new(),
            ok: None,
            problem: None,
        }
    }
}

fn judge(
    mut record: Record,
    findings: &Findings,
    problem: impl FnOnce(&[String]) -> Option<String>,
) -> Record {
    match findings.get(&record.name) {
        None => {}
        Some(Answer::Failed(reason)) => {
            record.ok = Some(false);
            record.problem = Some(format!("DNS gave no answer: {reason}"));
        }
        Some(Answer::Found(found)) => {
            record.problem = problem(found);
            record.ok = Some(record.problem.is_none());
            record.found.clone_from(found);
        }
    }
    record
}

fn is_version(record: &str, version: &str) -> bool {
    record
        .get(..version.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(version))
        && !record[version.len()..].starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// A tag list as in RFC 6376 section 3.2, names and values trimmed.
fn tags(record: &str) -> Vec<(String, String)> {
    record
        .split(';')
        .filter_map(|tag| tag.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect()
}
