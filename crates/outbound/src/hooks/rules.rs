//! The ready rules: what most hooks are wanted for, without a script.

use std::collections::HashSet;

use mail::address::{Address, Domain};
use mail::message::{Footer, FooterError, Head, steer};
use serde::Deserialize;

use super::facts::{Action, Facts, Run, Said, Stage};

/// Patterns of one rule, and the octets of one.
const MOST_PATTERNS: usize = 500;
const LONGEST_PATTERN: usize = 254;

/// A rule as it is kept.
#[derive(Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case", deny_unknown_fields)]
enum Written {
    /// Refuses recipients: `@example.com` stands for a domain, `@.example.com` for all below it, anything else for one address.
    BlockRecipients {
        patterns: Vec<String>,
        text: Option<String>,
    },
    /// Refuses a message without one of these tags.
    RequireTag { tags: Vec<String>, text: Option<String> },
    /// Refuses a message without this header field.
    RequireHeader { header: String, text: Option<String> },
    /// Refuses a message of more octets.
    MaxSize { octets: u64, text: Option<String> },
    /// Refuses recipients beyond so many.
    MaxRecipients { recipients: u32, text: Option<String> },
    /// Sends what has this tag, or these words in its subject, in another stream.
    Route {
        tag: Option<String>,
        subject: Option<String>,
        stream: String,
    },
    /// Puts these words under every message; without HTML the text stands there as well.
    AddFooter { text: String, html: Option<String> },
}

/// A rule, read once and asked for each message or recipient. It looks at the envelope, the header and the size, which are never cut.
#[derive(Debug)]
pub struct Rule {
    what: What,
    /// What a refusal says in place of the usual words.
    text: Option<String>,
}

#[derive(Debug)]
enum What {
    BlockRecipients(Blocked),
    RequireTag(Vec<String>),
    RequireHeader(String),
    MaxSize(u64),
    MaxRecipients(usize),
    Route {
        tag: Option<String>,
        /// In lower case.
        subject: Option<String>,
        stream: String,
    },
    AddFooter(Footer),
}

/// Who is blocked. Domains are compared as DNS has them, local parts without their case: who blocks somebody means the person.
#[derive(Debug, Default)]
struct Blocked {
    addresses: HashSet<String>,
    domains: HashSet<String>,
    below: HashSet<String>,
}

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    #[error("this is no rule: {0}")]
    NoRule(String),
    #[error("a rule needs 1 to {MOST_PATTERNS} patterns")]
    Patterns,
    #[error("{0:?} is neither an address nor a domain behind an @")]
    Pattern(String),
    #[error("a rule needs at least one tag")]
    Tags,
    #[error("a rule about a header field needs its name")]
    Header,
    #[error("a number has to be 1 or more")]
    Number,
    #[error("say by which tag or by which words of the subject")]
    Condition,
    #[error("the stream {0}")]
    Stream(String),
    #[error(transparent)]
    Footer(#[from] FooterError),
}

impl Rule {
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let written: Written =
            serde_json::from_str(text).map_err(|error| RuleError::NoRule(error.to_string()))?;
        written.read()
    }

    /// When it has something to say.
    pub fn stage(&self) -> Stage {
        match self.what {
            What::BlockRecipients(_) | What::MaxRecipients(_) => Stage::Rcpt,
            What::RequireTag(_)
            | What::RequireHeader(_)
            | What::MaxSize(_)
            | What::Route { .. }
            | What::AddFooter(_) => Stage::Message,
        }
    }

    pub fn apply(&self, facts: &Facts) -> Run {
        let mut run = Run {
            steps: 1,
            ..Run::default()
        };
        if facts.stage != self.stage() {
            return run;
        }
        let refused = match &self.what {
            What::BlockRecipients(blocked) => {
                let recipient = facts.recipient.as_deref().unwrap_or_default();
                blocked.covers(recipient).then_some("This recipient is blocked")
            }
            What::RequireTag(tags) => {
                let tagged = tags.iter().any(|tag| facts.tags.contains(tag));
                (!tagged).then_some("The message has none of the tags that are asked for")
            }
            What::RequireHeader(header) => {
                let there = Head::parse(&facts.raw).is_ok_and(|head| head.has(header));
                (!there).then_some("The message lacks a header field that is asked for")
            }
            What::MaxSize(octets) => {
                (facts.raw.len() as u64 > *octets).then_some("The message is bigger than is allowed here")
            }
            What::MaxRecipients(most) => (facts.recipients.len() >= *most)
                .then_some("The message has more recipients than are allowed here"),
            What::Route { tag, subject, stream } => {
                if goes(facts, tag.as_ref(), subject.as_deref()) {
                    run.actions.push(Action::Route(stream.clone()));
                }
                None
            }
            What::AddFooter(footer) => {
                run.actions.push(Action::AddFooter(footer.clone()));
                None
            }
        };
        if let Some(usual) = refused {
            run.said = Said::Reject(Some(self.text.as_deref().unwrap_or(usual).to_owned()));
        }
        run
    }
}

