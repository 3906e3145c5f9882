//! What readers say of the help articles.

use accounts::Scope;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::ApiResult;
use crate::site::counts;

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new().routes(routes!(votes))
}

/// How often each article helped.
#[derive(Serialize, ToSchema)]
struct Votes {
    items: Vec<ArticleVotes>,
}

/// The answers to "was this helpful" under one article.
#[derive(Serialize, ToSchema)]
struct ArticleVotes {
    /// As in its address.
    #[schema(example = "authentication-failed")]
    article: String,
    /// The language of its text.
    #[schema(example = "en")]
    lang: String,
    helpful: i64,
    not_helpful: i64,
}

/// Ask how often each help article helped
///
/// The article that most readers were not helped by comes first; one that nobody answered about is left out. Who answered
/// is not known. Operators only.
#[utoipa::path(
    get, path = "/help/votes", tag = "help", operation_id = "listHelpVotes",
    responses((status = 200, description = "The answers", body = Votes)),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn votes(State(parts): State<Parts>, caller: Caller) -> ApiResult<Json<Votes>> {
    caller.needs(Scope::Operator)?;
    let items = counts(&parts.db).await?;
    let items = items.into_iter().map(|count| ArticleVotes {
        article: count.article,
        lang: count.lang,
        helpful: count.helpful,
        not_helpful: count.not_helpful,
    });
    Ok(Json(Votes {
        items: items.collect(),
    }))
}
