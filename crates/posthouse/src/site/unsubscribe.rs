//! What the link of a message opens: a page on which its recipient takes itself out of a stream, or comes back.
//!
//! Looking changes nothing, because mail scanners follow links; only sending a form does, or the one request that mail programs
//! make behind their button. The link says who it is: no cookie is read or set, and its token is never logged.

use accounts::AccountsError;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mail::address::Address;
use minijinja::context;
use outbound::suppressions::EVERY_STREAM;
use outbound::token::About;
use outbound::unsubscribe::{By, Change, Changed, Standing};
use outbound::{Preferences, Subscription};

use super::Public;
use super::lang::Visit;
use crate::http::Client;

/// In a form, in place of a stream: all of them. No stream can be called so.
const EVERY: &str = "*";

pub async fn page(
    State(public): State<Public>,
    visit: Visit,
    client: Client,
    Path(token): Path<String>,
) -> Response {
    let shown = async {
        let about = match public.recipient(&visit, &client, &token).await? {
            Ok(about) => about,
            Err(refused) => return Ok(refused),
        };
        Ok::<_, AccountsError>(match public.parts.outbound.preferences(about).await? {
            Some(preferences) => public.preferences(StatusCode::OK, &visit, &preferences, ""),
            None => public.link_gone(&visit),
        })
    };
    quiet(
        shown
            .await
            .unwrap_or_else(|error| public.out_of_order(&visit, &error)),
    )
}

pub async fn change(
    State(public): State<Public>,
    visit: Visit,
    client: Client,
    Path(token): Path<String>,
    body: Bytes,
) -> Response {
    let done = async {
        let about = match public.recipient(&visit, &client, &token).await? {
            Ok(about) => about,
            Err(refused) => return Ok(refused),
        };
        if is_one_click(&body) {
            return public.one_click(&visit, about).await;
        }
        public.submitted(&visit, about, &body).await
    };
    quiet(
        done.await
            .unwrap_or_else(|error| public.out_of_order(&visit, &error)),
    )
}

impl Public {
    /// Whom a link is about, or the answer to one that is none. Such are counted by their network.
    async fn recipient(
        &self,
        visit: &Visit,
        client: &Client,
        token: &str,
    ) -> Result<Result<About, Response>, AccountsError> {
        if let Some(about) = self.parts.outbound.unsubscribe_link(token).await? {
            return Ok(Ok(about));
        }
        Ok(Err(match self.parts.accounts.guessed_link(client.ip).await? {
            None => self.link_gone(visit),
            Some(wait) => {
                let mut response = self.message(StatusCode::TOO_MANY_REQUESTS, visit, "too_many");
                let seconds = HeaderValue::from(wait.as_secs().max(1));
                response.headers_mut().insert(header::RETRY_AFTER, seconds);
                response
            }
        }))
    }

    /// What a mailbox provider asks for behind its button; it shows nobody the answer.
    // RFC 8058 section 3.2
    async fn one_click(&self, visit: &Visit, about: About) -> Result<Response, AccountsError> {
        let change = Change {
            about,
            stream: None,
            out: true,
            by: By::OneClick,
        };
        Ok(match self.parts.outbound.change_by_link(change).await? {
            Changed::Yes | Changed::No => (StatusCode::OK, "Unsubscribed.\n").into_response(),
            Changed::Gone => self.link_gone(visit),
            Changed::TooOften => StatusCode::TOO_MANY_REQUESTS.into_response(),
        })
    }

    /// A form of the page. One that says nothing, or names a stream that is not on the page, changes nothing.
    async fn submitted(&self, visit: &Visit, about: About, body: &[u8]) -> Result<Response, AccountsError> {
        let outbound = &self.parts.outbound;
        let Some(before) = outbound.preferences(about).await? else {
            return Ok(self.link_gone(visit));
        };
        let stream = match field(body, "stream").unwrap_or_default().as_str() {
            EVERY => Some(EVERY_STREAM),
            slug => before
                .streams
                .iter()
                .map(|one| one.slug.as_str())
                .find(|one| *one == slug),
        };
        let out = match field(body, "do").as_deref() {
            Some("leave") => Some(true),
            Some("return") => Some(false),
            _ => None,
        };
        let (Some(stream), Some(out)) = (stream, out) else {
            return Ok(self.preferences(StatusCode::OK, visit, &before, ""));
        };
        let change = Change {
            about,
            stream: Some(stream.to_owned()),
            out,
            by: By::Page,
        };
        let (status, done) = match outbound.change_by_link(change).await? {
            Changed::Gone => return Ok(self.link_gone(visit)),
            Changed::TooOften => (StatusCode::TOO_MANY_REQUESTS, "too_often"),
            Changed::Yes | Changed::No if out => (StatusCode::OK, "left"),
            Changed::Yes => (StatusCode::OK, "returned"),
            Changed::No => (StatusCode::OK, ""),
        };
        Ok(match outbound.preferences(about).await? {
            Some(after) => self.preferences(status, visit, &after, done),
            None => self.link_gone(visit),
        })
    }

