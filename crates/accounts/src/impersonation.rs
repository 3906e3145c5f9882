//! An operator who sees the console as an account: reading only, for half an hour, and never without its owners knowing.

use std::time::Duration;

use mail::time::Time;
use store::{Id, Ids, Row, Tx, Value};

use crate::credits::checked_reason;
use crate::limits::{Count, Limit};
use crate::notices::Matter;
use crate::{Accounts, AccountsError, By, Principal, Result, Via, audit, changes, guard, sessions, token};

/// How long one lasts at most.
pub const IMPERSONATION: Duration = Duration::from_mins(30);

/// Each writes to the owners, so nobody begins more of them.
const OF_A_LOGIN: Limit = Limit {
    what: "impersonations by",
    most: 20,
    window: Duration::from_hours(1),
};

/// An operator who sees the console as an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impersonation {
    /// The account that is looked at.
    pub account: Id,
    pub account_name: String,
    /// Who looks.
    pub operator: Principal,
    pub reason: String,
    pub expires_at: Time,
}

impl Impersonation {
    /// The operator in the place of the account, for the audit log.
    pub fn by(&self, ip: Option<std::net::IpAddr>) -> By {
        By {
            behind: Some(self.operator.email.clone()),
            ..By::principal(&self.operator, ip)
        }
    }
}

/// How one ended.
#[derive(Clone, Copy)]
pub(crate) enum End {
    Left(Option<std::net::IpAddr>),
    SignedOut,
    /// Its time was over, or what it rests on: the operator's session, password, role or account.
    ByItself,
}

/// One as it is stored.
struct Stored {
    token_hash: Vec<u8>,
    what: Impersonation,
    /// Everything that it rests on is still there.
    stands: bool,
}

impl Accounts {
    /// Lets the operator whose web session `session` opens see the console as `account`, and returns the token of that.
    /// Writes both audit logs and to the owners.
    pub async fn begin_impersonation(
        &self,
        session: &str,
        (account, reason): (Id, &str),
        who: &Principal,
        by: &By,
    ) -> Result<(String, Impersonation)> {
        let reason = checked_reason(reason)?;
        let target = self.account(account).await?;
        if target.operator {
            return Err(AccountsError::OperatorsAccount);
        }
        let login = who.login.ok_or(AccountsError::NotFound("session"))?;
        let token = token::base62(&self.inner.ids.secret(token::RANDOM_OCTETS));
        let (hash, session_hash, now) = (token::hash(&token), token::hash(session), self.inner.clock.now());
        let begun = Impersonation {
            account,
            account_name: target.name,
            operator: who.clone(),
            reason,
            expires_at: now.plus(IMPERSONATION),
        };
        let (what, ids, by) = (begun.clone(), self.inner.ids.clone(), by.clone());
        let write = move |tx: &mut Tx<'_>| {
            changes::alone(tx)?;
            if let Count::Over(wait) = OF_A_LOGIN.count(tx, &login.to_string(), now)? {
                return Ok(Err(AccountsError::TooOften(wait)));
            }
            end_of_session(tx, &session_hash, &ids, now)?;
            tx.run(
                "INSERT INTO impersonations (token_hash, session_hash, by_account, login, stamp, email, account, reason, \
                 begun_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                &[
                    Value::Blob(&hash),
                    Value::Blob(&session_hash),
                    (&what.operator.account).into(),
                    (&login).into(),
                    what.operator.stamp.into(),
                    (&what.operator.email).into(),
                    (&what.account).into(),
                    (&what.reason).into(),
                    now.into(),
                    what.expires_at.into(),
                ],
            )?;
            if !find(tx, &hash, Some(&session_hash), now)?.is_some_and(|stored| stored.stands) {
                end(tx, &hash)?;
                return Ok(Err(AccountsError::NotFound("session")));
            }
            note(tx, &what, &by, ("impersonation.begun", &what.reason), (&ids, now))?;
            let matter = Matter::Impersonated {
                reason: what.reason.clone(),
            };
            guard::tell_owners(tx, what.account, &matter, &mut || ids.next(now), now)?;
            Ok(Ok(()))
        };
        self.inner.db.write("begin an impersonation", write).await??;
        Ok((token, begun))
    }

    /// What `token` opens beside the web session that it was begun in, if it still does. What ended by itself is noted.
    pub async fn find_impersonation(&self, token: &str, session: &str) -> Result<Option<Impersonation>> {
        let (hash, session, now) = (token::hash(token), token::hash(session), self.inner.clock.now());
        let look = move |tx: &mut Tx<'_>| find(tx, &hash, Some(&session), now);
        let found = self.inner.db.read("look an impersonation up", look).await?;
        match found {
            Some(stored) if stored.stands => Ok(Some(stored.what)),
            Some(_) => self
                .end_impersonation_by(hash, End::ByItself)
                .await
                .map(|()| None),
            None => Ok(None),
        }
    }

    /// Ends what `token` opens.
    pub async fn leave_impersonation(&self, token: &str, ip: std::net::IpAddr) -> Result<()> {
        self.end_impersonation_by(token::hash(token), End::Left(Some(ip)))
            .await
    }

    async fn end_impersonation_by(&self, hash: [u8; 32], how: End) -> Result<()> {
        let (ids, now) = (self.inner.ids.clone(), self.inner.clock.now());
        let leave = move |tx: &mut Tx<'_>| match find(tx, &hash, None, now)? {
            Some(stored) => end_one(tx, &stored, how, &ids, now),
            None => Ok(()),
        };
        Ok(self.inner.db.write("end an impersonation", leave).await?)
    }
}