impl Written {
    fn read(self) -> Result<Rule, RuleError> {
        let (what, text) = match self {
            Self::BlockRecipients { patterns, text } => {
                (What::BlockRecipients(Blocked::read(&patterns)?), text)
            }
            Self::RequireTag { tags, text } => {
                if tags.is_empty() || tags.len() > steer::MOST_TAGS {
                    return Err(RuleError::Tags);
                }
                let tags = tags.iter().map(|tag| tag.trim().to_lowercase()).collect();
                (What::RequireTag(tags), text)
            }
            Self::RequireHeader { header, text } => {
                if header.is_empty() || header.len() > 76 {
                    return Err(RuleError::Header);
                }
                (What::RequireHeader(header), text)
            }
            Self::MaxSize { octets: 0, .. } | Self::MaxRecipients { recipients: 0, .. } => {
                return Err(RuleError::Number);
            }
            Self::MaxSize { octets, text } => (What::MaxSize(octets), text),
            Self::MaxRecipients { recipients, text } => (What::MaxRecipients(recipients as usize), text),
            Self::Route { tag, subject, stream } => {
                let (tag, subject) = (folded(tag), folded(subject));
                if tag.is_none() && subject.is_none() {
                    return Err(RuleError::Condition);
                }
                let stream = steer::stream(&stream).map_err(|fault| RuleError::Stream(fault.to_string()))?;
                (What::Route { tag, subject, stream }, None)
            }
            Self::AddFooter { text, html } => (What::AddFooter(Footer::new(&text, html.as_deref())?), None),
        };
        let text = text
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty());
        Ok(Rule { what, text })
    }
}

/// In lower case and without white space around it; none where nothing is left.
fn folded(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_lowercase())
        .filter(|text| !text.is_empty())
}

fn goes(facts: &Facts, tag: Option<&String>, words: Option<&str>) -> bool {
    let says = |words: &str| {
        let subject = Head::parse(&facts.raw).ok().and_then(|head| head.subject());
        subject.is_some_and(|subject| subject.to_lowercase().contains(words))
    };
    tag.is_some_and(|tag| facts.tags.contains(tag)) || words.is_some_and(says)
}

impl Blocked {
    fn read(patterns: &[String]) -> Result<Self, RuleError> {
        if patterns.is_empty() || patterns.len() > MOST_PATTERNS {
            return Err(RuleError::Patterns);
        }
        let mut blocked = Self::default();
        for pattern in patterns {
            if blocked.add(pattern.trim()).is_none() {
                let bad = pattern.chars().take(LONGEST_PATTERN).collect();
                return Err(RuleError::Pattern(bad));
            }
        }
        Ok(blocked)
    }

    /// None where this is no pattern.
    fn add(&mut self, pattern: &str) -> Option<()> {
        if pattern.len() > LONGEST_PATTERN {
            return None;
        }
        let (local, domain) = pattern.rsplit_once('@')?;
        if local.is_empty() {
            let (into, domain) = match domain.strip_prefix('.') {
                Some(domain) => (&mut self.below, domain),
                None => (&mut self.domains, domain),
            };
            into.insert(Domain::parse(domain).ok()?.as_str().to_owned());
        } else {
            let domain = Address::parse(pattern).ok()?.domain().clone();
            self.addresses.insert(person(local, &domain));
        }
        Some(())
    }

    fn covers(&self, recipient: &str) -> bool {
        let Some((local, domain)) = recipient.rsplit_once('@') else {
            return false;
        };
        let Ok(domain) = Domain::parse(domain) else {
            return false;
        };
        let name = domain.as_str();
        let mut above = name.match_indices('.').map(|(at, _)| &name[at + 1..]);
        self.domains.contains(name)
            || above.any(|domain| self.below.contains(domain))
            || (!self.addresses.is_empty() && self.addresses.contains(&person(local, &domain)))
    }
}

fn person(local: &str, domain: &Domain) -> String {
    format!("{}@{}", local.to_lowercase(), domain.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_an_address_a_domain_or_what_lies_below_one() {
        for (pattern, recipient, covered) in [
            ("@there.example", "Bob@THERE.example", true),
            ("@there.example", "bob@sub.there.example", false),
            ("@.there.example", "bob@sub.there.example", true),
            ("@.there.example", "bob@there.example", false),
            ("@.there.example", "bob@notthere.example", false),
            ("bob@there.example", "BOB@there.example", true),
            ("bob@there.example", "ann@there.example", false),
            ("@münchen.example", "bob@xn--mnchen-3ya.example", true),
        ] {
            let blocked = Blocked::read(&[pattern.to_owned()]).unwrap();
            assert_eq!(blocked.covers(recipient), covered, "{pattern} {recipient}");
        }
        for bad in ["there.example", "@", "@.", "bob@", "", "a b@c.example"] {
            assert!(Blocked::read(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_rule_that_says_nothing_is_none() {
        for (text, why) in [
            ("{}", "this is no rule"),
            (r#"{"rule":"max_size","octets":1,"more":2}"#, "this is no rule"),
            (r#"{"rule":"max_size","octets":0}"#, "1 or more"),
            (r#"{"rule":"block_recipients","patterns":[]}"#, "patterns"),
            (
                r#"{"rule":"block_recipients","patterns":["x"]}"#,
                "neither an address",
            ),
            (r#"{"rule":"route","stream":"news"}"#, "by which tag"),
            (r#"{"rule":"route","tag":"a","stream":"a b"}"#, "the stream"),
            (r#"{"rule":"add_footer","text":" "}"#, "needs a text"),
        ] {
            let error = Rule::parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
        let rule = Rule::parse(r#"{"rule":"max_recipients","recipients":3}"#).unwrap();
        assert_eq!(rule.stage(), Stage::Rcpt);
    }
}
