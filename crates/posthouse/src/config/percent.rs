//! A share, as a per cent with up to two decimals.

use std::borrow::Cow;

use accounts::{Share, percent};

use super::source::Value;
use super::value::{Misfit, Setting};

/// A share of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percent(pub Share);

impl Setting for Percent {
    fn expected() -> Cow<'static, str> {
        "a share from \"0%\" to \"100%\", such as \"0.3%\"".into()
    }

    fn read(value: &Value) -> Result<Self, Misfit> {
        let (Value::Text(text) | Value::Untyped(text)) = value else {
            return Err(Misfit::plain());
        };
        let number = text
            .trim()
            .strip_suffix('%')
            .ok_or_else(Misfit::plain)?
            .trim_end();
        let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() || decimals.len() > 2 || number.ends_with('.') {
            return Err(Misfit::plain());
        }
        let digits = |text: &str| {
            let plain = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u32>()
                .ok()
                .filter(|_| plain)
                .ok_or_else(Misfit::plain)
        };
        let share = digits(whole)?
            .checked_mul(100)
            .and_then(|whole| digits(&format!("{decimals:0<2}")).ok()?.checked_add(whole));
        match share {
            Some(share) if share <= 10_000 => Ok(Self(Share(share))),
            _ => Err(Misfit::plain()),
        }
    }

    fn show(&self) -> String {
        toml::Value::String(format!("{}%", percent(self.0.0))).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<u32> {
        Percent::read(&Value::Text(text.to_owned()))
            .ok()
            .map(|percent| percent.0.0)
    }

    #[test]
    fn a_share_has_two_decimals_at_most() {
        for (text, share) in [
            ("8%", 800),
            ("0.3 %", 30),
            ("0%", 0),
            ("100%", 10_000),
            ("12.05%", 1_205),
        ] {
            assert_eq!(read(text), Some(share), "{text}");
        }
        for text in [
            "8",
            "",
            "%",
            "-1%",
            "101%",
            "0.333%",
            "1.%",
            "+1%",
            "1.x%",
            "99999999999%",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(Percent(Share(30)).show(), "\"0.3%\"");
    }
}
