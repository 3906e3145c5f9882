//! Who may ask for an operation, and with which parameters, judged before anything of its body is read: what the OpenAPI
//! text says is what holds.

use std::collections::HashMap;
use std::sync::Arc;

use accounts::{Scope, Scopes};
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts as _, MatchedPath, Request, State};
use axum::http::Method;
use axum::http::request::Parts as Head;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::Parts;
use super::auth::Caller;
use super::error::{ApiError, ApiResult};

/// What is as good as no body: an empty object, with blanks around it.
const NOTHING: usize = 64;

/// About the own login, so a person comes in any role.
const OF_ANYBODY: &str = "changePassword";

/// What holds for each operation, by method and path.
#[derive(Clone)]
pub struct Gate(Arc<HashMap<(Method, String), Operation>>);

struct Operation {
    /// None where anybody may ask.
    demand: Option<Demand>,
    /// The names in its query.
    parameters: Vec<String>,
    takes_body: bool,
}

/// What one operation asks for. Each list of scopes is an alternative, of which all are needed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Demand {
    /// Empty where no key does.
    of_key: Vec<Vec<Scope>>,
    /// Empty where no session does.
    of_person: Vec<Vec<Scope>>,
}

impl Gate {
    /// Reads the text.
    pub fn new(api: &Value) -> Self {
        let mut operations = HashMap::new();
        for (path, item) in api["paths"].as_object().into_iter().flatten() {
            for (method, text) in item.as_object().into_iter().flatten() {
                let method: Method = method.to_ascii_uppercase().parse().expect("it names a method");
                operations.insert((method, path.clone()), Operation::of(text));
            }
        }
        Self(Arc::new(operations))
    }

    fn operation(&self, request: &Request) -> Option<&Operation> {
        let path = request.extensions().get::<MatchedPath>()?;
        let path = path.as_str().strip_prefix("/api/v1")?.to_owned();
        let method = match *request.method() {
            // Answered by what answers GET.
            Method::HEAD => Method::GET,
            ref method => method.clone(),
        };
        self.0.get(&(method, path))
    }
}

impl Operation {
    fn of(text: &Value) -> Self {
        let parameters = text["parameters"].as_array().into_iter().flatten();
        let in_query = parameters.filter(|parameter| parameter["in"] == "query");
        Self {
            demand: Demand::of(text),
            parameters: in_query
                .filter_map(|parameter| Some(parameter["name"].as_str()?.to_owned()))
                .collect(),
            takes_body: text["requestBody"].is_object(),
        }
    }

    /// Refuses a body where none is taken: who cancels one recipient in words of his own would cancel the message.
    async fn judge_body(&self, head: &Head, body: Body) -> ApiResult<Body> {
        if self.takes_body || matches!(head.method, Method::GET | Method::HEAD) {
            return Ok(body);
        }
        let nothing = to_bytes(body, NOTHING).await.is_ok_and(|body| {
            let body = body.trim_ascii();
            body.is_empty() || body == b"{}"
        });
        if nothing {
            Ok(Body::empty())
        } else {
            Err(ApiError::BadRequest("This operation takes no body.".to_owned()))
        }
    }

    /// Refuses a parameter that there is not: a list whose filter is misspelt would show everything.
    fn understands(&self, query: &str) -> ApiResult<()> {
        let known = |name: &str| self.parameters.iter().any(|parameter| parameter == name);
        let mut names = form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name);
        let Some(unknown) = names.find(|name| !known(name)) else {
            return Ok(());
        };
        let message = match self.parameters.as_slice() {
            [] => "There is no such parameter, and no other.".to_owned(),
            known => format!(
                "There is no such parameter, expected one of {}.",
                known.join(", ")
            ),
        };
        Err(ApiError::invalid(&unknown, message))
    }
}

impl Demand {
    /// None where anybody may ask.
    fn of(operation: &Value) -> Option<Self> {
        let mut demand = Self::default();
        for alternative in operation["security"].as_array().into_iter().flatten() {
            let alternative = alternative
                .as_object()
                .expect("an alternative names what proves it");
            if alternative.is_empty() {
                return None;
            }
            for (proof, scopes) in alternative {
                let scopes = scopes.as_array().into_iter().flatten();
                let scopes = scopes
                    .map(|scope| scope.as_str().unwrap_or_default().parse())
                    .collect::<Result<Vec<Scope>, _>>()
                    .expect("the text knows our scopes");
                let list = match proof.as_str() {
                    "key" => &mut demand.of_key,
                    _ => &mut demand.of_person,
                };
                list.push(scopes);
            }
        }
        // A person needs what a key needs, where the text says no more about them.
        let says_more = demand.of_person.iter().any(|scopes| !scopes.is_empty());
        if !says_more && !demand.of_key.is_empty() && operation["operationId"] != OF_ANYBODY {
            demand.of_person.clone_from(&demand.of_key);
        }
        Some(demand)
    }

