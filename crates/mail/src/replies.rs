//! Every reply that Posthouse gives over SMTP, by name: the one place where codes and texts are written.

use std::fmt;
use std::time::Duration;

use crate::address::AddressError;
use crate::message::{AuthorError, AuthorFault, SteerError};
use crate::reply::Reply;

// Success and questions.

pub const BYE: Reply = Reply::new(221, (2, 0, 0), "Bye");
pub const HELP: Reply = Reply::new(
    214,
    (2, 0, 0),
    "Commands: EHLO HELO STARTTLS AUTH MAIL RCPT DATA RSET NOOP VRFY HELP QUIT",
);
pub const READY_FOR_TLS: Reply = Reply::new(220, (2, 0, 0), "Ready to start TLS");
pub const SIGNED_IN: Reply = Reply::new(235, (2, 7, 0), "Authentication succeeded");
pub const OK: Reply = Reply::new(250, (2, 0, 0), "Ok");
pub const SENDER_OK: Reply = Reply::new(250, (2, 1, 0), "Sender ok");
pub const RECIPIENT_OK: Reply = Reply::new(250, (2, 1, 5), "Recipient ok");
// RFC 5321 section 3.5.3: an answer that tells nothing about which mailboxes exist.
pub const NOT_VERIFIED: Reply = Reply::new(252, (2, 0, 0), "Send some mail, delivery will be attempted");
// RFC 4954 section 4
pub const AUTH_CONTINUE: Reply = Reply::plain(334, "");
// "Username:" and "Password:" in base64, which is what clients of LOGIN wait for.
pub const AUTH_USERNAME: Reply = Reply::plain(334, "VXNlcm5hbWU6");
pub const AUTH_PASSWORD: Reply = Reply::plain(334, "UGFzc3dvcmQ6");
pub const START_DATA: Reply = Reply::plain(354, "Go ahead, end with a line that holds only a dot");

/// The first line of a connection.
pub fn banner(hostname: &str) -> Reply {
    Reply::plain(220, "").with_text(format!("{hostname} ESMTP Posthouse"))
}

/// The 250 that ends a message; `id` finds it in the console.
pub fn accepted(id: &dyn fmt::Display) -> Reply {
    OK.with_text(format!("Accepted as {id}"))
}

// Refused for now: the connection ends.

pub const SHUTTING_DOWN: Reply = Reply::new(421, (4, 3, 2), "The service is shutting down, try again soon");
pub const TIMEOUT: Reply = Reply::new(421, (4, 4, 2), "Waited too long for the client");
pub const DATA_TOO_SLOW: Reply = Reply::new(421, (4, 4, 2), "The message arrives too slowly");
pub const TOO_MANY_CONNECTIONS: Reply = Reply::new(421, (4, 7, 0), "Too many connections, try again soon");
pub const TOO_MANY_ERRORS: Reply = Reply::new(421, (4, 7, 0), "Too many errors");
pub const TOO_MANY_SIGN_IN_FAILURES: Reply = Reply::new(421, (4, 7, 0), "Too many failed sign-ins");
pub const SIGNED_OUT: Reply = Reply::new(421, (4, 7, 0), "This sign-in counts no more, sign in again");

// Refused for now: the connection goes on.

pub const STORAGE_ERROR: Reply = Reply::new(451, (4, 3, 0), "Storage is not available, try again later");
pub const STORAGE_FULL: Reply = Reply::new(452, (4, 3, 1), "Storage is full, try again later");
pub const BUSY: Reply = Reply::new(
    452,
    (4, 3, 1),
    "Too much mail is arriving at once, try again soon",
);
/// A report about a message whose own outcome is not recorded yet.
pub const REPORT_TOO_EARLY: Reply = Reply::new(
    451,
    (4, 3, 0),
    "The message that this is about is still being handed over, try again soon",
);
/// Mail to an unsubscribe address that has changed too much lately: what is asked for was not done.
pub const UNSUBSCRIBED_TOO_OFTEN: Reply = Reply::new(
    450,
    (4, 7, 1),
    "This subscription was changed too often lately, try again later",
);
pub const ACCOUNT_CHANGES: Reply = Reply::new(
    451,
    (4, 3, 0),
    "The account is being changed all the time, try again soon",
);
pub const TOO_MANY_RECIPIENTS: Reply = Reply::new(
    452,
    (4, 5, 3),
    "Too many recipients, send to the others in a further message",
);
pub const OUT_OF_CREDITS: Reply = Reply::new(452, (4, 7, 1), "The account has no credits left");
/// There are credits, but not one for each recipient; nobody gets half of a message.
pub fn too_few_credits(recipients: u32, left: i64) -> Reply {
    if left <= 0 {
        return OUT_OF_CREDITS;
    }
    let credits = if left == 1 { "credit" } else { "credits" };
    OUT_OF_CREDITS.with_text(format!(
        "The account has {left} {credits} left, too few for {recipients} recipients"
    ))
}

