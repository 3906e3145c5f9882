//! Who is asking: a web session in a cookie, or an API key.

use std::net::IpAddr;

use accounts::{Account, Accounts, By, Door, Impersonation, Principal, Requester, Role, Scope, Scopes, Via};
use axum::extract::FromRequestParts;
use axum::http::request::Parts as RequestParts;
use axum::http::{HeaderMap, HeaderValue, header};
use store::Id;

use super::Parts;
use super::error::{ApiError, ApiResult};
use super::impersonation::Looking;
use super::peer::Client;

/// The name of the session cookie.
pub const COOKIE: &str = "posthouse_session";
/// The cookie of half a session: the password was right, the second step is still to come. Nothing but that step reads it.
pub const HALF_COOKIE: &str = "posthouse_second";
/// The cookie of an operator who sees the console as an account, beside the one of their own session.
pub const IMPERSONATION_COOKIE: &str = "posthouse_as";
/// Longer than one lasts, in seconds: while the cookie is there, what comes after its end is refused instead of done in the
/// operator's own name.
const IMPERSONATION_COOKIE_LIFE: u32 = 24 * 3600;
/// As long as half a session lasts, in seconds.
const HALF_LIFE: u32 = 5 * 60;
/// As long as a session can last, in seconds; the server decides when it is over.
const COOKIE_LIFE: u32 = 30 * 24 * 3600;

/// Somebody who proved who they are.
#[derive(Clone, Debug)]
pub struct Caller {
    pub principal: Principal,
    /// What this session or key may do.
    pub scopes: Scopes,
    /// What its user is in the account.
    pub role: Role,
    pub account: Account,
    /// The token of the web session, where it is one.
    pub session: Option<String>,
    /// Where it is an operator who sees the console as this account.
    pub looking: Option<Looking>,
    /// Whether a web session proved lately who uses it.
    fresh: bool,
    /// Whether it was opened lately.
    young: bool,
    /// Where the request comes from.
    pub ip: IpAddr,
}

impl Caller {
    /// Refuses a key without this scope, and a person whose role does not hold it.
    pub fn needs(&self, scope: Scope) -> ApiResult<()> {
        if self.scopes.contains(scope) {
            return Ok(());
        }
        Err(match scope {
            // Somebody else's tools; that they exist is no secret, and a person cannot get the scope by asking.
            Scope::Operator => ApiError::Forbidden("Only an operator may do this.".to_owned()),
            scope if self.session.is_some() || self.looking.is_some() => ApiError::BeyondRole(scope),
            scope => ApiError::MissingScope(scope),
        })
    }

    /// The same for what only reads: whoever may read the account may.
    pub fn reads(&self, scope: Scope) -> ApiResult<()> {
        if self.scopes.reads(scope) {
            return Ok(());
        }
        self.needs(scope)
    }

    /// Refuses a key without this scope. A person comes in any role: this is about the own login.
    pub fn is_person_or_holds(&self, scope: Scope) -> ApiResult<()> {
        if self.session.is_some() {
            return Ok(());
        }
        self.needs(scope)
    }

    /// Whose keys and credentials are this caller's to see: `None` stands for everybody's in the account.
    pub fn only_own(&self) -> Option<Id> {
        if self.scopes.contains(Scope::Account) {
            None
        } else {
            self.principal.login
        }
    }

    /// Refuses a web session whose password was last entered a while ago: for what a browser left open must not do. A key
    /// passes, because there is nobody to ask.
    pub fn needs_fresh(&self) -> ApiResult<()> {
        if let Some(looking) = &self.looking {
            return Err(ApiError::Impersonating(looking.what.account_name.clone()));
        }
        if self.session.is_none() || self.fresh {
            return Ok(());
        }
        Err(ApiError::NotFresh)
    }

    /// Refuses whoever did not give the second step of their login lately, where it is on: for what would put another in its
    /// place. The password alone must not do that, or it would walk around the second step.
    pub async fn needs_second_step(&self, accounts: &Accounts) -> ApiResult<()> {
        let (login, _) = self.person()?;
        self.needs_fresh()?;
        // Where it is on, a session is opened with it or not at all.
        if self.young || !accounts.second_step(login).await?.is_on() {
            return Ok(());
        }
        Err(ApiError::SignInAnew)
    }

    /// Whoever this is, for the audit log.
    pub fn by(&self) -> By {
        match &self.looking {
            Some(looking) => looking.what.by(Some(self.ip)),
            None => By::principal(&self.principal, Some(self.ip)),
        }
    }

    /// The login of a web session and the session's token, for what is a person's own matter. Refuses a key.
    pub fn person(&self) -> ApiResult<(Id, &str)> {
        match (self.principal.login, &self.session) {
            (Some(login), Some(token)) => Ok((login, token)),
            _ => Err(ApiError::Forbidden(
                "Only a person who is signed in may do this, not a key.".to_owned(),
            )),
        }
    }

    /// Refuses all but a person with this scope who proved lately who they are: for who may do what in the account, which a
    /// key never decides.
    pub fn in_person(&self, scope: Scope) -> ApiResult<()> {
        self.needs(scope)?;
        self.person()?;
        self.needs_fresh()
    }

    /// Whether this is an owner of an operator's account in person: who may decide about other owners and operators.
    pub fn is_operating_owner(&self) -> bool {
        self.session.is_some() && self.role == Role::Owner && self.scopes.contains(Scope::Operator)
    }

    pub fn account_id(&self) -> Id {
        self.principal.account
    }

