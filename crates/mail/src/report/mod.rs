//! What other servers report about a message of ours: delivery reports, the bounces that are none, and complaints.
//!
//! A report comes from anybody who saw the return path of a message, so nothing of it is believed but what it says about the
//! one recipient that the return path stands for, and reading it never costs more than its own length a few times over.

mod loose;

use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;

use crate::message::{Head, Leaf, leaves};
use crate::reply::Enhanced;

/// Octets of a report that are looked at; what is returned of the message comes behind.
const LOOKED_AT: usize = 512 * 1024;
/// Octets of the machine-readable part.
const MACHINE: usize = 64 * 1024;
/// Recipients of one report.
const RECIPIENTS: usize = 100;
/// Characters of a text that is kept.
const KEPT: usize = 400;

/// What a report says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// What became of recipients.
    Status(Vec<Fate>),
    Complaint(Complaint),
    /// An answer of a person or of a program to the message, or nothing that can be read.
    Nothing,
}

/// What was done with a recipient.
// RFC 3464 section 2.3.3
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    Failed,
    Delayed,
    /// Delivered, relayed or expanded.
    Passed,
}

/// One recipient in a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    pub done: Done,
    /// The address it is about, and the one it was sent to at first, where they are named.
    pub addresses: Vec<String>,
    pub code: Option<u16>,
    pub enhanced: Option<Enhanced>,
    /// What the last server said.
    pub text: String,
    /// Who said it.
    pub host: Option<String>,
}

/// Somebody does not want the message.
// RFC 5965 section 3.1
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// `abuse`, `fraud` and the like, in lower case.
    pub kind: String,
    /// Who reports it.
    pub reporter: Option<String>,
}

impl Complaint {
    /// Whether it is about unwanted mail; `not-spam` says the opposite, others are about something else.
    // RFC 5965 section 7.3, RFC 6430, RFC 6591
    pub fn counts(&self) -> bool {
        matches!(
            self.kind.as_str(),
            "abuse" | "fraud" | "virus" | "other" | "opt-out" | "opt-out-list"
        )
    }
}

/// Reads a report.
pub fn read(raw: &[u8]) -> Report {
    let raw = &raw[..raw.len().min(LOOKED_AT)];
    let Ok(head) = Head::parse(raw) else {
        return Report::Nothing;
    };
    let parts = leaves(raw).found;
    for part in &parts {
        let (main, sub) = part.names();
        let kind = format!("{main}/{sub}").to_ascii_lowercase();
        match kind.as_str() {
            // RFC 3464 section 2.1, RFC 6533 section 6.2
            "message/delivery-status" | "message/global-delivery-status" => {
                let fates = status(&machine_text(part));
                return if fates.is_empty() {
                    Report::Nothing
                } else {
                    Report::Status(fates)
                };
            }
            // RFC 5965 section 3
            "message/feedback-report" => {
                return complaint(&machine_text(part)).map_or(Report::Nothing, Report::Complaint);
            }
            _ => {}
        }
    }
    let text = parts.iter().find(|part| {
        let (main, sub) = part.names();
        main.eq_ignore_ascii_case("text") && !sub.eq_ignore_ascii_case("html")
    });
    let text = text.map(machine_text).unwrap_or_default();
    loose::read(&head, &text).map_or(Report::Nothing, |fate| Report::Status(vec![fate]))
}

/// The text of a part, decoded, bounded.
fn machine_text(part: &Leaf<'_>) -> String {
    let body = part.head.body();
    let body = &body[..body.len().min(MACHINE)];
    let decoded = match part.encoding().as_str() {
        "base64" => base64_decode(body),
        "quoted-printable" => quoted_printable_decode(body),
        _ => None,
    };
    String::from_utf8_lossy(decoded.as_deref().unwrap_or(body)).into_owned()
}

/// The fields of one group: names in lower case, values unfolded.
type Group = Vec<(String, String)>;

