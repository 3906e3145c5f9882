//! What an API key may do.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// One right of an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Send messages.
    Send,
    /// Read messages, retry and cancel them.
    Messages,
    /// Read and change sending domains.
    Domains,
    /// Read and change the account itself: keys, password, settings.
    Account,
    /// What only operators do. Worth nothing to a key whose account is not an operator's.
    Operator,
}

impl Scope {
    pub const ALL: [Self; 5] = [
        Self::Send,
        Self::Messages,
        Self::Domains,
        Self::Account,
        Self::Operator,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Messages => "messages",
            Self::Domains => "domains",
            Self::Account => "account",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown scope `{0}`; there are send, messages, domains, account and operator")]
pub struct UnknownScope(String);

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or_else(|| UnknownScope(text.chars().take(40).collect()))
    }
}

/// A set of scopes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// Everything that somebody signed in with a password may do.
    pub fn of_a_person(operator: bool) -> Self {
        Scope::ALL
            .into_iter()
            .filter(|scope| operator || *scope != Scope::Operator)
            .collect()
    }

    pub fn contains(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = Scope> {
        self.0.iter().copied()
    }

    /// The first scope of `self` that `held` lacks.
    pub fn beyond(&self, held: &Self) -> Option<Scope> {
        self.0.difference(&held.0).next().copied()
    }

    #[must_use]
    pub(crate) fn without(mut self, scope: Scope) -> Self {
        self.0.remove(&scope);
        self
    }

    /// As it is stored: names with spaces between.
    pub(crate) fn to_text(&self) -> String {
        self.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ")
    }

    /// Reads the stored form; a name that a newer version wrote gives no right.
    pub(crate) fn from_text(text: &str) -> Self {
        text.split(' ').filter_map(|name| name.parse().ok()).collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_reads_back_from_its_text() {
        let scopes: Scopes = [Scope::Messages, Scope::Send].into_iter().collect();
        assert_eq!(scopes.to_text(), "send messages");
        assert_eq!(Scopes::from_text("send messages"), scopes);
        assert_eq!(Scopes::from_text("send messages telepathy"), scopes);
        assert_eq!(Scopes::from_text(""), Scopes::default());
    }

    #[test]
    fn a_person_who_is_no_operator_lacks_that_scope() {
        let person = Scopes::of_a_person(false);
        assert!(!person.contains(Scope::Operator));
        assert_eq!(Scopes::of_a_person(true).beyond(&person), Some(Scope::Operator));
        assert_eq!(person.beyond(&Scopes::of_a_person(true)), None);
    }
}
