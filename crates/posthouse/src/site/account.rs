//! Opening an account and getting back into one without JavaScript. A link from a mail shows a form; only sending the
//! form changes something, because mail scanners follow links.

use accounts::{NewSignUp, SignUpMode};
use axum::Form;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use minijinja::{Value, context};
use serde::Deserialize;

use super::Public;
use super::lang::{Lang, Visit};
use super::login::code_page;
use crate::http::{
    ApiError, ApiResult, Client, FieldError, SignedIn, confirm_account, open_account, requester,
    sign_in_with_password,
};

/// Code, English and French name, by code.
const COUNTRIES: &str = include_str!("../../../../site/countries.tsv");
const ZONES: &str = include_str!("../../../../site/zones.txt");

/// What a link in a mail brings.
#[derive(Deserialize)]
pub struct Link {
    #[serde(default)]
    token: String,
    #[serde(default)]
    invitation: String,
}

/// What any of the forms holds.
#[derive(Deserialize)]
pub struct Filled {
    #[serde(default)]
    token: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    country: String,
    #[serde(default)]
    time_zone: String,
    /// Who invites into an account; shown again with a form that was refused.
    #[serde(default)]
    inviter: String,
}

pub async fn sign_up_form(State(public): State<Public>, visit: Visit, Query(link): Query<Link>) -> Response {
    let mode = match public.parts.accounts.sign_up_mode().await {
        Ok(found) => found.mode,
        Err(error) => return public.busy(&visit, &error),
    };
    let which = match (mode, link.invitation.as_str()) {
        (SignUpMode::Closed, _) => "closed",
        (SignUpMode::Invite, "") => "invite",
        _ => "sign_up",
    };
    // The address of an invitation is not asked for again.
    let invited = public.parts.accounts.invited(&link.invitation).await;
    let filled = Filled {
        token: link.invitation,
        email: invited.ok().flatten().unwrap_or_default(),
        password: String::new(),
        country: String::new(),
        time_zone: String::new(),
        inviter: String::new(),
    };
    public.form(&visit, which, &filled)
}

pub async fn sign_up(
    State(public): State<Public>,
    visit: Visit,
    client: Client,
    headers: HeaderMap,
    Form(filled): Form<Filled>,
) -> Response {
    let new = NewSignUp {
        email: filled.email.clone(),
        password: filled.password.clone(),
        country: filled.country.clone(),
        time_zone: filled.time_zone.clone(),
        language: visit.lang.code().to_owned(),
    };
    let invitation = Some(filled.token.clone()).filter(|token| !token.is_empty());
    match open_account(&public.parts, new, invitation, &requester(&client, &headers)).await {
        Ok(Some(principal)) => {
            public
                .enter(&visit, &client, &headers, &principal.email, &filled)
                .await
        }
        Ok(None) => public.form(&visit, "sent", &filled),
        Err(error) => public.refused(&visit, "sign_up", &filled, &error),
    }
}

pub async fn confirm_form(State(public): State<Public>, visit: Visit, Query(link): Query<Link>) -> Response {
    let which = match public.parts.accounts.sign_up_mode().await {
        Ok(found) => match found.mode {
            SignUpMode::Open => "confirm",
            SignUpMode::Invite => "invite",
            SignUpMode::Closed => "closed",
        },
        Err(error) => return public.busy(&visit, &error),
    };
    public.form(&visit, which, &Filled::of(link))
}

pub async fn confirm(
    State(public): State<Public>,
    visit: Visit,
    client: Client,
    headers: HeaderMap,
    Form(filled): Form<Filled>,
) -> Response {
    match confirm_account(&public.parts, &client, &filled.token, &filled.password).await {
        Ok(principal) => {
            public
                .enter(&visit, &client, &headers, &principal.email, &filled)
                .await
        }
        Err(error) => public.refused(&visit, "confirm", &filled, &error),
    }
}

pub async fn forgot_form(State(public): State<Public>, visit: Visit, Query(link): Query<Link>) -> Response {
    public.form(&visit, "forgot", &Filled::of(link))
}

pub async fn forgot(
    State(public): State<Public>,
    visit: Visit,
    client: Client,
    headers: HeaderMap,
    Form(filled): Form<Filled>,
) -> Response {
    let asked = public
        .parts
        .accounts
        .forgot_password(&filled.email, &requester(&client, &headers))
        .await;
    match asked {
        Ok(()) => public.form(&visit, "forgot_sent", &filled),
        Err(error) => public.refused(&visit, "forgot", &filled, &error.into()),
    }
}

