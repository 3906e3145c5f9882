//! The API, version 1: one file a group of operations, and the OpenAPI text that describes them.

mod account;
mod account_tracking;
mod accounts;
mod announcements;
mod attempts;
mod audit;
mod content;
mod credentials;
mod credits;
mod domains;
mod events;
mod export;
mod guard;
mod help;
mod hooks;
mod impersonation;
mod inbox;
mod keys;
mod limits;
mod lockouts;
mod message_view;
mod messages;
mod passkeys;
mod password;
mod queue;
mod retention;
mod second_step;
mod send;
mod senders;
mod session;
mod sessions;
mod settings;
mod setup;
mod sign_up;
mod smtp_credentials;
mod statistics;
mod streams;
mod suppressions;
mod templates;
mod tracking;
mod transcript;
mod users;
mod vouchers;
mod webhook_deliveries;
mod webhooks;

pub use content::memory_for_reading;
pub use session::{SignedIn, sign_in_with_code, sign_in_with_password};
pub use sign_up::{confirm_account, open_account};

use axum::Router;
use axum::http::header;
use axum::routing::get;
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, Ref, RefOr, ResponseBuilder};
use utoipa_axum::router::OpenApiRouter;

use super::auth::COOKIE;
use super::error::{FieldError, Problem};
use super::gate::Gate;
use super::{Parts, live};

/// The parts of the text that belong to no operation.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Posthouse API",
        description = "Send mail and see what became of it.\n\n\
            **Signing in.** Programs send an API key: `Authorization: Bearer ph_…`. The console uses a session cookie; \
            with it, requests that change something have to come from the console's own origin.\n\n\
            **Roles.** A user of an account is an owner, admin, marketer, developer or viewer, and a key never may more \
            than its user. Owners and admins hold every scope (`operator` only in an operator's account; an admin decides \
            nothing about owners), developers `read`, `send`, `messages`, `domains` and `credentials`, marketers `read`, \
            `send` and `messages`, viewers `read`. Where an operation names scopes in several alternatives, each of these is enough; \
            where one alternative names several scopes, it takes all of them.\n\n\
            **Impersonation.** An operator who sees the console as an account (`POST /accounts/{id}/impersonation`) reads \
            what its people see and no content of messages; everything else is refused with `/problems/impersonating`.\n\n\
            **Refusals** are problem documents (RFC 9457): `application/problem+json` with `type`, `title`, `status`, \
            `detail` and, where fields of the request are at fault, `errors`. A field or parameter that an operation does not know is \
            refused as well, and so is a body where it takes none: nothing is passed over. What belongs to another account is not \
            found (404).\n\n\
            **Lists** answer `items` and `next`; give `next` as `after` to get the next page, until it is null.\n\n\
            **Rates.** Each key, session or, without either, network has so many requests a minute; every answer says how \
            many in `RateLimit-Limit`, how many are left in `RateLimit-Remaining`, and in how many seconds the next minute begins \
            in `RateLimit-Reset`. What is over is refused with 429 and `Retry-After`. A batch of messages is one request.\n\n\
            **Times** are RFC 3339 in UTC, identifiers are UUIDs, sizes are in bytes.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    servers((url = "/api/v1")),
    components(schemas(Problem, FieldError)),
    security(("key" = []), ("session" = [])),
    tags(
        (name = "send", description = "Hand a message over for delivery."),
        (name = "templates", description = "What the account sends often, kept under a name, with variables to fill in."),
        (name = "messages", description = "What became of each message, recipient by recipient."),
        (name = "streams", description = "What the account's mail is sorted into, so that receipts and newsletters stay apart."),
        (name = "statistics", description = "What became of mail, counted by day."),
        (name = "live", description = "News as they happen."),
        (name = "suppressions", description = "Addresses that get no mail of the account."),
        (name = "events", description = "The log of what happened, to be read on from where one stopped."),
        (name = "webhooks", description = "Receivers that are told what happens, as Standard Webhooks describes it."),
        (name = "hooks", description = "Scripts and rules that have a say in what the account sends."),
        (name = "domains", description = "Domains that an account sends from, and the DNS records that vouch for it."),
        (name = "account", description = "The account that is signed in."),
        (name = "credits", description = "What was granted, what was used, and what is left."),
        (name = "announcements", description = "What the operator tells everybody, or the people of one account."),
        (name = "sign-in", description = "Who tried to sign in, and who is locked out."),
        (name = "users", description = "The people of the account, their roles, and who is invited."),
        (name = "audit", description = "Who changed what."),
        (name = "keys", description = "API keys."),
        (name = "smtp-credentials", description = "SMTP passwords for single programs, and whether login passwords sign in over SMTP."),
        (name = "session", description = "Web sessions of the console."),
        (name = "second-step", description = "Two-step sign-in of one's own login: an app, passkeys, recovery codes."),
        (name = "sign-up", description = "Opening an account, and getting back in without the password."),
        (name = "setup", description = "The first start of an installation."),
        (name = "inbox", description = "Mail that was kept here instead of being delivered (`delivery.route = \"capture\"`)."),
        (name = "accounts", description = "All accounts. Operators only."),
        (name = "credentials", description = "IP ranges that send without a password. Operators only."),
        (name = "queue", description = "What waits for delivery. Operators only."),
        (name = "help", description = "What readers say of the help articles. Operators only."),
    ),
)]
struct Described;

