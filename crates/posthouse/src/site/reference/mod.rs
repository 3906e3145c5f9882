//! `/docs/api/`: every operation of the API, made from the same text that programs read, complete without a script.

mod example;
mod shapes;

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use minijinja::context;
use serde::Serialize;
use serde_json::{Value, json};

use self::shapes::{Field, Shape, Shapes};
use super::Public;
use super::help::markdown;
use super::lang::{Lang, Visit};
use super::render::shown;

/// The order of methods under one path.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The whole reference, made at the start.
pub struct Reference {
    intro: String,
    groups: Vec<Group>,
}

/// What belongs together.
#[derive(Serialize)]
struct Group {
    name: String,
    text: String,
    operations: Vec<Operation>,
    /// What these take and answer.
    shapes: Vec<Shape>,
}

/// One operation.
#[derive(Serialize)]
struct Operation {
    id: String,
    method: String,
    path: String,
    title: String,
    text: String,
    /// Who may: a session alone, any key, a key with all the scopes of one of these lists, or anybody.
    any_key: bool,
    scopes: Vec<Vec<String>>,
    open: bool,
    parameters: Vec<Field>,
    /// The name of what it takes.
    takes: Option<String>,
    answers: Vec<Answer>,
    snippets: Vec<Snippet>,
}

#[derive(Serialize)]
struct Answer {
    status: String,
    text: String,
    shape: Option<String>,
}

#[derive(Serialize)]
struct Snippet {
    language: &'static str,
    code: String,
}

