//! The page *Authentication failed*: what the reader's own devices tried, and a check of a program's settings.

use accounts::{AccountsError, AttemptFilter, Principal, SignInAttempt};
use axum::Form;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Redirect, Response};
use minijinja::context;
use serde::Serialize;

use super::{Help, Public, values};
use crate::http::session_token;
use crate::program::{Fault, Given, Offer, faults};
use crate::site::lang::Visit;
use crate::site::probe::moment;
use crate::site::render::shown;

/// The article that this is a part of.
pub const SLUG: &str = "authentication-failed";
/// Attempts that are read, and failed ones of them that are shown.
const READ: u32 = 100;
const SHOWN: usize = 10;
/// Characters of what a client calls itself: browsers go on and on.
const CLIENT: usize = 60;
/// Characters of a field that are shown again.
const LONGEST: usize = 254;

/// What the page shows beside the article.
#[derive(Serialize)]
struct Trouble {
    /// Whoever reads it, where that is known.
    login: Option<String>,
    attempts: Vec<Attempt>,
    given: Given,
    /// None before anything was asked.
    faults: Option<Vec<Fault>>,
}

/// A failed attempt with its reason.
#[derive(Serialize)]
struct Attempt {
    login: String,
    ip: String,
    client: String,
    port: u16,
    tls: bool,
    reason: &'static str,
    /// When an old password stopped, or a lock ends.
    until: Option<String>,
    near: Option<String>,
    count: u64,
    last_at: String,
}

impl From<SignInAttempt> for Attempt {
    fn from(attempt: SignInAttempt) -> Self {
        Self {
            reason: attempt.reason.as_str(),
            until: attempt.reason.until().map(moment),
            near: attempt.reason.near().map(str::to_owned),
            login: attempt.login,
            ip: attempt.ip,
            client: attempt.client.chars().take(CLIENT).collect(),
            port: attempt.port,
            tls: attempt.tls.is_some(),
            count: attempt.count,
            last_at: moment(attempt.last_at),
        }
    }
}

/// The article, with what only its reader may see.
pub async fn page(public: &Public, visit: &Visit, headers: &HeaderMap, thanked: bool) -> Response {
    match whoever(public, headers).await {
        Ok(reader) => answer(public, visit, reader, (Given::default(), None), thanked).await,
        Err(error) => public.busy(visit, &error),
    }
}

/// A reload of what [`check`] answered, or the same in another language.
pub async fn checked(visit: Visit) -> Redirect {
    Redirect::to(&visit.link(&format!("/help/{SLUG}#check")))
}

pub async fn check(
    State(public): State<Public>,
    visit: Visit,
    headers: HeaderMap,
    Form(mut given): Form<Given>,
) -> Response {
    for text in [&mut given.host, &mut given.port, &mut given.username] {
        *text = text.chars().take(LONGEST).collect();
    }
    let reader = match whoever(&public, &headers).await {
        Ok(reader) => reader,
        Err(error) => return public.busy(&visit, &error),
    };
    let settings = &public.parts.settings;
    let offer = Offer {
        host: &settings.hostname,
        ports: &settings.smtp_ports,
    };
    let login = reader.as_ref().map(|reader| reader.email.as_str());
    let found = faults(&given, &offer, login);
    answer(&public, &visit, reader, (given, Some(found)), false).await
}

/// Who reads the page, where a web session says so.
async fn whoever(public: &Public, headers: &HeaderMap) -> Result<Option<Principal>, AccountsError> {
    let Some(token) = session_token(headers) else {
        return Ok(None);
    };
    let session = public.parts.accounts.find_session(&token).await?;
    Ok(session.map(|session| session.principal))
}

async fn answer(
    public: &Public,
    visit: &Visit,
    reader: Option<Principal>,
    (given, faults): (Given, Option<Vec<Fault>>),
    thanked: bool,
) -> Response {
    let attempts = match &reader {
        None => Vec::new(),
        Some(reader) => match failed(public, reader).await {
            Ok(attempts) => attempts,
            Err(error) => return public.busy(visit, &error),
        },
    };
    let trouble = Trouble {
        login: reader.map(|reader| reader.email),
        attempts,
        given,
        faults,
    };
    let help: &Help = &public.site.help;
    let Some(article) = values(help, visit, SLUG, thanked) else {
        return public.message(StatusCode::NOT_FOUND, visit, "missing");
    };
    let values = context! { trouble => shown(trouble), ..article };
    let mut response = public.answer(StatusCode::OK, "article.html", visit, values);
    let no_store = HeaderValue::from_static("private, no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    response
}

/// The reader's own failures, the latest first: on their login, and on addresses that were probably meant to be it.
async fn failed(public: &Public, reader: &Principal) -> Result<Vec<Attempt>, AccountsError> {
    let filter = AttemptFilter {
        account: Some(reader.account),
        limit: READ,
        ..AttemptFilter::default()
    };
    let found = public.parts.accounts.sign_in_attempts(filter).await?;
    let own = found.into_iter().filter(|attempt| {
        attempt.reason.is_failure()
            && (attempt.login == reader.email || attempt.reason.near() == Some(&reader.email))
    });
    Ok(own.take(SHOWN).map(Attempt::from).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::site::lang::Lang;
    use crate::site::words::Words;

    #[test]
    fn every_failure_has_words_and_a_remedy() {
        // The API names every reason that there is; the page shows those of failures.
        let api: Value = serde_json::from_str(&crate::http::openapi()).unwrap();
        let names = api["components"]["schemas"]["SignInReason"]["enum"]
            .as_array()
            .unwrap();
        let successes = ["signed_in", "password_only", "confirmed"];
        let failures = names.iter().filter_map(Value::as_str);
        let failures: Vec<&str> = failures.filter(|name| !successes.contains(name)).collect();
        assert_eq!(failures.len() + successes.len(), names.len());
        assert!(failures.len() > 10);
        let words = Words::read();
        for reason in failures {
            let values = ["until", "near"].map(|name| (name, "X".to_owned()));
            for lang in Lang::ALL {
                words
                    .say(lang, &format!("trouble.reason.{reason}"), &values)
                    .unwrap();
                words.say(lang, &format!("trouble.remedy.{reason}"), &[]).unwrap();
            }
        }
    }
}
