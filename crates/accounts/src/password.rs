//! Which passwords are good enough, and the reason where one is not.

use std::fmt;

use serde::Serialize;
use zxcvbn::feedback::{Suggestion, Warning};
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

/// What is wrong with a password, or would make it better. Its English is said here, other languages by who shows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weakness {
    TooLong,
    TooShort,
    TooEasy,
    Warning(Warning),
    Suggestion(Suggestion),
}

impl Eq for Weakness {}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "A password has at most {MAX_OCTETS} bytes."),
            Self::TooShort => write!(f, "A password has at least {MIN_CHARACTERS} characters."),
            Self::TooEasy => f.write_str("This password is too easy to guess."),
            Self::Warning(warning) => warning.fmt(f),
            Self::Suggestion(suggestion) => suggestion.fmt(f),
        }
    }
}

impl Weakness {
    /// Every one that there is; what a password is found to be is in here, or it has no [`Self::code`].
    pub const ALL: [(Self, &'static str); 30] = [
        (Self::TooLong, "too_long"),
        (Self::TooShort, "too_short"),
        (Self::TooEasy, "too_easy"),
        (
            Self::Warning(Warning::StraightRowsOfKeysAreEasyToGuess),
            "rows_of_keys",
        ),
        (
            Self::Warning(Warning::ShortKeyboardPatternsAreEasyToGuess),
            "short_pattern",
        ),
        (Self::Warning(Warning::RepeatsLikeAaaAreEasyToGuess), "repeats"),
        (
            Self::Warning(Warning::RepeatsLikeAbcAbcAreOnlySlightlyHarderToGuess),
            "repeated_group",
        ),
        (Self::Warning(Warning::ThisIsATop10Password), "top_10"),
        (Self::Warning(Warning::ThisIsATop100Password), "top_100"),
        (Self::Warning(Warning::ThisIsACommonPassword), "common"),
        (
            Self::Warning(Warning::ThisIsSimilarToACommonlyUsedPassword),
            "like_common",
        ),
        (Self::Warning(Warning::SequencesLikeAbcAreEasyToGuess), "sequence"),
        (Self::Warning(Warning::RecentYearsAreEasyToGuess), "recent_year"),
        (Self::Warning(Warning::AWordByItselfIsEasyToGuess), "one_word"),
        (Self::Warning(Warning::DatesAreOftenEasyToGuess), "date"),
        (
            Self::Warning(Warning::NamesAndSurnamesByThemselvesAreEasyToGuess),
            "name",
        ),
        (
            Self::Warning(Warning::CommonNamesAndSurnamesAreEasyToGuess),
            "common_name",
        ),
        (
            Self::Suggestion(Suggestion::UseAFewWordsAvoidCommonPhrases),
            "use_words",
        ),
        (
            Self::Suggestion(Suggestion::NoNeedForSymbolsDigitsOrUppercaseLetters),
            "no_symbols_needed",
        ),
        (Self::Suggestion(Suggestion::AddAnotherWordOrTwo), "add_words"),
        (
            Self::Suggestion(Suggestion::CapitalizationDoesntHelpVeryMuch),
            "capitals",
        ),
        (
            Self::Suggestion(Suggestion::AllUppercaseIsAlmostAsEasyToGuessAsAllLowercase),
            "all_capitals",
        ),
        (
            Self::Suggestion(Suggestion::ReversedWordsArentMuchHarderToGuess),
            "reversed",
        ),
        (
            Self::Suggestion(Suggestion::PredictableSubstitutionsDontHelpVeryMuch),
            "substitutions",
        ),
        (
            Self::Suggestion(Suggestion::UseALongerKeyboardPatternWithMoreTurns),
            "longer_pattern",
        ),
        (
            Self::Suggestion(Suggestion::AvoidRepeatedWordsAndCharacters),
            "avoid_repeats",
        ),
        (Self::Suggestion(Suggestion::AvoidSequences), "avoid_sequences"),
        (
            Self::Suggestion(Suggestion::AvoidRecentYears),
            "avoid_recent_years",
        ),
        (
            Self::Suggestion(Suggestion::AvoidYearsThatAreAssociatedWithYou),
            "avoid_own_years",
        ),
        (
            Self::Suggestion(Suggestion::AvoidDatesAndYearsThatAreAssociatedWithYou),
            "avoid_own_dates",
        ),
    ];

    /// Its name, for whoever has words of their own for it.
    pub fn code(self) -> Option<&'static str> {
        let found = Self::ALL.into_iter().find(|(weakness, _)| *weakness == self);
        found.map(|(_, code)| code)
    }
}

/// A password that is not accepted, with the reasons as sentences.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", sentences(reasons))]
pub struct WeakPassword {
    pub reasons: Vec<Weakness>,
}

fn sentences(reasons: &[Weakness]) -> String {
    let sentences: Vec<_> = reasons.iter().map(ToString::to_string).collect();
    sentences.join(" ")
}

/// A password looked at.
struct Judged {
    score: u8,
    ok: bool,
    warning: Option<Weakness>,
    suggestions: Vec<Weakness>,
}