/// Markdown of ours as HTML.
fn rich(text: &str) -> String {
    markdown::html(text, Lang::En).html
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

impl Reference {
    /// `url` is where the API is.
    pub fn new(openapi: &str, url: &str) -> Self {
        let api: Value = serde_json::from_str(openapi).expect("the description is JSON");
        let shapes = Shapes::of(&api);
        let mut operations: BTreeMap<String, Vec<Operation>> = BTreeMap::new();
        let paths = api["paths"].as_object().into_iter().flatten();
        for (path, item) in paths {
            for method in METHODS {
                let described = &item[method];
                if described.is_object() {
                    let tag = list(described, "tags").first().and_then(Value::as_str);
                    let operation = operation(&shapes, (method, path, described), url);
                    operations
                        .entry(tag.unwrap_or_default().to_owned())
                        .or_default()
                        .push(operation);
                }
            }
        }
        let groups = list(&api, "tags")
            .iter()
            .filter_map(|tag| {
                let operations = operations.remove(text(tag, "name"))?;
                let named: BTreeSet<&str> = operations
                    .iter()
                    .flat_map(|one| {
                        let answers = one.answers.iter().filter_map(|answer| answer.shape.as_deref());
                        one.takes.as_deref().into_iter().chain(answers)
                    })
                    .collect();
                Some(Group {
                    name: text(tag, "name").to_owned(),
                    text: rich(text(tag, "description")),
                    shapes: shapes.with_all_inside(named),
                    operations,
                })
            })
            .collect();
        Self {
            intro: rich(text(&api["info"], "description")),
            groups,
        }
    }

    /// The paths of all pages.
    pub fn paths(&self) -> impl Iterator<Item = String> {
        let groups = self
            .groups
            .iter()
            .map(|group| format!("/docs/api/{}", group.name));
        std::iter::once("/docs/api/".to_owned()).chain(groups)
    }
}

fn operation(shapes: &Shapes<'_>, (method, path, described): (&str, &str, &Value), url: &str) -> Operation {
    let body = &described["requestBody"]["content"]["application/json"]["schema"];
    let body = Some(body).filter(|body| body.is_object());
    let parameters: Vec<Field> = list(described, "parameters")
        .iter()
        .map(Field::of_parameter)
        .collect();
    let security = list(described, "security");
    let key = |one: &Value| -> Vec<String> {
        list(one, "key")
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    let answers = described["responses"].as_object().into_iter().flatten();
    let answers = answers
        .filter(|(status, _)| *status != "default")
        .map(|(status, answer)| {
            let kinds = answer["content"].as_object().into_iter().flatten();
            let shape = kinds.map(|(_, kind)| &kind["schema"]).find_map(Shapes::name_of);
            Answer {
                status: status.clone(),
                text: rich(text(answer, "description")),
                shape: shape.filter(|name| name != "Problem"),
            }
        })
        .collect();
    let open = security.is_empty()
        || security
            .iter()
            .any(|one| one.as_object().is_some_and(serde_json::Map::is_empty));
    let request = example::Request {
        method,
        url: format!("{url}/api/v1{}", example::path(path, described)),
        body: body.map(|body| shapes.example(body)),
        signed_in: !open,
    };
    Operation {
        id: text(described, "operationId").to_owned(),
        method: method.to_ascii_uppercase(),
        path: path.to_owned(),
        title: text(described, "summary").to_owned(),
        text: rich(text(described, "description")),
        any_key: security.iter().any(|one| one["key"] == json!([])),
        scopes: security.iter().map(key).filter(|all| !all.is_empty()).collect(),
        open,
        parameters,
        takes: body.and_then(Shapes::name_of),
        answers,
        snippets: example::LANGUAGES
            .into_iter()
            .map(|(language, write)| Snippet {
                language,
                code: write(&request),
            })
            .collect(),
    }
}

pub async fn overview(State(public): State<Public>, visit: Visit, headers: HeaderMap) -> Response {
    let reference = &public.site.reference;
    let values = context! { intro => &reference.intro, groups => shown(&reference.groups) };
    public.page("reference.html", &visit, &headers, values)
}

pub async fn group(
    State(public): State<Public>,
    visit: Visit,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Response {
    let groups = &public.site.reference.groups;
    let Some(place) = groups.iter().position(|group| group.name == name) else {
        return public.message(StatusCode::NOT_FOUND, &visit, "missing");
    };
    let beside = |place: Option<usize>| {
        place
            .and_then(|at| groups.get(at))
            .map(|group| group.name.as_str())
    };
    let values = context! {
        group => shown(&groups[place]),
        before => beside(place.checked_sub(1)),
        after => beside(Some(place + 1)),
    };
    public.page("reference_group.html", &visit, &headers, values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_and_every_shape_that_it_names_is_on_a_page() {
        let openapi = crate::http::openapi();
        let api: Value = serde_json::from_str(&openapi).unwrap();
        let reference = Reference::new(&openapi, "https://mail.example.com");
        let shown: BTreeSet<&str> = reference
            .groups
            .iter()
            .flat_map(|group| group.operations.iter().map(|one| one.id.as_str()))
            .collect();
        for (path, item) in api["paths"].as_object().unwrap() {
            for (method, one) in item.as_object().unwrap() {
                assert!(shown.contains(text(one, "operationId")), "{method} {path}");
            }
        }
        for group in &reference.groups {
            let shapes: BTreeSet<&str> = group.shapes.iter().map(|shape| shape.name.as_str()).collect();
            let fields = group.shapes.iter().flat_map(|shape| &shape.fields);
            for name in fields.filter_map(|field| field.shape.as_deref()) {
                assert!(shapes.contains(name), "{} in {}", name, group.name);
            }
        }
    }

    #[test]
    fn an_example_is_a_request_that_could_be_sent() {
        let reference = Reference::new(&crate::http::openapi(), "https://mail.example.com");
        let all = reference.groups.iter().flat_map(|group| &group.operations);
        let send = all.clone().find(|one| one.id == "sendMessage").unwrap();
        let curl = &send.snippets[0].code;
        assert!(
            curl.starts_with("curl https://mail.example.com/api/v1/messages \\\n"),
            "{curl}"
        );
        assert!(
            curl.contains("Authorization: Bearer $KEY") && curl.contains("\"subject\": \"Your order\""),
            "{curl}"
        );
        for one in all {
            for snippet in &one.snippets {
                assert!(
                    !snippet.code.contains('{') || !snippet.code.contains("/{"),
                    "{}",
                    snippet.code
                );
            }
        }
    }
}
