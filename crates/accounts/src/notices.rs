//! Mail of our own that is still to be written: noted in the transaction of what it reports, taken up after its commit.
//!
//! Whether an address has an account is looked at only when its mail is written. Whoever asks for a link therefore
//! waits for the same statements whatever the answer is.

use std::net::IpAddr;
use std::time::Duration;

use mail::address::Address;
use mail::time::Time;
use serde::{Deserialize, Serialize};
use store::{Id, Topic, Tx};

use crate::credits::{self, Left};
use crate::guard::{Pause, tell_owners};
use crate::links::{self, Link, Purpose};
use crate::state::AccountState;
use crate::{
    Accounts, Result, Role, allowance, impersonation, limits, second_step, senders, sign_up, token, users,
};

/// A mail that could not be handed over is tried again after this, then after twice as long, and so on.
const FIRST_GAP: Duration = Duration::from_mins(1);
const LONGEST_GAP: Duration = Duration::from_hours(1);
/// After this long nobody waits for it any more.
const GIVE_UP: Duration = Duration::from_hours(3 * 24);
const LONGEST_AGENT: usize = 200;

/// Where something was asked for from, as the mail about it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requester {
    pub ip: IpAddr,
    /// What the browser called itself.
    agent: String,
}

impl Requester {
    pub fn new(ip: IpAddr, agent: &str) -> Self {
        let plain = agent.chars().filter(|c| !c.is_control()).take(LONGEST_AGENT);
        Self {
            ip,
            agent: plain.collect(),
        }
    }

    pub fn agent(&self) -> &str {
        &self.agent
    }
}

/// How a password came to be another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangedBy {
    /// By somebody who was signed in and knew the old one.
    Owner,
    /// By a link sent to the address.
    Link,
    Operator,
}

/// What there is to tell about a login's second step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepChange {
    On,
    Off,
    OffByOperator,
    /// Another app gives the codes.
    AppReplaced,
    PasskeyAdded,
    PasskeyRemoved,
    /// There is a new set of recovery codes.
    RecoveryNew,
    /// Somebody signed in with a recovery code.
    RecoveryUsed,
    /// Nothing is another: somebody with the password gave wrong codes again and again.
    CodesGuessed,
}

/// What a mail is about, as it is kept until it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub(crate) enum Matter {
    SignUp {
        sign_up: String,
        requester: Requester,
    },
    Forgotten {
        requester: Requester,
    },
    Invited {
        language: String,
    },
    UserInvited {
        invitation: String,
    },
    SenderAsked {
        sender: String,
    },
    PasswordChanged {
        by: ChangedBy,
        requester: Option<Requester>,
    },
    Credits {
        account: String,
        few: Left,
        left: i64,
        mark: i64,
    },
    SecondStep {
        change: StepChange,
        requester: Option<Requester>,
    },
    Paused {
        pause: Pause,
        /// Identifier and name of the account, for the operator.
        account: Option<(String, String)>,
        owner_decides: bool,
    },
    Suspended {
        reason: String,
    },
    Resumed,
    HookBroke {
        name: String,
        fault: String,
        open: bool,
    },
    WebhookPaused {
        place: String,
        gone: bool,
    },
    /// None of the records that a domain was verified by is there any more.
    DomainMissing {
        name: String,
    },
    /// An operator sees the console as the account.
    Impersonated {
        reason: String,
    },
    /// Somebody of the account, or a nameless one from outside, gave the user another role.
    RoleChanged {
        role: String,
        by: Option<String>,
    },
}

/// A mail to be written now. It comes again after a while until [`Accounts::letter_sent`] is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    pub id: Id,
    pub to: Address,
    /// `en` or `fr`.
    pub language: String,
    /// When what it is about happened.
    pub at: Time,
    pub requester: Option<Requester>,
    pub says: Says,
}