fn operations() -> OpenApiRouter<Parts> {
    OpenApiRouter::with_openapi(Described::openapi())
        .merge(send::routes())
        .merge(messages::routes())
        .merge(live::routes())
        .merge(events::routes())
        .merge(tracking::routes())
        .merge(account_tracking::routes())
        .merge(webhooks::routes())
        .merge(webhook_deliveries::routes())
        .merge(hooks::routes())
        .merge(domains::routes())
        .merge(senders::routes())
        .merge(account::routes())
        .merge(credits::routes())
        .merge(vouchers::routes())
        .merge(announcements::routes())
        .merge(keys::routes())
        .merge(smtp_credentials::routes())
        .merge(streams::routes())
        .merge(session::routes())
        .merge(sessions::routes())
        .merge(second_step::routes())
        .merge(passkeys::routes())
        .merge(setup::routes())
        .merge(sign_up::routes())
        .merge(password::routes())
        .merge(settings::routes())
        .merge(inbox::routes())
        .merge(accounts::routes())
        .merge(impersonation::routes())
        .merge(credentials::routes())
        .merge(queue::routes())
        .merge(help::routes())
        .merge(attempts::routes())
        .merge(lockouts::routes())
        .merge(limits::routes())
        .merge(users::routes())
        .merge(audit::routes())
        .merge(guard::routes())
        .merge(suppressions::routes())
        .merge(templates::routes())
        .merge(retention::routes())
        .merge(statistics::routes())
}

/// The router of `/api/v1`, the text included.
pub fn router() -> Router<Parts> {
    let (router, _) = operations().split_for_parts();
    router.route(
        "/openapi.json",
        get(|| async { ([(header::CONTENT_TYPE, "application/json")], openapi()) }),
    )
}

/// What stands in front of the operations: who may ask for which, and how.
pub fn gate() -> Gate {
    let (_, api) = operations().split_for_parts();
    Gate::new(&serde_json::to_value(api).expect("the description is plain data"))
}

/// The OpenAPI 3.1 text of the API, as JSON with a newline at its end.
pub fn openapi() -> String {
    let (_, mut api) = operations().split_for_parts();
    let mut components = api.components.take().unwrap_or_default();
    let key = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("ph_…")
        .description(Some("An API key with the scope that the operation asks for."))
        .build();
    let session = ApiKeyValue::with_description(COOKIE, "The session cookie that `POST /session` sets.");
    components.add_security_scheme("key", SecurityScheme::Http(key));
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(session)));
    api.components = Some(components);
    for item in api.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.post,
            &mut item.put,
            &mut item.patch,
            &mut item.delete,
        ];
        for operation in operations.into_iter().flatten() {
            operation
                .responses
                .responses
                .insert("default".to_owned(), refusal());
        }
    }
    let mut text = api.to_pretty_json().expect("the description is plain data");
    text.push('\n');
    text
}

/// What every operation may answer besides what its own text says.
fn refusal() -> RefOr<utoipa::openapi::Response> {
    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
    ResponseBuilder::new()
        .description("Any refusal: 400, 401, 403, 404, 422, 429, 503 and the like")
        .content("application/problem+json", problem)
        .build()
        .into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    #[test]
    fn the_openapi_text_in_the_repository_is_the_one_the_server_tells() {
        let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
        let kept = std::fs::read_to_string(kept).unwrap_or_default();
        assert!(
            kept == openapi(),
            "docs/openapi.json is out of date: run `cargo run -q -- openapi > docs/openapi.json`, \
             then `npm --prefix console run generate`"
        );
    }

    /// The schemas that a schema is made of, by their names, however deep.
    fn parts_of<'a>(api: &'a Value, schema: &'a Value, into: &mut BTreeMap<String, &'a Value>) {
        if let Some(path) = schema["$ref"].as_str() {
            let part = api.pointer(path.trim_start_matches('#')).expect(path);
            if into.insert(path.to_owned(), part).is_none() {
                parts_of(api, part, into);
            }
        }
        let children = schema.as_object().into_iter().flat_map(|fields| fields.values());
        for child in children.chain(schema.as_array().into_iter().flatten()) {
            parts_of(api, child, into);
        }
    }

    #[test]
    fn what_a_request_is_made_of_has_no_field_that_is_passed_over() {
        let api: Value = serde_json::from_str(&openapi()).unwrap();
        let mut found = BTreeMap::new();
        for item in api["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                parts_of(&api, &operation["requestBody"], &mut found);
            }
        }
        let objects = found
            .iter()
            .filter(|(_, schema)| schema["properties"].is_object());
        let open: Vec<_> = objects
            .clone()
            .filter(|(_, schema)| schema["additionalProperties"] != false)
            .collect();
        assert!(objects.count() > 50 && open.is_empty(), "{open:#?}");
    }

    #[test]
    fn every_operation_says_what_it_does_and_what_it_takes() {
        let api: serde_json::Value = serde_json::from_str(&openapi()).unwrap();
        assert_eq!(api["openapi"], "3.1.0");
        for (path, item) in api["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let name = format!("{method} {path}");
                assert!(
                    operation["summary"].as_str().is_some_and(|text| !text.is_empty()),
                    "{name} has no summary"
                );
                assert!(operation["operationId"].is_string(), "{name} has no name");
                assert!(operation["security"].is_array(), "{name} does not say who may");
                assert_eq!(
                    operation["tags"].as_array().map(Vec::len),
                    Some(1),
                    "{name} stands in no group"
                );
            }
        }
    }
}