pub async fn reset_form(State(public): State<Public>, visit: Visit, Query(link): Query<Link>) -> Response {
    public.form(&visit, "reset", &Filled::of(link))
}

pub async fn reset(
    State(public): State<Public>,
    visit: Visit,
    client: Client,
    headers: HeaderMap,
    Form(filled): Form<Filled>,
) -> Response {
    let asked = public
        .parts
        .accounts
        .reset_password(&filled.token, &filled.password, &requester(&client, &headers))
        .await;
    match asked {
        Ok(login) => {
            public
                .enter(&visit, &client, &headers, &login.email, &filled)
                .await
        }
        Err(error) => public.refused(&visit, "reset", &filled, &error.into()),
    }
}

/// How good a new password is, in the words of the page: what its script shows while somebody types.
pub async fn strength(State(public): State<Public>, visit: Visit, Form(filled): Form<Filled>) -> Response {
    let judged = tokio::task::spawn_blocking(move || {
        // An address that is being typed is no address yet; what it says counts all the same.
        let email: String = filled.email.chars().take(254).collect();
        accounts::password::check(&filled.password, &email)
    });
    let reasons: Vec<_> = match judged.await {
        Ok(Ok(())) => Vec::new(),
        Ok(Err(weak)) => weak
            .reasons
            .into_iter()
            .filter_map(accounts::password::Weakness::code)
            .collect(),
        Err(error) => return public.busy(&visit, &error),
    };
    public.answer(StatusCode::OK, "strength.html", &visit, context! { reasons })
}

/// An invitation into an account of others: who invites, and a password to choose.
pub async fn join_form(State(public): State<Public>, visit: Visit, Query(link): Query<Link>) -> Response {
    match public.parts.accounts.offered(&link.token).await {
        Ok(Some(offer)) => {
            let filled = Filled {
                email: offer.email,
                inviter: offer.invited_by,
                ..Filled::of(link)
            };
            public.form(&visit, "join", &filled)
        }
        Ok(None) => public.refused(&visit, "join_gone", &Filled::of(link), &ApiError::LinkGone),
        Err(error) => public.refused(&visit, "join_gone", &Filled::of(link), &error.into()),
    }
}

pub async fn join(
    State(public): State<Public>,
    visit: Visit,
    client: Client,
    headers: HeaderMap,
    Form(filled): Form<Filled>,
) -> Response {
    let from = requester(&client, &headers);
    let joined = public
        .parts
        .accounts
        .join(&filled.token, &filled.password, visit.lang.code(), &from)
        .await;
    match joined {
        Ok(who) => {
            tracing::info!(account = %who.account, "a user joined an account");
            public.enter(&visit, &client, &headers, &who.email, &filled).await
        }
        Err(error) => {
            let which = if matches!(error, accounts::AccountsError::LinkGone) {
                "join_gone"
            } else {
                "join"
            };
            public.refused(&visit, which, &filled, &error.into())
        }
    }
}

/// Whether an account may send as the address that was written to.
pub async fn sender_form(State(public): State<Public>, visit: Visit, Query(link): Query<Link>) -> Response {
    match public.parts.accounts.asked_sender(&link.token).await {
        Ok(Some(asked)) => {
            let filled = Filled {
                email: asked.address,
                inviter: asked.asked_by,
                ..Filled::of(link)
            };
            public.form(&visit, "sender", &filled)
        }
        Ok(None) => public.refused(&visit, "sender_gone", &Filled::of(link), &ApiError::LinkGone),
        Err(error) => public.refused(&visit, "sender_gone", &Filled::of(link), &error.into()),
    }
}

pub async fn sender(State(public): State<Public>, visit: Visit, Form(filled): Form<Filled>) -> Response {
    match public.parts.accounts.confirm_sender(&filled.token).await {
        Ok(asked) => {
            tracing::info!(account = %asked.account, "a sender address was confirmed");
            public.form(&visit, "sender_done", &filled)
        }
        Err(error) => public.refused(&visit, "sender_gone", &filled, &error.into()),
    }
}

impl Filled {
    fn of(link: Link) -> Self {
        Self {
            token: link.token,
            email: String::new(),
            password: String::new(),
            country: String::new(),
            time_zone: String::new(),
            inviter: String::new(),
        }
    }
}

