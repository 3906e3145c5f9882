//! The types of keys that only the public site has.

use std::borrow::Cow;

use super::source::Value;
use super::value::{Misfit, Setting};
use crate::site::Color;

/// What the service is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteName(pub String);

impl Setting for SiteName {
    fn expected() -> Cow<'static, str> {
        "a name of 1 to 40 characters".into()
    }

    fn read(value: &Value) -> Result<Self, Misfit> {
        let name = String::read(value)?;
        let fits = (1..=40).contains(&name.chars().count()) && !name.chars().any(char::is_control);
        if fits {
            Ok(Self(name))
        } else {
            Err(Misfit::plain())
        }
    }

    fn show(&self) -> String {
        self.0.show()
    }
}

impl Setting for Color {
    fn expected() -> Cow<'static, str> {
        "a colour such as \"#0f766e\"".into()
    }

    fn read(value: &Value) -> Result<Self, Misfit> {
        Self::parse(&String::read(value)?).ok_or_else(Misfit::plain)
    }

    fn show(&self) -> String {
        self.to_string().show()
    }
}
