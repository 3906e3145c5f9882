//! Bounces that are no delivery reports: told by who sends them and what their subject says, read line by line.

use super::{Done, Fate, kept};
use crate::message::{Field, Head};
use crate::reply::Enhanced;

/// Lines of the text that are looked at: what was returned of the message comes behind.
const LINES: usize = 60;

/// How the subjects of bounces begin or what they hold, in lower case.
const FAILED: [&str; 14] = [
    "undelivered mail",
    "undeliverable",
    "undeliverable:",
    "failure notice",
    "mail delivery failed",
    "mail delivery failure",
    "delivery status notification (failure)",
    "delivery failure",
    "delivery has failed",
    "returned mail",
    "returned to sender",
    "mail could not be delivered",
    "message could not be delivered",
    "non remis",
];
const DELAYED: [&str; 6] = [
    "delayed",
    "delay)",
    "warning:",
    "still being retried",
    "could not be delivered yet",
    "transient",
];

/// Reads a bounce for people; none where it is none for certain.
pub(super) fn read(head: &Head<'_>, text: &str) -> Option<Fate> {
    if is_answer(head) || !is_from_a_mail_system(head) {
        return None;
    }
    let subject = head.subject().unwrap_or_default().to_lowercase();
    let failed_header = head.first("x-failed-recipients").map(Field::decoded);
    let done = if DELAYED.iter().any(|word| subject.contains(word)) {
        Done::Delayed
    } else if failed_header.is_some() || FAILED.iter().any(|word| subject.contains(word)) {
        Done::Failed
    } else {
        return None;
    };
    let lines = text.lines().take(LINES).map(beginning);
    let said = lines.clone().find_map(in_line).or_else(|| {
        lines
            .clone()
            .find_map(|line| tells(line).then_some((None, None, line)))
    });
    let (code, enhanced, text) = said.unwrap_or((None, None, ""));
    let addresses = failed_header
        .iter()
        .flat_map(|list| list.split(','))
        .map(|address| address.trim().to_lowercase())
        .filter(|address| !address.is_empty())
        .take(10)
        .collect();
    Some(Fate {
        done,
        addresses,
        code,
        enhanced,
        text: kept(text),
        host: None,
    })
}

/// An answer to the message: somebody is away, or a program says that it came.
// RFC 3834 section 5
fn is_answer(head: &Head<'_>) -> bool {
    let value = |name: &str| {
        head.first(name)
            .map(|field| field.decoded().to_lowercase())
            .unwrap_or_default()
    };
    let subject = value("subject");
    let away = [
        "out of office",
        "out of the office",
        "automatic reply",
        "autoreply",
        "auto-reply",
        "réponse automatique",
    ];
    value("auto-submitted").starts_with("auto-replied") && !is_from_a_mail_system(head)
        || head.has("x-autoreply")
        || head.has("x-autorespond")
        || value("precedence").contains("auto_reply")
        || away.iter().any(|words| subject.starts_with(words))
}

fn is_from_a_mail_system(head: &Head<'_>) -> bool {
    let Ok(from) = head.from_addresses() else {
        return false;
    };
    from.iter().any(|mailbox| {
        let local = mailbox.address.to_lowercase();
        let local = local.split('@').next().unwrap_or_default();
        local == "mailer-daemon" || local == "postmaster" || local.starts_with("mailer-daemon")
    })
}

/// As much of a line as is looked at: what a server says is short, and each number in a line is looked at anew.
fn beginning(line: &str) -> &str {
    const LOOKED_AT: usize = 1_000;
    &line[..line.floor_char_boundary(LOOKED_AT)]
}

/// Whether a line that holds no code says why all the same.
fn tells(line: &str) -> bool {
    let line = line.to_lowercase();
    let words = [
        "user unknown",
        "unknown user",
        "no such user",
        "no mailbox here",
        "does not exist",
        "doesn't exist",
        "mailbox is full",
        "mailbox full",
        "over quota",
        "quota exceeded",
        "unrouteable",
        "couldn't find any host",
        "rejected",
    ];
    words.iter().any(|word| line.contains(word))
}

/// The reply that a line quotes.
fn in_line(line: &str) -> Option<(Option<u16>, Option<Enhanced>, &str)> {
    let starts = line.char_indices().filter(|(at, sign)| {
        matches!(sign, '4' | '5') && !line[..*at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '.')
    });
    for (at, _) in starts {
        let (code, enhanced, text) = reply(&line[at..]);
        // A number alone may be anything; with an enhanced code behind it or before the words it is a reply.
        if code.is_some() && (enhanced.is_some() || text.chars().take(100).any(char::is_alphabetic)) {
            return Some((code, enhanced, text));
        }
    }
    None
}

/// Code, enhanced code and text of what a server said, as far as they are there.
pub(super) fn reply(said: &str) -> (Option<u16>, Option<Enhanced>, &str) {
    let said = said.trim();
    let digits = said.bytes().take_while(u8::is_ascii_digit).count();
    let code = (digits == 3 && matches!(said.as_bytes()[0], b'4' | b'5'))
        .then(|| said[..3].parse::<u16>().ok())
        .flatten();
    let mut rest = match code {
        Some(_) => {
            let rest = &said[3..];
            // `550.` or `550x` is no reply.
            if !rest.is_empty() && !rest.starts_with([' ', '-', '\t', ':']) {
                return (None, None, said);
            }
            rest.trim_start_matches([' ', '-', '\t', ':', '#'])
        }
        None => said,
    };
    let word = rest.split([' ', ')', ':', ',']).next().unwrap_or_default();
    let enhanced = Enhanced::parse(word);
    if enhanced.is_some() {
        rest = rest[word.len()..].trim_start_matches([' ', ')', ':', ',', '-']);
    }
    (code, enhanced, rest)
}
