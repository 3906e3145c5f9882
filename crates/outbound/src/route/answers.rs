//! From DNS answers to hosts: the rules of RFC 5321 section 5.1, without any DNS.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use mail::address::Domain;
use mail::reply::Enhanced;

use super::address::{interleaved, is_private};
use super::plan::{Host, PlanFailure};

/// So many mail hosts of a domain are looked at.
pub(super) const MAX_HOSTS: usize = 20;
/// So many aliases may follow one another.
pub(super) const MAX_ALIASES: usize = 8;
/// So many addresses of one host and family are looked at.
const MAX_ADDRESSES: usize = 8;

// RFC 3463 section 3.2 and 3.5; 5.1.10 is from RFC 7505
const NO_DOMAIN: Enhanced = Enhanced::new(5, 1, 2);
const NULL_MX: Enhanced = Enhanced::new(5, 1, 10);
const NO_ROUTE: Enhanced = Enhanced::new(5, 4, 4);
const LOOP: Enhanced = Enhanced::new(5, 4, 6);
const DNS_TROUBLE: Enhanced = Enhanced::new(4, 4, 3);

/// What asking for one record type of one name led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer<T> {
    /// How long it may be kept goes with it.
    Found(Vec<T>, Duration),
    /// The name exists without such a record.
    NoRecords,
    /// The name does not exist.
    NoName,
    /// More aliases than anybody needs.
    AliasLoop,
    /// No usable answer: why, in plain words.
    Trouble(String),
}

/// One MX record; the root as exchange is an empty name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mx {
    pub preference: u16,
    pub exchange: String,
}

/// The names to look up, by rising preference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exchanges {
    pub names: Vec<Mx>,
    /// There was no MX record: the domain is its own mail host.
    pub implicit: bool,
}

/// Picks the hosts from the answer to the MX question.
pub(super) fn exchanges(
    domain: &Domain,
    our_name: &str,
    answer: &Answer<Mx>,
) -> Result<Exchanges, PlanFailure> {
    let records = match answer {
        Answer::Found(records, _) => records,
        // RFC 5321 section 5.1: without MX records the domain itself is the host.
        Answer::NoRecords => {
            let names = vec![Mx {
                preference: 0,
                exchange: domain.as_str().to_owned(),
            }];
            return Ok(Exchanges {
                names,
                implicit: true,
            });
        }
        Answer::NoName => {
            return Err(PlanFailure::bounced(
                NO_DOMAIN,
                format!("The domain {domain} does not exist"),
            ));
        }
        Answer::AliasLoop => return Err(alias_loop(domain)),
        Answer::Trouble(why) => return Err(trouble(domain, why)),
    };
    if let [only] = records.as_slice()
        && only.exchange.is_empty()
    {
        // RFC 7505 section 3; the code for it is from RFC 7504
        let failure = PlanFailure::bounced(NULL_MX, format!("The domain {domain} takes no mail (null MX)"));
        return Err(PlanFailure {
            code: Some(556),
            ..failure
        });
    }
    let mut names: Vec<Mx> = records
        .iter()
        .filter(|mx| !mx.exchange.is_empty())
        .cloned()
        .collect();
    names.sort_by(|a, b| (a.preference, &a.exchange).cmp(&(b.preference, &b.exchange)));
    let mut seen = HashSet::new();
    names.retain(|mx| seen.insert(mx.exchange.clone()));
    // RFC 5321 section 5.1: where we are a mail host ourselves, only better ones than us are left.
    if let Some(us) = names.iter().find(|mx| mx.exchange.eq_ignore_ascii_case(our_name)) {
        let limit = us.preference;
        names.retain(|mx| mx.preference < limit);
        if names.is_empty() {
            return Err(PlanFailure::bounced(
                LOOP,
                format!("The mail host of {domain} is this server, which does not take its mail"),
            ));
        }
    }
    if names.is_empty() {
        return Err(PlanFailure::bounced(
            NO_ROUTE,
            format!("The domain {domain} names no usable mail host"),
        ));
    }
    names.truncate(MAX_HOSTS);
    Ok(Exchanges {
        names,
        implicit: false,
    })
}

/// The answers to the A and AAAA questions for one exchange.
pub(super) struct Addresses {
    pub v4: Answer<IpAddr>,
    pub v6: Answer<IpAddr>,
}

/// Which addresses may not be used.
pub(super) struct Refusal<'a> {
    pub allow_private: bool,
    /// Whether an address belongs to this machine.
    pub is_ours: &'a dyn Fn(IpAddr) -> bool,
}