pub const ACCOUNT_SUSPENDED: Reply = Reply::new(554, (5, 7, 1), "The account is suspended");
// For good, though the pause is not: a person decides, perhaps in days, and a client told "not now" would keep silent for as
// long. So its sender hears at once, and nothing is lost, because nothing was taken.
pub const ACCOUNT_PAUSED: Reply = Reply::new(554, (5, 7, 1), "The account is paused");

/// The operator's word about a suspended account.
pub fn account_suspended(reason: &str) -> Reply {
    because(&ACCOUNT_SUSPENDED, reason)
}

/// What the guard found.
pub fn account_paused(reason: &str) -> Reply {
    because(&ACCOUNT_PAUSED, reason)
}

/// Whether a refusal is [`account_paused`].
pub fn is_account_paused(refusal: &Reply) -> bool {
    refusal.code == ACCOUNT_PAUSED.code && refusal.text.starts_with(&*ACCOUNT_PAUSED.text)
}

fn because(refusal: &Reply, reason: &str) -> Reply {
    if reason.is_empty() {
        refusal.clone()
    } else {
        refusal.with_text(format!("{}: {reason}", refusal.text))
    }
}
pub const SIGN_IN_UNAVAILABLE: Reply = Reply::new(
    454,
    (4, 7, 0),
    "Signing in is not possible at the moment, try again later",
);

// RFC 5321 section 4.2.3 has 450 for what policy blocks for a while. 452 would not do: at RCPT it says that the message has too
// many recipients, and clients send the others in a further message at once.
pub const DAY_USED_UP: Reply = Reply::new(
    450,
    (4, 7, 1),
    "The account has used up its recipients of today, try again tomorrow",
);

/// The account may write to no more than `most` recipients a day, and it is not over.
pub fn day_used_up(most: u32, first_time: bool, left: Duration) -> Reply {
    let whom = if first_time {
        "recipients a day that it never wrote to before"
    } else {
        "recipients a day"
    };
    DAY_USED_UP.with_text(format!(
        "The account may write to {most} {whom}, try again in {}",
        hours(left)
    ))
}

fn hours(left: Duration) -> String {
    let minutes = left.as_secs().div_ceil(60).max(1);
    match minutes {
        1 => "a minute".to_owned(),
        2..=119 => format!("{minutes} minutes"),
        _ => format!("{} hours", minutes.div_ceil(60)),
    }
}

/// The client failed too often; nobody looks at its password for this long.
// RFC 4954 section 6
pub fn sign_in_locked(left: Duration) -> Reply {
    SIGN_IN_UNAVAILABLE.with_text(format!(
        "Too many failed sign-ins, try again in {}",
        minutes(left)
    ))
}

