//! One help article: what stands above its text, and what is made of it at start.

use serde::{Deserialize, Serialize};

use super::markdown;
use super::search::Indexed;
use crate::site::lang::Lang;
use crate::site::words::typeset;

/// The categories, in the order in which they are shown. Their names are words of the site.
pub const CATEGORIES: [&str; 6] = ["start", "problems", "sending", "account", "developers", "service"];

/// What stands between the two lines of `+++` at the top of an article.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Front {
    title: String,
    summary: String,
    category: String,
    /// The place within the category, the least first.
    order: i64,
    /// Slugs of other articles.
    #[serde(default)]
    related: Vec<String>,
    /// Words that people search for and the text does not have.
    #[serde(default)]
    keywords: Vec<String>,
}

/// An article as pages show it.
#[derive(Debug, Serialize)]
pub struct Article {
    pub slug: String,
    pub title: String,
    pub summary: String,
    pub category: String,
    /// The language of the text, which is another than the page's where there is no translation.
    pub lang: &'static str,
    pub html: String,
    #[serde(skip)]
    pub related: Vec<String>,
    #[serde(skip)]
    pub place: (usize, i64),
    #[serde(skip)]
    pub indexed: Indexed,
}

impl Article {
    /// Reads an article whose template was filled in; says what is wrong with it otherwise.
    pub fn read(slug: &str, lang: Lang, text: &str) -> Result<Self, String> {
        let parted = text
            .trim_start()
            .strip_prefix("+++\n")
            .and_then(|rest| rest.split_once("\n+++\n"));
        let (front, body) =
            parted.ok_or("needs its title, summary, category and order between two lines of +++")?;
        let front: Front = toml::from_str(front).map_err(|error| format!("says {}", error.message()))?;
        let category = CATEGORIES
            .iter()
            .position(|category| *category == front.category)
            .ok_or_else(|| {
                let known = CATEGORIES.join(", ");
                format!("has the category {}; there are {known}", front.category)
            })?;
        let rendered = markdown::html(body, lang);
        let indexed = Indexed::new(&[
            (6.0, &front.title),
            (5.0, &front.keywords.join(" ")),
            (3.0, &front.summary),
            (3.0, &rendered.headings),
            (1.0, &rendered.plain),
        ]);
        Ok(Self {
            slug: slug.to_owned(),
            title: typeset(lang, &front.title),
            summary: typeset(lang, &front.summary),
            category: front.category,
            lang: lang.code(),
            html: rendered.html,
            related: front.related,
            place: (category, front.order),
            indexed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRONT: &str = "title = \"T\"\nsummary = \"S\"\ncategory = \"start\"\norder = 1\n";

    #[test]
    fn what_is_wrong_with_an_article_is_said() {
        let wrong = |text: &str| Article::read("a", Lang::En, text).unwrap_err();
        assert!(wrong("# A title").contains("+++"));
        assert!(wrong("+++\ntitle = \"T\"\n+++\ntext").contains("summary"));
        assert!(wrong(&format!("+++\n{FRONT}colour = \"red\"\n+++\n")).contains("colour"));
        let other = FRONT.replace("\"start\"", "\"sport\"");
        assert!(wrong(&format!("+++\n{other}+++\n")).contains("sport"));
        let article = Article::read("a", Lang::En, &format!("+++\n{FRONT}+++\n\n## One\n\ntext\n")).unwrap();
        assert_eq!((article.title.as_str(), article.place), ("T", (0, 1)));
        assert!(article.html.contains("<h2 id=\"one\">One</h2>"));
    }
}
