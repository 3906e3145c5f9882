//! Settings that are one of a few words.

use std::borrow::Cow;

use accounts::SignUpMode;

use super::source::Value;
use super::value::{Misfit, Setting};

macro_rules! words {
    ($( $(#[$meta:meta])* $name:ident { $( $(#[doc = $doc:literal])* $variant:ident = $word:literal, )* } )*) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $( $(#[doc = $doc])* $variant, )* }

        impl Setting for $name {
            fn expected() -> Cow<'static, str> {
                concat!("one of" $(, " \"", $word, "\"")*).into()
            }

            fn read(value: &Value) -> Result<Self, Misfit> {
                match value {
                    Value::Text(text) | Value::Untyped(text) => match text.as_str() {
                        $( $word => Ok(Self::$variant), )*
                        _ => Err(Misfit::plain()),
                    },
                    _ => Err(Misfit::plain()),
                }
            }

            fn show(&self) -> String {
                match self { $( Self::$variant => concat!("\"", $word, "\"").to_owned(), )* }
            }
        }
    )* };
}

impl From<Signup> for SignUpMode {
    fn from(signup: Signup) -> Self {
        match signup {
            Signup::Open => Self::Open,
            Signup::Invite => Self::Invite,
            Signup::Closed => Self::Closed,
        }
    }
}

words! {
    /// How log lines are written.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }

    /// What becomes of a line feed without a carriage return in a message.
    BareLf {
        /// It becomes CRLF before anything is signed or stored.
        Repair = "repair",
        /// The message is refused.
        Refuse = "refuse",
    }

    /// Who may open an account.
    Signup {
        /// Anybody.
        Open = "open",
        /// Whoever was invited.
        Invite = "invite",
        /// Nobody: the operator makes accounts.
        Closed = "closed",
    }
}
