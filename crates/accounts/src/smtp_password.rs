//! The switch that keeps a login's password off SMTP, where named credentials are used instead.

use store::{Id, Tx};

use crate::audit::{self, By};
use crate::changes::bump;
use crate::{Accounts, AccountsError, Principal, Result};

/// Whether the password of a login signs in over SMTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpPassword {
    pub login: Id,
    pub email: String,
    pub allowed: bool,
}

impl Accounts {
    /// The account's logins, each with whether its password signs in over SMTP.
    pub async fn smtp_passwords(&self, account: Id) -> Result<Vec<SmtpPassword>> {
        let read = move |tx: &mut Tx<'_>| {
            tx.query(
                "SELECT id, email, smtp_password FROM logins WHERE account = $1 ORDER BY email",
                &[(&account).into()],
            )?
            .iter()
            .map(|row| {
                Ok(SmtpPassword {
                    login: row.id(0)?,
                    email: row.text(1)?,
                    allowed: row.bool(2)?,
                })
            })
            .collect()
        };
        Ok(self
            .inner
            .db
            .read("read which passwords sign in over SMTP", read)
            .await?)
    }

    /// Says whether the password of a login of the account of `who`, its own where none is named, signs in over SMTP. Open
    /// sessions that did are refused from the next command on; the console takes the password in any case.
    pub async fn allow_smtp_password(
        &self,
        who: &Principal,
        email: Option<&str>,
        allowed: bool,
        by: &By,
    ) -> Result<SmtpPassword> {
        let (login, email) = self.login_of(who, email).await?;
        let (account, now) = (who.account, self.inner.clock.now());
        let (audit, by, named) = (self.id(now), by.clone(), email.clone());
        let change = move |tx: &mut Tx<'_>| {
            let changed = tx.execute(
                "UPDATE logins SET smtp_password = $3 WHERE id = $1 AND account = $2",
                &[(&login).into(), (&account).into(), allowed.into()],
            )?;
            let action = if allowed {
                "smtp_password.allowed"
            } else {
                "smtp_password.forbidden"
            };
            audit::note(tx, (audit, now), account, &by, action, &named, "")?;
            bump(tx, account)?;
            Ok(changed)
        };
        match self
            .inner
            .db
            .write("say whether a password signs in over SMTP", change)
            .await?
        {
            0 => Err(AccountsError::NotFound("login")),
            _ => Ok(SmtpPassword {
                login,
                email,
                allowed,
            }),
        }
    }

    /// The login of the account of `who` that `email` names, or its own.
    pub(crate) async fn login_of(&self, who: &Principal, email: Option<&str>) -> Result<(Id, String)> {
        let Some(email) = email else {
            let login = who.login.ok_or(AccountsError::NotFound("login"))?;
            return Ok((login, who.email.clone()));
        };
        match self.login(email).await {
            // Whether another account has it is nobody's business.
            Ok(login) if login.account != who.account => Err(AccountsError::NoSuchLogin(login.email)),
            Ok(login) => Ok((login.id, login.email)),
            Err(error) => Err(error),
        }
    }
}