/// What a mail says. Tokens exist in clear nowhere but here and in the mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    /// Open this link and the account is yours.
    Confirm {
        token: String,
    },
    /// Somebody wanted to open an account for the address, which has one.
    HasAccount,
    /// Open this link for a new password.
    Reset {
        token: String,
    },
    /// Somebody who runs the service wants you in.
    Invitation {
        token: String,
    },
    /// Somebody wants you as a user of their account.
    UserInvitation {
        token: String,
        by: String,
        role: Role,
    },
    /// Somebody wants to send mail as the address.
    SenderAsked {
        token: String,
        by: String,
    },
    /// Somebody wants the address as a user of their account, but it has a login.
    InvitedElsewhere {
        by: String,
    },
    PasswordChanged {
        by: ChangedBy,
    },
    /// So many credits are left of so many.
    Credits {
        few: Left,
        left: i64,
        mark: i64,
    },
    SecondStep {
        change: StepChange,
    },
    /// The guard paused the account; for the operator with its identifier and name.
    Paused {
        pause: Pause,
        account: Option<(String, String)>,
        owner_decides: bool,
    },
    /// The operator stopped the account.
    Suspended {
        reason: String,
    },
    /// The account may send again.
    Resumed,
    /// A hook broke.
    HookBroke {
        name: String,
        fault: String,
        open: bool,
    },
    /// A webhook is told nothing any more: its receiver is gone for good, or failed for a week.
    WebhookPaused {
        place: String,
        gone: bool,
    },
    /// None of the records that the domain was verified by is there any more.
    DomainMissing {
        name: String,
    },
    /// An operator sees the console as the account.
    Impersonated {
        reason: String,
    },
    /// The user has another role, from somebody of the account or, without a name, from outside.
    RoleChanged {
        role: Role,
        by: Option<String>,
    },
}

impl Matter {
    /// The news that an account is in this state now.
    pub(crate) fn of_state(state: &AccountState) -> Self {
        match state {
            AccountState::Active => Self::Resumed,
            AccountState::Suspended(reason) | AccountState::Paused(reason) => Self::Suspended {
                reason: reason.clone(),
            },
        }
    }
}

/// Notes a mail to `email`; it is due `wait` from now.
pub(crate) fn note(
    tx: &mut Tx<'_>,
    id: Id,
    email: &str,
    matter: &Matter,
    (now, wait): (Time, Duration),
) -> store::Result<()> {
    let matter = serde_json::to_string(matter).expect("texts and addresses are always JSON");
    tx.run(
        "INSERT INTO notices (id, email, matter, created_at, due_at, tries) VALUES ($1, $2, $3, $4, $5, 0)",
        &[
            id.into(),
            email.into(),
            (&matter).into(),
            now.into(),
            now.plus(wait).into(),
        ],
    )?;
    tx.ring(Topic::Notices);
    Ok(())
}

/// Tells the owners of an account that a webhook is told nothing any more. `place` is where it goes, without what may be
/// secret in it; `gone` says that its receiver asked for it.
pub fn webhook_paused(
    tx: &mut Tx<'_>,
    account: Id,
    (place, gone): (&str, bool),
    id: &mut dyn FnMut() -> Id,
    now: Time,
) -> store::Result<()> {
    let matter = Matter::WebhookPaused {
        place: place.to_owned(),
        gone,
    };
    tell_owners(tx, account, &matter, id, now)
}

/// Tells the owners of an account that the records are gone which a domain of theirs was verified by.
pub(crate) fn domain_missing(
    tx: &mut Tx<'_>,
    account: Id,
    name: &str,
    id: &mut dyn FnMut() -> Id,
    now: Time,
) -> store::Result<()> {
    let matter = Matter::DomainMissing {
        name: name.to_owned(),
    };
    tell_owners(tx, account, &matter, id, now)
}

/// Tells the owners of an account that a hook of theirs broke; `open` says that the message went on without it.
pub(crate) fn hook_broke(
    tx: &mut Tx<'_>,
    account: Id,
    (name, fault, open): (&str, &str, bool),
    id: &mut dyn FnMut() -> Id,
    now: Time,
) -> store::Result<()> {
    let matter = Matter::HookBroke {
        name: name.to_owned(),
        fault: fault.to_owned(),
        open,
    };
    tell_owners(tx, account, &matter, id, now)
}

/// What taking the next one up came to.
enum Taken {
    Write(Letter),
    /// There was nothing to say.
    Dropped,
    GivenUp(Id),
    None,
}

impl Accounts {
    /// The next mail to be written, if one is due. Several nodes may ask: each mail is in one hand at a time.
    pub async fn next_letter(&self) -> Result<Option<Letter>> {
        loop {
            let now = self.inner.clock.now();
            let due = self.inner.db.peek("look for mail of our own", move |tx| {
                tx.query_opt("SELECT 1 FROM notices WHERE due_at <= $1 LIMIT 1", &[now.into()])
            });
            if due.await?.is_none() {
                return Ok(None);
            }
            let secret = token::base62(&self.inner.ids.secret(token::RANDOM_OCTETS));
            let taken = self
                .inner
                .db
                .write("take up mail of our own", move |tx| take(tx, &secret, now));
            match taken.await? {
                Taken::Write(letter) => return Ok(Some(letter)),
                Taken::Dropped => {}
                Taken::GivenUp(id) => {
                    tracing::warn!(%id, "a mail of our own could not be handed over for days and is given up");
                }
                Taken::None => return Ok(None),
            }
        }
    }

