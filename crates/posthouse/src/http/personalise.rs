//! Filling the variables of a message in: strict, escaped where it is HTML, and with bounds on time and memory.

mod grammar;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};

use super::error::{ApiError, ApiResult, FieldError, sentence};
use super::values::Data;

/// What rendering one part may cost: an instruction takes one, and so do 64 octets that it makes. This is room for a megabyte.
const FUEL: u64 = 16_384;
/// Values inside values inside values.
const DEPTH: usize = 50;
/// Octets of a text or HTML part with its variables.
pub const PART: usize = 100 * 1024;
/// Octets of a subject with its variables.
pub const SUBJECT: usize = 998;
/// Stands in a message until it is sent: then each recipient's own link takes its place.
const LATER: &str = "unsubscribe_url";

/// Subject, text and HTML, as they are written or as they are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wording {
    pub subject: String,
    pub text: Option<String>,
    pub html: Option<String>,
}

static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    // No loader: a template cannot name a file or another template.
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_auto_escape_callback(|name| {
        if name == "html" {
            AutoEscape::Html
        } else {
            AutoEscape::None
        }
    });
    env.set_fuel(Some(FUEL));
    env.set_recursion_limit(DEPTH);
    env
});

impl Wording {
    fn parts(&self) -> impl Iterator<Item = (&'static str, &str, usize)> {
        [
            ("subject", Some(self.subject.as_str()), SUBJECT),
            ("text", self.text.as_deref(), PART),
            ("html", self.html.as_deref(), PART),
        ]
        .into_iter()
        .filter_map(|(name, part, most)| Some((name, part?, most)))
    }

    /// What is wrong with it as a template, whatever is filled in.
    pub fn check(&self) -> ApiResult<()> {
        let mut faults = Vec::new();
        for (name, part, most) in self.parts() {
            if part.len() > most {
                faults.push(FieldError::new(name, format!("At most {most} bytes are taken.")));
            } else if let Err(error) = grammar::check(part) {
                faults.push(FieldError::new(name, in_words(&error, part)));
            }
        }
        if self.subject.contains(['\r', '\n', '\0']) {
            faults.push(FieldError::new("subject", "A subject is one line."));
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(ApiError::Invalid(faults))
        }
    }

    /// The same with `data` in the place of its variables.
    pub fn fill(&self, data: &Data) -> ApiResult<Self> {
        self.check()?;
        let data = data.map();
        if data.contains_key(LATER) {
            return Err(ApiError::invalid(
                "data",
                format!("{LATER} is filled in when the message is sent; leave it out."),
            ));
        }
        let later = Value::from_safe_string(format!("{{{{{LATER}}}}}"));
        let values: BTreeMap<&str, Value> = data
            .iter()
            .map(|(name, value)| (name.as_str(), Value::from(Serde(value))))
            .chain([(LATER, later)])
            .collect();
        let values = Value::from(values);
        let mut faults = Vec::new();
        let mut filled = Self::default();
        for (name, part, _) in self.parts() {
            match ENGINE.render_named_str(name, part, values.clone()) {
                Ok(text) if name == "subject" => filled.subject = text,
                Ok(text) if name == "text" => filled.text = Some(text),
                Ok(text) => filled.html = Some(text),
                Err(error) => faults.push(FieldError::new(name, in_words(&error, part))),
            }
        }
        if faults.is_empty() {
            Ok(filled)
        } else {
            Err(ApiError::Invalid(faults))
        }
    }
}

