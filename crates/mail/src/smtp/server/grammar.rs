//! The grammar of command lines: a line to a command, or to the reply that says what is wrong with it.

use std::borrow::Cow;

use crate::envelope::is_xtext;
use crate::notify::{Notify, Ret};
use crate::replies;
use crate::reply::Reply;

// RFC 3461 section 4.4
const ENVID_LIMIT: usize = 100;
// RFC 3461 section 4.2
const ORCPT_LIMIT: usize = 500;
// RFC 1870 section 6
const SIZE_DIGITS: usize = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    Ehlo(&'a str),
    Helo(&'a str),
    StartTls,
    Auth {
        mechanism: &'a str,
        initial: Option<&'a str>,
    },
    /// What stands behind `MAIL`.
    Mail(&'a str),
    /// What stands behind `RCPT`.
    Rcpt(&'a str),
    Data,
    Rset,
    Noop,
    Vrfy,
    Help,
    Quit,
    /// Known, and not offered here.
    Elsewhere,
    /// The request line of another protocol.
    OtherProtocol,
}

/// Reads one line, without its ending.
pub(super) fn parse(line: &[u8]) -> Result<Command<'_>, Reply> {
    let line = str::from_utf8(line).map_err(|_| replies::NOT_UTF8)?;
    if line.chars().any(char::is_control) {
        return Err(replies::CONTROL_CHARACTER);
    }
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim_matches(' ');
    let is = |name: &str| verb.eq_ignore_ascii_case(name);
    let bare = |command| {
        if rest.is_empty() {
            Ok(command)
        } else {
            Err(replies::SYNTAX)
        }
    };
    // In the order of their frequency.
    if is("RCPT") {
        Ok(Command::Rcpt(rest))
    } else if is("MAIL") {
        Ok(Command::Mail(rest))
    } else if is("DATA") {
        bare(Command::Data)
    } else if is("EHLO") {
        host(rest).map(Command::Ehlo)
    } else if is("HELO") {
        host(rest).map(Command::Helo)
    } else if is("AUTH") {
        auth(rest)
    } else if is("STARTTLS") {
        bare(Command::StartTls)
    } else if is("RSET") {
        bare(Command::Rset)
    } else if is("QUIT") {
        bare(Command::Quit)
    } else if is("NOOP") {
        Ok(Command::Noop)
    } else if is("VRFY") {
        Ok(Command::Vrfy)
    } else if is("HELP") {
        Ok(Command::Help)
    } else if ["EXPN", "BDAT", "ETRN", "TURN", "SEND", "SOML", "SAML"]
        .into_iter()
        .any(is)
    {
        Ok(Command::Elsewhere)
    } else if [
        "GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "PRI", "PROXY",
    ]
    .into_iter()
    .any(is)
    {
        Ok(Command::OtherProtocol)
    } else {
        Err(replies::UNKNOWN_COMMAND)
    }
}

/// The name a client gives itself. Clients put all sorts of things there, so only its length is held against it.
// RFC 5321 section 4.1.1.1
fn host(rest: &str) -> Result<&str, Reply> {
    if rest.is_empty() || rest.len() > 255 {
        return Err(replies::BAD_HELLO);
    }
    Ok(rest)
}

// RFC 4954 section 4
fn auth(rest: &str) -> Result<Command<'_>, Reply> {
    let mut words = rest.split(' ').filter(|word| !word.is_empty());
    match (words.next(), words.next(), words.next()) {
        (Some(mechanism), initial, None) => Ok(Command::Auth { mechanism, initial }),
        _ => Err(replies::SYNTAX),
    }
}

/// `FROM:<path> parameters` or `TO:<path> parameters` taken apart, the path without its brackets.
///
/// A space behind the colon and a path without brackets are let through, because old scripts write both.
// RFC 5321 section 4.1.2
pub(super) fn path<'a>(rest: &'a str, keyword: &str) -> Result<(&'a str, Parameters<'a>), Reply> {
    let (start, rest) = rest.split_at_checked(keyword.len()).ok_or(replies::SYNTAX)?;
    if !start.eq_ignore_ascii_case(keyword) {
        return Err(replies::SYNTAX);
    }
    let rest = rest.trim_start_matches(' ');
    let Some(inner) = rest.strip_prefix('<') else {
        let (path, parameters) = rest.split_once(' ').unwrap_or((rest, ""));
        if path.is_empty() {
            return Err(replies::SYNTAX);
        }
        return Ok((path, Parameters(parameters)));
    };
    let end = closing_bracket(inner).ok_or(replies::SYNTAX)?;
    let parameters = &inner[end + 1..];
    if !parameters.is_empty() && !parameters.starts_with(' ') {
        return Err(replies::SYNTAX);
    }
    Ok((&inner[..end], Parameters(parameters)))
}

