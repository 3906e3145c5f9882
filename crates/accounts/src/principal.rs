//! Who somebody turned out to be, and whether that still holds.

use store::Id;

/// The way somebody signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// Login address and password.
    Login,
    /// The client's address lies in this IP-range credential.
    IpRange(Id),
    /// Login address and the password of this named SMTP credential.
    Credential(Id),
    /// This API key.
    Key(Id),
    /// A web session.
    Session,
    /// An operator who sees the console as the account.
    Impersonation,
    /// A command on this machine, whoever runs it could set the password as well.
    Command,
    /// Posthouse itself.
    System,
}

impl Via {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::IpRange(_) => "ip_range",
            Self::Credential(_) => "smtp_credential",
            Self::Key(_) => "api_key",
            Self::Session => "session",
            Self::Impersonation => "impersonation",
            Self::Command => "command",
            Self::System => "system",
        }
    }
}

/// Somebody who signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub account: Id,
    pub login: Option<Id>,
    /// The address of the login.
    pub email: String,
    /// Counts the password changes of the login; another number means another password.
    pub stamp: i64,
    pub via: Via,
}

/// Whether a principal may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Validity {
    Ok,
    /// The password changed, or the credential was revoked.
    SignedOut,
    /// The account may not send, with the operator's reason.
    Suspended(String),
    /// The guard paused the account, with its reason.
    Paused(String),
}