impl Public {
    fn form(&self, visit: &Visit, which: &str, filled: &Filled) -> Response {
        self.answer(
            StatusCode::OK,
            "account.html",
            visit,
            values(visit, which, filled, &Refusal::default()),
        )
    }

    /// The form again with what was typed, but for the password.
    fn refused(&self, visit: &Visit, which: &str, filled: &Filled, error: &ApiError) -> Response {
        let mut refusal = Refusal::default();
        let (status, fault, wait) = match error {
            ApiError::Invalid(faults) => {
                let (field, message) = faults
                    .first()
                    .map_or(("", ""), |fault| (fault.field(), fault.message()));
                message.clone_into(&mut refusal.detail);
                refusal.reasons = faults.first().map(reasons).unwrap_or_default();
                let fault = match field {
                    "email" => "email",
                    "password" if which == "confirm" => "wrong",
                    "password" => "weak",
                    "country" => "country",
                    _ => "other",
                };
                (StatusCode::UNPROCESSABLE_ENTITY, fault, 0)
            }
            ApiError::LinkGone => (StatusCode::GONE, "gone", 0),
            ApiError::Forbidden(_) => (StatusCode::FORBIDDEN, "closed", 0),
            ApiError::TooOften(seconds) | ApiError::TooManyAttempts(seconds) => {
                (StatusCode::TOO_MANY_REQUESTS, "wait", *seconds)
            }
            _ => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", 0),
        };
        refusal.fault = fault;
        let values = values(visit, which, filled, &refusal);
        let mut response = self.answer(status, "account.html", visit, values);
        if wait > 0 {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(wait));
        }
        response
    }

    /// Signs in whoever just proved to be the owner.
    async fn enter(
        &self,
        visit: &Visit,
        client: &Client,
        headers: &HeaderMap,
        email: &str,
        filled: &Filled,
    ) -> Response {
        let signed_in: ApiResult<_> =
            sign_in_with_password(&self.parts, client, headers, email, &filled.password).await;
        match signed_in {
            Ok(SignedIn::In(cookies, _)) => (cookies, Redirect::to("/app/")).into_response(),
            // A new password does not lift the second step: whoever reads the mailbox need not be the owner.
            Ok(SignedIn::Half(cookies, _)) => {
                (cookies, Redirect::to(&code_page(visit, None))).into_response()
            }
            // The account is there; the login page says why it is not open.
            Err(_) => Redirect::to(&visit.link("/login")).into_response(),
        }
    }
}

/// Why a form was not accepted.
#[derive(Default)]
struct Refusal {
    /// Its words are `account.fault.` and this; empty where it was.
    fault: &'static str,
    /// The same in English, and nearer.
    detail: String,
    /// What is wrong with a password; the words are `account.weak.` and these.
    reasons: Vec<&'static str>,
}

fn reasons(fault: &FieldError) -> Vec<&'static str> {
    let weaknesses = fault.weaknesses().iter();
    weaknesses.filter_map(|weakness| weakness.code()).collect()
}

fn values(visit: &Visit, which: &str, filled: &Filled, refusal: &Refusal) -> Value {
    let (countries, zones) = if which == "sign_up" {
        (countries(visit.lang), ZONES.lines().collect())
    } else {
        (Vec::new(), Vec::new())
    };
    context! {
        which, countries, zones,
        fault => refusal.fault,
        detail => &refusal.detail,
        reasons => &refusal.reasons,
        token => &filled.token,
        email => &filled.email,
        inviter => &filled.inviter,
        country => &filled.country,
        time_zone => &filled.time_zone,
    }
}

/// Codes and names, in the order of the names as people look for them: without their accents.
fn countries(lang: Lang) -> Vec<(&'static str, &'static str)> {
    let mut countries: Vec<_> = COUNTRIES
        .lines()
        .filter_map(|line| {
            let mut parts = line.split('\t');
            let code = parts.next()?;
            Some((code, parts.nth(lang as usize)?))
        })
        .collect();
    countries.sort_by_key(|(_, name)| name.replace(['É', 'È'], "E").replace('Î', "I").replace('Å', "A"));
    countries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_country_has_a_name_in_each_language() {
        for lang in Lang::ALL {
            let countries = countries(lang);
            assert_eq!(countries.len(), 249);
            assert!(
                countries
                    .iter()
                    .all(|(code, name)| code.len() == 2 && !name.is_empty())
            );
        }
        assert!(countries(Lang::Fr).contains(&("DE", "Allemagne")));
        assert!(ZONES.lines().any(|zone| zone == "Europe/Paris"));
    }
}
