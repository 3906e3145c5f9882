//! The stylesheet with the operator's accent in it, readable whatever accent that is, under a name made of its content.

use aws_lc_rs::digest;
use serde::Serialize;

use super::Files;
use super::color::Color;

/// The accent on light and on dark.
fn accents(chosen: Option<Color>) -> [Color; 2] {
    match chosen {
        None => [Color([0x0f, 0x76, 0x6e]), Color([0x2d, 0xd4, 0xbf])],
        Some(color) => [
            color.readable(Color([0; 3]), [Color::PAPER, Color::WHITE]),
            color.readable(Color::WHITE, [Color::NIGHT, Color::INK]),
        ],
    }
}

/// A file that never changes under its name.
#[derive(Clone, Debug, Serialize)]
pub struct Asset {
    pub path: String,
    #[serde(skip)]
    pub media_type: &'static str,
    #[serde(skip)]
    pub content: Vec<u8>,
}

impl Asset {
    pub fn new(stem: &str, ending: &str, media_type: &'static str, content: Vec<u8>) -> Self {
        Self {
            path: format!("/site/{stem}-{}.{ending}", fingerprint(&content)),
            media_type,
            content,
        }
    }
}

/// What tells one content from another, in a name or an `ETag`.
pub fn fingerprint(content: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, content);
    let first = digest.as_ref().first_chunk().copied().unwrap_or_default();
    format!("{:016x}", u64::from_be_bytes(first))
}

/// How the site looks: the files that its pages name.
#[derive(Clone, Debug, Serialize)]
pub struct Look {
    pub style: Asset,
    pub icon: Asset,
    /// The one script: it says how good a new password is.
    pub script: Asset,
    /// The operator's logo, where there is one.
    pub logo: Option<Asset>,
}

impl Look {
    pub fn new(accent: Option<Color>, logo: Option<Asset>) -> Self {
        let file = |name: &str| Files::get(name).expect("the site has it").data.into_owned();
        let [light, dark] = accents(accent);
        let style = String::from_utf8_lossy(&file("style.css"))
            .replace("ACCENT_ON_LIGHT", &light.to_string())
            .replace("ACCENT_ON_DARK", &dark.to_string());
        Self {
            style: Asset::new("style", "css", "text/css; charset=utf-8", style.into_bytes()),
            icon: Asset::new("icon", "svg", "image/svg+xml", file("icon.svg")),
            script: Asset::new(
                "strength",
                "js",
                "text/javascript; charset=utf-8",
                file("strength.js"),
            ),
            logo,
        }
    }

    pub fn assets(&self) -> impl Iterator<Item = &Asset> {
        [&self.style, &self.icon, &self.script]
            .into_iter()
            .chain(&self.logo)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_accent_is_chosen_it_can_be_read_on_both_grounds() {
        let mut chosen = vec![None];
        for text in [
            "#ffff00", "#000000", "#ffffff", "#0f766e", "#7f7f7f", "#ff0000", "#0000ff", "#00ff00",
        ] {
            chosen.push(Color::parse(text));
        }
        for accent in chosen {
            let [light, dark] = accents(accent);
            for (color, ground) in [
                (light, Color::PAPER),
                (light, Color::WHITE),
                (dark, Color::NIGHT),
                (dark, Color::INK),
            ] {
                let contrast = color.contrast(ground);
                assert!(
                    contrast >= 4.5,
                    "{accent:?}: {color} on {ground} has {contrast:.2}"
                );
            }
        }
    }

    #[test]
    fn the_stylesheet_has_the_grounds_that_the_accent_was_measured_on() {
        let style = String::from_utf8(Look::new(None, None).style.content).unwrap();
        for color in [Color::PAPER, Color::NIGHT, Color::INK] {
            assert!(style.contains(&color.to_string()), "{color}");
        }
        assert!(style.contains("#0f766e") && style.contains("#2dd4bf") && !style.contains("ACCENT_"));
    }
}
