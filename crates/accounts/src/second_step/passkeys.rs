//! Passkeys: making one, and signing in or proving to be there still with one instead of the password.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mail::time::Time;
use store::{Id, Tx};

use super::manage::{Change, Owner};
use super::webauthn::{self, Assertion, Registration, Site};
use super::{challenges, is_on, keys, recovery};
use crate::changes::alone;
use crate::error::checked_name;
use crate::limits::{Count, Limit, network};
use crate::notices::StepChange;
use crate::sessions::{confirm, insert};
use crate::{Accounts, AccountsError, Approach, Principal, Reason, Result, SessionOrigin, token};

/// Challenges to be answered with a key that one network may ask for.
const OF_A_NETWORK: Limit = Limit {
    what: "passkey from",
    most: 300,
    window: Duration::from_hours(1),
};

/// What a browser is asked to answer with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    pub challenge: String,
    /// What authenticators call the keys that are meant, or that are there already; base64url.
    pub credentials: Vec<String>,
}

enum Used {
    In(Principal),
    /// The key has an owner, and yet does not open.
    Refused(Principal),
    Unknown,
}

/// Whose key an answer proves to be there. Its challenge, made for `whose`, is used up by that.
fn prove(
    tx: &mut Tx<'_>,
    (site, answer): (&Site, &Assertion),
    whose: Option<Id>,
    now: Time,
) -> store::Result<Used> {
    let Some(key) = keys::find(tx, &answer.credential)? else {
        return Ok(Used::Unknown);
    };
    if whose.is_some_and(|login| login != key.login) {
        return Ok(Used::Unknown);
    }
    let refused = Used::Refused(key.owner.clone());
    let named = answer.user.as_deref();
    if named.is_some_and(|user| user != key.login.as_bytes()) {
        return Ok(refused);
    }
    let Ok((challenge, counter)) = webauthn::asserted(site, (key.algorithm, &key.public_key), answer) else {
        return Ok(refused);
    };
    if !challenges::take(tx, &challenge, whose, now)? || !keys::used(tx, key.id, counter, now)? {
        return Ok(refused);
    }
    Ok(Used::In(key.owner))
}

fn base64url(octets: &[Vec<u8>]) -> Vec<String> {
    octets.iter().map(|one| URL_SAFE_NO_PAD.encode(one)).collect()
}

