//! The console: the files that `npm run build` leaves in `console/dist`, embedded in the binary.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use rust_embed::RustEmbed;

// The folder may be missing: the binary is then built without its console, and says so.
#[derive(RustEmbed)]
#[folder = "../../console/dist"]
#[allow_missing = true]
struct Files;

/// Scripts and fetches from here only; Mantine writes inline styles; mail previews are framed from our own API.
const CSP: &str = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    font-src 'self'; connect-src 'self'; frame-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'";

/// Of the page as Vite leaves it.
const TITLE: &str = "<title>Posthouse</title>";

const NOT_BUILT: &str = include_str!("console.html");

/// What the service is called, as HTML has it.
#[derive(Clone)]
struct Name(Arc<str>);

/// `name` is what the service is called: the page's title says it, and the console reads it there.
pub fn router(name: &str) -> Router {
    let name = minijinja::HtmlEscape(name).to_string();
    Router::new()
        .route("/app", get(page))
        .route("/app/", get(page))
        .route("/app/{*path}", get(file))
        .with_state(Name(name.into()))
}

async fn file(State(name): State<Name>, uri: Uri) -> Response {
    let path = uri.path().trim_start_matches("/app/");
    match Files::get(path) {
        Some(file) => {
            // Vite puts a hash of the content into the names below assets/: such a file never changes.
            let caching = if path.starts_with("assets/") {
                "public, max-age=31536000, immutable"
            } else {
                "no-cache"
            };
            let headers = [
                (header::CONTENT_TYPE, media_type(path)),
                (header::CACHE_CONTROL, caching),
            ];
            (headers, with_csp(file.data.into_response())).into_response()
        }
        // A file that is missing is missing; every other path is a page that the console draws.
        None if path.starts_with("assets/") => StatusCode::NOT_FOUND.into_response(),
        None => page(State(name)).await,
    }
}

async fn page(State(name): State<Name>) -> Response {
    let page = match Files::get("index.html") {
        Some(index) => {
            let index = String::from_utf8_lossy(&index.data);
            Html(index.replacen(TITLE, &format!("<title>{}</title>", name.0), 1)).into_response()
        }
        None => (StatusCode::NOT_FOUND, Html(NOT_BUILT)).into_response(),
    };
    ([(header::CACHE_CONTROL, "no-cache")], with_csp(page)).into_response()
}

/// What Vite may leave in its folder.
fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn with_csp(response: Response) -> Response {
    ([(header::CONTENT_SECURITY_POLICY, CSP)], response).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> State<Name> {
        State(Name("Relay".into()))
    }

    #[test]
    fn the_title_of_the_page_is_where_it_is_looked_for() {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../console/index.html");
        assert!(std::fs::read_to_string(source).unwrap().contains(TITLE));
    }

    #[tokio::test]
    async fn a_missing_asset_is_not_the_page() {
        let response = file(name(), Uri::from_static("/app/assets/gone-1234.js")).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn every_page_of_the_console_is_the_same_document_and_cannot_be_framed() {
        let response = file(name(), Uri::from_static("/app/messages/019ab0c4")).await;
        let csp = response.headers()[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap();
        assert!(
            csp.contains("frame-ancestors 'none'") && !csp.contains("script-src 'self' 'unsafe"),
            "{csp}"
        );
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-cache");
    }
}
