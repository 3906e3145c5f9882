//! What a refusal says about the recipient: its class, by rules that are data.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::reply::Enhanced;

/// The classes and the rules, read once.
static RULES: LazyLock<Rules> =
    LazyLock::new(|| Rules::parse(include_str!("rules.txt")).expect("a test reads the rules"));

/// Octets of a text that are looked at.
const LOOKED_AT: usize = 2_000;

macro_rules! classes {
    ($($class:ident $name:literal,)*) => {
        /// What kind of bounce or deferral it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Class {
            $($class,)*
        }

        impl Class {
            pub const ALL: &[Self] = &[$(Self::$class,)*];

            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$class => $name,)*
                }
            }
        }
    };
}

classes! {
    UnknownMailbox "unknown_mailbox",
    InactiveMailbox "inactive_mailbox",
    UnknownDomain "unknown_domain",
    BadAddress "bad_address",
    MailboxFull "mailbox_full",
    TooBig "too_big",
    Content "content",
    Authentication "authentication",
    SenderRefused "sender_refused",
    Spam "spam",
    Blocklisted "blocklisted",
    Policy "policy",
    RateLimited "rate_limited",
    Greylisted "greylisted",
    Unreachable "unreachable",
    Dns "dns",
    Tls "tls",
    RelayingDenied "relaying_denied",
    Loop "loop",
    RemoteTrouble "remote_trouble",
    Expired "expired",
    Unclassified "unclassified",
}

/// Whose fault a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The address does not work, or takes nothing now.
    Recipient,
    /// The message or its sender is not right.
    Sender,
    /// The receiver does not want it.
    Policy,
    /// Some system on the way.
    Network,
}

/// What was said when a recipient was refused.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// None where no server said it: the words are our own.
    pub code: Option<u16>,
    pub enhanced: Option<Enhanced>,
    pub text: &'a str,
}

impl Class {
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|class| class.as_str() == text)
    }

    /// Whether an address that is refused like this for good is dead.
    pub fn is_hard(self) -> bool {
        RULES.classes[&self].0
    }

    pub fn fault(self) -> Fault {
        RULES.classes[&self].1
    }

    /// Whether mail that bounces like this says something about whom its sender writes to, or what.
    pub fn tells_of_the_sender(self) -> bool {
        matches!(self.fault(), Fault::Recipient | Fault::Policy)
    }
}

/// The class of a refusal.
pub fn classify(said: &Said<'_>) -> Class {
    RULES.classify(said)
}

struct Rules {
    classes: HashMap<Class, (bool, Fault)>,
    rules: Vec<Rule>,
}

struct Rule {
    class: Class,
    code: Code,
    /// Class, subject and detail, where they are to be these.
    enhanced: Option<[Option<u16>; 3]>,
    /// What has to stand one behind the other.
    text: Vec<&'static str>,
}

enum Code {
    Any,
    None,
    Like([Option<u8>; 3]),
}

impl Rules {
    fn parse(text: &'static str) -> Result<Self, String> {
        let mut rules = Self {
            classes: HashMap::new(),
            rules: Vec::new(),
        };
        for line in text.lines() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let read = if let Some(class) = line.strip_prefix("class ") {
                rules.class(class)
            } else {
                Rule::parse(line).map(|rule| rules.rules.push(rule))
            };
            read.ok_or_else(|| line.to_owned())?;
        }
        Ok(rules)
    }

    fn class(&mut self, line: &str) -> Option<()> {
        let mut words = line.split_whitespace();
        let class = Class::parse(words.next()?)?;
        let hard = match words.next()? {
            "hard" => true,
            "soft" => false,
            _ => return None,
        };
        let fault = match words.next()? {
            "recipient" => Fault::Recipient,
            "sender" => Fault::Sender,
            "policy" => Fault::Policy,
            "network" => Fault::Network,
            _ => return None,
        };
        self.classes.insert(class, (hard, fault)).is_none().then_some(())
    }

    fn classify(&self, said: &Said<'_>) -> Class {
        let mut text = said.text;
        if let Some((cut, _)) = text.char_indices().find(|(at, _)| *at >= LOOKED_AT) {
            text = &text[..cut];
        }
        let text = text.to_lowercase();
        let fits = |rule: &&Rule| rule.fits(said, &text);
        self.rules
            .iter()
            .find(fits)
            .map_or(Class::Unclassified, |rule| rule.class)
    }
}

