//! Who may send: logins, passwords, sessions, credentials, credits and sending domains.

pub mod announcements;
pub mod audit;
pub mod changes;
pub mod credits;
pub mod domains;
pub mod password;
pub mod ranges;
pub mod retention;
pub mod smtp_credentials;
pub mod streams;
pub mod suppressing;
pub mod tracking;

mod allowance;
mod api_keys;
mod attempts;
mod diagnosis;
mod directory;
mod error;
mod guard;
mod hash;
pub mod hooks;
mod impersonation;
mod ip_credentials;
mod limits;
mod link_guesses;
mod links;
mod lockout;
mod notices;
mod people;
mod principal;
mod reset;
mod scopes;
mod scram;
mod second_step;
pub mod senders;
mod sessions;
mod settings;
mod sign_in;
mod sign_up;
mod sign_up_mode;
mod signing;
mod smtp_password;
mod state;
mod token;
mod turns;
mod typed_code;
mod users;

use std::sync::Arc;

use mail::address::Domain;
use store::{Clock, Db, Ids};

pub use allowance::{
    Allowance, DayLimits, DayUsage, DayView, LimitOf, OwnLimits, Quota, Reached, StandardLimits, Taken,
    Taking,
};
pub use api_keys::{ApiKey, MOST_KEYS, NewKey, WantedKey};
pub use attempts::{Approach, AttemptFilter, Door, Reason, SignInAttempt};
pub use audit::{AuditFilter, AuditLine, By};
pub use changes::Epoch;
pub use diagnosis::{Diagnosis, LoginFacts};
pub use error::{AccountsError, Result};
pub use guard::{
    CAPTURED_MAIL, Cause, Counted, Decides, GuardSettings, Guarded, OWN_MAIL, Pause, Share, Thresholds,
    Watched, percent,
};
pub use hooks::{
    Hook, HookBody, HookChange, HookKind, HookVersion, HooksOf, MOST_HOOKS, MOST_VERSIONS, NewHook,
};
pub use impersonation::{IMPERSONATION, Impersonation};
pub use ip_credentials::{IpCredential, MOST_RANGES};
pub use link_guesses::changes_by_link;
pub use lockout::Lockout;
pub use notices::{ChangedBy, Letter, Requester, Says, StepChange, webhook_paused};
pub use people::{Account, AccountFilter, AccountSort, Login, NewAccount, OwnPassword};
pub use principal::{Principal, Validity, Via};
pub use scopes::{Role, Scope, Scopes};
pub use scram::{ProofAttempt, Proved, ScramChallenge};
pub use second_step::{
    ALGORITHMS, Assertion, Challenge, Entered, Fault, Given, NewApp, NoPasskeys, Owner, Passkey,
    Registration, SecondStep, Site, Step,
};
pub use sessions::{OwnSession, Session, SessionOrigin};
pub use sign_in::{Attempt, Outcome};
pub use sign_up::NewSignUp;
pub use sign_up_mode::{ModeInForce, SignUpMode};
pub use smtp_credentials::{
    CredentialChange, CredentialLimits, MOST_SMTP_CREDENTIALS, NewSmtpCredential, RateLeft, SmtpCredential,
    Terms, WantedCredential,
};
pub use smtp_password::SmtpPassword;
pub use state::AccountState;
pub use streams::{MOST_STREAMS, NewStream, Stream, StreamChange, StreamFault, StreamKind};
pub use users::{MOST_USERS, Offer, User, UserInvitation};

/// What an operator can set about accounts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Credits of a new account that is not an operator's and was not given a number.
    pub free_credits: i64,
    /// The name this server sends under; the SPF record that domains are asked to publish names it.
    pub hostname: String,
    /// It takes bounces, at a name of each domain that publishes one.
    pub inbound: bool,
    /// Where the operator publishes DKIM keys that domains may lead to.
    pub dkim_zone: Option<Domain>,
    /// Where names of domains for their links lead; none where this server answers at no names but its own.
    pub links: Option<String>,
    /// How much an account may send a day, where the operator gave it no limits of its own.
    pub day_limits: StandardLimits,
    pub guard: GuardSettings,
    /// Who may open an account, until an operator chooses otherwise.
    pub sign_up: SignUpMode,
}

/// The accounts room; clones share caches.
#[derive(Clone)]
pub struct Accounts {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    clock: Clock,
    ids: Ids,
    settings: Settings,
    hasher: hash::Hasher,
    pairs: sign_in::Pairs,
    pace: sign_in::Pace,
    /// Set where SCRAM is switched on.
    salts: std::sync::OnceLock<scram::Salts>,
    in_hand: lockout::InHand,
    /// Logins and the client addresses that were noted as theirs within the last hour.
    known: moka::sync::Cache<(store::Id, ipnet::IpNet), ()>,
    journal: attempts::Journal,
    directory: directory::Directory,
    touched: moka::sync::Cache<store::Id, ()>,
    /// What recipients are hashed with, once it was read.
    recipient_key: std::sync::OnceLock<Arc<aws_lc_rs::hmac::Key>>,
    /// What return paths and links are signed with, once it was read.
    signing_key: std::sync::OnceLock<Arc<aws_lc_rs::hmac::Key>>,
    sign_up_mode: sign_up_mode::Seen,
    /// DKIM keys are made one pair at a time.
    key_making: tokio::sync::Semaphore,
}

impl Accounts {
    pub fn new(db: Db, clock: Clock, ids: Ids, settings: Settings) -> Self {
        let pairs = sign_in::Pairs::new(&ids);
        let inner = Inner {
            db,
            clock,
            ids,
            sign_up_mode: sign_up_mode::Seen::new(settings.sign_up),
            key_making: tokio::sync::Semaphore::new(1),
            settings,
            hasher: hash::Hasher::new(),
            pairs,
            pace: sign_in::Pace::default(),
            salts: std::sync::OnceLock::new(),
            in_hand: lockout::InHand::default(),
            known: moka::sync::Cache::builder()
                .max_capacity(20_000)
                .time_to_live(lockout::NOTED_EVERY)
                .build(),
            journal: attempts::Journal::new(),
            directory: directory::Directory::new(),
            touched: moka::sync::Cache::builder()
                .max_capacity(10_000)
                .time_to_live(sessions::SEEN_EVERY)
                .build(),
            recipient_key: std::sync::OnceLock::new(),
            signing_key: std::sync::OnceLock::new(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }
}
