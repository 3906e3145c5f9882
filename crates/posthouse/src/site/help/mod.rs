//! The help centre: articles with the values of this installation in them, found by category or by search.

mod article;
mod search;
mod votes;

pub mod markdown;
pub mod trouble;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use axum::Form;
use axum::extract::{self, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use minijinja::{Value, context};
use serde::{Deserialize, Serialize};

pub use self::votes::counts;

use self::article::{Article, CATEGORIES};
use self::votes::Answered;
use super::brand::unreadable;
use super::lang::{Lang, Visit};
use super::render::{Templates, shown};
use super::{Files, Public, SiteError};
use crate::http::Client;

/// Articles that a search shows.
const FOUND: usize = 8;
/// Characters of a query that are looked at.
const LONGEST_QUERY: usize = 100;
/// Other articles at the end of one.
const RELATED: usize = 3;
/// The operator's key that names a folder of articles.
const KEY: &str = "site.help_dir";

/// Every article in every language, in order.
pub struct Help {
    articles: BTreeMap<Lang, Vec<Article>>,
    answered: Answered,
}

/// Where the text of an article comes from.
struct Source {
    /// What the operator calls it; none for one of ours.
    file: Option<PathBuf>,
    text: String,
}

impl Help {
    /// Renders our articles and the operator's, which take the place of ours where they have the same name.
    pub fn open(templates: &Templates, own: Option<&Path>) -> Result<Self, SiteError> {
        let mut articles = BTreeMap::new();
        for lang in Lang::ALL {
            let mut sources = ours(lang);
            if let Some(folder) = own {
                sources.extend(theirs(folder, lang)?);
            }
            let rendered: Result<BTreeMap<String, Article>, SiteError> = sources
                .into_iter()
                .map(|(slug, source)| Ok((slug.clone(), render(templates, &slug, lang, &source)?)))
                .collect();
            articles.insert(lang, rendered?);
        }
        Ok(Self {
            articles: complete(articles, templates, own)?,
            answered: Answered::default(),
        })
    }

    pub fn find(&self, lang: Lang, slug: &str) -> Option<&Article> {
        self.all(lang).iter().find(|article| article.slug == slug)
    }

    /// What articles are called in an address.
    pub fn slugs(&self) -> impl Iterator<Item = &str> {
        self.all(Lang::En).iter().map(|article| article.slug.as_str())
    }

    fn all(&self, lang: Lang) -> &[Article] {
        self.articles.get(&lang).map_or(&[], Vec::as_slice)
    }

    fn search(&self, lang: Lang, query: &str) -> Vec<&Article> {
        let articles = self.all(lang);
        let texts: Vec<_> = articles.iter().map(|article| &article.indexed).collect();
        let found = search::search(query, &texts);
        found.into_iter().take(FOUND).map(|at| &articles[at]).collect()
    }

    /// What else a reader may want: what the article names, else its neighbours of the same category.
    fn related(&self, lang: Lang, article: &Article) -> Vec<&Article> {
        if !article.related.is_empty() {
            return article
                .related
                .iter()
                .filter_map(|slug| self.find(lang, slug))
                .take(RELATED)
                .collect();
        }
        self.all(lang)
            .iter()
            .filter(|other| other.category == article.category && other.slug != article.slug)
            .take(RELATED)
            .collect()
    }
}

/// `credits` and its text for each of our articles.
fn ours(lang: Lang) -> BTreeMap<String, Source> {
    let folder = format!("help/{}/", lang.code());
    Files::iter()
        .filter_map(|name| {
            let slug = name.strip_prefix(&folder)?.strip_suffix(".md")?.to_owned();
            let text = String::from_utf8_lossy(&Files::get(&name)?.data).into_owned();
            Some((slug, Source { file: None, text }))
        })
        .collect()
}

/// The same for the operator's: `en/NAME.md` and `fr/NAME.md` in the folder.
fn theirs(folder: &Path, lang: Lang) -> Result<BTreeMap<String, Source>, SiteError> {
    let mut sources = BTreeMap::new();
    let folder = folder.join(lang.code());
    if !folder.exists() {
        return Ok(sources);
    }
    let entries = fs::read_dir(&folder).map_err(|reason| unreadable(KEY, &folder, reason))?;
    for entry in entries {
        let file = entry.map_err(|reason| unreadable(KEY, &folder, reason))?.path();
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let Some(slug) = name.strip_suffix(".md") else {
            continue;
        };
        let plain = slug
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !plain || slug.is_empty() {
            return Err(SiteError::Unusable {
                key: KEY,
                file,
                reason: "needs a name of small letters, digits and hyphens".to_owned(),
            });
        }
        let text = fs::read_to_string(&file).map_err(|reason| unreadable(KEY, &file, reason))?;
        let slug = slug.to_owned();
        let file = Some(file);
        sources.insert(slug, Source { file, text });
    }
    Ok(sources)
}

fn render(templates: &Templates, slug: &str, lang: Lang, source: &Source) -> Result<Article, SiteError> {
    let name = source.file.as_ref().map_or_else(
        || PathBuf::from(format!("site/help/{}/{slug}.md", lang.code())),
        Clone::clone,
    );
    let unusable = |reason: String| SiteError::Unusable {
        key: KEY,
        file: name.clone(),
        reason,
    };
    let shown = name.display().to_string();
    let text = templates
        .article(&shown, lang, &source.text)
        .map_err(|error| unusable(format!("cannot be filled in: {error}")))?;
    Article::read(slug, lang, &text).map_err(unusable)
}

/// Puts the articles in order. What exists in one language only is shown as it is in the other, so that every link leads
/// somewhere; and what an article calls related has to be there.
fn complete(
    mut articles: BTreeMap<Lang, BTreeMap<String, Article>>,
    templates: &Templates,
    own: Option<&Path>,
) -> Result<BTreeMap<Lang, Vec<Article>>, SiteError> {
    let slugs: BTreeSet<String> = articles.values().flat_map(BTreeMap::keys).cloned().collect();
    for lang in Lang::ALL {
        for slug in &slugs {
            if articles[&lang].contains_key(slug) {
                continue;
            }
            let others = Lang::ALL.into_iter().filter(|other| *other != lang);
            for other in others {
                // Only the operator's come in one language.
                let Some(folder) = own else { continue };
                if let Some(source) = theirs(folder, other)?.get(slug) {
                    let article = render(templates, slug, other, source)?;
                    articles.entry(lang).or_default().insert(slug.clone(), article);
                }
            }
        }
    }
    for article in articles.values().flat_map(BTreeMap::values) {
        if let Some(unknown) = article.related.iter().find(|other| !slugs.contains(*other)) {
            return Err(SiteError::Unusable {
                key: KEY,
                file: format!("{}/{}.md", article.lang, article.slug).into(),
                reason: format!("is related to {unknown}, and there is no such article"),
            });
        }
    }
    let ordered = articles.into_iter().map(|(lang, articles)| {
        let mut articles: Vec<Article> = articles.into_values().collect();
        articles.sort_by(|a, b| (a.place, &a.slug).cmp(&(b.place, &b.slug)));
        (lang, articles)
    });
    Ok(ordered.collect())
}

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    q: String,
}

