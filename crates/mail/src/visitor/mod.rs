//! Who fetched the picture or followed a link of a tracked message: a person and with what, or a machine, by rules that are data.

use std::net::IpAddr;
use std::sync::LazyLock;

use ipnet::IpNet;

use crate::bounce::in_order;

/// Read once.
static RULES: LazyLock<Rules> =
    LazyLock::new(|| Rules::parse(include_str!("rules.txt")).expect("a test reads the rules"));

/// Octets of a user agent that are looked at.
const LOOKED_AT: usize = 500;

/// The client that no rule names.
pub const OTHER: &str = "other";

/// What was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Act {
    /// The picture that tells of opening.
    Open,
    /// A link.
    Click,
}

/// What a request says by itself.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    pub act: Act,
    pub method: &'a str,
    pub agent: &'a str,
    pub ip: IpAddr,
}

/// What is known of a request once others are known as well.
#[derive(Clone, Copy, Debug)]
pub struct Around {
    pub act: Act,
    /// Whole seconds since the message was delivered; none where that was not recorded yet.
    pub after: Option<u64>,
    /// Different links of the message that were followed at one go.
    pub links: usize,
}

/// Why the request was no person's; none where nothing in it says so.
pub fn machine(visit: &Visit<'_>) -> Option<&'static str> {
    RULES.machine(visit)
}

/// Why what was fetched like this was no person's; none where nothing says so.
pub fn machine_by_time(around: &Around) -> Option<&'static str> {
    RULES.machine_by_time(around)
}

/// What somebody reads with: one of a few names.
pub fn client(agent: &str) -> &'static str {
    RULES.client(agent)
}

struct Rules {
    machines: Vec<Machine>,
    clients: Vec<(&'static str, Agent)>,
}

struct Machine {
    why: &'static str,
    /// None is whatever was fetched.
    act: Option<Act>,
    sign: Sign,
}

enum Sign {
    Method(&'static str),
    Agent(Agent),
    Network(IpNet),
    Within(u64),
    Links(usize),
}

/// What has to stand one behind the other in a user agent.
struct Agent {
    begins: bool,
    ends: bool,
    pieces: Vec<&'static str>,
}

impl Rules {
    fn parse(text: &'static str) -> Result<Self, String> {
        let mut rules = Self {
            machines: Vec::new(),
            clients: Vec::new(),
        };
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            rules.rule(line).ok_or_else(|| line.to_owned())?;
        }
        Ok(rules)
    }

    fn rule(&mut self, line: &'static str) -> Option<()> {
        let (kind, rest) = word(line)?;
        let (name, rest) = word(rest)?;
        match kind {
            "client" => self.clients.push((name, Agent::parse(rest))),
            "machine" => {
                let (act, rest) = word(rest)?;
                let (what, value) = word(rest)?;
                let act = match act {
                    "any" => None,
                    "open" => Some(Act::Open),
                    "click" => Some(Act::Click),
                    _ => return None,
                };
                let sign = match what {
                    "method" => Sign::Method(value),
                    "agent" => Sign::Agent(Agent::parse(value)),
                    "network" => Sign::Network(value.parse().ok()?),
                    "within" => Sign::Within(value.parse().ok()?),
                    "links" => Sign::Links(value.parse().ok()?),
                    _ => return None,
                };
                self.machines.push(Machine { why: name, act, sign });
            }
            _ => return None,
        }
        Some(())
    }

    fn machine(&self, visit: &Visit<'_>) -> Option<&'static str> {
        let agent = looked_at(visit.agent);
        self.first(visit.act, |sign| match sign {
            Sign::Method(method) => visit.method.eq_ignore_ascii_case(method),
            Sign::Agent(like) => like.fits(&agent),
            Sign::Network(network) => network.contains(&visit.ip.to_canonical()),
            Sign::Within(_) | Sign::Links(_) => false,
        })
    }

    fn machine_by_time(&self, around: &Around) -> Option<&'static str> {
        self.first(around.act, |sign| match sign {
            // Whoever comes before the delivery is recorded is on the way to the mailbox.
            Sign::Within(seconds) => around.after.is_none_or(|after| after <= *seconds),
            Sign::Links(links) => around.links >= *links,
            Sign::Method(_) | Sign::Agent(_) | Sign::Network(_) => false,
        })
    }