/// Joins names and addresses to hosts; a host without a usable address is left out.
pub(super) fn hosts(
    domain: &Domain,
    exchanges: &Exchanges,
    answers: Vec<Addresses>,
    refusal: &Refusal<'_>,
) -> Result<Vec<Host>, PlanFailure> {
    let mut hosts = Vec::with_capacity(answers.len());
    let mut why_not: Option<PlanFailure> = None;
    for (mx, answers) in exchanges.names.iter().zip(answers) {
        match usable(domain, exchanges.implicit, &mx.exchange, answers, refusal) {
            Ok(addresses) => {
                hosts.push(Host {
                    name: mx.exchange.clone(),
                    preference: mx.preference,
                    addresses,
                });
            }
            // Trouble with any host outweighs certainty about the others: it may be the one that works.
            Err(failure) if failure.enhanced.class == 4 => why_not = Some(failure),
            Err(failure) => why_not = Some(why_not.unwrap_or(failure)),
        }
    }
    match why_not {
        Some(failure) if hosts.is_empty() => Err(failure),
        _ => Ok(hosts),
    }
}

fn usable(
    domain: &Domain,
    implicit: bool,
    name: &str,
    answers: Addresses,
    refusal: &Refusal<'_>,
) -> Result<Vec<IpAddr>, PlanFailure> {
    let mut trouble_with = None;
    let mut refused = false;
    let mut looped = false;
    let mut family = |answer: Answer<IpAddr>| match answer {
        Answer::Found(mut addresses, _) => {
            addresses.truncate(MAX_ADDRESSES);
            if !refusal.allow_private {
                let before = addresses.len();
                addresses.retain(|&ip| !is_private(ip));
                refused |= addresses.len() < before;
                let before = addresses.len();
                addresses.retain(|&ip| !(refusal.is_ours)(ip));
                looped |= addresses.len() < before;
            }
            addresses
        }
        Answer::Trouble(why) => {
            trouble_with = Some(why);
            Vec::new()
        }
        Answer::NoRecords | Answer::NoName | Answer::AliasLoop => Vec::new(),
    };
    let addresses = interleaved(family(answers.v4), family(answers.v6));
    if !addresses.is_empty() {
        return Ok(addresses);
    }
    if let Some(why) = trouble_with {
        return Err(trouble(domain, &format!("{name}: {why}")));
    }
    if looped {
        return Err(PlanFailure::bounced(
            LOOP,
            format!("The mail host {name} of {domain} is this server, which does not take its mail"),
        ));
    }
    if refused {
        let text = format!(
            "The mail host {name} of {domain} has only private addresses, which are not delivered to"
        );
        return Err(PlanFailure::bounced(NO_ROUTE, text));
    }
    let failure = if implicit {
        PlanFailure::bounced(
            NO_DOMAIN,
            format!("The domain {domain} has neither a mail host nor an address"),
        )
    } else {
        PlanFailure::bounced(
            NO_ROUTE,
            format!("The mail host {name} of {domain} has no address"),
        )
    };
    Err(failure)
}

fn alias_loop(domain: &Domain) -> PlanFailure {
    PlanFailure::bounced(
        LOOP,
        format!("The name {domain} leads through more than {MAX_ALIASES} aliases"),
    )
}

fn trouble(domain: &Domain, why: &str) -> PlanFailure {
    PlanFailure::deferred(
        DNS_TROUBLE,
        format!("The mail host of {domain} could not be looked up: {why}"),
    )
}