impl Rule {
    fn parse(line: &'static str) -> Option<Self> {
        let (class, rest) = line.split_once(char::is_whitespace)?;
        let (code, rest) = rest.trim_start().split_once(char::is_whitespace)?;
        let (enhanced, text) = rest.trim_start().split_once(char::is_whitespace)?;
        let pieces = text.trim().split('*').map(str::trim);
        Some(Self {
            class: Class::parse(class)?,
            code: Code::parse(code)?,
            enhanced: match enhanced {
                "*" => None,
                enhanced => Some(enhanced_like(enhanced)?),
            },
            text: pieces.filter(|piece| !piece.is_empty()).collect(),
        })
    }

    fn fits(&self, said: &Said<'_>, text: &str) -> bool {
        self.code.fits(said.code)
            && self.enhanced.is_none_or(|like| {
                said.enhanced.is_some_and(|enhanced| {
                    let parts = [u16::from(enhanced.class), enhanced.subject, enhanced.detail];
                    like.iter()
                        .zip(parts)
                        .all(|(like, part)| like.is_none_or(|like| like == part))
                })
            })
            && in_order(text, &self.text)
    }
}

impl Code {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "*" => Some(Self::Any),
            "none" => Some(Self::None),
            _ => {
                let digits = <[u8; 3]>::try_from(text.as_bytes()).ok()?;
                let fine = |digit: &u8| *digit == b'x' || digit.is_ascii_digit();
                digits
                    .iter()
                    .all(fine)
                    .then(|| Self::Like(digits.map(|digit| (digit != b'x').then(|| digit - b'0'))))
            }
        }
    }

    fn fits(&self, code: Option<u16>) -> bool {
        match (self, code) {
            (Self::Any, _) | (Self::None, None) => true,
            (Self::None, Some(_)) | (Self::Like(_), None) => false,
            (Self::Like(like), Some(code)) => {
                let digits = [code / 100, code / 10 % 10, code % 10];
                like.iter()
                    .zip(digits)
                    .all(|(like, digit)| like.is_none_or(|like| u16::from(like) == digit))
            }
        }
    }
}

fn enhanced_like(text: &str) -> Option<[Option<u16>; 3]> {
    let mut parts = text.split('.').map(|part| match part {
        "x" => Some(None),
        number => number.parse().ok().map(Some),
    });
    let like = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(like)
}

/// Whether all of these stand in the text, one behind the other.
pub(crate) fn in_order(text: &str, pieces: &[&str]) -> bool {
    let mut rest = text;
    pieces.iter().all(|piece| match rest.find(piece) {
        Some(at) => {
            rest = &rest[at + piece.len()..];
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_class_says_what_it_is_and_has_a_reply_in_the_corpus() {
        for class in Class::ALL {
            assert!(RULES.classes.contains_key(class), "{class:?}");
            assert_eq!(Class::parse(class.as_str()), Some(*class));
            let named = format!("{} ", class.as_str());
            assert!(
                include_str!("corpus.txt")
                    .lines()
                    .any(|line| line.starts_with(&named)),
                "{class:?}"
            );
        }
    }

    #[test]
    fn the_corpus_is_classified_as_a_person_would() {
        let mut wrong = Vec::new();
        for line in include_str!("corpus.txt").lines() {
            if line.starts_with('#') {
                continue;
            }
            let mut words = line.split_whitespace();
            let class = Class::parse(words.next().unwrap()).expect(line);
            let code = words.next().unwrap();
            let enhanced = Enhanced::parse(words.next().unwrap());
            let text = words.collect::<Vec<_>>().join(" ");
            let said = Said {
                code: code.parse().ok(),
                enhanced,
                text: &text,
            };
            let found = classify(&said);
            if found != class {
                wrong.push(format!("{found:?}: {line}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn only_a_dead_address_is_hard() {
        let hard: Vec<_> = Class::ALL.iter().filter(|class| class.is_hard()).collect();
        assert_eq!(
            hard,
            [
                &Class::UnknownMailbox,
                &Class::InactiveMailbox,
                &Class::UnknownDomain,
                &Class::BadAddress
            ]
        );
        assert!(hard.iter().all(|class| class.fault() == Fault::Recipient));
        assert!(!Class::TooBig.tells_of_the_sender() && Class::Spam.tells_of_the_sender());
    }

    proptest! {
        #[test]
        fn anything_has_a_class(code in prop::option::of(0..1_000_u16), text in "(?s).{0,300}") {
            let _ = classify(&Said { code, enhanced: Enhanced::parse(&text), text: &text });
        }
    }
}