#[derive(Serialize)]
struct Group<'a> {
    category: &'static str,
    articles: Vec<&'a Article>,
}

pub async fn overview(
    State(public): State<Public>,
    visit: Visit,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Response {
    let help = &public.site.help;
    let query: String = asked.q.trim().chars().take(LONGEST_QUERY).collect();
    if !query.is_empty() {
        let found = help.search(visit.lang, &query);
        return public.page(
            "help.html",
            &visit,
            &headers,
            context! { query, found => shown(found) },
        );
    }
    let groups: Vec<Group> = CATEGORIES
        .into_iter()
        .map(|category| Group {
            category,
            articles: help
                .all(visit.lang)
                .iter()
                .filter(|article| article.category == category)
                .collect(),
        })
        .filter(|group| !group.articles.is_empty())
        .collect();
    public.page(
        "help.html",
        &visit,
        &headers,
        context! { query, groups => shown(groups) },
    )
}

#[derive(Deserialize)]
pub struct After {
    /// There after an answer to "was this helpful".
    thanks: Option<String>,
}

pub async fn article(
    State(public): State<Public>,
    visit: Visit,
    headers: HeaderMap,
    extract::Path(slug): extract::Path<String>,
    Query(after): Query<After>,
) -> Response {
    let thanked = after.thanks.is_some();
    if slug == trouble::SLUG {
        return trouble::page(&public, &visit, &headers, thanked).await;
    }
    let Some(values) = values(&public.site.help, &visit, &slug, thanked) else {
        return public.message(StatusCode::NOT_FOUND, &visit, "missing");
    };
    public.page("article.html", &visit, &headers, values)
}

/// What the page of an article is made with; none where there is no such article.
fn values(help: &Help, visit: &Visit, slug: &str, thanked: bool) -> Option<Value> {
    let articles = help.all(visit.lang);
    let at = articles.iter().position(|article| article.slug == slug)?;
    let article = &articles[at];
    Some(context! {
        article => shown(article),
        previous => shown(at.checked_sub(1).and_then(|before| articles.get(before))),
        next => shown(articles.get(at + 1)),
        related => shown(help.related(visit.lang, article)),
        thanked,
        trouble => (),
    })
}

#[derive(Deserialize)]
pub struct Vote {
    helpful: String,
}

pub async fn vote(
    State(public): State<Public>,
    visit: Visit,
    client: Client,
    extract::Path(slug): extract::Path<String>,
    Form(vote): Form<Vote>,
) -> Response {
    let help = &public.site.help;
    let (Some(article), Some(helpful)) = (help.find(visit.lang, &slug), answer(&vote.helpful)) else {
        return public.message(StatusCode::NOT_FOUND, &visit, "missing");
    };
    let now = public.parts.clock.now();
    if help.answered.is_first(client.network(), &slug, now) {
        let counted = votes::count(&public.parts.db, slug.clone(), article.lang, helpful).await;
        if let Err(error) = counted {
            return public.busy(&visit, &error);
        }
    }
    Redirect::to(&visit.link(&format!("/help/{slug}?thanks=1"))).into_response()
}

fn answer(text: &str) -> Option<bool> {
    match text {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_that_a_refusal_names_is_there_in_every_language() {
        for lang in Lang::ALL {
            let articles = ours(lang);
            for page in mail::replies::HELP_PAGES {
                assert!(
                    articles.contains_key(page),
                    "{page} is missing in {}",
                    lang.code()
                );
            }
        }
    }
}
