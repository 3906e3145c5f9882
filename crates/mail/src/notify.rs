//! What a sender wants to be told about a message's fate: the NOTIFY and RET parameters.

/// What of the message a failure report gives back.
// RFC 3461 section 4.3
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ret {
    Full,
    Headers,
}

impl Ret {
    /// As on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Headers => "HDRS",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "FULL" => Some(Self::Full),
            "HDRS" => Some(Self::Headers),
            _ => None,
        }
    }
}

/// Which fates of a recipient its sender wants to hear of.
// RFC 3461 section 4.1
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Notify {
    Never,
    On {
        success: bool,
        failure: bool,
        delay: bool,
    },
}

impl Default for Notify {
    /// Without NOTIFY a sender is told of failures. RFC 3461 section 4.1 would allow delays too. Other servers leave them out unless
    /// their operator wants them, most of those who send here are programs, and what waits says why in console and API.
    fn default() -> Self {
        Self::On {
            success: false,
            failure: true,
            delay: false,
        }
    }
}

impl Notify {
    pub fn wants_success(self) -> bool {
        matches!(self, Self::On { success: true, .. })
    }

    pub fn wants_failure(self) -> bool {
        matches!(self, Self::On { failure: true, .. })
    }

    pub fn wants_delay(self) -> bool {
        matches!(self, Self::On { delay: true, .. })
    }

    /// As on the wire; empty for the default, which is best left unsaid.
    pub fn as_text(self) -> String {
        if self == Self::default() {
            return String::new();
        }
        match self {
            Self::Never => "NEVER".to_owned(),
            Self::On {
                success,
                failure,
                delay,
            } => [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")]
                .iter()
                .filter(|(wanted, _)| *wanted)
                .map(|(_, word)| *word)
                .collect::<Vec<_>>()
                .join(","),
        }
    }

    /// Reads what [`Self::as_text`] wrote; an unknown word is left out.
    pub fn parse(text: &str) -> Self {
        if text.is_empty() {
            return Self::default();
        }
        if text == "NEVER" {
            return Self::Never;
        }
        let has = |wanted: &str| text.split(',').any(|word| word == wanted);
        Self::On {
            success: has("SUCCESS"),
            failure: has("FAILURE"),
            delay: has("DELAY"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_notify_only_failures_are_reported() {
        assert!(Notify::default().wants_failure());
        assert!(!Notify::default().wants_success());
        assert_eq!(Notify::default().as_text(), "");
    }

    #[test]
    fn notify_reads_back_what_it_wrote() {
        for text in [
            "",
            "NEVER",
            "SUCCESS",
            "SUCCESS,FAILURE",
            "FAILURE,DELAY",
            "SUCCESS,FAILURE,DELAY",
            "DELAY",
        ] {
            assert_eq!(Notify::parse(text).as_text(), text);
        }
    }
}
