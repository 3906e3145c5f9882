//! Delivery status notifications: a report to the sender, for people and for programs.

use std::borrow::Cow;
use std::fmt::Write as _;

use memchr::memmem;

use crate::address::Address;
use crate::envelope::from_xtext;
use crate::explain::explain;
use crate::message::Head;
use crate::notify::Ret;
use crate::reply::Enhanced;
use crate::time::Time;

/// A returned message is cut to its header section beyond this, whatever RET asked for.
const MAX_RETURNED: usize = 1024 * 1024;

/// What happened to a recipient.
// RFC 3464 section 2.3.3
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Failed,
    Delayed,
    /// Handed to a server that reports from here on.
    Delivered,
    /// Handed to a server that reports nothing.
    Relayed,
}

impl Action {
    fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
        }
    }
}

/// One recipient of a report.
#[derive(Clone, Debug)]
pub struct Reported<'a> {
    pub address: &'a Address,
    /// As received: `rfc822;` and xtext.
    pub orcpt: Option<&'a str>,
    pub action: Action,
    pub code: Option<u16>,
    pub enhanced: Option<Enhanced>,
    /// The remote server's words where there is a code, else ours.
    pub reply: &'a str,
    pub host: Option<&'a str>,
    pub last_attempt: Option<Time>,
    pub retry_until: Option<Time>,
}

/// A report on some recipients of one message.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// Our host name.
    pub reporting_mta: &'a str,
    /// The message's reverse-path. The null sender gets no report: that is the caller's decision.
    pub to: &'a Address,
    /// The report's own, without angle brackets.
    pub message_id: &'a str,
    pub now: Time,
    pub arrived: Time,
    pub envid: Option<&'a str>,
    pub ret: Option<Ret>,
    pub original: &'a [u8],
    pub recipients: &'a [Reported<'a>],
}