/// Whole minutes, one at least.
fn minutes(wait: Duration) -> String {
    match in_minutes(wait) {
        1 => "a minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    }
}

fn in_minutes(wait: Duration) -> u64 {
    wait.as_secs().div_ceil(60).max(1)
}

/// What may be sent within the hour is sent: by this credential, or whatever else `limit` says.
pub fn rate_reached(limit: &str, wait: Duration) -> Reply {
    let text = format!(
        "The hourly limit of {limit} is reached, try again in {}",
        minutes(wait)
    );
    Reply {
        wait: Some(Duration::from_mins(in_minutes(wait))),
        ..Reply::new(451, (4, 7, 1), "").with_text(text)
    }
}

// What an event hook says.

/// A hook says no, and nothing else: whoever wrote it chose to give no reason.
pub const HOOK_REJECTED: Reply = Reply::bare(554, (5, 7, 1), "Rejected");
pub const HOOK_DEFERRED: Reply = Reply::bare(451, (4, 7, 1), "Deferred, try again later");
/// A hook that broke, whose owner wants nothing to pass without it.
pub const HOOK_FAILED: Reply = Reply::new(
    451,
    (4, 7, 1),
    "A check of this message is not possible at the moment, try again later",
);
/// The longest text of a hook, in characters.
pub const HOOK_TEXT: usize = 300;

/// A hook says no, for this reason.
pub fn hook_rejected(text: Option<&str>) -> Reply {
    said(&HOOK_REJECTED, text)
}

/// A hook says not now, for this reason.
pub fn hook_deferred(text: Option<&str>) -> Reply {
    said(&HOOK_DEFERRED, text)
}

/// One line of what a hook says; its usual words where nothing is left of them.
fn said(reply: &Reply, text: Option<&str>) -> Reply {
    let harmless = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = text.unwrap_or_default().chars().map(harmless).collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text: String = text.chars().take(HOOK_TEXT).collect();
    if text.is_empty() {
        reply.clone()
    } else {
        reply.with_text(text)
    }
}

// Refused for good: what the client said.

pub const LINE_TOO_LONG: Reply = Reply::new(500, (5, 5, 6), "The command line is too long");
pub const UNKNOWN_COMMAND: Reply = Reply::new(500, (5, 5, 1), "Unknown command");
pub const SYNTAX: Reply = Reply::new(501, (5, 5, 4), "Syntax error in the parameters");
pub const NOT_UTF8: Reply = Reply::new(501, (5, 5, 2), "The command is not valid UTF-8");
pub const CONTROL_CHARACTER: Reply = Reply::new(501, (5, 5, 2), "The command holds a control character");
pub const BAD_HELLO: Reply = Reply::new(501, (5, 5, 4), "Name your host, as in EHLO client.example");
pub const BAD_SENDER: Reply = Reply::new(501, (5, 1, 7), "The sender address is not valid");
pub const BAD_RECIPIENT: Reply = Reply::new(501, (5, 1, 3), "The recipient address is not valid");
pub const BAD_RECIPIENT_DOMAIN: Reply = Reply::new(501, (5, 1, 2), "The recipient domain is not valid");
pub const AUTH_CANCELLED: Reply = Reply::new(501, (5, 7, 0), "Authentication cancelled");
pub const AUTH_MALFORMED: Reply = Reply::new(501, (5, 5, 2), "The credentials could not be decoded");
pub const NOT_IMPLEMENTED: Reply = Reply::new(502, (5, 5, 1), "Not implemented");
pub const HELLO_FIRST: Reply = Reply::new(503, (5, 5, 1), "Say EHLO first");
pub const MAIL_FIRST: Reply = Reply::new(503, (5, 5, 1), "Say MAIL first");
pub const NESTED_MAIL: Reply = Reply::new(503, (5, 5, 1), "A transaction is open already");
pub const NO_VALID_RECIPIENTS: Reply = Reply::new(554, (5, 5, 1), "No valid recipients");
pub const TLS_ALREADY: Reply = Reply::new(503, (5, 5, 1), "TLS is active already");
pub const AUTH_ALREADY: Reply = Reply::new(503, (5, 5, 1), "You have signed in already");
pub const AUTH_IN_TRANSACTION: Reply =
    Reply::new(503, (5, 5, 1), "Signing in is not possible inside a transaction");
pub const AUTH_MECHANISM: Reply = Reply::new(504, (5, 5, 4), "Use AUTH PLAIN or AUTH LOGIN");
pub const UNKNOWN_PARAMETER: Reply = Reply::new(555, (5, 5, 4), "Unknown parameter");

// Refused for good: policy.

pub const SIGN_IN_FAILED: Reply = Reply::new(535, (5, 7, 8), "Authentication failed");
// RFC 4954 section 6
pub const TLS_REQUIRED: Reply = Reply::new(538, (5, 7, 11), "Start TLS before you sign in");
pub const AUTH_LINE_TOO_LONG: Reply = Reply::new(500, (5, 5, 6), "The credentials are too long");
pub const RELAY_DENIED: Reply = Reply::new(550, (5, 7, 1), "Relaying is not allowed, sign in first");
pub const SENDER_NOT_ALLOWED: Reply = Reply::new(553, (5, 7, 1), "This account may not send as this address");
pub const SANDBOXED: Reply = Reply::new(
    550,
    (5, 7, 1),
    "The account is in the sandbox: it sends to its own address only, until one of its sending domains is verified",
);
pub const NO_SUCH_TEST_ADDRESS: Reply = Reply::new(
    550,
    (5, 1, 1),
    "There is no such test address, its name is delivered, hard-bounce, soft-bounce, complaint or slow",
);
pub const TEST_ADDRESS_AMONG_OTHERS: Reply = Reply::new(
    550,
    (5, 5, 0),
    "A message to a test address has no other recipients, because nothing of a test leaves",
);
pub const FROM_NOT_ALLOWED: Reply = Reply::new(
    550,
    (5, 7, 1),
    "This account may not send with this From header field",
);
pub const FROM_NOT_ONE: Reply = Reply::new(
    550,
    (5, 7, 1),
    "The message needs one From header field with one address",
);
pub const NULL_SENDER_MANY: Reply =
    Reply::new(550, (5, 7, 1), "Mail from the null sender goes to one recipient");
pub const TOO_BIG: Reply = Reply::new(552, (5, 3, 4), "The message is too big");
pub const HEADER_TOO_BIG: Reply = Reply::new(552, (5, 3, 4), "The header of the message is too big");
/// An hourly limit that waiting does not help with; [`never_fits`] says which.
// RFC 3463 section 3.3: X.2.3, more than an administrative limit.
pub const NEVER_FITS: Reply = Reply::new(
    552,
    (5, 2, 3),
    "The message alone is more than an hourly limit lets through",
);
pub const NEEDS_SMTPUTF8: Reply = Reply::new(
    553,
    (5, 6, 7),
    "An address beyond ASCII needs the SMTPUTF8 parameter",
);
pub const OUT_OF_STEP: Reply = Reply::new(554, (5, 5, 0), "Out of step: wait for the reply before you go on");
pub const NOT_SMTP: Reply = Reply::new(554, (5, 5, 0), "This is an SMTP port");
pub const BARE_CR_OR_NUL: Reply = Reply::new(
    554,
    (5, 6, 0),
    "The message holds a NUL, or a CR that no LF follows",
);
pub const BARE_LF: Reply = Reply::new(554, (5, 6, 0), "The message holds an LF that follows no CR");
pub const TEXT_LINE_TOO_LONG: Reply = Reply::new(554, (5, 6, 0), "The message holds a line that is too long");
pub const MAIL_LOOP: Reply = Reply::new(
    554,
    (5, 4, 6),
    "The message is in a loop: too many Received header fields",
);

pub const BAD_STEERING: Reply = Reply::new(
    554,
    (5, 5, 4),
    "A header field that steers the message does not say what it has to",
);
pub const STREAM_NOT_ALLOWED: Reply =
    Reply::new(554, (5, 7, 0), "This credential sends in another stream only");
pub const KEY_USED: Reply = Reply::new(
    554,
    (5, 7, 0),
    "This idempotency key stands for another message of the last 24 hours",
);

/// A header field that steers the message and cannot be followed.
pub fn bad_steering(error: &SteerError) -> Reply {
    BAD_STEERING.with_text(sentence(error))
}

/// The message names a stream that its account has not got, or has no more.
pub fn no_such_stream(fault: impl fmt::Display) -> Reply {
    BAD_STEERING.with_text(sentence(fault))
}

/// What the client signed in with sends in one stream, and the message names another.
pub fn stream_not_allowed(fault: impl fmt::Display) -> Reply {
    STREAM_NOT_ALLOWED.with_text(sentence(fault))
}

/// The message alone is more than the hourly limit of this lets through, which is so much.
pub fn never_fits(limit: &str, most: &str) -> Reply {
    NEVER_FITS.with_text(format!(
        "The message alone is more than the hourly limit of {limit} lets through, which is {most}"
    ))
}

/// A refused sender, with the rule or limit that its address broke.
pub fn bad_sender(error: AddressError) -> Reply {
    BAD_SENDER.with_text(sentence(error))
}

/// A header field that does not say plainly whom the message is from.
pub fn bad_author(error: AuthorError) -> Reply {
    match error {
        AuthorError {
            field: "From",
            fault: AuthorFault::NotOne,
        } => FROM_NOT_ONE,
        error => FROM_NOT_ONE.with_text(sentence(error)),
    }
}

/// A field beside From that names somebody whom the account may not send as.
pub fn author_not_allowed(field: &str) -> Reply {
    FROM_NOT_ALLOWED.with_text(format!(
        "This account may not send with this {field} header field"
    ))
}

/// A refused recipient, with the rule or limit that its address broke.
pub fn bad_recipient(error: AddressError) -> Reply {
    let reply = if error.is_about_the_domain() {
        BAD_RECIPIENT_DOMAIN
    } else {
        BAD_RECIPIENT
    };
    reply.with_text(sentence(error))
}

/// The help pages that refusals name.
pub const HELP_PAGES: [&str; 12] = [
    "account-paused",
    "authentication-failed",
    "credits",
    "hooks",
    "maximum-address-length",
    "maximum-size",
    "sending-limits",
    "smtp-554",
    "smtp-errors",
    "steering-headers",
    "test-addresses",
    "verify-a-domain",
];

/// The help page about a refusal.
pub fn help_page(refusal: &Reply) -> &'static str {
    let enhanced = refusal
        .enhanced
        .map(|code| (code.class, code.subject, code.detail));
    if *refusal == RELAY_DENIED {
        return "authentication-failed";
    }
    if *refusal == HOOK_FAILED {
        return "hooks";
    }
    if is_account_paused(refusal) {
        return "account-paused";
    }
    if [NO_SUCH_TEST_ADDRESS, TEST_ADDRESS_AMONG_OTHERS].contains(refusal) {
        return "test-addresses";
    }
    match (refusal.code, enhanced) {
        (454 | 504 | 535 | 538, _) => "authentication-failed",
        (450, Some((4, 7, 1))) => "sending-limits",
        (452, Some((4, 7, 1))) => "credits",
        (501, Some((5, 1, _))) => "maximum-address-length",
        (552, Some((5, 3, 4))) => "maximum-size",
        (554, Some((5, 5, 4) | (5, 7, 0))) => "steering-headers",
        (554, _) => "smtp-554",
        (550 | 553, Some((5, 7, 1))) => "verify-a-domain",
        _ => "smtp-errors",
    }
}