    /// The mail is accepted for delivery.
    pub async fn letter_sent(&self, id: Id) -> Result<()> {
        let done = self
            .inner
            .db
            .write("note that a mail of our own is accepted", move |tx| {
                drop_it(tx, id)
            });
        Ok(done.await?)
    }

    /// Whom mail of our own belongs to: the first operator, who sees what becomes of it and whose keys sign it.
    pub async fn postmaster(&self) -> Result<Option<Id>> {
        let found = self.inner.db.peek("look for the postmaster", |tx| {
            tx.query_opt(
                "SELECT id FROM accounts WHERE operator = 1 ORDER BY id LIMIT 1",
                &[],
            )
        });
        Ok(found.await?.map(|row| row.id(0)).transpose()?)
    }

    /// Removes links that are too old, sign-ups that nobody confirmed, and counters whose time is over.
    pub async fn tidy(&self) -> Result<()> {
        let now = self.inner.clock.now();
        let ids = self.inner.ids.clone();
        let tidied = self.inner.db.write("remove old links and sign-ups", move |tx| {
            impersonation::purge(tx, &ids, now)?;
            links::purge(tx, now)?;
            sign_up::purge(tx, now)?;
            second_step::purge(tx, now)?;
            users::purge(tx, now)?;
            limits::purge(tx, now)?;
            allowance::purge(tx, now)
        });
        Ok(tidied.await?)
    }
}

fn drop_it(tx: &mut Tx<'_>, id: Id) -> store::Result<()> {
    tx.run("DELETE FROM notices WHERE id = $1", &[id.into()])
}

fn take(tx: &mut Tx<'_>, secret: &str, now: Time) -> store::Result<Taken> {
    let sql = format!(
        "SELECT id, email, matter, created_at, tries FROM notices WHERE due_at <= $1 ORDER BY due_at, id LIMIT 1{}",
        tx.skip_locked()
    );
    let Some(row) = tx.query_opt(&sql, &[now.into()])? else {
        return Ok(Taken::None);
    };
    let (id, created_at, tries) = (row.id(0)?, row.time(3)?, row.int(4)?);
    if now.since(created_at) >= GIVE_UP {
        drop_it(tx, id)?;
        return Ok(Taken::GivenUp(id));
    }
    let email = row.text(1)?;
    let written = match serde_json::from_str(&row.text(2)?) {
        Ok(matter) => write(tx, &email, matter, secret, now)?,
        Err(error) => {
            tracing::warn!(%id, %error, "a mail of our own cannot be read any more and is dropped");
            None
        }
    };
    let (Some(written), Ok(to)) = (written, Address::parse(&email)) else {
        drop_it(tx, id)?;
        return Ok(Taken::Dropped);
    };
    let doublings = u32::try_from(tries).unwrap_or(u32::MAX).min(16);
    let gap = FIRST_GAP.saturating_mul(1 << doublings).min(LONGEST_GAP);
    tx.run(
        "UPDATE notices SET due_at = $2, tries = tries + 1 WHERE id = $1",
        &[id.into(), now.plus(gap).into()],
    )?;
    Ok(Taken::Write(Letter {
        id,
        to,
        language: written.language,
        at: created_at,
        requester: written.requester,
        says: written.says,
    }))
}

struct Written {
    language: String,
    requester: Option<Requester>,
    says: Says,
}