/// Judges `password` for the login `email`; a password made of the address is a weak one.
fn judge(password: &str, email: &str) -> Judged {
    if password.len() > MAX_OCTETS {
        return Judged {
            score: 0,
            ok: false,
            warning: Some(Weakness::TooLong),
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
    let long_enough = password.chars().count() >= MIN_CHARACTERS;
    let hard_enough = entropy.score() >= Score::Three;
    let warning = feedback
        .and_then(zxcvbn::feedback::Feedback::warning)
        .map(Weakness::Warning);
    let suggestions = feedback.map(|feedback| {
        let suggestions = feedback.suggestions().iter();
        suggestions.copied().map(Weakness::Suggestion).collect()
    });
    Judged {
        score: u8::from(entropy.score()),
        ok: long_enough && hard_enough,
        warning: if !long_enough {
            Some(Weakness::TooShort)
        } else if hard_enough {
            warning
        } else {
            warning.or(Some(Weakness::TooEasy))
        },
        suggestions: suggestions.unwrap_or_default(),
    }
}

/// How good `password` is for the login `email`.
pub fn strength(password: &str, email: &str) -> Strength {
    let judged = judge(password, email);
    Strength {
        score: judged.score,
        ok: judged.ok,
        warning: judged.warning.map(|one| one.to_string()).unwrap_or_default(),
        suggestions: judged.suggestions.iter().map(ToString::to_string).collect(),
    }
}

/// Refuses a new password that is not good enough.
pub fn check(password: &str, email: &str) -> Result<(), WeakPassword> {
    let judged = judge(password, email);
    if judged.ok {
        return Ok(());
    }
    let reasons = judged.warning.into_iter().chain(judged.suggestions).collect();
    Err(WeakPassword { reasons })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const EMAIL: &str = "marlene.hill@example.com";

    #[test]
    fn a_long_phrase_is_accepted() {
        assert_eq!(check("four tired horses at the gate", EMAIL), Ok(()));
    }

    #[test]
    fn a_short_password_is_refused_with_the_least_length() {
        let refused = check("gT5$kx!", EMAIL).unwrap_err();
        assert!(
            refused.to_string().contains("at least 10 characters"),
            "{refused}"
        );
    }

    #[test]
    fn a_common_password_is_refused_with_a_reason() {
        let refused = check("password1234", EMAIL).unwrap_err();
        assert!(!refused.to_string().is_empty());
    }

    #[test]
    fn a_password_made_of_the_address_is_refused() {
        assert!(check("marlene.hill1", EMAIL).is_err());
        assert!(check("marlene.hill@example.com", EMAIL).is_err());
    }

    #[test]
    fn more_than_a_kibibyte_is_refused_without_being_judged() {
        let refused = check(&"k7 ".repeat(400), EMAIL).unwrap_err();
        assert!(refused.to_string().contains("at most 1024 bytes"), "{refused}");
        assert_eq!(check(&"four tired horses ".repeat(50), EMAIL), Ok(()));
    }

    #[test]
    fn length_is_counted_in_characters_not_octets() {
        let refused = check("äöüßéè", EMAIL).unwrap_err();
        assert!(refused.to_string().contains("at least 10"), "{refused}");
    }

    #[test]
    fn every_weakness_that_is_found_has_a_code_of_its_own() {
        // A match without a wildcard: a new version of zxcvbn that knows more does not compile.
        let known = |one: Weakness| match one {
            Weakness::TooLong | Weakness::TooShort | Weakness::TooEasy => true,
            Weakness::Warning(warning) => match warning {
                Warning::StraightRowsOfKeysAreEasyToGuess
                | Warning::ShortKeyboardPatternsAreEasyToGuess
                | Warning::RepeatsLikeAaaAreEasyToGuess
                | Warning::RepeatsLikeAbcAbcAreOnlySlightlyHarderToGuess
                | Warning::ThisIsATop10Password
                | Warning::ThisIsATop100Password
                | Warning::ThisIsACommonPassword
                | Warning::ThisIsSimilarToACommonlyUsedPassword
                | Warning::SequencesLikeAbcAreEasyToGuess
                | Warning::RecentYearsAreEasyToGuess
                | Warning::AWordByItselfIsEasyToGuess
                | Warning::DatesAreOftenEasyToGuess
                | Warning::NamesAndSurnamesByThemselvesAreEasyToGuess
                | Warning::CommonNamesAndSurnamesAreEasyToGuess => true,
            },
            Weakness::Suggestion(suggestion) => match suggestion {
                Suggestion::UseAFewWordsAvoidCommonPhrases
                | Suggestion::NoNeedForSymbolsDigitsOrUppercaseLetters
                | Suggestion::AddAnotherWordOrTwo
                | Suggestion::CapitalizationDoesntHelpVeryMuch
                | Suggestion::AllUppercaseIsAlmostAsEasyToGuessAsAllLowercase
                | Suggestion::ReversedWordsArentMuchHarderToGuess
                | Suggestion::PredictableSubstitutionsDontHelpVeryMuch
                | Suggestion::UseALongerKeyboardPatternWithMoreTurns
                | Suggestion::AvoidRepeatedWordsAndCharacters
                | Suggestion::AvoidSequences
                | Suggestion::AvoidRecentYears
                | Suggestion::AvoidYearsThatAreAssociatedWithYou
                | Suggestion::AvoidDatesAndYearsThatAreAssociatedWithYou => true,
            },
        };
        let codes: BTreeSet<_> = Weakness::ALL.iter().map(|(_, code)| code).collect();
        assert!(
            Weakness::ALL
                .iter()
                .all(|(one, code)| known(*one) && one.code() == Some(code))
        );
        assert_eq!(codes.len(), Weakness::ALL.len());
    }
}
