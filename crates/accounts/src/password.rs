//! Which passwords are good enough, and the reason where one is not.

use serde::Serialize;
use zxcvbn::{Score, zxcvbn};

/// The most octets of a password that are ever hashed or compared.
pub const MAX_OCTETS: usize = 1024;
/// The fewest characters of a new password.
pub const MIN_CHARACTERS: usize = 10;
/// zxcvbn takes more than linear time; what comes behind this many characters can only make a password better.
const JUDGED_CHARACTERS: usize = 100;

/// How good a password is, in the words that the console shows while it is typed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Strength {
    /// zxcvbn's score from 0 (guessed at once) to 4.
    pub score: u8,
    /// Whether the password is accepted.
    pub ok: bool,
    /// What is wrong with it, empty when nothing is.
    pub warning: String,
    pub suggestions: Vec<String>,
}

/// A password that is not accepted, with the reason as a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct WeakPassword {
    pub reason: String,
}

/// Judges `password` for the login `email`; a password made of the address is a weak one.
pub fn strength(password: &str, email: &str) -> Strength {
    if password.len() > MAX_OCTETS {
        return Strength {
            score: 0,
            ok: false,
            warning: format!("A password has at most {MAX_OCTETS} bytes."),
            suggestions: Vec::new(),
        };
    }
    let judged: String = password.chars().take(JUDGED_CHARACTERS).collect();
    let mut inputs: Vec<&str> = email
        .split(['@', '.', '-', '_', '+'])
        .filter(|part| part.len() > 2)
        .collect();
    inputs.extend(email.split('@'));
    inputs.extend([email, "posthouse"]);
    let entropy = zxcvbn(&judged, &inputs);
    let feedback = entropy.feedback();
    let mut warning = feedback
        .and_then(zxcvbn::feedback::Feedback::warning)
        .map(|w| w.to_string());
    let long_enough = password.chars().count() >= MIN_CHARACTERS;
    let hard_enough = entropy.score() >= Score::Three;
    if !long_enough {
        warning = Some(format!("A password has at least {MIN_CHARACTERS} characters."));
    } else if !hard_enough && warning.is_none() {
        warning = Some("This password is too easy to guess.".to_owned());
    }
    Strength {
        score: u8::from(entropy.score()),
        ok: long_enough && hard_enough,
        warning: warning.unwrap_or_default(),
        suggestions: feedback
            .map(|f| f.suggestions().iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
    }
}

/// Refuses a new password that `strength` does not find good enough.
pub fn check(password: &str, email: &str) -> Result<(), WeakPassword> {
    let strength = strength(password, email);
    if strength.ok {
        return Ok(());
    }
    let mut sentences = vec![strength.warning];
    sentences.extend(strength.suggestions);
    sentences.retain(|s| !s.is_empty());
    Err(WeakPassword {
        reason: sentences.join(" "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMAIL: &str = "marlene.hill@example.com";

    #[test]
    fn a_long_phrase_is_accepted() {
        assert_eq!(check("four tired horses at the gate", EMAIL), Ok(()));
    }

    #[test]
    fn a_short_password_is_refused_with_the_least_length() {
        let refused = check("gT5$kx!", EMAIL).unwrap_err();
        assert!(refused.reason.contains("at least 10 characters"), "{refused}");
    }

    #[test]
    fn a_common_password_is_refused_with_a_reason() {
        let refused = check("password1234", EMAIL).unwrap_err();
        assert!(!refused.reason.is_empty());
    }

    #[test]
    fn a_password_made_of_the_address_is_refused() {
        assert!(check("marlene.hill1", EMAIL).is_err());
        assert!(check("marlene.hill@example.com", EMAIL).is_err());
    }

    #[test]
    fn more_than_a_kibibyte_is_refused_without_being_judged() {
        let refused = check(&"k7 ".repeat(400), EMAIL).unwrap_err();
        assert!(refused.reason.contains("at most 1024 bytes"), "{refused}");
        assert_eq!(check(&"four tired horses ".repeat(50), EMAIL), Ok(()));
    }

    #[test]
    fn length_is_counted_in_characters_not_octets() {
        assert!(check("äöüßéè", EMAIL).unwrap_err().reason.contains("at least 10"));
    }
}
