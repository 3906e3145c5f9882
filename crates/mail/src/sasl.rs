//! SASL credentials as they travel inside SMTP's AUTH: PLAIN and LOGIN.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Base64 as clients write it: the standard alphabet, with or without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a client signs in with. The password is kept out of every debug print.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub username: String,
    pub password: String,
    /// `PLAIN` or `LOGIN`.
    pub mechanism: &'static str,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// Why a client's response is not credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SaslError {
    #[error("the response is not base64 or not UTF-8")]
    Encoding,
    #[error("the response does not have the parts that the mechanism asks for")]
    Parts,
    #[error("the response asks to act as somebody else")]
    OtherIdentity,
}

/// Decodes one response line to text.
pub fn decode(response: &str) -> Result<String, SaslError> {
    let bytes = LENIENT.decode(response).map_err(|_| SaslError::Encoding)?;
    String::from_utf8(bytes).map_err(|_| SaslError::Encoding)
}

/// Reads the one response of PLAIN: authorization identity, NUL, user name, NUL, password.
// RFC 4616 section 2
pub fn plain(response: &str) -> Result<Credentials, SaslError> {
    let text = decode(response)?;
    let mut parts = text.split('\0');
    let (Some(identity), Some(username), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(SaslError::Parts);
    };
    if username.is_empty() {
        return Err(SaslError::Parts);
    }
    if !identity.is_empty() && identity != username {
        return Err(SaslError::OtherIdentity);
    }
    Ok(Credentials {
        username: username.to_owned(),
        password: password.to_owned(),
        mechanism: "PLAIN",
    })
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_STANDARD;
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Credentials, SaslError> {
        plain(&BASE64_STANDARD.encode(text))
    }

    #[test]
    fn plain_carries_user_name_and_password() {
        let credentials = read("\0joe@example.org\0pass word").unwrap();
        assert_eq!(credentials.username, "joe@example.org");
        assert_eq!(credentials.password, "pass word");
        assert_eq!(read("joe\0joe\0x").unwrap().username, "joe");
    }

    #[test]
    fn padding_may_be_missing() {
        assert_eq!(plain("AGEAYg==").unwrap().password, "b");
        assert_eq!(plain("AGEAYg").unwrap().password, "b");
    }

    #[test]
    fn malformed_responses_are_told_apart() {
        assert_eq!(plain("%%%"), Err(SaslError::Encoding));
        assert_eq!(plain("/////w=="), Err(SaslError::Encoding));
        assert_eq!(plain(""), Err(SaslError::Parts));
        assert_eq!(read("joe"), Err(SaslError::Parts));
        assert_eq!(read("\0joe"), Err(SaslError::Parts));
        assert_eq!(read("\0\0password"), Err(SaslError::Parts));
        assert_eq!(read("\0joe\0pass\0word"), Err(SaslError::Parts));
        assert_eq!(read("admin\0joe\0password"), Err(SaslError::OtherIdentity));
    }

    #[test]
    fn a_password_is_not_printed() {
        let credentials = read("\0joe\0secret").unwrap();
        assert!(!format!("{credentials:?}").contains("secret"));
    }

    proptest! {
        #[test]
        fn what_a_client_encodes_is_read_back(user in "[^\0]{1,40}", password in "[^\0]{0,40}") {
            let credentials = read(&format!("\0{user}\0{password}")).unwrap();
            prop_assert_eq!(credentials, Credentials { username: user, password, mechanism: "PLAIN" });
        }
    }
}
