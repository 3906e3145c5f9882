//! What search engines ask for: which pages there are, and in which languages.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::Public;
use super::lang::Lang;

/// The pages that are worth finding, beside the articles.
const PAGES: [&str; 4] = ["/", "/smtp/", "/help/", "/cookies"];

pub async fn robots(State(public): State<Public>) -> String {
    let url = &public.parts.settings.public_url;
    format!("User-agent: *\nDisallow: /app\nDisallow: /api/\nSitemap: {url}/sitemap.xml\n")
}

pub async fn sitemap(State(public): State<Public>) -> Response {
    let url = &public.parts.settings.public_url;
    let articles = public.site.help.slugs().map(|slug| format!("/help/{slug}"));
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\" xmlns:xhtml=\"http://www.w3.org/1999/xhtml\">\n",
    );
    let reference = public.site.reference.paths();
    for path in PAGES
        .iter()
        .map(|&path| path.to_owned())
        .chain(articles)
        .chain(reference)
    {
        for lang in Lang::ALL {
            let _ = write!(text, "<url><loc>{url}{}{path}</loc>", lang.base());
            for other in Lang::ALL {
                let (code, base) = (other.code(), other.base());
                let _ = write!(
                    text,
                    "<xhtml:link rel=\"alternate\" hreflang=\"{code}\" href=\"{url}{base}{path}\"/>"
                );
            }
            text.push_str("</url>\n");
        }
    }
    text.push_str("</urlset>\n");
    ([(header::CONTENT_TYPE, "application/xml; charset=utf-8")], text).into_response()
}
