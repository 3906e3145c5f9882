//! SCRAM-SHA-256, the server's side: messages in, messages out, and whether a proof is right.
// RFC 5802, RFC 7677

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// The one kind of channel binding that is offered.
// RFC 9266
const BINDING: &str = "tls-exporter";
/// Octets of a client's nonce that are taken.
const LONGEST_NONCE: usize = 512;

/// With channel binding or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    Plain,
    Plus,
}

impl Mechanism {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "SCRAM-SHA-256",
            Self::Plus => "SCRAM-SHA-256-PLUS",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        [Self::Plain, Self::Plus]
            .into_iter()
            .find(|one| name.eq_ignore_ascii_case(one.name()))
    }
}

/// Why a dialogue ends before there is a proof to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    #[error("the message does not have the form that the mechanism asks for")]
    Malformed,
    #[error("the client asks to act as somebody else")]
    OtherIdentity,
    /// Somebody between both took the offer of channel binding away, or there are two channels.
    #[error("the channel is not bound as it should be")]
    Binding,
}

/// What is stored of a password: enough to check a proof, not enough to make one.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    pub stored: [u8; 32],
    pub server: [u8; 32],
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl Keys {
    /// The keys of a password that was salted and stretched.
    // RFC 5802 section 3
    pub fn of(salted: &[u8; 32]) -> Self {
        Self {
            stored: sha256(&mac(salted, b"Client Key")),
            server: mac(salted, b"Server Key"),
        }
    }
}

/// A dialogue whose first message has come.
#[derive(Debug, PartialEq, Eq)]
pub struct Begun {
    mechanism: Mechanism,
    pub username: String,
    /// What the client says about channel binding and whom it acts as, as it stands in the message.
    header: String,
    nonce: String,
    /// The message behind the header.
    bare: String,
}

/// A dialogue that waits for the proof.
#[derive(Debug, PartialEq, Eq)]
pub struct Challenged {
    begun: Begun,
    /// Both nonces.
    nonce: String,
    challenge: String,
}

/// What the client says to prove that it knows the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Proof {
    pub username: String,
    pub mechanism: Mechanism,
    /// All that was said, which the proof is about.
    said: String,
    answer: [u8; 32],
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proof")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

impl Begun {
    /// Reads the first message. `plus_offered` says whether the client was offered channel binding.
    // RFC 5802 section 7
    pub fn read(message: &str, mechanism: Mechanism, plus_offered: bool) -> Result<Self, ScramError> {
        let (flag, rest) = message.split_once(',').ok_or(ScramError::Malformed)?;
        let (identity, bare) = rest.split_once(',').ok_or(ScramError::Malformed)?;
        // RFC 5802 section 6: a client that could bind and was told it cannot has an attacker between.
        match (flag, mechanism) {
            ("n", Mechanism::Plain) => {}
            ("y", Mechanism::Plain) if !plus_offered => {}
            (_, Mechanism::Plus) if flag.strip_prefix("p=") == Some(BINDING) => {}
            ("y", Mechanism::Plain) | (_, Mechanism::Plus) => return Err(ScramError::Binding),
            _ => return Err(ScramError::Malformed),
        }
        let mut parts = bare.split(',');
        // An extension that stands first is mandatory, and there is none that we know.
        let username = parts.next().and_then(|part| part.strip_prefix("n="));
        let nonce = parts.next().and_then(|part| part.strip_prefix("r="));
        let (Some(username), Some(nonce)) = (username, nonce) else {
            return Err(ScramError::Malformed);
        };
        let username = saslname(username)?;
        let printable = nonce.bytes().all(|b| b.is_ascii_graphic());
        if nonce.is_empty() || nonce.len() > LONGEST_NONCE || !printable {
            return Err(ScramError::Malformed);
        }
        let identity = match identity.strip_prefix("a=") {
            Some(name) => saslname(name)?,
            None if identity.is_empty() => username.clone(),
            None => return Err(ScramError::Malformed),
        };
        if identity != username {
            return Err(ScramError::OtherIdentity);
        }
        Ok(Self {
            mechanism,
            username,
            header: message[..message.len() - bare.len()].to_owned(),
            nonce: nonce.to_owned(),
            bare: bare.to_owned(),
        })
    }

    /// Answers with salt, iterations and a nonce of our own, which has no comma.
    pub fn challenge(self, salt: &[u8], iterations: u32, nonce: &str) -> Challenged {
        let nonce = format!("{}{nonce}", self.nonce);
        let salt = BASE64_STANDARD.encode(salt);
        Challenged {
            challenge: format!("r={nonce},s={salt},i={iterations}"),
            nonce,
            begun: self,
        }
    }
}

impl Challenged {
    /// What the client is sent.
    pub fn message(&self) -> &str {
        &self.challenge
    }