// RFC 3464 section 2.1: groups of header fields, parted by empty lines.
fn groups(text: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = vec![Vec::new()];
    for line in text.lines() {
        if line.trim().is_empty() {
            if groups.last().is_some_and(|group| !group.is_empty()) {
                if groups.len() > RECIPIENTS {
                    break;
                }
                groups.push(Vec::new());
            }
            continue;
        }
        let Some(group) = groups.last_mut() else { break };
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = group.last_mut()
                && value.len() < 4 * KEPT
            {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            group.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    groups
}

fn value<'a>(group: &'a Group, name: &str) -> Option<&'a str> {
    group
        .iter()
        .find(|(field, value)| field == name && !value.is_empty())
        .map(|(_, value)| value.as_str())
}

fn status(text: &str) -> Vec<Fate> {
    let groups = groups(text);
    let reporter = groups
        .first()
        .and_then(|group| value(group, "reporting-mta"))
        .and_then(typed);
    groups
        .iter()
        .filter_map(|group| fate(group, reporter.as_deref()))
        .collect()
}

// RFC 3464 section 2.3
fn fate(group: &Group, reporter: Option<&str>) -> Option<Fate> {
    let done = match value(group, "action")?.to_ascii_lowercase().as_str() {
        "failed" => Done::Failed,
        "delayed" => Done::Delayed,
        "delivered" | "relayed" | "expanded" => Done::Passed,
        _ => return None,
    };
    let status = value(group, "status").and_then(|status| {
        let status = status.split([' ', '(']).next().unwrap_or_default();
        Enhanced::parse(status)
    });
    let addresses = ["original-recipient", "final-recipient"]
        .into_iter()
        .filter_map(|name| value(group, name).and_then(typed))
        .map(|address| address.to_lowercase())
        .collect();
    let said = value(group, "diagnostic-code").map(|value| match value.split_once(';') {
        Some((_, said)) => said.trim(),
        None => value,
    });
    let (code, enhanced, text) = said.map_or((None, None, ""), loose::reply);
    Some(Fate {
        done,
        addresses,
        code,
        // What the server said is nearer than what its client made of it.
        enhanced: enhanced.or(status),
        text: kept(text),
        host: value(group, "remote-mta")
            .and_then(typed)
            .or_else(|| reporter.map(str::to_owned))
            .map(|host| kept(&host)),
    })
}

/// What stands behind the type of a field such as `rfc822; a@b` or `utf-8; \x{E9}@b`.
// RFC 3464 section 2.1.2, RFC 6533 section 3
fn typed(value: &str) -> Option<String> {
    let (kind, rest) = match value.split_once(';') {
        Some((kind, rest)) => (kind.trim().to_ascii_lowercase(), rest.trim()),
        None => (String::new(), value.trim()),
    };
    let rest = rest.trim_matches(['<', '>']);
    let text = if kind == "utf-8" {
        unescaped(rest)
    } else {
        rest.to_owned()
    };
    Some(text).filter(|text| !text.is_empty())
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\x{") {
        plain.push_str(&rest[..at]);
        let behind = &rest[at + 3..];
        let near = behind.floor_char_boundary(8);
        let sign = behind[..near].find('}').and_then(|end| {
            let (digits, after) = (&behind[..end], &behind[end + 1..]);
            let sign = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)?;
            Some((sign, after))
        });
        if let Some((sign, after)) = sign {
            plain.push(sign);
            rest = after;
        } else {
            plain.push_str("\\x{");
            rest = behind;
        }
    }
    plain.push_str(rest);
    plain
}

fn complaint(text: &str) -> Option<Complaint> {
    let groups = groups(text);
    let group = groups.first()?;
    let word = |sign: char| sign.is_ascii_alphanumeric() || sign == '-';
    let kind: String = value(group, "feedback-type")?
        .to_ascii_lowercase()
        .chars()
        .take_while(|sign| word(*sign))
        .take(40)
        .collect();
    let reporter = value(group, "reporting-mta").and_then(typed);
    Some(Complaint {
        kind,
        reporter: reporter
            .or_else(|| value(group, "user-agent").map(str::to_owned))
            .map(|host| kept(&host)),
    })
}

/// One line of bounded length.
fn kept(text: &str) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().filter(|sign| !sign.is_control()));
        if line.len() > KEPT {
            break;
        }
    }
    line.chars().take(KEPT).collect()
}

#[cfg(test)]
mod tests;