    fn first(&self, act: Act, fits: impl Fn(&Sign) -> bool) -> Option<&'static str> {
        self.machines
            .iter()
            .find(|rule| rule.act.is_none_or(|of| of == act) && fits(&rule.sign))
            .map(|rule| rule.why)
    }

    fn client(&self, agent: &str) -> &'static str {
        let agent = looked_at(agent);
        self.clients
            .iter()
            .find(|(_, like)| like.fits(&agent))
            .map_or(OTHER, |(name, _)| name)
    }
}

/// The first word and what stands behind it, which may be nothing.
fn word(text: &'static str) -> Option<(&'static str, &'static str)> {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (!word.is_empty()).then(|| (word, rest.trim_start()))
}

fn looked_at(agent: &str) -> String {
    let end = agent
        .char_indices()
        .map(|(at, _)| at)
        .find(|at| *at >= LOOKED_AT)
        .unwrap_or(agent.len());
    agent[..end].trim().to_lowercase()
}

impl Agent {
    fn parse(text: &'static str) -> Self {
        let begins = text.starts_with('^');
        let ends = text.ends_with('$');
        let text = text.trim_start_matches('^').trim_end_matches('$');
        let pieces = text.split('*').map(str::trim);
        Self {
            begins,
            ends,
            pieces: pieces.filter(|piece| !piece.is_empty()).collect(),
        }
    }

    fn fits(&self, agent: &str) -> bool {
        let (Some(first), Some(last)) = (self.pieces.first(), self.pieces.last()) else {
            return agent.is_empty();
        };
        if (self.begins && !agent.starts_with(first)) || (self.ends && !agent.ends_with(last)) {
            return false;
        }
        if self.begins && self.ends && self.pieces.len() == 1 {
            return agent.len() == first.len();
        }
        in_order(agent, &self.pieces)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn next<'a>(rest: &mut &'a str) -> &'a str {
        let (word, more) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        *rest = more.trim_start();
        word
    }

    #[test]
    fn the_corpus_is_told_as_a_person_would_tell_it() {
        let mut wrong = Vec::new();
        for line in include_str!("corpus.txt").lines() {
            if line.starts_with('#') {
                continue;
            }
            let mut rest = line;
            let (who, reader) = (next(&mut rest), next(&mut rest));
            let act = match next(&mut rest) {
                "open" => Act::Open,
                "click" => Act::Click,
                other => panic!("{other}: {line}"),
            };
            let method = next(&mut rest);
            let after = next(&mut rest).parse().ok();
            let links = next(&mut rest).parse().expect(line);
            let ip = next(&mut rest).parse().expect(line);
            let visit = Visit {
                act,
                method,
                agent: rest,
                ip,
            };
            let around = Around { act, after, links };
            let found = machine(&visit)
                .or_else(|| machine_by_time(&around))
                .unwrap_or("person");
            if (found, client(rest)) != (who, reader) {
                wrong.push(format!("{found} {}: {line}", client(rest)));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn each_reason_and_each_client_that_the_rules_know_is_in_the_corpus() {
        let corpus = include_str!("corpus.txt");
        let told = |column: usize, name: &str| {
            corpus
                .lines()
                .any(|line| line.split_whitespace().nth(column) == Some(name))
        };
        for rule in &RULES.machines {
            assert!(told(0, rule.why) || rule.why == "scanner", "{}", rule.why);
        }
        for (name, _) in &RULES.clients {
            let rare = ["opera", "samsung_email"].contains(name);
            assert!(told(1, name) || rare, "{name}");
        }
    }

    #[test]
    fn a_mapped_address_is_the_address() {
        let visit = Visit {
            act: Act::Click,
            method: "GET",
            agent: "Mozilla/5.0 (X11) Firefox/121.0",
            ip: "::ffff:40.94.20.12".parse().unwrap(),
        };
        assert_eq!(machine(&visit), Some("safelinks"));
    }

    proptest! {
        #[test]
        fn any_agent_is_somebody(agent in "(?s).{0,600}") {
            let ip = [192, 0, 2, 1].into();
            let _ = machine(&Visit { act: Act::Open, method: "GET", agent: &agent, ip });
            prop_assert!(!client(&agent).is_empty());
        }
    }
}