    /// Reads the last message. `binding` is what names the channel.
    pub fn read(self, message: &str, binding: Option<&[u8]>) -> Result<Proof, ScramError> {
        let (unproved, proof) = message.rsplit_once(",p=").ok_or(ScramError::Malformed)?;
        let mut parts = unproved.split(',');
        let bound = parts.next().and_then(|part| part.strip_prefix("c="));
        let nonce = parts.next().and_then(|part| part.strip_prefix("r="));
        let (Some(bound), Some(nonce)) = (bound, nonce) else {
            return Err(ScramError::Malformed);
        };
        if nonce != self.nonce {
            return Err(ScramError::Malformed);
        }
        let Begun {
            mechanism,
            username,
            header,
            bare,
            ..
        } = self.begun;
        let mut expected = header.into_bytes();
        if mechanism == Mechanism::Plus {
            expected.extend(binding.ok_or(ScramError::Binding)?);
        }
        let bound = BASE64_STANDARD.decode(bound).map_err(|_| ScramError::Malformed)?;
        if bound != expected {
            return Err(ScramError::Binding);
        }
        let proof = BASE64_STANDARD.decode(proof).map_err(|_| ScramError::Malformed)?;
        Ok(Proof {
            username,
            mechanism,
            said: format!("{bare},{},{unproved}", self.challenge),
            answer: proof.try_into().map_err(|_| ScramError::Malformed)?,
        })
    }
}

impl Proof {
    /// The server's last message where the proof is right, by which the client knows that the server knows the password too.
    pub fn verify(&self, keys: &Keys) -> Option<String> {
        let signature = mac(&keys.stored, self.said.as_bytes());
        let mut client_key = self.answer;
        for (octet, mask) in client_key.iter_mut().zip(signature) {
            *octet ^= mask;
        }
        verify_slices_are_equal(&sha256(&client_key), &keys.stored).ok()?;
        let verifier = mac(&keys.server, self.said.as_bytes());
        Some(format!("v={}", BASE64_STANDARD.encode(verifier)))
    }

    /// Names this proof, which no other dialogue repeats.
    pub fn fingerprint(&self) -> String {
        BASE64_STANDARD.encode(self.answer)
    }
}

/// A name in which `=2C` is a comma and `=3D` an equals sign.
fn saslname(text: &str) -> Result<String, ScramError> {
    let mut name = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('=') {
        name.push_str(before);
        let (sign, behind) = match (behind.strip_prefix("2C"), behind.strip_prefix("3D")) {
            (Some(behind), _) => (',', behind),
            (_, Some(behind)) => ('=', behind),
            _ => return Err(ScramError::Malformed),
        };
        name.push(sign);
        rest = behind;
    }
    name.push_str(rest);
    if name.is_empty() || name.contains('\0') {
        return Err(ScramError::Malformed);
    }
    Ok(name)
}

fn sha256(data: &[u8]) -> [u8; 32] {
    let hash = digest::digest(&digest::SHA256, data);
    hash.as_ref().try_into().expect("SHA-256 has 32 octets")
}

