//! The public site: pages made on the server, complete without JavaScript, in English and French. One script says how good a
//! new password is while it is typed.
//!
//! `site/` at the top of the repository holds the templates, the words, the stylesheet and the help articles; all of it is
//! embedded. Every page is at its path and, with its language named, below `/en` and `/fr`.

mod account;
mod brand;
mod color;
mod countries;
mod facts;
mod guard;
mod help;
mod index;
mod lang;
mod login;
mod page;
mod pages;
mod probe;
mod reference;
mod render;
mod smtp;
mod theme;
mod tracked;
mod unsubscribe;
mod words;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::response::Redirect;
use axum::routing::{get, post};
use rust_embed::RustEmbed;

pub use self::color::Color;
pub use self::facts::Facts;
pub use self::help::counts;
pub use self::lang::Lang;
pub use self::render::grouped;

use self::brand::Legal;
pub use self::countries::Countries;
use self::help::Help;
use self::probe::Probe;
use self::reference::Reference;
use self::render::Templates;
use self::theme::Look;
use crate::config::Config;
use crate::http::{HttpSettings, Parts};

/// What `site/` holds.
#[derive(RustEmbed)]
#[folder = "../../site"]
struct Files;

/// The largest form that is read: an address, a password of 1 KiB and where to go next.
const FORM_LIMIT: usize = 16 * 1024;

/// Why the site cannot be shown as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    #[error("cannot read {}: {reason}; correct {key} or the file's permissions", file.display())]
    Unreadable {
        key: &'static str,
        file: PathBuf,
        reason: std::io::Error,
    },
    #[error("{} {reason}; correct it or {key}", file.display())]
    Unusable {
        key: &'static str,
        file: PathBuf,
        reason: String,
    },
    #[error("the site cannot be made: {0:#}")]
    Template(#[from] minijinja::Error),
}

/// Everything that stays the same while the server runs, made at its start.
pub struct Site {
    templates: Templates,
    look: Look,
    legal: Legal,
    help: Help,
    probe: Probe,
    countries: Countries,
    reference: Reference,
    /// There is an operator, so the first page is the site's and not the console's.
    set_up: AtomicBool,
}

impl Site {
    /// Where addresses are, as far as the operator gives a file that says so.
    pub fn countries(&self) -> Countries {
        self.countries.clone()
    }

    /// Reads what the operator configured and renders every article; a mistake in either is found here.
    pub fn open(config: &Config, http: &HttpSettings) -> Result<Self, SiteError> {
        let facts = Facts::of(config, http);
        let settings = &config.site;
        let look = Look::new(settings.accent, brand::logo(settings.logo.as_deref())?);
        let templates = Templates::new(&facts, &look)?;
        let help = Help::open(&templates, settings.help_dir.as_deref())?;
        Ok(Self {
            legal: Legal::read(settings.terms.as_deref(), settings.privacy.as_deref())?,
            probe: Probe::new(http),
            countries: Countries::open(config.tracking.geoip.as_deref())?,
            reference: Reference::new(&crate::http::openapi(), &http.public_url),
            set_up: AtomicBool::new(false),
            templates,
            look,
            help,
        })
    }
}

/// What the pages are made with.
#[derive(Clone)]
struct Public {
    parts: Parts,
    site: Arc<Site>,
}

/// Every page, and the answer to every path that nobody else has.
pub fn router(parts: Parts, site: Site) -> Router {
    let public = Public {
        parts,
        site: Arc::new(site),
    };
    let mut router = Router::new();
    for base in ["", Lang::En.base(), Lang::Fr.base()] {
        let at = |path: &str| format!("{base}{path}");
        router = router
            .route(&at("/"), get(pages::home))
            .route(&at("/cookies"), get(pages::cookies))
            .route(&at("/terms"), get(pages::terms))
            .route(&at("/privacy"), get(pages::privacy))
            .route(&at("/login"), get(login::form).post(login::submit))
            .route(&at("/login/code"), get(login::code_form).post(login::submit_code))
            .route(&at("/join"), get(account::join_form).post(account::join))
            .route(&at("/sender"), get(account::sender_form).post(account::sender))
            .route(&at("/sign-up"), get(account::sign_up_form).post(account::sign_up))
            .route(
                &at("/sign-up/confirm"),
                get(account::confirm_form).post(account::confirm),
            )
            .route(
                &at("/password/forgot"),
                get(account::forgot_form).post(account::forgot),
            )
            .route(&at("/password/strength"), post(account::strength))
            .route(
                &at("/password/reset"),
                get(account::reset_form).post(account::reset),
            )
            .route(&at("/smtp/"), get(smtp::settings))
            .route(&at("/smtp/test"), get(smtp::tested).post(smtp::test))
            .route(&at("/docs/api/"), get(reference::overview))
            .route(&at("/docs/api/{group}"), get(reference::group))
            .route(&at("/help/"), get(help::overview))
            .route(&at("/help/{slug}"), get(help::article))
            .route(&at("/help/{slug}/vote"), post(help::vote))
            .route(
                &at("/help/authentication-failed/check"),
                get(help::trouble::checked).post(help::trouble::check),
            );
        for folder in ["/smtp", "/help", "/docs/api"] {
            let whole = at(&format!("{folder}/"));
            router = router.route(&at(folder), get(|| async move { Redirect::permanent(&whole) }));
        }
    }
    let mut links = Router::new();
    for base in ["", Lang::En.base(), Lang::Fr.base()] {
        let path = format!("{base}/u/{{token}}");
        links = links.route(&path, get(unsubscribe::page).post(unsubscribe::change));
    }
    router
        .route(Lang::En.base(), get(pages::home))
        .route(Lang::Fr.base(), get(pages::home))
        .route("/site/{file}", get(page::asset))
        .route("/t/o/{token}", get(tracked::opened))
        .route("/t/c/{token}", get(tracked::clicked))
        .route("/robots.txt", get(index::robots))
        .route("/sitemap.xml", get(index::sitemap))
        .fallback(pages::missing)
        .layer(DefaultBodyLimit::max(FORM_LIMIT))
        .layer(middleware::from_fn_with_state(
            public.clone(),
            guard::refuse_foreign,
        ))
        // Whoever has such a link may use it from anywhere: a mail program in a browser does, and there is no cookie to borrow.
        .merge(links.layer(DefaultBodyLimit::max(FORM_LIMIT)))
        .with_state(public)
}