/// The name of the lane that domains with these mail hosts share.
pub(super) fn lane(names: &[Mx]) -> String {
    let mut names: Vec<&str> = names.iter().map(|mx| mx.exchange.as_str()).collect();
    names.sort_unstable();
    names.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain() -> Domain {
        Domain::parse("b.example").unwrap()
    }

    fn found(records: &[(u16, &str)]) -> Answer<Mx> {
        let records = records
            .iter()
            .map(|&(preference, name)| Mx {
                preference,
                exchange: name.into(),
            })
            .collect();
        Answer::Found(records, Duration::from_mins(1))
    }

    fn names(answer: &Answer<Mx>) -> Result<Vec<String>, String> {
        exchanges(&domain(), "us.example", answer)
            .map(|found| found.names.into_iter().map(|mx| mx.exchange).collect())
            .map_err(|failure| format!("{} {}", failure.verdict.as_str(), failure.enhanced))
    }

    #[test]
    fn each_answer_to_the_mx_question_has_its_meaning() {
        let ok = |list: &[&str]| Ok(list.iter().map(ToString::to_string).collect::<Vec<_>>());
        let no = |text: &str| Err(text.to_owned());
        for (answer, want) in [
            (
                found(&[(20, "b"), (10, "z"), (10, "a"), (30, "a")]),
                ok(&["a", "z", "b"]),
            ),
            (found(&[(0, "")]), no("bounced 5.1.10")),
            (found(&[(0, ""), (10, "a")]), ok(&["a"])),
            (found(&[(0, ""), (10, "")]), no("bounced 5.4.4")),
            (found(&[(10, "a"), (20, "US.example"), (30, "c")]), ok(&["a"])),
            (found(&[(10, "us.example"), (20, "c")]), no("bounced 5.4.6")),
            (Answer::NoRecords, ok(&["b.example"])),
            (Answer::NoName, no("bounced 5.1.2")),
            (Answer::AliasLoop, no("bounced 5.4.6")),
            (Answer::Trouble("no answer".into()), no("deferred 4.4.3")),
        ] {
            assert_eq!(names(&answer), want, "{answer:?}");
        }
    }

    #[test]
    fn only_twenty_hosts_are_looked_at_and_the_best_of_them() {
        let records: Vec<(u16, String)> = (0..30).map(|n| (30 - n, format!("h{n}"))).collect();
        let answer = found(&records.iter().map(|(p, n)| (*p, n.as_str())).collect::<Vec<_>>());
        let names = names(&answer).unwrap();
        assert_eq!((names.len(), names[0].as_str()), (MAX_HOSTS, "h29"));
    }

    fn addresses(list: &[&str]) -> Answer<IpAddr> {
        if list.is_empty() {
            return Answer::NoRecords;
        }
        Answer::Found(
            list.iter().map(|ip| ip.parse().unwrap()).collect(),
            Duration::from_mins(1),
        )
    }

    fn joined(answers: Vec<Addresses>, allow_private: bool) -> Result<Vec<String>, String> {
        let names = ["a", "c"]
            .iter()
            .take(answers.len())
            .map(|n| Mx {
                preference: 10,
                exchange: (*n).to_owned(),
            })
            .collect();
        let ours: IpAddr = "203.0.113.9".parse().unwrap();
        let refusal = Refusal {
            allow_private,
            is_ours: &|ip| ip == ours,
        };
        hosts(
            &domain(),
            &Exchanges {
                names,
                implicit: false,
            },
            answers,
            &refusal,
        )
        .map(|hosts| {
            hosts
                .iter()
                .map(|h| format!("{} {:?}", h.name, h.addresses))
                .collect()
        })
        .map_err(|failure| format!("{} {}", failure.verdict.as_str(), failure.enhanced))
    }

    #[test]
    fn a_host_needs_an_address_that_may_be_used() {
        let v4 = |list: &[&str]| Addresses {
            v4: addresses(list),
            v6: Answer::NoRecords,
        };
        let trouble = || Addresses {
            v4: Answer::Trouble("timeout".into()),
            v6: Answer::NoRecords,
        };
        let no = |text: &str| Err(text.to_owned());
        assert_eq!(
            joined(vec![v4(&["8.8.8.8"]), v4(&[])], false),
            Ok(vec!["a [8.8.8.8]".into()])
        );
        assert_eq!(
            joined(vec![v4(&["10.0.0.1", "8.8.4.4"])], false),
            Ok(vec!["a [8.8.4.4]".into()])
        );
        assert_eq!(
            joined(vec![v4(&["127.0.0.1"])], true),
            Ok(vec!["a [127.0.0.1]".into()])
        );
        assert_eq!(joined(vec![v4(&["127.0.0.1"])], false), no("bounced 5.4.4"));
        assert_eq!(joined(vec![v4(&["203.0.113.9"])], false), no("bounced 5.4.6"));
        assert_eq!(joined(vec![v4(&[])], false), no("bounced 5.4.4"));
        assert_eq!(joined(vec![v4(&[]), trouble()], false), no("deferred 4.4.3"));
        assert_eq!(joined(vec![trouble(), v4(&[])], false), no("deferred 4.4.3"));
        assert_eq!(
            joined(vec![trouble(), v4(&["8.8.8.8"])], false),
            Ok(vec!["c [8.8.8.8]".into()])
        );
    }

    #[test]
    fn a_domain_without_mail_host_and_address_does_not_take_mail() {
        let exchanges = exchanges(&domain(), "us.example", &Answer::NoRecords).unwrap();
        let none = vec![Addresses {
            v4: Answer::NoRecords,
            v6: Answer::NoName,
        }];
        let refusal = Refusal {
            allow_private: false,
            is_ours: &|_| false,
        };
        assert_eq!(
            hosts(&domain(), &exchanges, none, &refusal).unwrap_err().enhanced,
            NO_DOMAIN
        );
    }

    #[test]
    fn domains_with_the_same_hosts_share_a_lane_whatever_the_order() {
        let mx = |name: &str, preference| Mx {
            preference,
            exchange: name.into(),
        };
        assert_eq!(lane(&[mx("b", 1), mx("a", 2)]), lane(&[mx("a", 10), mx("b", 10)]));
    }
}