fn mac(key: &[u8], data: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data);
    tag.as_ref().try_into().expect("HMAC-SHA-256 has 32 octets")
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use aws_lc_rs::pbkdf2;
    use proptest::prelude::*;

    use super::*;

    const FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                         p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    fn salt() -> Vec<u8> {
        BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap()
    }

    fn keys(password: &str) -> Keys {
        let mut salted = [0; 32];
        let rounds = NonZeroU32::new(4_096).unwrap();
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            rounds,
            &salt(),
            password.as_bytes(),
            &mut salted,
        );
        Keys::of(&salted)
    }

    fn challenged(first: &str) -> Challenged {
        let begun = Begun::read(first, Mechanism::Plain, false).unwrap();
        begun.challenge(&salt(), 4_096, NONCE)
    }

    // RFC 7677 section 3
    #[test]
    fn the_example_of_the_rfc_holds() {
        let challenged = challenged(FIRST);
        assert_eq!(
            challenged.message(),
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let proof = challenged.read(FINAL, None).unwrap();
        assert_eq!(proof.username, "user");
        let verified = proof.verify(&keys("pencil"));
        assert_eq!(
            verified.as_deref(),
            Some("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
        );
        assert_eq!(proof.verify(&keys("pencils")), None);
    }

    #[test]
    fn a_proof_is_about_everything_that_was_said() {
        let other_name = challenged("n,,n=usex,r=rOprNGfwEbeRWgbNEkqO");
        let proof = other_name.read(FINAL, None).unwrap();
        assert_eq!(proof.verify(&keys("pencil")), None);
        let begun = Begun::read(FIRST, Mechanism::Plain, false).unwrap();
        let other_rounds = begun.challenge(&salt(), 4_097, NONCE);
        assert_eq!(
            other_rounds.read(FINAL, None).unwrap().verify(&keys("pencil")),
            None
        );
    }

    #[test]
    fn an_offer_that_was_taken_away_is_noticed() {
        let said = |flag: &str, mechanism, offered| {
            let first = format!("{flag},,n=user,r=abc");
            Begun::read(&first, mechanism, offered).map(drop)
        };
        let (plain, plus) = (Mechanism::Plain, Mechanism::Plus);
        assert_eq!(said("n", plain, true), Ok(()));
        assert_eq!(said("y", plain, false), Ok(()));
        assert_eq!(said("y", plain, true), Err(ScramError::Binding));
        assert_eq!(said("p=tls-exporter", plus, true), Ok(()));
        assert_eq!(said("p=tls-unique", plus, true), Err(ScramError::Binding));
        for flag in ["n", "y"] {
            assert_eq!(said(flag, plus, true), Err(ScramError::Binding));
        }
        assert_eq!(said("p=tls-exporter", plain, true), Err(ScramError::Malformed));
        assert_eq!(said("", plain, true), Err(ScramError::Malformed));
    }

    #[test]
    fn a_proof_holds_on_its_own_channel_only() {
        let first = "p=tls-exporter,,n=user,r=abc";
        let last = |channel: &[u8]| {
            let bound = [b"p=tls-exporter,,".as_slice(), channel].concat();
            let proof = BASE64_STANDARD.encode([0; 32]);
            format!("c={},r=abcdef,p={proof}", BASE64_STANDARD.encode(bound))
        };
        let read = |message: &str, binding: Option<&[u8]>| {
            let begun = Begun::read(first, Mechanism::Plus, true).unwrap();
            begun
                .challenge(&salt(), 4_096, "def")
                .read(message, binding)
                .map(drop)
        };
        assert_eq!(read(&last(b"one"), Some(b"one")), Ok(()));
        assert_eq!(read(&last(b"one"), Some(b"two")), Err(ScramError::Binding));
        assert_eq!(read(&last(b""), Some(b"one")), Err(ScramError::Binding));
        assert_eq!(read(&last(b"one"), None), Err(ScramError::Binding));
    }

    #[test]
    fn the_header_that_was_sent_first_is_the_one_that_counts() {
        let last = |header: &str| {
            let (header, proof) = (BASE64_STANDARD.encode(header), BASE64_STANDARD.encode([0; 32]));
            format!("c={header},r=abcdef,p={proof}")
        };
        let read = |message: &str| {
            let begun = Begun::read("y,,n=user,r=abc", Mechanism::Plain, false).unwrap();
            begun
                .challenge(&salt(), 4_096, "def")
                .read(message, None)
                .map(drop)
        };
        assert_eq!(read(&last("y,,")), Ok(()));
        assert_eq!(read(&last("n,,")), Err(ScramError::Binding));
    }

    #[test]
    fn nobody_acts_as_somebody_else() {
        let read = |first: &str| Begun::read(first, Mechanism::Plain, false).map(|begun| begun.username);
        assert_eq!(
            read("n,a=joe@example.org,n=joe@example.org,r=x").unwrap(),
            "joe@example.org"
        );
        assert_eq!(read("n,a=admin,n=joe,r=x"), Err(ScramError::OtherIdentity));
        assert_eq!(read("n,,n=a=2Cb=3Dc,r=x").unwrap(), "a,b=c");
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for first in [
            "",
            "n",
            "n,",
            "n,,",
            "n,,n=user",
            "n,,r=x,n=user",
            "n,,m=x,n=user,r=x",
            "n,,n=,r=x",
            "n,,n=user,r=",
            "n,x,n=user,r=x",
            "n,,n=us=er,r=x",
            "n,,n=user,r=\u{7f}",
            "n,,n=user,r=a b",
        ] {
            assert_eq!(
                Begun::read(first, Mechanism::Plain, false).map(drop),
                Err(ScramError::Malformed),
                "{first}"
            );
        }
        let proof = BASE64_STANDARD.encode([0; 32]);
        for last in [
            "",
            "c=biws",
            "c=biws,r=abcdef",
            "c=biws,r=abcdef,p=",
            "c=biws,r=abcdef,p=AAAA",
            "r=abcdef,c=biws,p=x",
        ] {
            let challenged = Begun::read("n,,n=user,r=abc", Mechanism::Plain, false)
                .unwrap()
                .challenge(&salt(), 1, "def");
            assert_eq!(
                challenged.read(last, None).map(drop),
                Err(ScramError::Malformed),
                "{last}"
            );
        }
        for nonce in ["abc", "abcdefg", "def"] {
            let challenged = Begun::read("n,,n=user,r=abc", Mechanism::Plain, false)
                .unwrap()
                .challenge(&salt(), 1, "def");
            let last = format!("c=biws,r={nonce},p={proof}");
            assert_eq!(
                challenged.read(&last, None).map(drop),
                Err(ScramError::Malformed),
                "{last}"
            );
        }
    }

    #[test]
    fn neither_keys_nor_proofs_are_printed() {
        let proof = challenged(FIRST).read(FINAL, None).unwrap();
        assert_eq!(
            format!("{proof:?} {:?}", keys("pencil")),
            "Proof { username: \"user\", .. } Keys { .. }"
        );
    }

    proptest! {
        #[test]
        fn no_message_makes_it_panic(first in ".{0,80}", last in ".{0,80}") {
            if let Ok(begun) = Begun::read(&first, Mechanism::Plain, false) {
                let _ = begun.challenge(b"salt", 4_096, "nonce").read(&last, None);
            }
        }
    }
}
