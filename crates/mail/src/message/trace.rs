//! What acceptance writes on top of a message: the Received field, and Date and Message-ID where they are missing.

use super::head::Head;
use crate::address::Address;
use crate::time::Time;
use std::fmt::Write as _;
use std::net::IpAddr;

/// How a message came in, for its Received field.
#[derive(Debug, Clone, Copy)]
pub struct Trace<'a> {
    /// What the client called itself; empty when it came in by other means than SMTP.
    pub helo: &'a str,
    pub ip: Option<IpAddr>,
    /// Our own name.
    pub by: &'a str,
    /// `ESMTPSA` and its like (RFC 3848), or `HTTP`.
    pub with: &'a str,
    pub id: &'a str,
    /// TLS version and cipher, for the comment.
    pub tls: Option<&'a str>,
    /// The recipient, where there is only one: several would tell each of the others.
    pub only_recipient: Option<&'a Address>,
    pub at: Time,
}

impl Trace<'_> {
    /// The Received field with its line end (RFC 5321 section 4.4).
    pub fn received(&self) -> String {
        let mut field = String::with_capacity(256);
        field.push_str("Received: ");
        if !self.helo.is_empty() || self.ip.is_some() {
            field.push_str("from ");
            field.push_str(&shown_helo(self.helo));
            match self.ip {
                // RFC 5321 section 4.1.3: address literals.
                Some(IpAddr::V4(ip)) => write!(field, " ([{ip}])").expect("a String takes it"),
                Some(IpAddr::V6(ip)) => write!(field, " ([IPv6:{ip}])").expect("a String takes it"),
                None => {}
            }
            field.push_str("\r\n\t");
        }
        write!(field, "by {} with {}", self.by, self.with).expect("a String takes it");
        if let Some(tls) = self.tls {
            write!(field, " ({tls})").expect("a String takes it");
        }
        write!(field, "\r\n\tid {}", self.id).expect("a String takes it");
        if let Some(recipient) = self.only_recipient {
            write!(field, "\r\n\tfor <{recipient}>").expect("a String takes it");
        }
        write!(field, ";\r\n\t{}\r\n", self.at.rfc5322()).expect("a String takes it");
        field
    }
}

/// The HELO name as the client gave it, unless it could be read as something else of the field.
fn shown_helo(helo: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    if helo.is_empty() {
        return "unknown".into();
    }
    helo.chars()
        .take(255)
        .map(|c| if plain(c) || c as u32 > 0xA0 { c } else { '?' })
        .collect()
}

impl Head<'_> {
    /// Date and Message-ID fields for a message that came without them, with their line ends.
    ///
    /// RFC 6409 section 8: a submission server may add what is missing. A Date that is empty counts as missing
    /// only when there is no such field at all: two of them would be worse.
    pub fn completion(&self, now: Time, message_id: &str) -> String {
        let mut fields = String::new();
        if !self.has("date") {
            write!(fields, "Date: {}\r\n", now.rfc5322()).expect("a String takes it");
        }
        if !self.has("message-id") {
            write!(fields, "Message-ID: <{message_id}>\r\n").expect("a String takes it");
        }
        // RFC 5322 section 3.6.6: resending adds a block of its own, which needs its date and id too.
        if self.has("resent-from") || self.has("resent-to") {
            if !self.has("resent-date") {
                write!(fields, "Resent-Date: {}\r\n", now.rfc5322()).expect("a String takes it");
            }
            if !self.has("resent-message-id") {
                write!(fields, "Resent-Message-ID: <r.{message_id}>\r\n").expect("a String takes it");
            }
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace() -> Trace<'static> {
        Trace {
            helo: "client.example",
            ip: Some("192.0.2.1".parse().unwrap()),
            by: "mail.example.com",
            with: "ESMTPSA",
            id: "0190",
            tls: Some("TLSv1.3 TLS13_AES_256_GCM_SHA384"),
            only_recipient: None,
            at: Time::from_secs(0),
        }
    }

    #[test]
    fn received_says_from_whom_how_and_when() {
        let recipient = Address::parse("a@b.example").unwrap();
        assert_eq!(
            Trace {
                only_recipient: Some(&recipient),
                ..trace()
            }
            .received(),
            "Received: from client.example ([192.0.2.1])\r\n\tby mail.example.com with ESMTPSA (TLSv1.3 TLS13_AES_256_GCM_SHA384)\r\n\t\
             id 0190\r\n\tfor <a@b.example>;\r\n\tThu, 01 Jan 1970 00:00:00 +0000\r\n"
        );
    }

    #[test]
    fn a_hostile_helo_name_stays_one_word() {
        let field = Trace {
            helo: "x (y) by z;\r\nBcc: a@b",
            ip: None,
            tls: None,
            ..trace()
        }
        .received();
        assert!(
            field.starts_with("Received: from x??y??by?z???Bcc:?a?b\r\n\tby "),
            "{field}"
        );
    }

    #[test]
    fn a_message_from_the_api_has_no_from_clause() {
        let field = Trace {
            helo: "",
            ip: None,
            tls: None,
            with: "HTTP",
            ..trace()
        }
        .received();
        assert!(
            field.starts_with("Received: by mail.example.com with HTTP\r\n"),
            "{field}"
        );
    }

    #[test]
    fn only_what_is_missing_is_added() {
        let completed = |raw: &str| {
            Head::parse(raw.as_bytes())
                .unwrap()
                .completion(Time::from_secs(0), "1@x")
        };
        assert_eq!(
            completed("From: a@b\r\n\r\n"),
            "Date: Thu, 01 Jan 1970 00:00:00 +0000\r\nMessage-ID: <1@x>\r\n"
        );
        assert_eq!(completed("Date: x\r\nMessage-Id: <y>\r\n\r\n"), "");
        assert_eq!(
            completed("Date: x\r\nMessage-Id: <y>\r\nResent-From: c@d\r\n\r\n"),
            "Resent-Date: Thu, 01 Jan 1970 00:00:00 +0000\r\nResent-Message-ID: <r.1@x>\r\n"
        );
    }
}
