//! What an API key may do, and what each role of an account's users may.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// One right of an API key or of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Read what the account sees, and change nothing: messages, domains, settings.
    Read,
    /// Send messages.
    Send,
    /// Read messages, retry and cancel them.
    Messages,
    /// Read and change sending domains.
    Domains,
    /// One's own API keys and SMTP credentials.
    Credentials,
    /// Read and change the account itself: everybody's keys, users, settings. Holds [`Scope::Credentials`].
    Account,
    /// What only operators do. Worth nothing to a key whose account is not an operator's.
    Operator,
}

impl Scope {
    pub const ALL: [Self; 7] = [
        Self::Read,
        Self::Send,
        Self::Messages,
        Self::Domains,
        Self::Credentials,
        Self::Account,
        Self::Operator,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Send => "send",
            Self::Messages => "messages",
            Self::Domains => "domains",
            Self::Credentials => "credentials",
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
#[error("unknown scope `{0}`; there are read, send, messages, domains, credentials, account and operator")]
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

/// What a user of an account is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The account is theirs: everything, other owners included.
    Owner,
    /// Everything but what concerns owners.
    Admin,
    /// Sends, and looks after what was sent.
    Marketer,
    /// Sends, connects programs and domains.
    Developer,
    /// Looks.
    Viewer,
}

impl Role {
    pub const ALL: [Self; 5] = [
        Self::Owner,
        Self::Admin,
        Self::Marketer,
        Self::Developer,
        Self::Viewer,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Marketer => "marketer",
            Self::Developer => "developer",
            Self::Viewer => "viewer",
        }
    }

    /// Which role holds which scope: the one table of it. Every user sends by SMTP as well, which asks for no scope.
    const fn holds(self, scope: Scope) -> bool {
        match self {
            Self::Owner | Self::Admin => true,
            Self::Marketer => matches!(scope, Scope::Read | Scope::Send | Scope::Messages),
            Self::Developer => matches!(
                scope,
                Scope::Read | Scope::Send | Scope::Messages | Scope::Domains | Scope::Credentials
            ),
            Self::Viewer => matches!(scope, Scope::Read),
        }
    }

    /// What somebody of this role may do; [`Scope::Operator`] is there in an operator's account only.
    pub fn scopes(self, operator: bool) -> Scopes {
        Scope::ALL
            .into_iter()
            .filter(|scope| self.holds(*scope) && (operator || *scope != Scope::Operator))
            .collect()
    }

    /// Reads the stored form; a role that a newer version wrote may look and no more.
    pub(crate) fn from_text(text: &str) -> Self {
        text.parse().unwrap_or(Self::Viewer)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown role `{0}`; there are owner, admin, marketer, developer and viewer")]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| UnknownRole(text.chars().take(40).collect()))
    }
}

/// A set of scopes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    pub fn contains(&self, scope: Scope) -> bool {
        self.0.contains(&scope) || (scope == Scope::Credentials && self.0.contains(&Scope::Account))
    }

    /// Whether what `scope` is about may be read.
    pub fn reads(&self, scope: Scope) -> bool {
        self.contains(scope) || (scope != Scope::Operator && self.0.contains(&Scope::Read))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = Scope> {
        self.0.iter().copied()
    }

    /// The first scope of `self` that `held` lacks.
    pub fn beyond(&self, held: &Self) -> Option<Scope> {
        self.iter().find(|scope| !held.contains(*scope))
    }

    /// What is left of a key's scopes for a login of this role.
    #[must_use]
    pub(crate) fn within(&self, role: Role, operator: bool) -> Self {
        let held = role.scopes(operator);
        Scope::ALL
            .into_iter()
            .filter(|scope| self.contains(*scope) && held.contains(*scope))
            .collect()
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
        let (person, operator) = (Role::Owner.scopes(false), Role::Owner.scopes(true));
        assert!(!person.contains(Scope::Operator));
        assert_eq!(operator.beyond(&person), Some(Scope::Operator));
        assert_eq!(person.beyond(&operator), None);
    }

    #[test]
    fn each_role_holds_what_its_people_are_there_for() {
        let held = |role: Role| role.scopes(true).to_text();
        assert_eq!(
            held(Role::Owner),
            "read send messages domains credentials account operator"
        );
        assert_eq!(held(Role::Admin), held(Role::Owner));
        assert_eq!(held(Role::Marketer), "read send messages");
        assert_eq!(held(Role::Developer), "read send messages domains credentials");
        assert_eq!(held(Role::Viewer), "read");
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert_eq!(Role::from_text("emperor"), Role::Viewer);
    }

    #[test]
    fn a_key_keeps_what_the_role_of_its_login_still_holds() {
        let key = Scopes::from_text("send account operator");
        assert_eq!(
            key.within(Role::Owner, true).to_text(),
            "send credentials account operator"
        );
        assert_eq!(
            key.within(Role::Admin, false).to_text(),
            "send credentials account"
        );
        assert_eq!(key.within(Role::Developer, true).to_text(), "send credentials");
        assert!(key.within(Role::Viewer, true).is_empty());
    }

    #[test]
    fn reading_is_all_that_the_scope_to_read_gives() {
        let viewer = Role::Viewer.scopes(true);
        for scope in [Scope::Messages, Scope::Domains, Scope::Account] {
            assert!(viewer.reads(scope) && !viewer.contains(scope));
        }
        assert!(!viewer.reads(Scope::Operator));
    }
}