    /// An operator in the place of an account: somebody who reads, and is none of its logins.
    async fn looking(accounts: &Accounts, looking: Looking, ip: IpAddr) -> ApiResult<Self> {
        let Impersonation {
            account,
            account_name,
            ..
        } = looking.what.clone();
        Ok(Self {
            principal: Principal {
                account,
                login: None,
                email: account_name,
                stamp: 0,
                via: Via::Impersonation,
            },
            scopes: [Scope::Read].into_iter().collect(),
            role: Role::Viewer,
            account: accounts.account(account).await?,
            session: None,
            looking: Some(looking),
            fresh: false,
            young: false,
            ip,
        })
    }
}

impl FromRequestParts<Parts> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(request: &mut RequestParts, parts: &Parts) -> ApiResult<Self> {
        // The gate has asked already.
        if let Some(known) = request.extensions.get::<Self>() {
            return Ok(known.clone());
        }
        let accounts = &parts.accounts;
        let Ok(client) = Client::from_request_parts(request, parts).await;
        // A key that is given counts, whatever cookie comes with it; csrf.rs relies on that.
        if let Some(secret) = bearer(&request.headers).map(str::to_owned) {
            let Some((principal, scopes, role)) = accounts.find_key(&secret).await? else {
                let from = client.approach(&request.headers, Door::Api);
                accounts.note_refused_key(&secret, &from).await?;
                return Err(ApiError::UnknownKey);
            };
            let account = accounts.account(principal.account).await?;
            return Ok(Self {
                principal,
                scopes,
                role,
                account,
                session: None,
                looking: None,
                fresh: false,
                young: false,
                ip: client.ip,
            });
        }
        if impersonation_token(&request.headers).is_some() {
            // Without the look at what is open to it, it opens nothing.
            let looking = request.extensions.get::<Looking>().cloned();
            let looking = looking.ok_or(ApiError::ImpersonationOver)?;
            return Self::looking(accounts, looking, client.ip).await;
        }
        let token = session_token(&request.headers).ok_or(ApiError::NotSignedIn)?;
        let session = accounts
            .find_session(&token)
            .await?
            .ok_or(ApiError::NotSignedIn)?;
        let account = accounts.account(session.principal.account).await?;
        let scopes = session.role.scopes(account.operator);
        Ok(Self {
            principal: session.principal,
            scopes,
            role: session.role,
            account,
            session: Some(token),
            looking: None,
            fresh: session.fresh,
            young: session.young,
            ip: client.ip,
        })
    }
}

/// What the browser or program calls itself.
pub fn agent(headers: &HeaderMap) -> &str {
    headers
        .get(header::USER_AGENT)
        .and_then(|agent| agent.to_str().ok())
        .unwrap_or_default()
}

/// Where a request comes from, for the mail about it.
pub fn requester(client: &Client, headers: &HeaderMap) -> Requester {
    Requester::new(client.ip, agent(headers))
}

/// The key in `Authorization: Bearer`.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// The token in the session cookie.
pub fn session_token(headers: &HeaderMap) -> Option<String> {
    cookie_named(headers, COOKIE)
}

/// The token in the cookie of half a session.
pub fn half_token(headers: &HeaderMap) -> Option<String> {
    cookie_named(headers, HALF_COOKIE)
}

/// The token in the cookie of an impersonation.
pub fn impersonation_token(headers: &HeaderMap) -> Option<String> {
    cookie_named(headers, IMPERSONATION_COOKIE)
}

fn cookie_named(headers: &HeaderMap, wanted: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == wanted)
        .map(|(_, token)| token.to_owned())
}

/// The `Set-Cookie` that carries `token`; `secure` where the page came by TLS.
pub fn session_cookie(token: &str, secure: bool) -> HeaderValue {
    cookie((COOKIE, token), COOKIE_LIFE, secure)
}

/// The `Set-Cookie` of half a session.
pub fn half_cookie(token: &str, secure: bool) -> HeaderValue {
    cookie((HALF_COOKIE, token), HALF_LIFE, secure)
}

/// The `Set-Cookie` of an impersonation.
pub fn impersonation_cookie(token: &str, secure: bool) -> HeaderValue {
    cookie((IMPERSONATION_COOKIE, token), IMPERSONATION_COOKIE_LIFE, secure)
}

/// The `Set-Cookie` that takes the token away.
pub fn no_cookie(name: &'static str, secure: bool) -> HeaderValue {
    cookie((name, ""), 0, secure)
}

// Scripts cannot read it, other sites' forms do not carry it, and it never leaves TLS once it came by TLS.
fn cookie((name, token): (&str, &str), max_age: u32, secure: bool) -> HeaderValue {
    let secure = if secure { "; Secure" } else { "" };
    HeaderValue::try_from(format!(
        "{name}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age}{secure}"
    ))
    .expect("tokens are letters and digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_is_found_among_other_cookies() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "theme=dark".parse().unwrap());
        headers.append(header::COOKIE, "x=y;posthouse_session=Abc ; z".parse().unwrap());
        assert_eq!(session_token(&headers).as_deref(), Some("Abc"));
        assert_eq!(session_token(&HeaderMap::new()), None);
    }

    #[test]
    fn the_cookie_is_closed_to_scripts_and_other_sites() {
        let cookie = session_cookie("Abc", true);
        assert_eq!(
            cookie,
            "posthouse_session=Abc; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000; Secure"
        );
        assert!(!session_cookie("Abc", false).to_str().unwrap().contains("Secure"));
    }

    #[test]
    fn a_bearer_key_is_read_whatever_the_case_of_its_scheme() {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, "bearer ph_1".parse().unwrap());
        assert_eq!(bearer(&headers), Some("ph_1"));
        headers.insert(header::AUTHORIZATION, "Basic eDp5".parse().unwrap());
        assert_eq!(bearer(&headers), None);
    }
}
