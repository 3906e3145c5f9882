//! Mail addresses and domains: one canonical form of each, and an error that says which rule or limit broke.
//!
//! A domain is kept as lower-case A-labels, so that two spellings of one domain compare equal. A local part keeps its
//! case and is quoted only where it has to be. Address literals and source routes are refused: nothing here delivers to them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

// RFC 5321 section 4.5.3.1.1
const LOCAL_LIMIT: usize = 64;
// RFC 5321 section 4.5.3.1.2
const DOMAIN_LIMIT: usize = 255;
// RFC 1035 section 2.3.4
const LABEL_LIMIT: usize = 63;
// RFC 5321 section 4.5.3.1.3: a path has 256 octets, two of them are its brackets.
const ADDRESS_LIMIT: usize = 254;

/// Why a text is not an address that can be used here; the message is fit for the person who typed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("the address is empty")]
    Empty,
    #[error("the address has no @")]
    NoAt,
    #[error("nothing stands before the @")]
    EmptyLocal,
    #[error("nothing stands behind the @")]
    EmptyDomain,
    #[error("the part before the @ has {0} octets, {LOCAL_LIMIT} are allowed")]
    LocalTooLong(usize),
    #[error("the domain has {0} octets, {DOMAIN_LIMIT} are allowed")]
    DomainTooLong(usize),
    #[error("a label of the domain has {0} octets, {LABEL_LIMIT} are allowed")]
    LabelTooLong(usize),
    #[error("the address has {0} octets, {ADDRESS_LIMIT} are allowed")]
    AddressTooLong(usize),
    #[error("the part before the @ is not well formed")]
    BadLocal,
    #[error("the domain is not a valid name")]
    BadDomain,
    #[error("IP addresses are not accepted as a domain")]
    Literal,
    #[error("source routes are not accepted")]
    SourceRoute,
}

impl AddressError {
    /// Whether the fault lies right of the @, which SMTP reports under its own code.
    pub const fn is_about_the_domain(self) -> bool {
        matches!(
            self,
            Self::EmptyDomain
                | Self::DomainTooLong(_)
                | Self::LabelTooLong(_)
                | Self::BadDomain
                | Self::Literal
        )
    }
}

/// A domain name as lower-case A-labels without the final dot. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(Arc<str>);

impl Domain {
    /// Reads U-labels or A-labels in any case.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Err(AddressError::EmptyDomain);
        }
        if text.starts_with('[') {
            return Err(AddressError::Literal);
        }
        // Every octet of a U-label costs at least one in its A-label, so this bounds the work of the mapping below.
        if text.len() > 4 * DOMAIN_LIMIT {
            return Err(AddressError::DomainTooLong(text.len()));
        }
        let ascii = to_ascii(text)?;
        check_lengths(&ascii)?;
        if ascii
            .rsplit('.')
            .next()
            .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()))
        {
            // No top-level domain is a number: this is an IPv4 address whose brackets were forgotten.
            return Err(AddressError::Literal);
        }
        Ok(Self(Arc::from(ascii)))
    }

    /// The A-label form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form for people: U-labels where the A-labels decode, the A-labels otherwise.
    pub fn to_unicode(&self) -> Cow<'_, str> {
        if !has_a_label(&self.0) {
            return Cow::Borrowed(&self.0);
        }
        Uts46::new()
            .to_unicode(self.0.as_bytes(), AsciiDenyList::STD3, Hyphens::Allow)
            .0
    }

    /// Whether this is `other` or lies below it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0
            .strip_suffix(&*other.0)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

fn to_ascii(text: &str) -> Result<Cow<'_, str>, AddressError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    if text.bytes().all(plain) && !has_a_label(text) {
        return Ok(if text.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(text.to_ascii_lowercase())
        } else {
            Cow::Borrowed(text)
        });
    }
    // RFC 5891 section 4; lengths are checked afterwards, because the error there says which one broke.
    Uts46::new()
        .to_ascii(
            text.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::Allow,
            DnsLength::Ignore,
        )
        .map_err(|_| AddressError::BadDomain)
}

fn has_a_label(domain: &str) -> bool {
    domain.split('.').any(|label| {
        label
            .as_bytes()
            .first_chunk::<4>()
            .is_some_and(|start| start.eq_ignore_ascii_case(b"xn--"))
    })
}

