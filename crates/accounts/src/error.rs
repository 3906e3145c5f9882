//! What can go wrong in this room; refusals carry the sentence that its people read.

use std::time::Duration;

use mail::address::AddressError;
use store::StoreError;

use crate::password::WeakPassword;
use crate::ranges::RangeError;
use crate::scopes::Scope;

pub type Result<T, E = AccountsError> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    #[error("the database did not do what was asked")]
    Store(#[from] StoreError),
    #[error("too many sign-ins are waiting for their turn")]
    Busy,
    #[error("hashing the password failed")]
    Hashing,
    #[error("making the DKIM keys failed")]
    KeyGeneration,
    #[error("a stored DKIM key cannot be used: {0}")]
    StoredKey(String),

    #[error("{0}")]
    Address(#[from] AddressError),
    #[error("{0}")]
    Weak(#[from] WeakPassword),
    #[error("{0}")]
    Range(#[from] RangeError),
    #[error("there is an account for {0} already")]
    LoginExists(String),
    #[error("there is no account for {0}")]
    NoSuchLogin(String),
    #[error("there is no such {0}")]
    NotFound(&'static str),
    #[error("the current password is not right")]
    WrongPassword,
    #[error("the code is not right, or was used already")]
    WrongCode,
    #[error("two-step sign-in is not switched on")]
    NoSecondStep,
    #[error("this is the last second step; switch two-step sign-in off instead")]
    LastStep,
    #[error("it took too long or was answered already; begin anew")]
    ChallengeGone,
    #[error("this passkey is registered already")]
    PasskeyExists,
    #[error("{0}")]
    Passkey(#[from] crate::second_step::Fault),
    #[error("the link is used up or too old; ask for a new one")]
    LinkGone,
    #[error("too many requests of this kind; try again in {} minutes", minutes(.0))]
    TooOften(std::time::Duration),
    #[error("the invitation is for {0}")]
    NotInvited(String),
    #[error("a country is its two-letter code, such as FR")]
    BadCountry,
    #[error("a time zone has a name such as Europe/Paris")]
    BadTimeZone,
    #[error("too many failed sign-ins; wait {} seconds", .left.as_secs())]
    Locked { left: Duration },
    #[error("an operator exists already; sign in instead")]
    AlreadySetUp,
    #[error("{0} is among the account's domains already")]
    DomainExists(String),
    #[error("{0} has new keys already that wait for their records; publish those, then check the domain")]
    KeysWait(String),
    #[error("{0} got new keys lately; the old ones leave in {days} days, then it can have newer ones", days = .1.as_secs().div_ceil(86_400))]
    KeysLeave(String, Duration),
    #[error("{0} is a top-level name; add the domain that stands behind the @ of your senders")]
    TopLevelDomain(String),
    #[error("the range {0} stands for an account already")]
    RangeExists(String),
    #[error("the account has {most} {of}, the most that one can have; {remedy}")]
    TooMany {
        most: i64,
        of: &'static str,
        remedy: &'static str,
    },
    #[error("a credential is bound to {0} networks at most")]
    TooManyNetworks(usize),
    #[error("a rate has 1 to {0} recipients an hour")]
    BadRate(u32),
    #[error("a credential ends in the future")]
    PastExpiry,
    #[error("the account may send nothing at the moment, so it cannot ask for senders either")]
    Stopped,
    #[error("this key sends by the stream `{0}` only, and makes nothing that could send by another")]
    StreamBound(String),
    #[error("the account is not paused")]
    NotPaused,
    #[error("the operator decides when this account goes on")]
    OperatorDecides,
    #[error("the account has no limit, so there is nothing to add to")]
    Unlimited,
    #[error("the account has {0} credits; it cannot have fewer than none")]
    BelowZero(i64),
    #[error("an account has 0 to {} credits", crate::credits::MOST)]
    TooMuch,
    #[error("an amount of 0 changes nothing")]
    NoAmount,
    #[error("say why, in one line of at most 200 characters; the account's people read it")]
    BadReason,
    #[error("a voucher is worth 1 to {} credits", crate::credits::MOST)]
    BadVoucherValue,
    #[error("1 to {} codes are made at once", crate::credits::MOST_CODES)]
    BadCodes,
    #[error("a code is for 1 to {} accounts", crate::credits::MOST_USES)]
    BadUses,
    #[error("the end has to lie ahead")]
    EndsBefore,
    #[error("this code cannot be redeemed; compare it sign by sign, it may also be used up or too old")]
    UselessCode,
    #[error("this account has redeemed this code already")]
    RedeemedBefore,
    #[error("an announcement is one line of 1 to 500 characters")]
    BadAnnouncement,
    #[error("what only one account is to see cannot stand on the site")]
    PublicToOne,
    #[error("a name has 1 to 100 characters and no control characters")]
    BadName,
    #[error("a key needs at least one scope")]
    NoScope,
    #[error("{0} is a user of this account already")]
    UserExists(String),
    #[error("{0} is invited already; send the invitation again instead")]
    Invited(String),
    #[error("an account needs an owner: make somebody else one first")]
    LastOwner,
    #[error("only an owner decides who is one, and only about owners")]
    OwnersOnly,
    #[error("only owners and admins of the account decide about its users")]
    AdminsOnly,
    #[error("this is an operator's account; nobody sees the console as one")]
    OperatorsAccount,
    #[error("a stream's short name has 1 to 40 letters, digits and inner hyphens")]
    BadStream,
    #[error("there is a stream {0} already, perhaps an archived one")]
    StreamExists(String),
    #[error("the account has no stream {0} that is in use")]
    NoSuchStream(String),
    #[error("this stream is there in every account and is not archived")]
    StreamOfAll,
    #[error(
        "credentials or keys are bound to this stream, {0} of them; revoke them or free them from it first"
    )]
    StreamInUse(i64),
    #[error("nobody can give a key the scope `{0}` without holding it")]
    ScopeNotHeld(Scope),
}

fn minutes(wait: &std::time::Duration) -> u64 {
    wait.as_secs().div_ceil(60).max(1)
}

/// Trims a name that people give to keys and credentials, and refuses what would break a list or a log.
pub(crate) fn checked_name(name: &str) -> Result<String> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        return Err(AccountsError::BadName);
    }
    Ok(name.to_owned())
}
