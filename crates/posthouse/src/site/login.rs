//! Signing in without JavaScript: forms for the password and the second step's code, the console's session, and the way
//! back to where somebody wanted to go.

use axum::Form;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use minijinja::context;
use serde::Deserialize;

use super::Public;
use super::lang::Visit;
use crate::http::{
    ApiError, Client, SignedIn, half_token, session_token, sign_in_with_code, sign_in_with_password,
};

/// Where somebody goes who did not say where.
const CONSOLE: &str = "/app/";
const LONGEST_PATH: usize = 2_000;

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
pub struct Filled {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
pub struct Code {
    #[serde(default)]
    code: String,
    #[serde(default)]
    next: String,
}

pub async fn form(
    State(public): State<Public>,
    visit: Visit,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Response {
    let next = own_path(&asked.next);
    if let Some(token) = session_token(&headers)
        && let Ok(Some(_)) = public.parts.accounts.find_session(&token).await
    {
        return Redirect::to(next.unwrap_or(CONSOLE)).into_response();
    }
    let values = context! { next => next.unwrap_or_default(), email => "", failure => "" };
    public.answer(StatusCode::OK, "login.html", &visit, values)
}

pub async fn submit(
    State(public): State<Public>,
    visit: Visit,
    client: Client,
    headers: HeaderMap,
    Form(filled): Form<Filled>,
) -> Response {
    let Filled {
        email,
        password,
        next,
    } = filled;
    let next = own_path(&next);
    let refused = match sign_in_with_password(&public.parts, &client, &headers, email.trim(), &password).await
    {
        Ok(SignedIn::In(cookies, _)) => {
            return (cookies, Redirect::to(next.unwrap_or(CONSOLE))).into_response();
        }
        Ok(SignedIn::Half(cookies, _)) => {
            return (cookies, Redirect::to(&code_page(&visit, next))).into_response();
        }
        Err(refused) => refused,
    };
    let (status, failure, wait) = match refused {
        ApiError::WrongPassword => (StatusCode::UNAUTHORIZED, "wrong", 0),
        ApiError::TooManyAttempts(seconds) => (StatusCode::TOO_MANY_REQUESTS, "wait", seconds),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", 0),
    };
    let values = context! { next => next.unwrap_or_default(), email, failure, wait => in_minutes(wait) };
    let response = public.answer(status, "login.html", &visit, values);
    waiting(response, wait)
}

/// Where the second step's code is asked for.
pub fn code_page(visit: &Visit, next: Option<&str>) -> String {
    let page = visit.link("/login/code");
    match next {
        Some(next) => format!(
            "{page}?next={}",
            next.replace('%', "%25")
                .replace('&', "%26")
                .replace('#', "%23")
                .replace('+', "%2B")
        ),
        None => page,
    }
}

pub async fn code_form(
    State(public): State<Public>,
    visit: Visit,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Response {
    let half = match half_token(&headers) {
        Some(token) => public.parts.accounts.half_session(&token).await.ok().flatten(),
        None => None,
    };
    if half.is_none() {
        return Redirect::to(&visit.link("/login")).into_response();
    }
    let values = context! { next => own_path(&asked.next).unwrap_or_default(), failure => "" };
    public.answer(StatusCode::OK, "code.html", &visit, values)
}

pub async fn submit_code(
    State(public): State<Public>,
    visit: Visit,
    client: Client,
    headers: HeaderMap,
    Form(filled): Form<Code>,
) -> Response {
    let next = own_path(&filled.next);
    let refused = match sign_in_with_code(&public.parts, &client, &headers, &filled.code).await {
        Ok((cookies, _)) => return (cookies, Redirect::to(next.unwrap_or(CONSOLE))).into_response(),
        // It took too long, or had its tries: the password comes first again.
        Err(ApiError::NotSignedIn) => return Redirect::to(&visit.link("/login")).into_response(),
        Err(refused) => refused,
    };
    let (status, failure, wait) = match refused {
        ApiError::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "wrong", 0),
        ApiError::TooOften(seconds) => (StatusCode::TOO_MANY_REQUESTS, "wait", seconds),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", 0),
    };
    let values = context! { next => next.unwrap_or_default(), failure, wait => in_minutes(wait) };
    let response = public.answer(status, "code.html", &visit, values);
    waiting(response, wait)
}

/// Minutes: to the second it would only tell a guesser when to come back.
fn in_minutes(wait: u64) -> u64 {
    wait.div_ceil(60) * 60
}

fn waiting(mut response: Response, wait: u64) -> Response {
    if wait > 0 {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(wait));
    }
    response
}

/// The path, if a browser that is sent there stays here.
///
/// Browsers drop tabs and line breaks and take `\` for `/`, so `//other.example` has more than one spelling.
fn own_path(path: &str) -> Option<&str> {
    let plain = path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    (plain && path.starts_with('/') && !path.starts_with("//") && path.len() <= LONGEST_PATH).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_of_ours_is_gone_to() {
        for path in [
            "/app/messages?state=bounced&q=a%40b",
            "/",
            "/fr/help/credits#top",
            "/@evil.example",
        ] {
            assert_eq!(own_path(path), Some(path));
        }
        for path in [
            "",
            "app",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            " //evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/app\r\nSet-Cookie: a=b",
            "/ap\u{e9}",
        ] {
            assert_eq!(own_path(path), None, "{path:?}");
        }
        assert_eq!(own_path(&format!("/{}", "a".repeat(LONGEST_PATH))), None);
    }
}