    fn judge(&self, caller: &Caller) -> ApiResult<()> {
        let person = caller.session.is_some() || caller.looking.is_some();
        let alternatives = if person { &self.of_person } else { &self.of_key };
        match lacking(alternatives, &caller.scopes) {
            None => Ok(()),
            Some([]) => caller.person().map(|_| ()),
            Some(scopes) => scopes.iter().try_for_each(|scope| caller.needs(*scope)),
        }
    }
}

/// None where one of the alternatives is held; else the first of them.
fn lacking<'a>(alternatives: &'a [Vec<Scope>], held: &Scopes) -> Option<&'a [Scope]> {
    let holds = |scopes: &&Vec<Scope>| scopes.iter().all(|scope| held.contains(*scope));
    match alternatives.iter().find(holds) {
        Some(_) => None,
        None => Some(alternatives.first().map_or(&[], Vec::as_slice)),
    }
}

/// Refuses whoever may not and what it does not know, and hands on who it is.
pub async fn ask(State((parts, gate)): State<(Parts, Gate)>, request: Request, next: Next) -> Response {
    let Some(operation) = gate.operation(&request) else {
        return next.run(request).await;
    };
    let (mut head, body) = request.into_parts();
    if let Some(demand) = &operation.demand {
        let caller = match Caller::from_request_parts(&mut head, &parts).await {
            Ok(caller) => caller,
            Err(error) => return error.into_response(),
        };
        if let Err(error) = demand.judge(&caller) {
            return error.into_response();
        }
        head.extensions.insert(caller);
    }
    if let Err(error) = operation.understands(head.uri.query().unwrap_or_default()) {
        return error.into_response();
    }
    match operation.judge_body(&head, body).await {
        Ok(body) => next.run(Request::from_parts(head, body)).await,
        Err(error) => error.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn demand(security: &Value, name: &str) -> Option<Demand> {
        Demand::of(&json!({"operationId": name, "security": security}))
    }

    #[test]
    fn a_person_needs_what_a_key_needs_unless_the_text_says_otherwise() {
        let either = demand(
            &json!([{"key": ["messages"]}, {"key": ["read"]}, {"session": []}]),
            "x",
        )
        .unwrap();
        assert_eq!(either.of_key, [vec![Scope::Messages], vec![Scope::Read]]);
        assert_eq!(either.of_person, either.of_key);
        let both = demand(&json!([{"key": ["credentials", "send"]}, {"session": []}]), "x").unwrap();
        assert_eq!(both.of_key, [vec![Scope::Credentials, Scope::Send]]);
        let people = demand(&json!([{"session": ["account"]}]), "x").unwrap();
        assert_eq!(
            (people.of_key.len(), people.of_person),
            (0, vec![vec![Scope::Account]])
        );
        let own = demand(&json!([{"key": ["account"]}, {"session": []}]), OF_ANYBODY).unwrap();
        assert_eq!(own.of_person, [Vec::new()]);
        assert_eq!(demand(&json!([{}]), "x"), None);
    }

    #[test]
    fn a_parameter_is_known_by_its_decoded_name_and_only_where_it_stands_in_the_query() {
        let list = json!({"parameters": [
            {"name": "id", "in": "path"}, {"name": "q", "in": "query"}, {"name": "by_day", "in": "query"},
        ]});
        let refused = |text: &Value, query: &str| match Operation::of(text).understands(query) {
            Err(ApiError::Invalid(errors)) => {
                Some((errors[0].field().to_owned(), errors[0].message().to_owned()))
            }
            _ => None,
        };
        for query in ["", "&", "q=", "q=id%3D5&by%5Fday=x", "q=1&q=2"] {
            assert_eq!(refused(&list, query), None, "{query}");
        }
        let said = "There is no such parameter, expected one of q, by_day.";
        for (query, name) in [
            ("Q=1", "Q"),
            ("q=1&id=5", "id"),
            ("=1", ""),
            ("re%20ply", "re ply"),
        ] {
            assert_eq!(refused(&list, query), Some((name.to_owned(), said.to_owned())));
        }
        let none = "There is no such parameter, and no other.".to_owned();
        assert_eq!(refused(&json!({}), "q=1"), Some(("q".to_owned(), none)));
    }

    #[test]
    fn one_alternative_is_enough_and_all_of_it_is_needed() {
        let scopes = |all: &[Scope]| all.iter().copied().collect::<Scopes>();
        let either = [vec![Scope::Messages], vec![Scope::Read]];
        assert_eq!(lacking(&either, &scopes(&[Scope::Read])), None);
        assert_eq!(
            lacking(&either, &scopes(&[Scope::Send])),
            Some(&[Scope::Messages][..])
        );
        let both = [vec![Scope::Credentials, Scope::Send]];
        assert!(lacking(&both, &scopes(&[Scope::Credentials])).is_some());
        assert_eq!(lacking(&both, &scopes(&[Scope::Credentials, Scope::Send])), None);
        assert_eq!(lacking(&[], &scopes(&Scope::ALL)), Some(&[][..]));
    }
}