/// Looks the matter up as it stands now and makes its link. `None` where there is nothing to say.
fn write(
    tx: &mut Tx<'_>,
    email: &str,
    matter: Matter,
    secret: &str,
    now: Time,
) -> store::Result<Option<Written>> {
    let Ok(address) = Address::parse(email) else {
        return Ok(None);
    };
    let login = login_of(tx, &address.login_key())?;
    let link = |tx: &mut Tx<'_>, purpose, subject| {
        let link = Link {
            subject,
            email: email.to_owned(),
        };
        links::make(tx, purpose, &link, secret, now)
    };
    let token = secret.to_owned();
    let (language, requester, says) = match (matter, login) {
        (Matter::SignUp { requester, .. }, Some((_, language))) => {
            (language, Some(requester), Says::HasAccount)
        }
        (Matter::SignUp { sign_up, requester }, None) => {
            let Some(subject) = sign_up.parse().ok() else {
                return Ok(None);
            };
            let Some(language) = sign_up::language(tx, subject)? else {
                return Ok(None);
            };
            link(tx, Purpose::SignUp, subject)?;
            (language, Some(requester), Says::Confirm { token })
        }
        (Matter::Forgotten { requester }, Some((login, language))) => {
            link(tx, Purpose::Reset, login)?;
            (language, Some(requester), Says::Reset { token })
        }
        (Matter::Invited { language }, None) => {
            // An invitation stands for itself; nothing else is stored of it.
            link(tx, Purpose::Invite, Id::from_bytes([0; 16]))?;
            (language, None, Says::Invitation { token })
        }
        (Matter::UserInvited { invitation }, login) => {
            let Some(offer) = invitation
                .parse()
                .ok()
                .map(|id| users::offer(tx, id))
                .transpose()?
                .flatten()
            else {
                return Ok(None);
            };
            let by = offer.invited_by;
            if let Some((_, language)) = login {
                (language, None, Says::InvitedElsewhere { by })
            } else {
                link(tx, Purpose::User, offer.id)?;
                let role = offer.role;
                (offer.language, None, Says::UserInvitation { token, by, role })
            }
        }
        (Matter::SenderAsked { sender }, _) => {
            let asked = sender.parse().ok().map(|id| senders::asked(tx, id)).transpose()?;
            let Some(asked) = asked.flatten() else {
                return Ok(None);
            };
            link(tx, Purpose::Sender, asked.id)?;
            let by = asked.asked_by;
            (asked.language, None, Says::SenderAsked { token, by })
        }
        (Matter::PasswordChanged { by, requester }, Some((_, language))) => {
            (language, requester, Says::PasswordChanged { by })
        }
        (
            Matter::Credits {
                account,
                few,
                left,
                mark,
            },
            Some((_, language)),
        ) => {
            let Ok(account) = account.parse() else {
                return Ok(None);
            };
            if !credits::still_true(tx, account, few)? {
                return Ok(None);
            }
            (language, None, Says::Credits { few, left, mark })
        }
        (Matter::SecondStep { change, requester }, Some((_, language))) => {
            (language, requester, Says::SecondStep { change })
        }
        (
            Matter::Paused {
                pause,
                account,
                owner_decides,
            },
            Some((_, language)),
        ) => {
            let says = Says::Paused {
                pause,
                account,
                owner_decides,
            };
            (language, None, says)
        }
        (Matter::Suspended { reason }, Some((_, language))) => (language, None, Says::Suspended { reason }),
        (Matter::Resumed, Some((_, language))) => (language, None, Says::Resumed),
        (Matter::HookBroke { name, fault, open }, Some((_, language))) => {
            (language, None, Says::HookBroke { name, fault, open })
        }
        (Matter::WebhookPaused { place, gone }, Some((_, language))) => {
            (language, None, Says::WebhookPaused { place, gone })
        }
        (Matter::DomainMissing { name }, Some((_, language))) => {
            (language, None, Says::DomainMissing { name })
        }
        (Matter::Impersonated { reason }, Some((_, language))) => {
            (language, None, Says::Impersonated { reason })
        }
        (Matter::RoleChanged { role, by }, Some((_, language))) => {
            let role = Role::from_text(&role);
            (language, None, Says::RoleChanged { role, by })
        }
        (
            Matter::Forgotten { .. }
            | Matter::PasswordChanged { .. }
            | Matter::Credits { .. }
            | Matter::SecondStep { .. }
            | Matter::Paused { .. }
            | Matter::Suspended { .. }
            | Matter::Resumed
            | Matter::HookBroke { .. }
            | Matter::WebhookPaused { .. }
            | Matter::DomainMissing { .. }
            | Matter::Impersonated { .. }
            | Matter::RoleChanged { .. },
            None,
        )
        | (Matter::Invited { .. }, Some(_)) => return Ok(None),
    };
    Ok(Some(Written {
        language,
        requester,
        says,
    }))
}

fn login_of(tx: &mut Tx<'_>, login_key: &str) -> store::Result<Option<(Id, String)>> {
    tx.query_opt(
        "SELECT id, language FROM logins WHERE login_key = $1",
        &[login_key.into()],
    )?
    .map(|row| Ok((row.id(0)?, row.text(1)?)))
    .transpose()
}
