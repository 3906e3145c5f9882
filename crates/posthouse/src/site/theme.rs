//! The stylesheet with the operator's accent in it, readable whatever accent that is, under a name made of its content.

use std::fmt;

use aws_lc_rs::digest;
use serde::Serialize;

use super::Files;

/// A colour of sRGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color(pub [u8; 3]);

impl Color {
    const WHITE: Self = Self([0xff; 3]);
    /// What the text stands on; style.css has the same.
    const PAPER: Self = Self([0xfa, 0xf9, 0xf8]);
    const NIGHT: Self = Self([0x21, 0x1e, 0x1c]);
    /// The text on the accent in the dark.
    const INK: Self = Self([0x0d, 0x1c, 0x1a]);

    /// `#rrggbb`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#')?;
        if digits.len() != 6 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let number = u32::from_str_radix(digits, 16).ok()?;
        let [_, red, green, blue] = number.to_be_bytes();
        Some(Self([red, green, blue]))
    }

    // WCAG 2.2, relative luminance
    fn luminance(self) -> f64 {
        let linear = self.0.map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.040_45 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// `twentieths` of the way to `other`.
    fn mixed(self, other: Self, twentieths: u16) -> Self {
        let mut parts = self.0;
        for (part, there) in parts.iter_mut().zip(other.0) {
            let mixed = u16::from(*part) * (20 - twentieths) + u16::from(there) * twentieths;
            *part = (mixed / 20) as u8;
        }
        Self(parts)
    }

    /// This colour, moved towards `end` as far as it takes to be read on each of `grounds`.
    fn readable(self, end: Self, grounds: [Self; 2]) -> Self {
        // WCAG 2.2, success criterion 1.4.3
        (0..=20)
            .map(|step| self.mixed(end, step))
            .find(|color| grounds.iter().all(|ground| color.contrast(*ground) >= 4.5))
            .unwrap_or(end)
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

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
    fn colours_are_six_hexadecimal_digits() {
        assert_eq!(Color::parse("#0f766e"), Some(Color([0x0f, 0x76, 0x6e])));
        assert_eq!(Color::parse("#0F766E").unwrap().to_string(), "#0f766e");
        for text in [
            "",
            "0f766e",
            "#fff",
            "#0f766",
            "#0f766g",
            "#+f766e",
            "teal",
            "#0f766e;}",
        ] {
            assert_eq!(Color::parse(text), None, "{text}");
        }
    }

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
        assert!((Color::WHITE.contrast(Color([0; 3])) - 21.0).abs() < 0.01);
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