fn check_lengths(ascii: &str) -> Result<(), AddressError> {
    if ascii.len() > DOMAIN_LIMIT {
        return Err(AddressError::DomainTooLong(ascii.len()));
    }
    for label in ascii.split('.') {
        if label.len() > LABEL_LIMIT {
            return Err(AddressError::LabelTooLong(label.len()));
        }
        // An empty label is a leading, doubled or final dot.
        if label.is_empty() || label.starts_with('-') || label.ends_with('-') {
            return Err(AddressError::BadDomain);
        }
    }
    Ok(())
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Domain {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

/// A mailbox without brackets or display name: `local@domain`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    local: Arc<str>,
    domain: Domain,
}

impl Address {
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        // RFC 5321 section 4.1.1.3: a source route starts with @; it may be ignored or refused, and here it is refused.
        if text.starts_with('@') {
            return Err(if text.contains(':') {
                AddressError::SourceRoute
            } else {
                AddressError::EmptyLocal
            });
        }
        let (local, rest) = if text.starts_with('"') {
            quoted_local(text)?
        } else {
            let (local, rest) = text.split_once('@').ok_or(AddressError::NoAt)?;
            (Cow::Borrowed(local), rest)
        };
        if local.len() > LOCAL_LIMIT {
            return Err(AddressError::LocalTooLong(local.len()));
        }
        if !local.starts_with('"') && !is_dot_string(&local) {
            return Err(AddressError::BadLocal);
        }
        let domain = Domain::parse(rest)?;
        let octets = local.len() + 1 + domain.as_str().len();
        if octets > ADDRESS_LIMIT {
            return Err(AddressError::AddressTooLong(octets));
        }
        Ok(Self {
            local: Arc::from(local),
            domain,
        })
    }

    /// The local part as it is written in SMTP: quoted where it has to be.
    pub fn local(&self) -> &str {
        &self.local
    }

    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Whether only a server that announces SMTPUTF8 can take it. The domain never asks for that: it is kept as A-labels.
    // RFC 6531 section 3.1
    pub fn needs_smtputf8(&self) -> bool {
        !self.local.is_ascii()
    }

    /// The form under which a login is looked up: the whole address in lower case.
    pub fn login_key(&self) -> String {
        let mut key = self.local.to_lowercase();
        key.push('@');
        key.push_str(self.domain.as_str());
        key
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.local)?;
        f.write_str("@")?;
        f.write_str(self.domain.as_str())
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

/// Splits `"…"@rest` and brings the local part to its shortest form, so that `"joe"@x` and `joe@x` are one address.
// RFC 5321 section 4.1.2
fn quoted_local(text: &str) -> Result<(Cow<'_, str>, &str), AddressError> {
    let mut content = String::new();
    let mut characters = text.char_indices().skip(1);
    let end = loop {
        match characters.next().ok_or(AddressError::BadLocal)? {
            (at, '"') => break at,
            (_, '\\') => match characters.next() {
                Some((_, c @ ' '..='~')) => content.push(c),
                _ => return Err(AddressError::BadLocal),
            },
            (_, c) if c.is_control() => return Err(AddressError::BadLocal),
            (_, c) => content.push(c),
        }
        // Before anything is built from it: a quoted string may be as long as the command line.
        if content.len() > LOCAL_LIMIT {
            return Err(AddressError::LocalTooLong(content.len()));
        }
    };
    let rest = text[end + 1..].strip_prefix('@').ok_or(AddressError::NoAt)?;
    if content.is_empty() {
        return Err(AddressError::EmptyLocal);
    }
    if is_dot_string(&content) {
        return Ok((Cow::Owned(content), rest));
    }
    let mut local = String::with_capacity(content.len() + 2);
    local.push('"');
    for c in content.chars() {
        if c == '"' || c == '\\' {
            local.push('\\');
        }
        local.push(c);
    }
    local.push('"');
    Ok((Cow::Owned(local), rest))
}

/// Atoms joined by single dots; anything beyond ASCII counts as atom text except controls and spaces.
// RFC 5321 section 4.1.2, RFC 6531 section 3.3
fn is_dot_string(text: &str) -> bool {
    !text.is_empty()
        && text.split('.').all(|atom| !atom.is_empty())
        && text.chars().all(|c| match c {
            '.' => true,
            c if c.is_ascii() => c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c),
            c => !c.is_control() && !c.is_whitespace(),
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> String {
        Address::parse(text).unwrap().to_string()
    }

    fn refused(text: &str) -> AddressError {
        Address::parse(text).unwrap_err()
    }

    #[test]
    fn the_domain_is_lowered_and_the_local_part_keeps_its_case() {
        assert_eq!(parsed("Joe.Doe@EXAMPLE.Org"), "Joe.Doe@example.org");
        assert_eq!(
            Address::parse("Joe.Doe@EXAMPLE.Org").unwrap().login_key(),
            "joe.doe@example.org"
        );
    }

    #[test]
    fn a_u_label_and_its_a_label_are_one_domain() {
        let u = Domain::parse("Bücher.example").unwrap();
        let a = Domain::parse("XN--bcher-KVA.example").unwrap();
        assert_eq!(u, a);
        assert_eq!(u.as_str(), "xn--bcher-kva.example");
        assert_eq!(a.to_unicode(), "bücher.example");
        assert_eq!(Domain::parse("example.org").unwrap().to_unicode(), "example.org");
    }

    #[test]
    fn a_false_a_label_is_refused() {
        assert_eq!(Domain::parse("xn--zz-.example"), Err(AddressError::BadDomain));
    }

    #[test]
    fn a_subdomain_lies_within_its_parent_and_a_longer_name_does_not() {
        let domain = |text| Domain::parse(text).unwrap();
        assert!(domain("a.example.org").is_within(&domain("example.org")));
        assert!(domain("example.org").is_within(&domain("example.org")));
        assert!(!domain("notexample.org").is_within(&domain("example.org")));
    }

    #[test]
    fn needless_quotes_are_taken_off_and_needed_ones_stay() {
        assert_eq!(parsed("\"joe\"@example.org"), "joe@example.org");
        assert_eq!(parsed("\"j\\oe\"@example.org"), "joe@example.org");
        assert_eq!(parsed("\"joe doe\"@example.org"), "\"joe doe\"@example.org");
        assert_eq!(
            parsed("\"user@evil.example\"@example.org"),
            "\"user@evil.example\"@example.org"
        );
        assert_eq!(parsed("\"a\\\"b\"@example.org"), "\"a\\\"b\"@example.org");
        assert_eq!(parsed("\"a..b\"@example.org"), "\"a..b\"@example.org");
    }

    #[test]
    fn percent_and_bang_are_plain_local_parts() {
        assert_eq!(parsed("user%dom@example.org"), "user%dom@example.org");
        assert_eq!(parsed("us!user@example.org"), "us!user@example.org");
    }

    #[test]
    fn malformed_addresses_are_refused_with_the_reason() {
        use AddressError::{BadDomain, BadLocal, Empty, EmptyDomain, EmptyLocal, Literal, NoAt, SourceRoute};
        for (text, reason) in [
            ("", Empty),
            ("joe", NoAt),
            ("@example.org", EmptyLocal),
            ("\"\"@example.org", EmptyLocal),
            ("joe@", EmptyDomain),
            ("@us.example:user@x.example", SourceRoute),
            ("joe@[192.0.2.1]", Literal),
            ("joe@[IPv6:2001:db8::1]", Literal),
            ("joe@192.0.2.1", Literal),
            ("joe@example.org.", BadDomain),
            ("joe@.example.org", BadDomain),
            ("joe@exa..mple.org", BadDomain),
            ("joe@-example.org", BadDomain),
            ("joe@exa_mple.org", BadDomain),
            ("joe@exa mple.org", BadDomain),
            ("joe@a@b.example", BadDomain),
            ("joe@example.org\r\n", BadDomain),
            ("joe@example.org\0", BadDomain),
            (".joe@example.org", BadLocal),
            ("joe.@example.org", BadLocal),
            ("jo..e@example.org", BadLocal),
            ("jo e@example.org", BadLocal),
            ("jo<e@example.org", BadLocal),
            ("jo\re@example.org", BadLocal),
            ("\"joe@example.org", BadLocal),
            ("\"jo\ne\"@example.org", BadLocal),
            ("\"jo\\\ne\"@example.org", BadLocal),
            ("\"joe\"example.org", NoAt),
            ("jo\u{a0}e@example.org", BadLocal),
        ] {
            assert_eq!(refused(text), reason, "{text:?}");
        }
    }

    #[test]
    fn each_limit_says_its_number() {
        let label = "a".repeat(63);
        assert!(Address::parse(&format!("{}@example.org", "l".repeat(64))).is_ok());
        let local = refused(&format!("{}@example.org", "l".repeat(65)));
        assert_eq!(local, AddressError::LocalTooLong(65));
        assert!(local.to_string().contains("65") && local.to_string().contains("64"));
        assert_eq!(
            refused(&format!("a@{label}a.org")),
            AddressError::LabelTooLong(64)
        );
        let long = [label.as_str(); 4].join(".");
        assert_eq!(Domain::parse(&long).unwrap().as_str().len(), 255);
        assert_eq!(refused(&format!("a@{long}")), AddressError::AddressTooLong(257));
        assert_eq!(
            refused(&format!("a@{long}.org")),
            AddressError::DomainTooLong(259)
        );
        assert_eq!(
            refused(&format!("\"{}\"@example.org", "\\ ".repeat(900))),
            AddressError::LocalTooLong(65)
        );
    }

    #[test]
    fn only_a_local_part_beyond_ascii_needs_smtputf8() {
        assert!(Address::parse("jürgen@example.org").unwrap().needs_smtputf8());
        assert!(!Address::parse("j@bücher.example").unwrap().needs_smtputf8());
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_reads_back_the_same(text in "\\PC{0,20}@[a-zA-Z0-9ü.-]{1,30}") {
            if let Ok(address) = Address::parse(&text) {
                prop_assert_eq!(Address::parse(&address.to_string()), Ok(address));
            }
        }

        #[test]
        fn every_local_part_survives_its_quotes(content in "[ -~ü]{1,40}") {
            let quoted: String = content.chars().flat_map(|c| match c {
                '"' | '\\' => vec!['\\', c],
                c => vec![c],
            }).collect();
            if let Ok(address) = Address::parse(&format!("\"{quoted}\"@example.org")) {
                prop_assert_eq!(Address::parse(&address.to_string()), Ok(address));
            }
        }

        #[test]
        fn no_input_makes_it_panic(text in any::<String>()) {
            let _ = Address::parse(&text);
        }
    }
}