/// The first `>` outside of a quoted string.
fn closing_bracket(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    text.bytes().position(|byte| {
        if escaped {
            escaped = false;
            return false;
        }
        match byte {
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        byte == b'>' && !quoted
    })
}

/// The ESMTP parameters behind a path, not yet read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameters<'a>(&'a str);

impl<'a> Parameters<'a> {
    /// Keywords in upper case, with their values.
    fn iter(self) -> impl Iterator<Item = (Cow<'a, str>, Option<&'a str>)> {
        self.0.split(' ').filter(|word| !word.is_empty()).map(|word| {
            let (keyword, value) = match word.split_once('=') {
                Some((keyword, value)) => (keyword, Some(value)),
                None => (word, None),
            };
            let upper = if keyword.bytes().any(|byte| byte.is_ascii_lowercase()) {
                Cow::Owned(keyword.to_ascii_uppercase())
            } else {
                Cow::Borrowed(keyword)
            };
            (upper, value)
        })
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct MailParameters {
    pub size: Option<u64>,
    pub smtputf8: bool,
    pub ret: Option<Ret>,
    pub envid: Option<String>,
}

/// Reads the parameters of MAIL; each may stand once.
pub(super) fn mail_parameters(parameters: Parameters<'_>) -> Result<MailParameters, Reply> {
    let mut read = MailParameters::default();
    let mut seen = Seen::default();
    for (keyword, value) in parameters.iter() {
        match (&*keyword, value) {
            ("SIZE", Some(value)) => {
                seen.once(0)?;
                read.size = Some(size(value)?);
            }
            // RFC 6152 section 2
            ("BODY", Some(value))
                if value.eq_ignore_ascii_case("8BITMIME") || value.eq_ignore_ascii_case("7BIT") =>
            {
                seen.once(1)?;
            }
            // RFC 6531 section 3.4
            ("SMTPUTF8", None) => {
                seen.once(2)?;
                read.smtputf8 = true;
            }
            ("RET", Some(value)) => {
                seen.once(3)?;
                read.ret = Some(Ret::parse(&value.to_ascii_uppercase()).ok_or(replies::SYNTAX)?);
            }
            ("ENVID", Some(value)) => {
                seen.once(4)?;
                if value.is_empty() || value.len() > ENVID_LIMIT || !is_xtext(value) {
                    return Err(replies::SYNTAX);
                }
                read.envid = Some(value.to_owned());
            }
            // RFC 4954 section 5: whom another server vouches for. Read, and not believed.
            ("AUTH", Some(value)) if is_xtext(value) => seen.once(5)?,
            ("SIZE" | "BODY" | "SMTPUTF8" | "RET" | "ENVID" | "AUTH", _) => return Err(replies::SYNTAX),
            _ => return Err(replies::UNKNOWN_PARAMETER),
        }
    }
    Ok(read)
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RcptParameters {
    pub notify: Notify,
    pub orcpt: Option<String>,
}

/// Reads the parameters of RCPT; each may stand once.
pub(super) fn rcpt_parameters(parameters: Parameters<'_>) -> Result<RcptParameters, Reply> {
    let mut read = RcptParameters::default();
    let mut seen = Seen::default();
    for (keyword, value) in parameters.iter() {
        match (&*keyword, value) {
            ("NOTIFY", Some(value)) => {
                seen.once(0)?;
                read.notify = notify(value).ok_or(replies::SYNTAX)?;
            }
            ("ORCPT", Some(value)) => {
                seen.once(1)?;
                if value.len() > ORCPT_LIMIT || !is_orcpt(value) {
                    return Err(replies::SYNTAX);
                }
                read.orcpt = Some(value.to_owned());
            }
            ("NOTIFY" | "ORCPT", None) => return Err(replies::SYNTAX),
            _ => return Err(replies::UNKNOWN_PARAMETER),
        }
    }
    Ok(read)
}

/// Which parameters have been there.
#[derive(Default)]
struct Seen(u8);

impl Seen {
    // RFC 5321 section 4.1.1.11
    fn once(&mut self, which: u8) -> Result<(), Reply> {
        if self.0 & (1 << which) != 0 {
            return Err(replies::SYNTAX);
        }
        self.0 |= 1 << which;
        Ok(())
    }
}

fn size(value: &str) -> Result<u64, Reply> {
    if value.is_empty() || value.len() > SIZE_DIGITS || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(replies::SYNTAX);
    }
    // Twenty digits may pass 64 bits; whatever the limit is, that is beyond it.
    Ok(value.parse().unwrap_or(u64::MAX))
}

/// NEVER alone, or a list of the others.
// RFC 3461 section 4.1
fn notify(value: &str) -> Option<Notify> {
    if value.eq_ignore_ascii_case("NEVER") {
        return Some(Notify::Never);
    }
    let (mut success, mut failure, mut delay) = (false, false, false);
    for word in value.split(',') {
        let wanted = match word {
            word if word.eq_ignore_ascii_case("SUCCESS") => &mut success,
            word if word.eq_ignore_ascii_case("FAILURE") => &mut failure,
            word if word.eq_ignore_ascii_case("DELAY") => &mut delay,
            _ => return None,
        };
        *wanted = true;
    }
    Some(Notify::On {
        success,
        failure,
        delay,
    })
}

/// An address type, a semicolon and the address as xtext.
// RFC 3461 section 4.2
fn is_orcpt(value: &str) -> bool {
    value.split_once(';').is_some_and(|(kind, address)| {
        !kind.is_empty()
            && kind
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !address.is_empty()
            && is_xtext(address)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn from(rest: &str) -> Result<(&str, MailParameters), Reply> {
        let (path, parameters) = path(rest, "FROM:")?;
        Ok((path, mail_parameters(parameters)?))
    }

    fn to(rest: &str) -> Result<(&str, RcptParameters), Reply> {
        let (path, parameters) = path(rest, "TO:")?;
        Ok((path, rcpt_parameters(parameters)?))
    }

    #[test]
    fn verbs_are_read_in_any_case() {
        assert_eq!(
            parse(b"ehlo  client.example "),
            Ok(Command::Ehlo("client.example"))
        );
        assert_eq!(parse(b"Quit"), Ok(Command::Quit));
        assert_eq!(parse(b"data "), Ok(Command::Data));
        assert_eq!(parse(b"NOOP whatever"), Ok(Command::Noop));
        assert_eq!(
            parse(b"AUTH PLAIN abc="),
            Ok(Command::Auth {
                mechanism: "PLAIN",
                initial: Some("abc=")
            })
        );
    }

    #[test]
    fn malformed_lines_are_told_apart() {
        for (line, reply) in [
            (&b""[..], replies::UNKNOWN_COMMAND),
            (b"FROBNICATE", replies::UNKNOWN_COMMAND),
            (b" NOOP", replies::UNKNOWN_COMMAND),
            (b"EHLO", replies::BAD_HELLO),
            (b"HELO  ", replies::BAD_HELLO),
            (b"DATA now", replies::SYNTAX),
            (b"STARTTLS x", replies::SYNTAX),
            (b"AUTH", replies::SYNTAX),
            (b"AUTH PLAIN a b", replies::SYNTAX),
            (b"NOOP \xff", replies::NOT_UTF8),
            (b"NOOP \xed\xa0\x80", replies::NOT_UTF8),
            (b"NO\0OP", replies::CONTROL_CHARACTER),
            (b"NOOP\r", replies::CONTROL_CHARACTER),
            (b"NO\nOP", replies::CONTROL_CHARACTER),
            (b"NOOP\tx", replies::CONTROL_CHARACTER),
        ] {
            assert_eq!(parse(line), Err(reply), "{:?}", line.escape_ascii().to_string());
        }
    }

    #[test]
    fn paths_are_taken_out_of_their_brackets() {
        for (rest, path) in [
            ("FROM:<a@b.example>", "a@b.example"),
            ("from: <a@b.example> SIZE=1", "a@b.example"),
            ("FROM:a@b.example", "a@b.example"),
            ("FROM:<>", ""),
            ("FROM:<\"a> \\\" b\"@c.example>", "\"a> \\\" b\"@c.example"),
        ] {
            assert_eq!(from(rest).unwrap().0, path);
        }
        for rest in [
            "",
            "FROM",
            "FROM:",
            "TO:<a@b>",
            "FROM:<a@b",
            "FROM:<a@b>SIZE=1",
            "FROM:<a@b>>",
            "FR\u{fc}M:<a@b>",
        ] {
            assert_eq!(from(rest), Err(replies::SYNTAX), "{rest}");
        }
    }

    #[test]
    fn parameters_of_mail_are_read() {
        let (_, read) =
            from("FROM:<a@b> size=00012 BODY=8bitmime SMTPUTF8 RET=hdrs ENVID=a+2Bb AUTH=<>").unwrap();
        assert_eq!(
            read,
            MailParameters {
                size: Some(12),
                smtputf8: true,
                ret: Some(Ret::Headers),
                envid: Some("a+2Bb".into()),
            }
        );
        assert_eq!(
            from("FROM:<a@b> SIZE=99999999999999999999").unwrap().1.size,
            Some(u64::MAX)
        );
    }

    #[test]
    fn parameters_of_rcpt_are_read() {
        let (_, read) = to("TO:<a@b> NOTIFY=success,Delay ORCPT=rfc822;a+2Bc@b").unwrap();
        assert_eq!(
            read.notify,
            Notify::On {
                success: true,
                failure: false,
                delay: true
            }
        );
        assert_eq!(read.orcpt.as_deref(), Some("rfc822;a+2Bc@b"));
        assert_eq!(to("TO:<a@b> NOTIFY=NEVER").unwrap().1.notify, Notify::Never);
    }

    #[test]
    fn malformed_and_unknown_parameters_are_told_apart() {
        let long_envid = format!("ENVID={}", "e".repeat(101));
        for parameter in [
            "SIZE",
            "SIZE=",
            "SIZE=-1",
            "SIZE=1e3",
            "SIZE=999999999999999999999",
            "SIZE=1 SIZE=1",
            "BODY",
            "BODY=BINARYMIME",
            "SMTPUTF8=1",
            "SMTPUTF8 SMTPUTF8",
            "RET=ALL",
            "RET",
            "ENVID=",
            "ENVID=a=b",
            "ENVID=+2b",
            "AUTH",
            &long_envid,
        ] {
            assert_eq!(
                from(&format!("FROM:<a@b> {parameter}")),
                Err(replies::SYNTAX),
                "{parameter}"
            );
        }
        let long_orcpt = format!("ORCPT=rfc822;{}", "o".repeat(500));
        for parameter in [
            "NOTIFY",
            "NOTIFY=",
            "NOTIFY=NEVER,SUCCESS",
            "NOTIFY=SOON",
            "NOTIFY=NEVER NOTIFY=NEVER",
            "ORCPT",
            "ORCPT=a@b",
            "ORCPT=;a@b",
            "ORCPT=rfc822;",
            "ORCPT=rfc822;a=b",
            "ORCPT=rf c;a",
            &long_orcpt,
        ] {
            let rest = format!("TO:<a@b> {parameter}");
            assert!(to(&rest).is_err(), "{parameter}");
        }
        assert_eq!(from("FROM:<a@b> FOO=1"), Err(replies::UNKNOWN_PARAMETER));
        assert_eq!(from("FROM:<a@b> NOTIFY=NEVER"), Err(replies::UNKNOWN_PARAMETER));
        assert_eq!(to("TO:<a@b> SIZE=1"), Err(replies::UNKNOWN_PARAMETER));
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse(&line);
        }

        #[test]
        fn no_path_makes_it_panic(rest in "(FROM:)?<?\\PC{0,30}>?( \\PC{0,20})?") {
            let _ = from(&rest);
            let _ = to(&rest);
        }
    }
}
