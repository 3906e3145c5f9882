//! Templates of the account: what is sent often, under a name.

use accounts::Scope;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use outbound::templates::{MOST, Name, Template};
use outbound::{Made, Wording as Kept, off_the_workers};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult, Problem};
use crate::http::json::{Body, Named};
use crate::http::paging::Page;
use crate::http::personalise::Wording;
use crate::http::values::Data;

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(one, change, remove))
        .routes(routes!(preview))
}

/// A template in a list.
#[derive(Serialize, ToSchema)]
#[schema(as = TemplateSummary)]
struct Summary {
    #[schema(example = "order-shipped")]
    name: String,
    #[schema(example = "Your order {{order}} is on its way")]
    subject: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

/// A template of the account.
#[derive(Serialize, ToSchema)]
#[schema(as = Template)]
struct TemplateView {
    #[schema(example = "order-shipped")]
    name: String,
    #[schema(example = "Your order {{order}} is on its way")]
    subject: String,
    /// Empty where there is none.
    #[schema(example = "Hello {{name}}")]
    text: String,
    /// Empty where there is none.
    #[schema(example = "<p>Hello {{name}}</p>")]
    html: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

impl From<Template> for TemplateView {
    fn from(one: Template) -> Self {
        Self {
            name: one.name,
            subject: one.subject,
            text: one.text,
            html: one.html,
            created_at: one.created_at.rfc3339(),
            updated_at: one.updated_at.rfc3339(),
        }
    }
}

impl From<Template> for Summary {
    fn from(one: Template) -> Self {
        Self {
            name: one.name,
            subject: one.subject,
            created_at: one.created_at.rfc3339(),
            updated_at: one.updated_at.rfc3339(),
        }
    }
}

/// What a template says. Variables stand in double braces: `{{name}}`, `{{order.number}}`; `{% if %}` and `{% for %}` are there too.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TemplateWording {
    /// Up to 998 bytes.
    #[schema(example = "Your order {{order}} is on its way")]
    subject: String,
    /// Up to 100 KiB. At least one of text and html is needed.
    #[serde(default)]
    #[schema(required = false, example = "Hello {{name}}")]
    text: String,
    /// Up to 100 KiB. What is filled in is escaped.
    #[serde(default)]
    #[schema(required = false, example = "<p>Hello {{name}}</p>")]
    html: String,
}

impl TemplateWording {
    fn wording(&self) -> Wording {
        let part = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        Wording {
            subject: self.subject.clone(),
            text: part(&self.text),
            html: part(&self.html),
        }
    }

    fn checked(self) -> ApiResult<Kept> {
        if self.text.is_empty() && self.html.is_empty() {
            return Err(ApiError::invalid("text", "Give a text, an HTML part, or both."));
        }
        self.wording().check()?;
        Ok(Kept {
            subject: self.subject,
            text: self.text,
            html: self.html,
        })
    }
}

/// A template to be made.
// Not flattened: neither the reader nor a schema can then tell a field that there is not, and the reader not where a fault stands.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateTemplate {
    /// 1 to 64 letters, digits, dots, hyphens and underscores, a letter or digit first; taken in lower case. Cannot be changed later.
    #[schema(example = "order-shipped")]
    name: String,
    /// Up to 998 bytes.
    #[schema(example = "Your order {{order}} is on its way")]
    subject: String,
    /// Up to 100 KiB. At least one of text and html is needed.
    #[serde(default)]
    #[schema(required = false, example = "Hello {{name}}")]
    text: String,
    /// Up to 100 KiB. What is filled in is escaped.
    #[serde(default)]
    #[schema(required = false, example = "<p>Hello {{name}}</p>")]
    html: String,
}

/// List the templates
#[utoipa::path(
    get, path = "/templates", tag = "templates", operation_id = "listTemplates",
    responses((status = 200, description = "All templates by their names, without what they say", body = Page<Summary>)),
    security(("key" = ["send"]), ("key" = ["read"]), ("session" = [])),
)]
async fn list(State(parts): State<Parts>, caller: Caller) -> ApiResult<Json<Page<Summary>>> {
    caller.reads(Scope::Send)?;
    let templates = parts.outbound.templates(caller.account_id()).await?;
    let items = templates.into_iter().map(Summary::from).collect();
    Ok(Json(Page { items, next: None }))
}

/// Create a template
#[utoipa::path(
    post, path = "/templates", tag = "templates", operation_id = "createTemplate", request_body = CreateTemplate,
    responses(
        (status = 201, description = "Created", body = TemplateView),
        (status = 409, description = "There is one of this name, or the account has as many as it can have", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is not accepted; of a mistake in a template, `errors` says the line", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["send"]), ("session" = [])),
)]
async fn create(
    State(parts): State<Parts>,
    caller: Caller,
    Body(CreateTemplate {
        name,
        subject,
        text,
        html,
    }): Body<CreateTemplate>,
) -> ApiResult<(StatusCode, Json<TemplateView>)> {
    caller.needs(Scope::Send)?;
    let name = Name::parse(&name).ok_or_else(|| {
        let said =
            "A name has 1 to 64 letters, digits, dots, hyphens and underscores, a letter or digit first.";
        ApiError::invalid("name", said)
    })?;
    let wording = TemplateWording { subject, text, html }.checked()?;
    let account = caller.account_id();
    let made = parts
        .outbound
        .create_template(account, name, wording, &caller.by())
        .await?;
    match made {
        Made::Yes(made) => {
            tracing::info!(template = made.name, %account, "template created");
            Ok((StatusCode::CREATED, Json(made.into())))
        }
        Made::Exists => Err(ApiError::Conflict("There is a template of this name.".to_owned())),
        Made::Full => Err(ApiError::Conflict(format!(
            "The account has {MOST} templates, which is the most. Delete one first."
        ))),
    }
}

