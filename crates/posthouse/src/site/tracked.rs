//! What tracked messages lead to: the picture that tells of opening, and links on their way to where they were written to lead.
//!
//! Nothing here waits for what is noted of it, sets a cookie, or writes the address that was asked for into a log.

use std::fmt::Write as _;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use minijinja::context;
use outbound::tracking::{Leads, Request};
use tokio::time::timeout;

use super::Public;
use super::lang::Visit;
use crate::http::{Client, agent};

/// A GIF of one transparent pixel.
const PICTURE: [u8; 43] = [
    b'G', b'I', b'F', b'8', b'9', b'a', 1, 0, 1, 0, 0x80, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x21, 0xf9, 4, 1,
    0, 0, 0, 0, 0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x44, 1, 0, 0x3b,
];
/// What is not known after this time is not waited for: a picture comes all the same, a link asks to try again.
const PATIENCE: Duration = Duration::from_secs(5);

/// What holds for both: nobody keeps the answer, lists it, or tells others where it was.
fn in_common() -> [(HeaderName, HeaderValue); 3] {
    [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (
            HeaderName::from_static("x-robots-tag"),
            HeaderValue::from_static("noindex, nofollow"),
        ),
    ]
}

/// The same picture whatever was asked for.
pub async fn opened(
    State(public): State<Public>,
    client: Client,
    method: Method,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Response {
    let token = token.strip_suffix(".gif").unwrap_or(&token);
    let request = request(&public, &client, &method, &headers);
    let noted = timeout(PATIENCE, public.parts.tracking.opened(token, &request)).await;
    if let Ok(Err(error)) = noted {
        tracing::warn!(%error, "an opened message was not noted");
    }
    let own = [
        (header::CONTENT_TYPE, HeaderValue::from_static("image/gif")),
        // Mail programs show it in pages of their own.
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("cross-origin"),
        ),
    ];
    (in_common(), own, PICTURE.as_slice()).into_response()
}

/// Leads on to the stored target; an address that nobody made leads nowhere, one of a suspended account nowhere any more.
pub async fn clicked(
    State(public): State<Public>,
    visit: Visit,
    client: Client,
    (method, headers): (Method, HeaderMap),
    Path(token): Path<String>,
) -> Response {
    let request = request(&public, &client, &method, &headers);
    let answer = match timeout(PATIENCE, public.parts.tracking.clicked(&token, &request)).await {
        Ok(Ok(Leads::To(target))) => match location(&target) {
            Some(target) => (StatusCode::FOUND, [(header::LOCATION, target)]).into_response(),
            None => public.message(StatusCode::NOT_FOUND, &visit, "link"),
        },
        Ok(Ok(Leads::AsTest(target))) => {
            let values = context! { which => "link_of_a_test", quoted => target };
            public.answer(StatusCode::OK, "message.html", &visit, values)
        }
        Ok(Ok(Leads::Stopped)) => public.message(StatusCode::GONE, &visit, "link_stopped"),
        Ok(Ok(Leads::Nowhere)) => public.message(StatusCode::NOT_FOUND, &visit, "link"),
        Ok(Err(error)) => {
            tracing::error!(%error, "it was not found where a link leads");
            public.message(StatusCode::SERVICE_UNAVAILABLE, &visit, "busy")
        }
        Err(_) => public.message(StatusCode::SERVICE_UNAVAILABLE, &visit, "busy"),
    };
    (in_common(), answer).into_response()
}

fn request(public: &Public, client: &Client, method: &Method, headers: &HeaderMap) -> Request {
    Request {
        method: method.as_str().to_owned(),
        agent: agent(headers).to_owned(),
        ip: client.ip,
        country: public.site.countries.of(client.ip),
    }
}

/// An address on the web as a header can hold it; none for any other.
fn location(target: &str) -> Option<HeaderValue> {
    let is_web = ["http://", "https://"].iter().any(|scheme| {
        target
            .get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    if !is_web {
        return None;
    }
    let mut ascii = String::with_capacity(target.len());
    for byte in target.bytes() {
        match byte {
            // What no address contains as it is. RFC 3986 section 2
            0..=b' ' | b'"' | b'<' | b'>' | 0x7f.. => {
                let _ = write!(ascii, "%{byte:02X}");
            }
            _ => ascii.push(char::from(byte)),
        }
    }
    HeaderValue::try_from(ascii).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_goes_into_the_header_as_it_is_or_escaped() {
        let at = |target: &str| location(target).map(|value| value.to_str().unwrap().to_owned());
        for same in [
            "https://a.example/?x=1&y=%20#z",
            "HTTP://a.example",
            "http://[2001:db8::1]:8080/a;b=(c)",
        ] {
            assert_eq!(at(same).as_deref(), Some(same));
        }
        assert_eq!(
            at("https://a.example/é \"<x>\"").as_deref(),
            Some("https://a.example/%C3%A9%20%22%3Cx%3E%22")
        );
        assert_eq!(
            at("https://a.example/\r\nSet-Cookie: x=y").as_deref(),
            Some("https://a.example/%0D%0ASet-Cookie:%20x=y")
        );
        for other in [
            "javascript:alert(1)",
            "//a.example",
            "ftp://a.example",
            "",
            "httpx://a.example",
            "data:text/html,x",
        ] {
            assert_eq!(at(other), None, "{other}");
        }
    }
}