/// A refusal that names its help page; `pages` is what stands before the page's name in its address.
pub fn with_help(refusal: &Reply, pages: &str) -> Reply {
    // An address that was broken would lead nowhere, so a long one gets a line of its own.
    const LONG: usize = 400;
    if refusal.bare {
        return refusal.clone();
    }
    let (text, page) = (&refusal.text, help_page(refusal));
    let line = format!("{text}, see {pages}{page}");
    let line = if line.len() > LONG {
        format!("{text}\nSee {pages}{page}")
    } else {
        line
    };
    refusal.with_text(line)
}

fn sentence(error: impl fmt::Display) -> String {
    let mut text = error.to_string();
    // The messages start with an article in lower case.
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reached_rate_says_how_long_to_wait_in_words_and_as_a_number() {
        for (seconds, words, minutes) in [
            (0, "a minute", 1),
            (61, "2 minutes", 2),
            (2_520, "42 minutes", 42),
        ] {
            let reply = rate_reached("the sandbox", Duration::from_secs(seconds));
            assert_eq!(
                reply.text,
                format!("The hourly limit of the sandbox is reached, try again in {words}")
            );
            assert_eq!(reply.wait, Some(Duration::from_mins(minutes)));
            assert_eq!(with_help(&reply, "https://us.example/help/").wait, reply.wait);
        }
    }

    #[test]
    fn what_never_fits_is_refused_for_good() {
        let reply = never_fits("the sandbox", "256 MiB over all recipients");
        assert_eq!(
            reply.to_string(),
            "552 5.2.3 The message alone is more than the hourly limit of the sandbox lets through, which is 256 MiB over all recipients"
        );
        assert_eq!((reply.wait, help_page(&reply)), (None, "smtp-errors"));
    }

    #[test]
    fn a_hook_refuses_in_its_own_words_and_in_one_line() {
        let pages = "https://us.example/help/";
        let line = |reply: &Reply| with_help(reply, pages).to_string();
        assert_eq!(line(&hook_rejected(None)), "554 5.7.1 Rejected");
        assert_eq!(line(&hook_rejected(Some(" \r\n\0"))), "554 5.7.1 Rejected");
        assert_eq!(
            line(&hook_rejected(Some("No\r\n250 really"))),
            "554 5.7.1 No 250 really"
        );
        assert_eq!(hook_rejected(Some(&"x".repeat(1_000))).text.len(), HOOK_TEXT);
        assert_eq!(line(&hook_deferred(Some("Later."))), "451 4.7.1 Later.");
        assert!(line(&HOOK_FAILED).ends_with("see https://us.example/help/hooks"));
    }

    #[test]
    fn an_address_error_becomes_a_reply_that_names_the_limit() {
        let long = format!("{}@example.org", "l".repeat(65));
        let error = crate::address::Address::parse(&long).unwrap_err();
        assert_eq!(
            bad_recipient(error).to_string(),
            "501 5.1.3 The part before the @ has 65 octets, 64 are allowed"
        );
        assert_eq!(bad_recipient(AddressError::BadDomain).code, 501);
        assert_eq!(
            bad_sender(AddressError::NoAt).to_string(),
            "501 5.1.7 The address has no @"
        );
    }

    #[test]
    fn a_refused_author_names_the_header_field() {
        let refused = |field, fault| bad_author(AuthorError { field, fault }).to_string();
        assert_eq!(refused("From", AuthorFault::NotOne), FROM_NOT_ONE.to_string());
        assert_eq!(
            refused("Resent-Sender", AuthorFault::Route),
            "550 5.7.1 The Resent-Sender header field holds a source route"
        );
        assert_eq!(
            author_not_allowed("Sender").to_string(),
            "550 5.7.1 This account may not send with this Sender header field"
        );
    }

    #[test]
    fn a_locked_client_hears_for_how_many_minutes() {
        for (seconds, words) in [
            (0, "a minute"),
            (60, "a minute"),
            (61, "2 minutes"),
            (300, "5 minutes"),
        ] {
            assert_eq!(
                sign_in_locked(Duration::from_secs(seconds)).to_string(),
                format!("454 4.7.0 Too many failed sign-ins, try again in {words}")
            );
        }
    }

    #[test]
    fn a_used_up_day_says_what_the_limit_is_and_when_the_next_one_begins() {
        for (first_time, left, text) in [
            (
                false,
                30,
                "450 4.7.1 The account may write to 200 recipients a day, try again in a minute",
            ),
            (
                false,
                5_401,
                "450 4.7.1 The account may write to 200 recipients a day, try again in 91 minutes",
            ),
            (
                true,
                7_201,
                "450 4.7.1 The account may write to 200 recipients a day that it never wrote to before, try again in 3 hours",
            ),
        ] {
            assert_eq!(
                day_used_up(200, first_time, Duration::from_secs(left)).to_string(),
                text
            );
        }
    }

    #[test]
    fn a_refusal_names_the_page_about_it() {
        let pages = "https://mail.example.com/help/";
        assert_eq!(
            with_help(&SIGN_IN_FAILED, pages).to_string(),
            "535 5.7.8 Authentication failed, see https://mail.example.com/help/authentication-failed"
        );
        for (refusal, page) in [
            (RELAY_DENIED, "authentication-failed"),
            (TLS_REQUIRED, "authentication-failed"),
            (FROM_NOT_ALLOWED, "verify-a-domain"),
            (SENDER_NOT_ALLOWED, "verify-a-domain"),
            (BAD_STEERING, "steering-headers"),
            (KEY_USED, "steering-headers"),
            (NO_SUCH_TEST_ADDRESS, "test-addresses"),
            (TEST_ADDRESS_AMONG_OTHERS, "test-addresses"),
            (BARE_LF, "smtp-554"),
            (bad_recipient(AddressError::NoAt), "maximum-address-length"),
            (TOO_BIG, "maximum-size"),
            (account_suspended("unpaid"), "smtp-554"),
            (
                account_paused("61 of the last 700 recipients bounced"),
                "account-paused",
            ),
            (OUT_OF_CREDITS, "credits"),
            (DAY_USED_UP, "sending-limits"),
            (too_few_credits(20, 3), "credits"),
            (STORAGE_FULL, "smtp-errors"),
            (UNKNOWN_COMMAND, "smtp-errors"),
        ] {
            assert_eq!(help_page(&refusal), page, "{refusal}");
            assert!(HELP_PAGES.contains(&page), "{page}");
        }
    }

    #[test]
    fn a_reply_line_stays_within_its_limit_whatever_the_address_of_the_pages() {
        for length in [1, 253, 380, 420] {
            let pages = format!("https://{}/help/", "h".repeat(length));
            let bytes = with_help(&SENDER_NOT_ALLOWED, &pages).to_bytes();
            let text = String::from_utf8(bytes).unwrap();
            assert!(text.lines().all(|line| line.len() + 2 <= 512), "{text}");
            assert!(text.contains(&format!("{pages}verify-a-domain")), "{text}");
        }
    }

    #[test]
    fn the_banner_and_the_last_reply_carry_their_names() {
        assert_eq!(banner("mx.example").to_string(), "220 mx.example ESMTP Posthouse");
        assert_eq!(accepted(&7).to_string(), "250 2.0.0 Accepted as 7");
    }
}