    fn preferences(&self, status: StatusCode, visit: &Visit, found: &Preferences, done: &str) -> Response {
        let streams: Vec<_> = found.streams.iter().map(shown).collect();
        let values = context! {
            sender => found.name.as_str(),
            address => masked(&found.reader.address),
            streams,
            every => state(found.every),
            done,
        };
        self.answer(status, "unsubscribe.html", visit, values)
    }

    /// Forged, too old, or of a message that is gone: nobody is told which.
    fn link_gone(&self, visit: &Visit) -> Response {
        self.message(StatusCode::NOT_FOUND, visit, "link_gone")
    }

    fn out_of_order(&self, visit: &Visit, error: &AccountsError) -> Response {
        // Not as other pages say it: the path holds the token.
        tracing::error!(%error, "the page of a link to unsubscribe could not be made");
        self.message(StatusCode::SERVICE_UNAVAILABLE, visit, "busy")
    }
}

/// The address of the page is a secret of its recipient, and is told to nobody by a browser.
fn quiet(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn shown(one: &Subscription) -> minijinja::Value {
    // What every account has is called by words that its readers understand, until somebody names it.
    let usual = ["Transactional", "Marketing"]
        .iter()
        .any(|name| *name == one.name && name.eq_ignore_ascii_case(&one.slug));
    context! { slug => one.slug.as_str(), name => if usual { "" } else { one.name.as_str() }, state => state(one.standing) }
}

const fn state(standing: Standing) -> &'static str {
    match standing {
        Standing::Subscribed => "in",
        Standing::Unsubscribed => "out",
        Standing::Blocked => "blocked",
    }
}

/// Enough of an address for its owner to know it, and for nobody else: the link gets forwarded.
fn masked(address: &Address) -> String {
    let first: String = address.local().chars().take(1).collect();
    format!("{first}\u{2026}@{}", address.domain().to_unicode())
}

/// Whether a request is the one that RFC 8058 describes, in either of the two encodings that it allows.
// RFC 8058 section 3.1
fn is_one_click(body: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(body) else {
        return false;
    };
    let plain = form_urlencoded::parse(text.trim().as_bytes()).any(|(name, value)| {
        name.eq_ignore_ascii_case("List-Unsubscribe") && value.eq_ignore_ascii_case("One-Click")
    });
    // RFC 7578 section 4.2
    let part = || {
        let (_, rest) = text.split_once("form-data;")?;
        let (head, rest) = rest.split_once("\r\n\r\n").or_else(|| rest.split_once("\n\n"))?;
        let name = head
            .trim()
            .strip_prefix("name=")?
            .split(['\r', '\n', ';'])
            .next()?;
        let value = rest.lines().next()?;
        Some(name.trim_matches('"').eq_ignore_ascii_case("List-Unsubscribe") && value.trim() == "One-Click")
    };
    plain || part().unwrap_or_default()
}

/// A field of one of our forms.
fn field(form: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(form)
        .find(|(field, _)| field == name)
        .map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_of_a_mail_program_is_known_in_both_of_its_encodings() {
        for body in [
            "List-Unsubscribe=One-Click",
            "List-Unsubscribe=One-Click\r\n",
            "List%2DUnsubscribe=One%2DClick",
            "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n",
            "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\nContent-Type: text/plain\r\n\r\nOne-Click\r\n--b--\r\n",
        ] {
            assert!(is_one_click(body.as_bytes()), "{body}");
        }
        for body in [
            "",
            "do=leave&stream=marketing",
            "List-Unsubscribe=No",
            "One-Click",
            "--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\nOne-Click\r\n--b--\r\n",
        ] {
            assert!(!is_one_click(body.as_bytes()), "{body}");
        }
        assert!(!is_one_click(b"\xff\xfeList-Unsubscribe=One-Click"));
    }

    #[test]
    fn an_address_is_shown_to_its_owner_only() {
        let masked = |text: &str| masked(&Address::parse(text).unwrap());
        assert_eq!(masked("alice@example.com"), "a\u{2026}@example.com");
        assert_eq!(masked("é@xn--bcher-kva.example"), "é\u{2026}@bücher.example");
    }
}
