//! How many requests a key, a session or a network makes: each answer of the API says how many are left.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use mail::time::Time;
use moka::sync::Cache;
use parking_lot::Mutex;

use super::Parts;
use super::auth::{bearer, session_token};
use super::error::ApiError;
use super::peer::Client;

/// Seconds of a window.
const WINDOW: i64 = 60;
/// Callers that are remembered at most. Whoever pushes others out gives them a new window, which harms nobody.
const REMEMBERED: u64 = 100_000;

/// Counts requests by who makes them. Clones share the counts.
#[derive(Clone)]
pub struct Rates {
    /// Requests a minute; none is no limit.
    most: Option<u32>,
    seen: Cache<[u8; 16], Arc<Mutex<Window>>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    /// Minutes since the epoch.
    minute: i64,
    requests: u32,
}

/// What a request is told about its caller's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    limit: u32,
    left: u32,
    /// Seconds until the next window.
    opens_in: u64,
    over: bool,
}

impl Rates {
    pub fn new(most: u32) -> Self {
        Self {
            most: (most > 0).then_some(most),
            seen: Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_idle(Duration::from_secs(2 * WINDOW.unsigned_abs()))
                .build(),
        }
    }

    fn take(&self, who: [u8; 16], now: Time) -> Option<Standing> {
        let limit = self.most?;
        let seconds = now.as_micros().div_euclid(1_000_000);
        let minute = seconds.div_euclid(WINDOW);
        let window = self.seen.get_with(who, Arc::default);
        let mut window = window.lock();
        if window.minute != minute {
            *window = Window { minute, requests: 0 };
        }
        let over = window.requests >= limit;
        if !over {
            window.requests += 1;
        }
        Some(Standing {
            limit,
            left: limit - window.requests,
            opens_in: (WINDOW - seconds.rem_euclid(WINDOW)).unsigned_abs(),
            over,
        })
    }
}

/// Refuses what is over the rate, and tells each answer how much is left.
pub async fn count(State(parts): State<Parts>, request: Request, next: Next) -> Response {
    let (mut head, body) = request.into_parts();
    let Ok(client) = Client::from_request_parts(&mut head, &()).await;
    let who = caller(&head.headers, &client);
    let request = Request::from_parts(head, body);
    let Some(standing) = parts.rates.take(who, parts.clock.now()) else {
        return next.run(request).await;
    };
    let mut response = if standing.over {
        ApiError::TooOften(standing.opens_in).into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    let told = [
        ("ratelimit-limit", u64::from(standing.limit)),
        ("ratelimit-remaining", u64::from(standing.left)),
        ("ratelimit-reset", standing.opens_in),
    ];
    for (name, value) in told {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
    }
    response
}

/// Whoever asks, by what they bring, whether it is good or not; who brings nothing, by the network.
fn caller(headers: &HeaderMap, client: &Client) -> [u8; 16] {
    let named = match (bearer(headers), session_token(headers)) {
        (Some(key), _) => format!("key {key}"),
        (None, Some(session)) => format!("session {session}"),
        (None, None) => format!("network {}", client.network()),
    };
    let mut name = [0; 16];
    name.copy_from_slice(&digest(&SHA256, named.as_bytes()).as_ref()[..16]);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_has_so_many_requests_a_minute_and_then_a_new_window() {
        let rates = Rates::new(2);
        let at = |second: i64| Time::from_secs(1_795_000_020 + second);
        let left = |who: u8, second: i64| {
            let standing = rates.take([who; 16], at(second)).unwrap();
            (standing.over, standing.left, standing.opens_in)
        };
        let opens_in = |second: i64| {
            let seconds = at(second).as_micros() / 1_000_000;
            (60 - seconds % 60).unsigned_abs()
        };
        assert_eq!(left(1, 0), (false, 1, opens_in(0)));
        assert_eq!(left(1, 1), (false, 0, opens_in(1)));
        assert_eq!(left(1, 2), (true, 0, opens_in(2)));
        assert_eq!(left(2, 2), (false, 1, opens_in(2)), "another caller's own window");
        assert_eq!(left(1, 60), (false, 1, opens_in(0)));
        assert_eq!(Rates::new(0).take([1; 16], at(0)), None);
    }
}
