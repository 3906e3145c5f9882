//! The ready rules: what most hooks are wanted for, without a script.

use mail::address::Domain;
use mail::message::{Footer, FooterError, Head, steer};
use serde::{Deserialize, Serialize};

use super::facts::{Action, Facts, Run, Said, Stage};

/// Patterns of one rule, and the octets of one.
const MOST_PATTERNS: usize = 500;
const LONGEST_PATTERN: usize = 254;

/// A rule as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case", deny_unknown_fields)]
pub enum Rule {
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
        let rule: Self = serde_json::from_str(text).map_err(|error| RuleError::NoRule(error.to_string()))?;
        rule.check()?;
        Ok(rule)
    }

    fn check(&self) -> Result<(), RuleError> {
        match self {
            Self::BlockRecipients { patterns, .. } => {
                if patterns.is_empty() || patterns.len() > MOST_PATTERNS {
                    return Err(RuleError::Patterns);
                }
                match patterns.iter().find(|pattern| !is_pattern(pattern)) {
                    Some(bad) => Err(RuleError::Pattern(bad.chars().take(LONGEST_PATTERN).collect())),
                    None => Ok(()),
                }
            }
            Self::RequireTag { tags, .. } if tags.is_empty() || tags.len() > steer::MOST_TAGS => {
                Err(RuleError::Tags)
            }
            Self::RequireHeader { header, .. } if header.is_empty() || header.len() > 76 => {
                Err(RuleError::Header)
            }
            Self::MaxSize { octets: 0, .. } | Self::MaxRecipients { recipients: 0, .. } => {
                Err(RuleError::Number)
            }
            Self::Route { tag, subject, stream } => {
                let said = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.trim().is_empty());
                if !said(tag) && !said(subject) {
                    return Err(RuleError::Condition);
                }
                steer::stream(stream).map_err(|fault| RuleError::Stream(fault.to_string()))?;
                Ok(())
            }
            Self::AddFooter { text, html } => {
                Footer::new(text, html.as_deref())?;
                Ok(())
            }
            Self::RequireTag { .. }
            | Self::RequireHeader { .. }
            | Self::MaxSize { .. }
            | Self::MaxRecipients { .. } => Ok(()),
        }
    }

    /// When it has something to say.
    pub fn stage(&self) -> Stage {
        match self {
            Self::BlockRecipients { .. } | Self::MaxRecipients { .. } => Stage::Rcpt,
            Self::RequireTag { .. }
            | Self::RequireHeader { .. }
            | Self::MaxSize { .. }
            | Self::Route { .. }
            | Self::AddFooter { .. } => Stage::Message,
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
        let refused = match self {
            Self::BlockRecipients { patterns, text } => {
                let recipient = facts.recipient.as_deref().unwrap_or_default();
                let blocked = patterns.iter().any(|pattern| covers(pattern, recipient));
                blocked.then_some((text, "This recipient is blocked"))
            }
            Self::RequireTag { tags, text } => {
                let tagged = tags
                    .iter()
                    .any(|tag| facts.tags.contains(&tag.trim().to_lowercase()));
                (!tagged).then_some((text, "The message has none of the tags that are asked for"))
            }
            Self::RequireHeader { header, text } => {
                let there = Head::parse(&facts.raw).is_ok_and(|head| head.has(header));
                (!there).then_some((text, "The message lacks a header field that is asked for"))
            }
            Self::MaxSize { octets, text } => (facts.raw.len() as u64 > *octets)
                .then_some((text, "The message is bigger than is allowed here")),
            Self::MaxRecipients { recipients, text } => (facts.recipients.len() >= *recipients as usize)
                .then_some((text, "The message has more recipients than are allowed here")),
            Self::Route { tag, subject, stream } => {
                if goes(facts, tag.as_deref(), subject.as_deref()) {
                    run.actions.push(Action::Route(stream.trim().to_lowercase()));
                }
                None
            }
            Self::AddFooter { text, html } => {
                let footer = Footer::new(text, html.as_deref()).ok();
                run.actions.extend(footer.map(Action::AddFooter));
                None
            }
        };
        if let Some((text, usual)) = refused {
            let text = text.as_deref().map(str::trim).filter(|text| !text.is_empty());
            run.said = Said::Reject(Some(text.unwrap_or(usual).to_owned()));
        }
        run
    }
}

fn goes(facts: &Facts, tag: Option<&str>, subject: Option<&str>) -> bool {
    let tagged = |tag: &str| facts.tags.contains(&tag.trim().to_lowercase());
    let says = |words: &str| {
        let subject = Head::parse(&facts.raw).ok().and_then(|head| head.subject());
        let words = words.trim().to_lowercase();
        !words.is_empty() && subject.is_some_and(|subject| subject.to_lowercase().contains(&words))
    };
    tag.is_some_and(tagged) || subject.is_some_and(says)
}

fn is_pattern(pattern: &str) -> bool {
    let pattern = pattern.trim();
    if pattern.len() > LONGEST_PATTERN {
        return false;
    }
    match pattern.split_once('@') {
        Some(("", domain)) => Domain::parse(domain.strip_prefix('.').unwrap_or(domain)).is_ok(),
        Some(_) => mail::address::Address::parse(pattern).is_ok(),
        None => false,
    }
}

/// Whether a recipient is meant. Domains are compared as DNS has them, local parts without their case: who blocks somebody
/// means the person.
fn covers(pattern: &str, recipient: &str) -> bool {
    let Some((local, domain)) = recipient.rsplit_once('@') else {
        return false;
    };
    let Some((wanted, of)) = pattern.trim().rsplit_once('@') else {
        return false;
    };
    let (below, of) = match of.strip_prefix('.') {
        Some(of) if wanted.is_empty() => (true, of),
        _ => (false, of),
    };
    let (Ok(domain), Ok(of)) = (Domain::parse(domain), Domain::parse(of)) else {
        return false;
    };
    let same = if below {
        domain
            .as_str()
            .strip_suffix(of.as_str())
            .is_some_and(|rest| rest.ends_with('.'))
    } else {
        domain == of
    };
    same && (wanted.is_empty() || wanted.to_lowercase() == local.to_lowercase())
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
            assert!(is_pattern(pattern), "{pattern}");
            assert_eq!(covers(pattern, recipient), covered, "{pattern} {recipient}");
        }
        for bad in ["there.example", "@", "@.", "bob@", "", "a b@c.example"] {
            assert!(!is_pattern(bad), "{bad}");
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
