//! What a hook says, read once and then asked as often as mail comes.

use std::sync::Arc;

use accounts::HookKind;

use super::facts::{Fault, FaultKind, Run, Stage};
use super::http::{Receiver, ReceiverError};
use super::luau::{self, Script};
use super::rules::{Rule, RuleError};
use crate::settings::HookLimits;

/// A hook as it is asked.
pub enum Body {
    Script(Arc<Script>),
    Rule(Rule),
    Receiver(Receiver),
    /// What was saved is none any more, perhaps because the operator's settings changed.
    None(BodyError),
}

/// Why what somebody wrote is no hook.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("a script has at most {} octets", luau::LONGEST_SCRIPT)]
    TooLong,
    #[error("a hook cannot hold the character NUL")]
    Nul,
    #[error("{0}")]
    Script(Fault),
    #[error("{0}")]
    Rule(#[from] RuleError),
    #[error("{0}")]
    Receiver(#[from] ReceiverError),
    #[error("too many hooks are at work at the moment, try again soon")]
    Busy,
}

impl Body {
    /// `open`: receivers may be anywhere.
    pub fn read(kind: HookKind, text: &str, open: bool) -> Self {
        let read = match kind {
            HookKind::Script => Ok(Self::Script(Arc::new(Script::new(text)))),
            HookKind::Rule => Rule::parse(text).map(Self::Rule).map_err(BodyError::from),
            HookKind::Http => Receiver::parse(text, open)
                .map(Self::Receiver)
                .map_err(BodyError::from),
        };
        read.unwrap_or_else(Self::None)
    }
}

/// What somebody wrote, judged on this thread; says when it would be asked. `open`: receivers may be anywhere.
pub fn check(kind: HookKind, body: &str, limits: HookLimits, open: bool) -> Result<String, BodyError> {
    if body.len() > luau::LONGEST_SCRIPT {
        return Err(BodyError::TooLong);
    }
    if body.contains('\0') {
        return Err(BodyError::Nul);
    }
    match kind {
        HookKind::Rule => Ok(Rule::parse(body)?.stage().as_str().to_owned()),
        HookKind::Script => {
            let stages = luau::check(body, limits).map_err(BodyError::Script)?;
            let names: Vec<&str> = stages.into_iter().map(Stage::as_str).collect();
            Ok(names.join(" "))
        }
        HookKind::Http => {
            Receiver::parse(body, open)?;
            Ok(Stage::Message.as_str().to_owned())
        }
    }
}

/// A run that did not come to pass.
pub fn broken(kind: FaultKind, message: &str) -> Run {
    Run {
        fault: Some(Fault {
            kind,
            message: message.to_owned(),
            line: None,
        }),
        ..Run::default()
    }
}
