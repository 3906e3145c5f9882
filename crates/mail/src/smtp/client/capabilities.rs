//! What a server says in its EHLO reply that it can do.

/// The extensions that a client makes use of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities {
    pub pipelining: bool,
    /// SIZE was announced; its limit, zero when none was given.
    pub size: Option<u64>,
    pub eight_bit_mime: bool,
    pub smtputf8: bool,
    pub dsn: bool,
    pub starttls: bool,
    pub auth_plain: bool,
    pub auth_login: bool,
}

impl Capabilities {
    /// Reads the lines of an EHLO reply; the first is the server's greeting (RFC 5321 section 4.1.1.1).
    pub fn parse(text: &str) -> Self {
        let mut found = Self::default();
        for line in text.split('\n').skip(1) {
            // A form of AUTH from before RFC 2554 that some servers still announce.
            let line = line.trim().to_ascii_uppercase().replacen("AUTH=", "AUTH ", 1);
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("PIPELINING") => found.pipelining = true,
                Some("SIZE") => found.size = Some(words.next().and_then(|n| n.parse().ok()).unwrap_or(0)),
                Some("8BITMIME") => found.eight_bit_mime = true,
                Some("SMTPUTF8") => found.smtputf8 = true,
                Some("DSN") => found.dsn = true,
                Some("STARTTLS") => found.starttls = true,
                Some("AUTH") => {
                    for mechanism in words {
                        found.auth_plain |= mechanism == "PLAIN";
                        found.auth_login |= mechanism == "LOGIN";
                    }
                }
                _ => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_read_in_any_case_and_unknown_ones_ignored() {
        let found = Capabilities::parse(
            "mx.example at your service\nPipelining\nSIZE 1000\n8bitmime\nSMTPUTF8\nDSN\nstarttls\nAUTH=login\nAUTH GSSAPI PLAIN\nXFOO",
        );
        assert_eq!(
            found,
            Capabilities {
                pipelining: true,
                size: Some(1_000),
                eight_bit_mime: true,
                smtputf8: true,
                dsn: true,
                starttls: true,
                auth_plain: true,
                auth_login: true,
            }
        );
    }

    #[test]
    fn the_greeting_is_no_extension_and_size_may_have_no_limit() {
        assert_eq!(
            Capabilities::parse("PIPELINING\nSIZE"),
            Capabilities {
                size: Some(0),
                ..Capabilities::default()
            }
        );
    }
}
