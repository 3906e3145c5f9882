//! Colours, and how well one is read on another.

use std::fmt;

/// A colour of sRGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color(pub [u8; 3]);

impl Color {
    pub(super) const WHITE: Self = Self([0xff; 3]);
    /// What the text stands on; style.css has the same.
    pub(super) const PAPER: Self = Self([0xfa, 0xf9, 0xf8]);
    pub(super) const NIGHT: Self = Self([0x21, 0x1e, 0x1c]);
    /// The text on the accent in the dark.
    pub(super) const INK: Self = Self([0x0d, 0x1c, 0x1a]);

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

    pub(super) fn contrast(self, other: Self) -> f64 {
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
    pub(super) fn readable(self, end: Self, grounds: [Self; 2]) -> Self {
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
    fn black_and_white_are_twenty_one_apart() {
        assert!((Color::WHITE.contrast(Color([0; 3])) - 21.0).abs() < 0.01);
    }
}