/// The template that a path names. What is no name is nobody's.
fn named(text: &str) -> ApiResult<Name> {
    Name::parse(text).ok_or(ApiError::NotFound("template"))
}

/// Show a template
#[utoipa::path(
    get, path = "/templates/{name}", tag = "templates", operation_id = "getTemplate",
    params(("name" = String, Path, description = "The template")),
    responses(
        (status = 200, description = "The template", body = TemplateView),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["send"]), ("key" = ["read"]), ("session" = [])),
)]
async fn one(
    State(parts): State<Parts>,
    caller: Caller,
    Named(name): Named<String>,
) -> ApiResult<Json<TemplateView>> {
    caller.reads(Scope::Send)?;
    let found = parts
        .outbound
        .template(caller.account_id(), &named(&name)?)
        .await?;
    found
        .map(|found| Json(found.into()))
        .ok_or(ApiError::NotFound("template"))
}

/// Change a template
///
/// What it says is replaced as a whole. Messages that were accepted keep what it said then.
#[utoipa::path(
    put, path = "/templates/{name}", tag = "templates", operation_id = "changeTemplate",
    params(("name" = String, Path, description = "The template")), request_body = TemplateWording,
    responses(
        (status = 200, description = "Changed", body = TemplateView),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is not accepted", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["send"]), ("session" = [])),
)]
async fn change(
    State(parts): State<Parts>,
    caller: Caller,
    Named(name): Named<String>,
    Body(wording): Body<TemplateWording>,
) -> ApiResult<Json<TemplateView>> {
    caller.needs(Scope::Send)?;
    let wording = wording.checked()?;
    let account = caller.account_id();
    let changed = parts
        .outbound
        .change_template(account, &named(&name)?, wording, &caller.by())
        .await?
        .ok_or(ApiError::NotFound("template"))?;
    tracing::info!(template = changed.name, %account, "template changed");
    Ok(Json(changed.into()))
}

/// Delete a template
#[utoipa::path(
    delete, path = "/templates/{name}", tag = "templates", operation_id = "deleteTemplate",
    params(("name" = String, Path, description = "The template")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["send"]), ("session" = [])),
)]
async fn remove(
    State(parts): State<Parts>,
    caller: Caller,
    Named(name): Named<String>,
) -> ApiResult<StatusCode> {
    caller.needs(Scope::Send)?;
    let (account, name) = (caller.account_id(), named(&name)?);
    if !parts
        .outbound
        .delete_template(account, &name, &caller.by())
        .await?
    {
        return Err(ApiError::NotFound("template"));
    }
    tracing::info!(template = %name, %account, "template deleted");
    Ok(StatusCode::NO_CONTENT)
}

/// Something to be looked at before it is sent.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PreviewTemplate {
    /// Up to 998 bytes.
    #[schema(example = "Your order {{order}} is on its way")]
    subject: String,
    /// Up to 100 KiB. At least one of text and html is needed.
    #[serde(default)]
    #[schema(required = false, example = "Hello {{name}}")]
    text: String,
    /// Up to 100 KiB. What is filled in is escaped.
    #[serde(default)]
    #[schema(required = false, example = "<p>Hello {{name}}</p>")]
    html: String,
    /// What takes the place of the variables.
    #[serde(default)]
    #[schema(required = false, value_type = std::collections::BTreeMap<String, serde_json::Value>, example = json!({"name": "Bob", "order": "4711"}))]
    data: Data,
}

/// What a template makes of its data.
#[derive(Serialize, ToSchema)]
struct TemplatePreview {
    subject: String,
    text: String,
    html: String,
}

/// Preview a template
///
/// Fills the variables in as sending does, and sends nothing.
#[utoipa::path(
    post, path = "/templates/preview", tag = "templates", operation_id = "previewTemplate", request_body = PreviewTemplate,
    responses(
        (status = 200, description = "As it would be sent", body = TemplatePreview),
        (status = 422, description = "A variable is missing, or the template has a mistake", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["send"]), ("session" = [])),
)]
async fn preview(
    caller: Caller,
    Body(PreviewTemplate {
        subject,
        text,
        html,
        data,
    }): Body<PreviewTemplate>,
) -> ApiResult<Json<TemplatePreview>> {
    caller.needs(Scope::Send)?;
    let wording = TemplateWording { subject, text, html };
    let filling = off_the_workers(usize::MAX, move || wording.wording().fill(&data));
    let filled = filling.await.map_err(|error| ApiError::internal(&error))??;
    Ok(Json(TemplatePreview {
        subject: filled.subject,
        text: filled.text.unwrap_or_default(),
        html: filled.html.unwrap_or_default(),
    }))
}
