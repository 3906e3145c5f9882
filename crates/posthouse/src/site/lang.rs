//! The languages of the site, and which of them a request is answered in.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, OriginalUri};
use axum::http::HeaderMap;
use axum::http::header::ACCEPT_LANGUAGE;
use axum::http::request::Parts;

/// A language in which every page, word and article exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lang {
    En,
    Fr,
}

impl Lang {
    pub const ALL: [Self; 2] = [Self::En, Self::Fr];

    /// As in `lang`, `hreflang` and the first segment of a path.
    pub const fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Fr => "fr",
        }
    }

    /// What stands before the path of a page in this language.
    pub const fn base(self) -> &'static str {
        match self {
            Self::En => "/en",
            Self::Fr => "/fr",
        }
    }

    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lang| lang.code() == code)
    }

    /// What the browser prefers among what there is; English where it prefers neither.
    // RFC 9110 section 12.5.4
    pub fn preferred(headers: &HeaderMap) -> Self {
        let ranges = headers
            .get_all(ACCEPT_LANGUAGE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        let mut best = (0, Self::En);
        for range in ranges {
            let mut parts = range.split(';').map(str::trim);
            let tag = parts.next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts
                .find_map(|part| part.strip_prefix("q="))
                .map_or(1000, |q| q.parse::<f32>().map_or(0, |q| (q * 1000.0) as u32));
            let primary = tag.split('-').next().unwrap_or_default();
            if let Some(lang) = Self::of_code(primary)
                && weight > best.0
            {
                best = (weight, lang);
            }
        }
        best.1
    }
}

/// One look at a page: in which language, and which page that is in every language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    pub lang: Lang,
    /// What stands before the links of the page: the language where the address names it, else nothing, so that whoever
    /// let the browser choose goes on doing so.
    pub base: &'static str,
    /// The path without its language.
    pub path: String,
}

impl Visit {
    fn of(path: &str, headers: &HeaderMap) -> Self {
        for lang in Lang::ALL {
            let rest = path.strip_prefix(lang.base());
            if let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with('/')) {
                return Self {
                    lang,
                    base: lang.base(),
                    path: if rest.is_empty() { "/" } else { rest }.to_owned(),
                };
            }
        }
        Self {
            lang: Lang::preferred(headers),
            base: "",
            path: path.to_owned(),
        }
    }

    /// A path of the site with the language this look goes on in.
    pub fn link(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let OriginalUri(uri) = OriginalUri::from_request_parts(parts, state).await?;
        Ok(Self::of(uri.path(), &parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_LANGUAGE, value.parse().unwrap());
        headers
    }

    #[test]
    fn the_browser_chooses_among_what_there_is() {
        for (value, lang) in [
            ("fr", Lang::Fr),
            ("fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", Lang::Fr),
            ("de, fr;q=0.5, en;q=0.4", Lang::Fr),
            ("en-GB,en;q=0.9,fr;q=0.8", Lang::En),
            ("fr;q=0", Lang::En),
            ("fr;q=nonsense, en;q=0.1", Lang::En),
            ("frr", Lang::En),
            ("", Lang::En),
            ("*", Lang::En),
        ] {
            assert_eq!(Lang::preferred(&accepting(value)), lang, "{value}");
        }
        assert_eq!(Lang::preferred(&HeaderMap::new()), Lang::En);
    }

    #[test]
    fn an_address_that_names_its_language_keeps_it() {
        let french = Visit::of("/fr/help/credits", &accepting("en"));
        assert_eq!(
            (french.lang, french.base, french.path.as_str()),
            (Lang::Fr, "/fr", "/help/credits")
        );
        assert_eq!(french.link("/smtp/"), "/fr/smtp/");
        let open = Visit::of("/help/credits", &accepting("fr"));
        assert_eq!(
            (open.lang, open.base, open.path.as_str()),
            (Lang::Fr, "", "/help/credits")
        );
        assert_eq!(Visit::of("/fr", &HeaderMap::new()).path, "/");
        assert_eq!(Visit::of("/french", &HeaderMap::new()).base, "");
    }
}
