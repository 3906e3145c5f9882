//! Reading a JSON body, a query and a path so that what is wrong with them is a problem document too.

use std::borrow::Cow;
use std::error::Error;
use std::iter;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{self, FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_path_to_error::{Error as Located, Path, Segment};
use store::Id;

use super::error::{ApiError, sentence};

/// A JSON body.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let Json(value) = Json::<T>::from_request(request, state).await?;
        Ok(Self(value))
    }
}

/// The query string.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(value) = Query::<T>::from_request_parts(parts, state).await?;
        Ok(Self(value))
    }
}

/// What stands in the path, usually an identifier. One that cannot be read names nothing: 404.
pub struct Named<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let extract::Path(value) = extract::Path::<T>::from_request_parts(parts, state).await?;
        Ok(Self(value))
    }
}

/// Reads what stands in a part of a body.
pub fn part<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, ApiError> {
    serde_path_to_error::deserialize(value).map_err(|error| fault_in_json(&error))
}

fn fault_in_json(error: &Located<serde_json::Error>) -> ApiError {
    let (what, read) = (error.inner().to_string(), error.inner());
    // Where it stands is told by its field.
    let position = format!(" at line {} column {}", read.line(), read.column());
    fault(error.path(), what.strip_suffix(&position).unwrap_or(&what))
}

/// The reader names what it wanted by our own names for it; to the client it is an object.
fn as_the_client_knows_it(what: &str) -> Cow<'_, str> {
    match what.rsplit_once(", expected struct ") {
        Some((found, name)) if name.chars().all(|c| c.is_alphanumeric() || c == ' ') => {
            format!("{found}, expected an object").into()
        }
        _ => what.into(),
    }
}

/// What is wrong with what was read, and in which field of it. The names in the path are the client's, and may hold anything.
fn fault(path: &Path, what: &str) -> ApiError {
    let place = match path.iter().next() {
        None | Some(Segment::Unknown) => String::new(),
        Some(_) => path.to_string(),
    };
    let inside = |name: &str| match place.as_str() {
        "" => name.to_owned(),
        place => format!("{place}.{name}"),
    };
    let named = |before: &str| what.strip_prefix(before)?.strip_suffix('`');
    let unknown = match path.iter().next_back() {
        Some(Segment::Map { key }) => what.strip_prefix(&format!("unknown field `{key}`")),
        _ => None,
    };
    if let Some(known) = unknown {
        // Refused since a misspelt name must not leave out what it asks for: a test would go to real recipients.
        let message = format!("there is no such field{}", known.replace('`', ""));
        ApiError::invalid(&place, sentence(&message))
    } else if let Some(name) = named("missing field `") {
        ApiError::invalid(&inside(name), "This field is missing.")
    } else if let Some(name) = named("duplicate field `") {
        ApiError::invalid(&inside(name), "This field is given twice.")
    } else if place.is_empty() {
        ApiError::BadRequest(sentence(&as_the_client_knows_it(what)))
    } else {
        ApiError::invalid(&place, sentence(&as_the_client_knows_it(what)))
    }
}

/// What the reader of a body or a query said, with the path to it.
fn located<E: Error + 'static>(rejection: &dyn Error) -> Option<&Located<E>> {
    iter::successors(rejection.source(), |&cause| cause.source()).find_map(|cause| cause.downcast_ref())
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        match rejection {
            JsonRejection::MissingJsonContentType(_) => Self::NotJson,
            rejection if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            rejection => match located::<serde_json::Error>(&rejection) {
                Some(error) if error.inner().is_data() => fault_in_json(error),
                _ => Self::BadRequest(sentence(&rejection.body_text())),
            },
        }
    }
}

impl From<PathRejection> for ApiError {
    fn from(_: PathRejection) -> Self {
        // What is no identifier names nothing.
        Self::NotFound("thing")
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        match located::<serde::de::value::Error>(&rejection) {
            Some(error) => fault(error.path(), &error.inner().to_string()),
            None => Self::BadRequest(sentence(&rejection.body_text())),
        }
    }
}

/// Reads an identifier out of a path; one that cannot be read names nothing.
pub fn id(text: &str, what: &'static str) -> Result<Id, ApiError> {
    text.parse().map_err(|_| ApiError::NotFound(what))
}

/// Reads the `after` of a list whose cursor is the last item's identifier.
pub fn cursor(after: Option<&str>) -> Result<Option<Id>, ApiError> {
    let read = |text: &str| {
        text.parse()
            .map_err(|_| ApiError::invalid("after", "Give the `next` of the page before."))
    };
    after.map(read).transpose()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Letter {
        #[expect(dead_code, reason = "it is read, and no more")]
        from: String,
        #[serde(default)]
        #[expect(dead_code, reason = "it is read, and no more")]
        to: Vec<Letter>,
    }

    /// The field and what is said of it; no field where the whole is at fault.
    fn fault(value: Value) -> (Option<String>, String) {
        match part::<Letter>(value).err().expect("it is at fault") {
            ApiError::Invalid(errors) => (Some(errors[0].field().to_owned()), errors[0].message().to_owned()),
            other => (None, other.to_string()),
        }
    }

    fn about(field: &str, said: &str) -> (Option<String>, String) {
        (Some(field.to_owned()), said.to_owned())
    }

    #[test]
    fn what_is_missing_misspelt_or_of_another_type_is_named_with_its_place() {
        assert_eq!(fault(json!({})), about("from", "This field is missing."));
        assert_eq!(
            fault(json!({"from": "a", "to": [{"from": "b"}, {}]})),
            about("to[1].from", "This field is missing.")
        );
        let unknown = "There is no such field, expected from or to.";
        assert_eq!(fault(json!({"form": "a"})), about("form", unknown));
        assert_eq!(
            fault(json!({"from": "a", "to": [{"form": "b"}]})),
            about("to[0].form", unknown)
        );
        let number = "Invalid type: integer `5`, expected a string.";
        assert_eq!(fault(json!({"from": 5})), about("from", number));
        let no_object = "Invalid type: integer `5`, expected an object.";
        assert_eq!(fault(json!(5)), (None, no_object.to_owned()));
        assert_eq!(fault(json!({"from": "a", "to": [5]})), about("to[0]", no_object));
        let no_list = "Invalid length 0, expected an object.";
        assert_eq!(fault(json!([])), (None, no_list.to_owned()));
    }

    #[test]
    fn no_text_of_the_client_leads_to_another_field() {
        let unknown = "There is no such field, expected from or to.";
        for key in ["reply to", "from: x", "a`b", "missing field `from`", ""] {
            assert_eq!(fault(json!({key: 1})), about(key, unknown));
        }
        let (field, said) = fault(json!({"from": "a", "to": "query string: x at line 5"}));
        assert_eq!(field.as_deref(), Some("to"));
        assert!(said.ends_with("x at line 5\", expected a sequence."), "{said}");
    }
}