/// Ends what was begun in the web session with this token's hash, which is about to end.
pub(crate) fn end_of_session(tx: &mut Tx<'_>, session: &[u8], ids: &Ids, now: Time) -> store::Result<()> {
    for stored in stored(tx, "i.session_hash = $1", &[Value::Blob(session)], now)? {
        end_one(tx, &stored, End::SignedOut, ids, now)?;
    }
    Ok(())
}

/// Ends and notes what nobody came back to.
pub(crate) fn purge(tx: &mut Tx<'_>, ids: &Ids, now: Time) -> store::Result<()> {
    for stored in stored(tx, "1 = 1", &[], now)? {
        if !stored.stands {
            end_one(tx, &stored, End::ByItself, ids, now)?;
        }
    }
    Ok(())
}

fn find(tx: &mut Tx<'_>, hash: &[u8], session: Option<&[u8]>, now: Time) -> store::Result<Option<Stored>> {
    let found = match session {
        Some(session) => stored(
            tx,
            "i.token_hash = $1 AND i.session_hash = $2",
            &[Value::Blob(hash), Value::Blob(session)],
            now,
        )?,
        None => stored(tx, "i.token_hash = $1", &[Value::Blob(hash)], now)?,
    };
    Ok(found.into_iter().next())
}

fn stored(tx: &mut Tx<'_>, which: &str, values: &[Value<'_>], now: Time) -> store::Result<Vec<Stored>> {
    let sql = format!(
        "SELECT i.token_hash, i.account, a.name, i.by_account, i.login, i.email, i.stamp, i.reason, i.expires_at, \
         i.session_hash, a.operator FROM impersonations i JOIN accounts a ON a.id = i.account WHERE {which}"
    );
    let rows = tx.query(&sql, values)?;
    rows.iter().map(|row| stored_of(tx, row, now)).collect()
}

fn stored_of(tx: &mut Tx<'_>, row: &Row, now: Time) -> store::Result<Stored> {
    let (login, stamp, expires_at) = (row.id(4)?, row.int(6)?, row.time(8)?);
    let stands =
        expires_at > now && row.int(10)? == 0 && sessions::operates(tx, &row.blob(9)?, (login, stamp), now)?;
    Ok(Stored {
        token_hash: row.blob(0)?,
        what: Impersonation {
            account: row.id(1)?,
            account_name: row.text(2)?,
            operator: Principal {
                account: row.id(3)?,
                login: Some(login),
                email: row.text(5)?,
                stamp,
                via: Via::Session,
            },
            reason: row.text(7)?,
            expires_at,
        },
        stands,
    })
}

fn end(tx: &mut Tx<'_>, hash: &[u8]) -> store::Result<u64> {
    tx.execute(
        "DELETE FROM impersonations WHERE token_hash = $1",
        &[Value::Blob(hash)],
    )
}

fn end_one(tx: &mut Tx<'_>, stored: &Stored, how: End, ids: &Ids, now: Time) -> store::Result<()> {
    let what = &stored.what;
    if end(tx, &stored.token_hash)? == 0 {
        return Ok(());
    }
    let (by, at, cause) = match how {
        End::Left(ip) => (what.by(ip), now, "left"),
        End::SignedOut => (what.by(None), now, "signed out"),
        End::ByItself => {
            let by = By {
                behind: Some(what.operator.email.clone()),
                ..By::system()
            };
            if what.expires_at <= now {
                (by, what.expires_at, "after 30 minutes")
            } else {
                (by, now, "the operator's session ended")
            }
        }
    };
    let detail = format!("{} ({cause})", what.reason);
    note(tx, what, &by, ("impersonation.ended", &detail), (ids, at))
}

/// Writes the same line to the logs of both accounts.
fn note(
    tx: &mut Tx<'_>,
    what: &Impersonation,
    by: &By,
    (action, detail): (&'static str, &str),
    (ids, at): (&Ids, Time),
) -> store::Result<()> {
    let behind = By {
        behind: Some(what.operator.email.clone()),
        ..by.clone()
    };
    for account in [what.account, what.operator.account] {
        audit::note(
            tx,
            (ids.next(at), at),
            account,
            &behind,
            action,
            &what.account_name,
            detail,
        )?;
    }
    Ok(())
}
