//! What the operator adds of their own: a logo, terms, a privacy notice.

use std::fs;
use std::path::Path;

use super::SiteError;
use super::help::markdown;
use super::theme::Asset;

/// A page has to stay small on a telephone.
const LOGO_LIMIT: usize = 48 * 1024;
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Reads the logo, if one is named; what it is is told from its content.
pub fn logo(file: Option<&Path>) -> Result<Option<Asset>, SiteError> {
    const KEY: &str = "site.logo";
    let Some(file) = file else { return Ok(None) };
    let content = fs::read(file).map_err(|reason| unreadable(KEY, file, reason))?;
    let unusable = |reason: String| SiteError::Unusable {
        key: KEY,
        file: file.to_owned(),
        reason,
    };
    if content.len() > LOGO_LIMIT {
        let (has, may) = (content.len(), LOGO_LIMIT);
        return Err(unusable(format!("has {has} octets, a logo may have {may}")));
    }
    if content.starts_with(PNG) {
        return Ok(Some(Asset::new("logo", "png", "image/png", content)));
    }
    let is_svg = str::from_utf8(&content).is_ok_and(|text| text.contains("<svg"));
    if is_svg {
        return Ok(Some(Asset::new("logo", "svg", "image/svg+xml", content)));
    }
    Err(unusable("is neither a PNG nor an SVG picture".to_owned()))
}

/// The operator's own texts, as HTML.
#[derive(Debug, Default)]
pub struct Legal {
    pub terms: Option<String>,
    pub privacy: Option<String>,
}

impl Legal {
    pub fn read(terms: Option<&Path>, privacy: Option<&Path>) -> Result<Self, SiteError> {
        Ok(Self {
            terms: text("site.terms", terms)?,
            privacy: text("site.privacy", privacy)?,
        })
    }
}

fn text(key: &'static str, file: Option<&Path>) -> Result<Option<String>, SiteError> {
    let Some(file) = file else { return Ok(None) };
    let text = fs::read_to_string(file).map_err(|reason| unreadable(key, file, reason))?;
    if text.trim().is_empty() {
        return Err(SiteError::Unusable {
            key,
            file: file.to_owned(),
            reason: "is empty".to_owned(),
        });
    }
    Ok(Some(markdown::html(&text, super::lang::Lang::En).html))
}

pub fn unreadable(key: &'static str, file: &Path, reason: std::io::Error) -> SiteError {
    SiteError::Unreadable {
        key,
        file: file.to_owned(),
        reason,
    }
}