impl Accounts {
    /// A challenge for a new passkey of this login.
    pub async fn begin_passkey(&self, login: Id) -> Result<Challenge> {
        let now = self.inner.clock.now();
        let challenge = self.inner.ids.secret(challenges::OCTETS);
        let encoded = URL_SAFE_NO_PAD.encode(&challenge);
        let begin = move |tx: &mut Tx<'_>| {
            challenges::make(tx, &challenge, Some(login), now)?;
            keys::credentials(tx, login)
        };
        let known = self.inner.db.write("begin a passkey", begin).await?;
        Ok(Challenge {
            challenge: encoded,
            credentials: base64url(&known),
        })
    }

    /// Keeps a new passkey. Returns it, and recovery codes where the second step was off before.
    pub async fn add_passkey(
        &self,
        owner: Owner,
        name: &str,
        (site, answer): (&Site, &Registration),
    ) -> Result<(super::Passkey, Vec<String>)> {
        let name = checked_name(name)?;
        let (challenge, key) = webauthn::registered(site, answer)?;
        let (fresh, change) = (self.new_codes(), self.step_change(StepChange::PasskeyAdded));
        let id = self.id(change.now);
        let made = super::Passkey {
            id,
            name: name.clone(),
            created_at: change.now,
            used_at: None,
        };
        let add = move |tx: &mut Tx<'_>| {
            alone(tx)?;
            let login = owner.login.id;
            if !challenges::take(tx, &challenge, Some(login), change.now)? {
                return Ok(Err(AccountsError::ChallengeGone));
            }
            if keys::count(tx, login)? >= keys::MOST {
                return Ok(Err(AccountsError::TooMany {
                    most: keys::MOST,
                    of: "passkeys",
                    remedy: "remove one that you no longer use",
                }));
            }
            if keys::find(tx, &key.credential)?.is_some() {
                return Ok(Err(AccountsError::PasskeyExists));
            }
            let was_on = is_on(tx, login)?;
            keys::add(tx, (id, login), &key, &name, change.now)?;
            if was_on {
                change.note(tx, &owner, "passkey.added", &name)?;
                return Ok(Ok(Vec::new()));
            }
            let shown = recovery::replace(tx, login, &fresh)?;
            let change = Change {
                what: StepChange::On,
                ..change
            };
            change.note(tx, &owner, "second_step.on", &format!("passkey {name}"))?;
            Ok(Ok(shown))
        };
        let codes = self.inner.db.write("keep a passkey", add).await??;
        self.refresh().await?;
        Ok((made, codes))
    }

    /// A challenge for signing in. `half` names whose password was given already, so that keys which stay in no list of
    /// their own can be asked for; without it the browser shows what it has.
    pub async fn begin_passkey_sign_in(&self, half: Option<Id>, from: &Approach) -> Result<Challenge> {
        self.ask_for_passkey(None, half, from).await
    }

    /// A challenge for whoever is signed in to prove to be there still. Nothing to answer it with where there is no key.
    pub async fn begin_passkey_confirm(&self, login: Id, from: &Approach) -> Result<Challenge> {
        self.ask_for_passkey(Some(login), Some(login), from).await
    }

    /// A challenge made for `whose`, and the keys of `meant`.
    async fn ask_for_passkey(
        &self,
        whose: Option<Id>,
        meant: Option<Id>,
        from: &Approach,
    ) -> Result<Challenge> {
        let now = self.inner.clock.now();
        let challenge = self.inner.ids.secret(challenges::OCTETS);
        let encoded = URL_SAFE_NO_PAD.encode(&challenge);
        let network = network(from.ip);
        let begin = move |tx: &mut Tx<'_>| {
            if let Count::Over(wait) = OF_A_NETWORK.count(tx, &network, now)? {
                return Ok(Err(AccountsError::TooOften(wait)));
            }
            challenges::make(tx, &challenge, whose, now)?;
            Ok(Ok(
                meant.map_or(Ok(Vec::new()), |login| keys::credentials(tx, login))?
            ))
        };
        let known = self.inner.db.write("ask for a passkey", begin).await??;
        Ok(Challenge {
            challenge: encoded,
            credentials: base64url(&known),
        })
    }

    /// Opens a session for whoever has the key: it and the device's own check of its user are both steps at once. `None`
    /// where it opens nothing.
    pub async fn sign_in_with_passkey(
        &self,
        site: &Site,
        answer: Assertion,
        from: &Approach,
    ) -> Result<Option<(Principal, String)>> {
        let now = self.inner.clock.now();
        let token = token::base62(&self.inner.ids.secret(token::RANDOM_OCTETS));
        let hash = token::hash(&token);
        let origin = SessionOrigin {
            ip: from.ip.to_string(),
            agent: from.client.clone(),
        };
        let site = site.clone();
        let sign_in = move |tx: &mut Tx<'_>| {
            let used = prove(tx, (&site, &answer), None, now)?;
            if let Used::In(who) = &used
                && let Some(login) = who.login
                && !insert(tx, &hash, (login, who.stamp), &origin, now)?
            {
                return Ok(Used::Refused(who.clone()));
            }
            Ok(used)
        };
        let used = self.inner.db.write("sign in with a passkey", sign_in).await?;
        Ok(match used {
            Used::In(who) => {
                self.note_second(&who, from, Reason::SignedIn);
                Some((who, token))
            }
            Used::Refused(who) => {
                self.note_second(&who, from, Reason::WrongPasskey);
                None
            }
            Used::Unknown => None,
        })
    }

    /// Notes that whoever uses the session of `token` proved to be there with a key of their login, which counts as the
    /// password entered again does. False where nothing was proved or the session is over.
    pub async fn confirm_session_with_passkey(
        &self,
        (login, token): (Id, &str),
        site: &Site,
        answer: Assertion,
        from: &Approach,
    ) -> Result<bool> {
        let (now, hash) = (self.inner.clock.now(), token::hash(token));
        let site = site.clone();
        let prove_it = move |tx: &mut Tx<'_>| {
            let used = prove(tx, (&site, &answer), Some(login), now)?;
            if let Used::In(who) = &used
                && !confirm(tx, &hash, who, now)?
            {
                return Ok(Used::Refused(who.clone()));
            }
            Ok(used)
        };
        let used = self
            .inner
            .db
            .write("confirm a web session with a passkey", prove_it)
            .await?;
        Ok(match used {
            Used::In(who) => {
                self.note_second(&who, from, Reason::Confirmed);
                true
            }
            Used::Refused(who) => {
                self.note_second(&who, from, Reason::WrongPasskey);
                false
            }
            Used::Unknown => false,
        })
    }
}
