//! Requests that may hold a whole message: counted against the memory there is, and worked on where they block nobody.

use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use futures_util::StreamExt as _;
use outbound::off_the_workers;
use serde::de::DeserializeOwned;

use super::Parts;
use super::error::{ApiError, ApiResult};
use crate::budget::Share;

/// Memory that a request takes as a multiple of its size: as it came, as it is read, and as the message it becomes.
const WEIGHT: usize = 3;
/// Room for the first chunks.
const FIRST_ALLOCATION: usize = 16 * 1024;

/// A JSON body with the share of the memory that it takes; whoever works on the value keeps the share as long.
pub struct Heavy<T> {
    pub value: T,
    pub share: Share,
}

/// Octets of a request that holds a message of this size: Base64 makes 4 bytes of 3, JSON adds some.
fn request_limit(max_message_size: usize) -> usize {
    (max_message_size / 2)
        .saturating_mul(3)
        .saturating_add(1024 * 1024)
}

/// What the biggest request that is taken needs of the budget.
pub fn memory_of_the_biggest(max_message_size: usize) -> usize {
    request_limit(max_message_size).saturating_mul(WEIGHT)
}

impl<T: DeserializeOwned + Send + 'static> FromRequest<Parts> for Heavy<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, parts: &Parts) -> ApiResult<Self> {
        if !is_json(request.headers()) {
            return Err(ApiError::NotJson);
        }
        let (text, share) = read(request, parts).await?;
        off_the_workers(text.len(), move || {
            let Json(value) = Json::<T>::from_bytes(&text)?;
            Ok(Self { value, share })
        })
        .await
        .map_err(|error| ApiError::internal(&error))?
    }
}

/// The body, and the share of the memory that was taken while it came in.
async fn read(request: Request, parts: &Parts) -> ApiResult<(Bytes, Share)> {
    let limit = request_limit(parts.settings.max_message_size);
    let announced = content_length(request.headers());
    if announced.is_some_and(|octets| octets > limit) {
        return Err(ApiError::TooLarge);
    }
    // Nothing is kept for a request that is only announced: whoever sends slowly would keep others out.
    if !parts
        .budget
        .has_room(announced.unwrap_or(0).saturating_mul(WEIGHT))
    {
        return Err(busy(parts));
    }
    let most = announced.unwrap_or(limit);
    let mut chunks = request.into_body().into_data_stream();
    let mut share = parts.budget.share();
    let mut text = Vec::with_capacity(most.min(FIRST_ALLOCATION));
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| ApiError::BadRequest("The body did not arrive whole.".to_owned()))?;
        let needed = text.len() + chunk.len();
        if needed > limit {
            return Err(ApiError::TooLarge);
        }
        if needed > text.capacity() {
            let room = (2 * text.capacity()).min(most).max(needed);
            if !share.resize(room.saturating_mul(WEIGHT)) {
                return Err(busy(parts));
            }
            text.reserve_exact(room - text.len());
        }
        text.extend_from_slice(&chunk);
    }
    if share.cover(text.capacity().saturating_mul(WEIGHT)) {
        Ok((text.into(), share))
    } else {
        Err(busy(parts))
    }
}

fn busy(parts: &Parts) -> ApiError {
    tracing::warn!(octets = parts.budget.used(), "too much mail is arriving at once");
    ApiError::Busy
}

fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = kind.unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}