/// The report as a message.
// RFC 6522 section 3: multipart/report; RFC 3464 section 2: its machine-readable part
pub fn build(report: &Report<'_>) -> Vec<u8> {
    let text = explanation(report);
    let status = status(report);
    let returned = Returned::of(report);
    let boundary = boundary(report);
    let mut out = Vec::with_capacity(text.len() + status.len() + returned.octets.len() + 2_048);
    let head = format!(
        "Date: {}\r\nFrom: Mail Delivery System <MAILER-DAEMON@{host}>\r\nTo: <{}>\r\nSubject: {}\r\nMessage-ID: <{}>\r\n{}\
         Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"{boundary}\"\r\n\
         Content-Transfer-Encoding: {}\r\n\r\n",
        report.now.rfc5322(),
        report.to,
        subject(report),
        report.message_id,
        references(report),
        if text.is_ascii() && returned.octets.is_ascii() {
            "7bit"
        } else {
            "8bit"
        },
        host = report.reporting_mta,
    );
    out.extend_from_slice(head.as_bytes());
    let text_encoding = if text.is_ascii() { "7bit" } else { "8bit" };
    let kinds = [
        ("text/plain; charset=utf-8", text_encoding, text.as_bytes()),
        ("message/delivery-status", "7bit", status.as_bytes()),
        (returned.kind, returned.encoding, returned.octets),
    ];
    for (kind, encoding, octets) in kinds {
        let part =
            format!("--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n");
        out.extend_from_slice(part.as_bytes());
        out.extend_from_slice(octets);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    out
}

fn failed(report: &Report<'_>) -> bool {
    report
        .recipients
        .iter()
        .any(|recipient| recipient.action == Action::Failed)
}

fn subject(report: &Report<'_>) -> &'static str {
    if failed(report) {
        "Your message could not be delivered"
    } else if report
        .recipients
        .iter()
        .any(|recipient| recipient.action == Action::Delayed)
    {
        "Your message is delayed"
    } else {
        "Your message was delivered"
    }
}

/// So that a mail program shows the report beside its message.
fn references(report: &Report<'_>) -> String {
    let id = Head::parse(report.original)
        .ok()
        .and_then(|head| head.message_id());
    match id.filter(|id| {
        id.len() <= 500
            && id
                .bytes()
                .all(|b| b.is_ascii_graphic() && !matches!(b, b'<' | b'>'))
    }) {
        Some(id) => format!("In-Reply-To: <{id}>\r\nReferences: <{id}>\r\n"),
        None => String::new(),
    }
}

/// The part for people.
fn explanation(report: &Report<'_>) -> String {
    let mut text = format!("This is the mail system at {}.\r\n", report.reporting_mta);
    for (action, sentence) in [
        (
            Action::Failed,
            "Your message could not be delivered to these recipients, and it will not be tried again:",
        ),
        (
            Action::Delayed,
            "Your message has not reached these recipients yet. You need not send it again, it is still being tried:",
        ),
        (
            Action::Delivered,
            "Your message was handed to the mail server of these recipients:",
        ),
        (
            Action::Relayed,
            "Your message was handed to the mail server of these recipients, which does not report what follows:",
        ),
    ] {
        let mut recipients = report
            .recipients
            .iter()
            .filter(|recipient| recipient.action == action)
            .peekable();
        if recipients.peek().is_none() {
            continue;
        }
        write!(text, "\r\n{sentence}\r\n").expect("a String takes it");
        for recipient in recipients {
            explain_recipient(recipient, &mut text);
        }
    }
    let head = Head::parse(report.original).ok();
    if let Some(subject) = head.and_then(|head| head.subject()) {
        write!(
            text,
            "\r\nSubject of your message: {}\r\n",
            one_line(&subject, 300)
        )
        .expect("a String takes it");
    }
    write!(text, "It was sent on {}.\r\n", report.arrived.rfc5322()).expect("a String takes it");
    text
}

fn explain_recipient(recipient: &Reported<'_>, text: &mut String) {
    write!(text, "\r\n  {}\r\n", recipient.address).expect("a String takes it");
    if matches!(recipient.action, Action::Failed | Action::Delayed) {
        let why = explain(recipient.code, recipient.enhanced);
        write!(text, "    {why}.\r\n").expect("a String takes it");
        let reply = one_line(recipient.reply, 800);
        match (recipient.code, recipient.host) {
            (Some(code), host) => {
                let enhanced = recipient.enhanced.map(|e| format!(" {e}")).unwrap_or_default();
                let host = host.unwrap_or("The receiving server");
                write!(text, "    {host} said: {code}{enhanced} {reply}\r\n").expect("a String takes it");
            }
            (None, _) if !reply.is_empty() => write!(text, "    {reply}\r\n").expect("a String takes it"),
            (None, _) => {}
        }
    }
    if let Some(until) = recipient
        .retry_until
        .filter(|_| recipient.action == Action::Delayed)
    {
        write!(text, "    It is tried until {}.\r\n", until.rfc5322()).expect("a String takes it");
    }
}

/// The part for programs.
// RFC 3464 section 2.2 and 2.3
fn status(report: &Report<'_>) -> String {
    let mut status = format!("Reporting-MTA: dns; {}\r\n", report.reporting_mta);
    if let Some(envid) = report.envid.map(from_xtext).filter(|envid| is_plain(envid)) {
        write!(status, "Original-Envelope-Id: {envid}\r\n").expect("a String takes it");
    }
    write!(status, "Arrival-Date: {}\r\n", report.arrived.rfc5322()).expect("a String takes it");
    for recipient in report.recipients {
        status.push_str("\r\n");
        if let Some(orcpt) = recipient
            .orcpt
            .map(from_xtext)
            .filter(|orcpt| is_plain(orcpt) && orcpt.contains(';'))
        {
            write!(status, "Original-Recipient: {orcpt}\r\n").expect("a String takes it");
        }
        write!(
            status,
            "Final-Recipient: {}\r\n",
            typed_address(recipient.address)
        )
        .expect("a String takes it");
        write!(status, "Action: {}\r\n", recipient.action.as_str()).expect("a String takes it");
        write!(status, "Status: {}\r\n", status_code(recipient)).expect("a String takes it");
        if let Some(host) = recipient.host {
            write!(status, "Remote-MTA: dns; {}\r\n", one_line(host, 255)).expect("a String takes it");
        }
        if let Some(code) = recipient.code {
            // RFC 3464 section 2.3.6: what the remote server said, not what we make of it.
            let enhanced = recipient.enhanced.map(|e| format!(" {e}")).unwrap_or_default();
            let reply: String = one_line(recipient.reply, 800)
                .chars()
                .map(|c| if c.is_ascii() { c } else { '?' })
                .collect();
            write!(status, "Diagnostic-Code: smtp; {code}{enhanced} {reply}\r\n").expect("a String takes it");
        }
        if let Some(at) = recipient.last_attempt {
            write!(status, "Last-Attempt-Date: {}\r\n", at.rfc5322()).expect("a String takes it");
        }
        if let Some(until) = recipient
            .retry_until
            .filter(|_| recipient.action == Action::Delayed)
        {
            write!(status, "Will-Retry-Until: {}\r\n", until.rfc5322()).expect("a String takes it");
        }
    }
    status
}

/// The status that goes with the action: its class always agrees (RFC 3464 section 2.3.4).
fn status_code(recipient: &Reported<'_>) -> Enhanced {
    let class = match recipient.action {
        Action::Failed => 5,
        Action::Delayed => 4,
        Action::Delivered | Action::Relayed => 2,
    };
    match recipient.enhanced {
        Some(enhanced) if enhanced.class == class => enhanced,
        // A temporary reason that lasted until the end keeps what it was about.
        Some(enhanced) if class != 2 => Enhanced::new(class, enhanced.subject, enhanced.detail),
        _ => Enhanced::new(class, 0, 0),
    }
}

/// RFC 6533 section 3: an address beyond ASCII is written with its own escapes, so that the part stays ASCII.
fn typed_address(address: &Address) -> String {
    let text = address.to_string();
    if text.is_ascii() {
        return format!("rfc822; {text}");
    }
    let mut typed = String::from("utf-8; ");
    for c in text.chars() {
        match c {
            '\\' | '+' | '=' => write!(typed, "\\x{{{:02X}}}", c as u32).expect("a String takes it"),
            c if c.is_ascii_graphic() => typed.push(c),
            c => write!(typed, "\\x{{{:02X}}}", c as u32).expect("a String takes it"),
        }
    }
    typed
}

/// What is given back of the message, and how it is labelled.
struct Returned<'a> {
    kind: &'static str,
    encoding: &'static str,
    octets: &'a [u8],
}

impl<'a> Returned<'a> {
    fn of(report: &Report<'a>) -> Self {
        let head = Head::parse(report.original);
        let section = head.as_ref().map_or(&report.original[..0], |head| head.bytes());
        // RFC 6533 section 4: headers beyond ASCII have types of their own.
        let utf8 = !section.is_ascii();
        // RFC 3461 section 4.3: the whole message goes back only with a failure, and only where it was asked for.
        let full = report.ret == Some(Ret::Full) && failed(report) && report.original.len() <= MAX_RETURNED;
        let octets = if full { report.original } else { section };
        Self {
            kind: match (full, utf8) {
                (true, false) => "message/rfc822",
                (true, true) => "message/global",
                (false, false) => "text/rfc822-headers",
                (false, true) => "message/global-headers",
            },
            encoding: if octets.is_ascii() { "7bit" } else { "8bit" },
            octets,
        }
    }
}

/// A boundary that the returned message does not hold.
fn boundary(report: &Report<'_>) -> String {
    let seed: String = report
        .message_id
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(40)
        .collect();
    let mut boundary = format!("=_{seed}");
    while memmem::find(report.original, boundary.as_bytes()).is_some() && boundary.len() < 68 {
        boundary.push('_');
    }
    boundary
}

/// Text from elsewhere on one line of bounded length.
fn one_line(text: &str, limit: usize) -> Cow<'_, str> {
    if text.chars().count() <= limit && !text.contains(char::is_control) {
        return Cow::Borrowed(text.trim());
    }
    let line: String = text
        .chars()
        .take(limit)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    Cow::Owned(line.trim().to_owned())
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.len() <= 500 && text.bytes().all(|b| (b' '..=b'~').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::client::check_line_ends;
    use mail_parser::{MessageParser, MimeHeaders as _};

    const ORIGINAL: &[u8] =
        b"From: s@us.example\r\nSubject: hello\r\nMessage-ID: <orig@us>\r\n\r\nthe body\r\n";

    fn recipient(address: &Address, action: Action) -> Reported<'_> {
        Reported {
            address,
            orcpt: Some("rfc822;first+40b.example"),
            action,
            code: Some(550),
            enhanced: Some(Enhanced::new(5, 1, 1)),
            reply: "No such user\r\nSubject: injected",
            host: Some("mx.b.example"),
            last_attempt: Some(Time::from_secs(60)),
            retry_until: Some(Time::from_secs(3_600)),
        }
    }

    fn report<'a>(to: &'a Address, recipients: &'a [Reported<'a>], ret: Option<Ret>) -> Report<'a> {
        Report {
            reporting_mta: "mail.us.example",
            to,
            message_id: "r.1@mail.us.example",
            now: Time::from_secs(120),
            arrived: Time::from_secs(0),
            envid: Some("QQ+2B1"),
            ret,
            original: ORIGINAL,
            recipients,
        }
    }

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn built(recipients: &[Reported<'_>], ret: Option<Ret>) -> String {
        let octets = build(&report(&address("s@us.example"), recipients, ret));
        assert_eq!(check_line_ends(&octets), Ok(()));
        let text = String::from_utf8(octets).unwrap();
        assert!(text.lines().all(|line| line.len() <= 998));
        text
    }

    #[test]
    fn a_failure_says_who_why_and_what_in_three_parts() {
        let to = address("a@b.example");
        let text = built(&[recipient(&to, Action::Failed)], None);
        let parsed = MessageParser::default().parse(text.as_bytes()).unwrap();
        assert_eq!(parsed.subject(), Some("Your message could not be delivered"));
        assert_eq!(
            parsed.to().unwrap().first().unwrap().address(),
            Some("s@us.example")
        );
        assert_eq!(
            parsed.header_raw("Auto-Submitted").map(str::trim),
            Some("auto-replied")
        );
        let kinds: Vec<String> = parsed.parts[1..]
            .iter()
            .map(|part| {
                part.content_type()
                    .map(|t| format!("{}/{}", t.ctype(), t.subtype().unwrap_or("")))
                    .unwrap()
            })
            .collect();
        assert_eq!(
            kinds,
            ["text/plain", "message/delivery-status", "text/rfc822-headers"]
        );
        let human = parsed.body_text(0).unwrap();
        assert!(human.contains("  a@b.example\r\n    The mailbox does not exist.\r\n    mx.b.example said: 550 5.1.1 No such user"));
        assert!(human.contains("Subject of your message: hello"));
        assert!(text.contains(
            "Reporting-MTA: dns; mail.us.example\r\nOriginal-Envelope-Id: QQ+1\r\nArrival-Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n\r\n\
             Original-Recipient: rfc822;first@b.example\r\nFinal-Recipient: rfc822; a@b.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\
             Remote-MTA: dns; mx.b.example\r\nDiagnostic-Code: smtp; 550 5.1.1 No such user  Subject: injected\r\n\
             Last-Attempt-Date: Thu, 01 Jan 1970 00:01:00 +0000\r\n"
        ), "{text}");
        assert!(!text.contains("Will-Retry-Until"));
        assert!(!text.contains("the body"));
        assert!(text.contains("In-Reply-To: <orig@us>\r\n"));
    }

    #[test]
    fn the_whole_message_goes_back_with_a_failure_that_asked_for_it() {
        let to = address("a@b.example");
        let full = built(&[recipient(&to, Action::Failed)], Some(Ret::Full));
        assert!(full.contains("Content-Type: message/rfc822\r\n") && full.contains("\r\n\r\nthe body\r\n"));
        let delayed = built(&[recipient(&to, Action::Delayed)], Some(Ret::Full));
        assert!(!delayed.contains("the body"));
    }

    #[test]
    fn the_status_always_agrees_with_the_action() {
        let to = address("a@b.example");
        let expired = Reported {
            code: Some(451),
            enhanced: Some(Enhanced::new(4, 4, 1)),
            ..recipient(&to, Action::Failed)
        };
        assert!(built(&[expired], None).contains("Status: 5.4.1\r\n"));
        let delayed = Reported {
            code: None,
            enhanced: None,
            reply: "no answer",
            ..recipient(&to, Action::Delayed)
        };
        let text = built(&[delayed], None);
        assert!(
            text.contains("Status: 4.0.0\r\n")
                && text.contains("Will-Retry-Until: ")
                && !text.contains("Diagnostic")
        );
        let relayed = built(&[recipient(&to, Action::Relayed)], None);
        assert!(
            relayed.contains("Action: relayed\r\nStatus: 2.0.0\r\n")
                && relayed.contains("Your message was delivered")
        );
    }

    #[test]
    fn addresses_and_headers_beyond_ascii_are_labelled_as_such() {
        let to = address("jürgen@b.example");
        let sender = address("s@us.example");
        let recipients = [recipient(&to, Action::Failed)];
        let original = "From: Jörg <s@us.example>\r\n\r\nx\r\n";
        let octets = build(&Report {
            original: original.as_bytes(),
            ..report(&sender, &recipients, None)
        });
        let text = String::from_utf8(octets).unwrap();
        assert!(text.contains("Final-Recipient: utf-8; j\\x{FC}rgen@b.example\r\n"));
        assert!(text.contains("Content-Type: message/global-headers\r\nContent-Transfer-Encoding: 8bit\r\n"));
        assert!(text.contains("boundary=\"=_r1mailusexample\"\r\nContent-Transfer-Encoding: 8bit\r\n"));
    }

    #[test]
    fn a_boundary_that_the_message_holds_is_not_used() {
        let (to, sender) = (address("a@b.example"), address("s@us.example"));
        let recipients = [recipient(&to, Action::Failed)];
        let original = b"Subject: x\r\n\r\n--=_r1mailusexample--\r\n";
        let octets = build(&Report {
            original,
            ..report(&sender, &recipients, Some(Ret::Full))
        });
        let parsed = MessageParser::default().parse(&octets).unwrap();
        assert_eq!(
            parsed
                .parts
                .iter()
                .filter(|part| part.content_type().is_some())
                .count(),
            4
        );
    }

    #[test]
    fn a_hostile_original_cannot_write_headers() {
        let (to, sender) = (address("a@b.example"), address("s@us.example"));
        let recipients = [recipient(&to, Action::Failed)];
        let original = b"Subject: =?utf-8?q?x=0D=0AEvil:_1?=\r\nMessage-ID: <a b>\r\n\r\n";
        let octets = build(&Report {
            original,
            envid: Some("x+0D+0AEvil:+201"),
            ..report(&sender, &recipients, None)
        });
        let text = String::from_utf8(octets).unwrap();
        assert!(!text.contains("\nEvil"), "{text}");
        assert!(!text.contains("Original-Envelope-Id") && !text.contains("In-Reply-To"));
    }
}