fn in_words(error: &Error, source: &str) -> String {
    let line = error
        .line()
        .map(|line| format!(" (line {line})"))
        .unwrap_or_default();
    let at = error.range().and_then(|range| source.get(range));
    let at = at.map(|at| at.trim_matches(|c: char| matches!(c, '{' | '}' | '%') || c.is_whitespace()));
    let said = match (error.kind(), at) {
        (ErrorKind::UndefinedError, Some(name)) if name.len() <= 200 => {
            format!("`{name}` is not in `data`{line}")
        }
        (ErrorKind::OutOfFuel, _) => "it takes too long or becomes too large".to_owned(),
        _ => format!("{}{line}", error.detail().unwrap_or("it cannot be filled in")),
    };
    sentence(&said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(source: &str, data: &serde_json::Value) -> Result<String, String> {
        let wording = Wording {
            html: Some(source.to_owned()),
            ..Wording::default()
        };
        match wording.fill(&serde_json::from_value(data.clone()).unwrap()) {
            Ok(filled) => Ok(filled.html.unwrap()),
            Err(ApiError::Invalid(faults)) => Err(faults[0].message().to_owned()),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn what_is_filled_in_is_escaped_in_html_and_nowhere_else() {
        let wording = Wording {
            subject: "For {{ name }}".to_owned(),
            text: Some("Hello {{ name }}, {{unsubscribe_url}}".to_owned()),
            html: Some("<p>{{ name }}</p><a href=\"{{unsubscribe_url}}\">x</a>".to_owned()),
        };
        let data = serde_json::json!({"name": "<Ann> & \"Co\""});
        let filled = wording
            .fill(&serde_json::from_value(data.clone()).unwrap())
            .unwrap();
        assert_eq!(filled.subject, "For <Ann> & \"Co\"");
        assert_eq!(
            filled.text.as_deref(),
            Some("Hello <Ann> & \"Co\", {{unsubscribe_url}}")
        );
        assert_eq!(
            filled.html.as_deref(),
            Some("<p>&lt;Ann&gt; &amp; &quot;Co&quot;</p><a href=\"{{unsubscribe_url}}\">x</a>")
        );
        // What is filled in is not looked at again.
        assert_eq!(
            html("{{ a }}", &serde_json::json!({"a": "{{ b }}"})).as_deref(),
            Ok("{{ b }}")
        );
    }

    #[test]
    fn a_name_that_is_missing_is_named() {
        let said = |source| html(source, &serde_json::json!({"user": {"name": "Ann"}})).unwrap_err();
        assert_eq!(said("<p>\n{{ order }}</p>"), "`order` is not in `data` (line 2).");
        assert_eq!(said("{{ user.city }}"), "`user.city` is not in `data` (line 1).");
        assert_eq!(
            said("{% if order %}x{% endif %}"),
            "`order` is not in `data` (line 1)."
        );
        assert!(said("{{ user.name ").contains("line 1"));
    }

    #[test]
    fn lists_and_conditions_are_there_and_files_are_not() {
        let data = serde_json::json!({"items": [{"n": 1}, {"n": 2}], "gift": false});
        let source = "{% for item in items %}{{ item.n }};{% endfor %}{% if gift %}g{% else %}-{% endif %}";
        assert_eq!(html(source, &data).as_deref(), Ok("1;2;-"));
        assert!(html("{% include '/etc/passwd' %}", &data).is_err());
        assert_eq!(
            html("{{ a * 2 }}", &data),
            Err("This kind of expression cannot be used in a template.".to_owned())
        );
        assert!(html("{% extends 'html' %}", &data).is_err());
    }

    #[test]
    fn no_template_takes_more_time_or_memory_than_it_has() {
        let data = serde_json::json!({"x": "x".repeat(1_000)});
        let long = serde_json::json!({"x": vec!["x".repeat(1_000); 1_000]});
        assert!(
            html(
                "{% for a in x %}{% for b in x %}{{ b }}{% endfor %}{% endfor %}",
                &long
            )
            .is_err()
        );
        assert!(html("{{ x|join('yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy') }}", &long).is_err());
        let doubling = format!("{{% set y = x %}}{}{{{{ y }}}}", "{% set y = y ~ y %}".repeat(40));
        let deep = format!("{}1{}", "{% if 1 %}".repeat(2_000), "{% endif %}".repeat(2_000));
        for bomb in [
            "{{ x * 1000000000 }}",
            "{% for a in range(100000) %}{% for b in range(100000) %}{{ x }}{% endfor %}{% endfor %}",
            "{% for a in range(9999999999) %}{% endfor %}",
            "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
            "{{ range(100000)|join(x) }}",
            "{{ [x] * 100000000 }}",
            &doubling,
            &deep,
        ] {
            assert!(html(bomb, &data).is_err(), "{bomb}");
        }
    }
}
