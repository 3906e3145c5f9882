//! The first stage: every value of the file and of the environment by `section.key`, with its place.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::problem::{ConfigError, Place, Problem};

/// Variables that override a key start with this; section and key follow, parted by the same two underscores.
const PREFIX: &str = "POSTHOUSE__";

/// A value before anything is known of its key.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A TOML string.
    Text(String),
    /// A TOML integer, float or boolean as it was written.
    Bare(String),
    /// A variable or a default: the key's type alone says how to read it.
    Untyped(String),
    /// A TOML array.
    List(Vec<Value>),
    /// What no key takes: the name of the TOML type.
    Other(&'static str),
}

impl Value {
    /// The value as an operator wrote it, for messages.
    pub fn quoted(&self) -> String {
        match self {
            Self::Text(text) | Self::Untyped(text) => format!("{text:?}"),
            Self::Bare(text) => text.clone(),
            Self::List(items) => format!(
                "[{}]",
                items.iter().map(Self::quoted).collect::<Vec<_>>().join(", ")
            ),
            Self::Other(kind) => format!("a {kind}"),
        }
    }

    fn from_toml(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.clone().into_owned()),
            DeValue::Integer(number) => Self::Bare(number.as_str().replace('_', "")),
            DeValue::Float(number) => Self::Bare(number.as_str().to_owned()),
            DeValue::Boolean(yes) => Self::Bare(yes.to_string()),
            DeValue::Array(items) => {
                Self::List(items.iter().map(|item| Self::from_toml(item.get_ref())).collect())
            }
            DeValue::Datetime(_) => Self::Other("date"),
            DeValue::Table(_) => Self::Other("table"),
        }
    }
}

/// All values that were found, until the keys take them.
pub struct Found {
    values: BTreeMap<String, (Value, Place)>,
    /// Where each taken key came from, for the second stage.
    pub places: BTreeMap<String, Place>,
}

impl Found {
    /// Parses the file and lays the environment over it. A file that is not TOML ends here: nothing behind the
    /// first syntax error can be trusted.
    pub fn new(
        file: Option<(&Path, &str)>,
        variables: impl IntoIterator<Item = (String, OsString)>,
        problems: &mut Vec<Problem>,
    ) -> Result<Self, ConfigError> {
        let mut values = BTreeMap::new();
        if let Some((path, text)) = file {
            let line = |at: usize| Place::Line(path.to_owned(), line_of(text, at));
            let table = DeTable::parse(text).map_err(|error| {
                let place = line(error.span().map_or(0, |span| span.start));
                let text = format!("{}; the file must be TOML", error.message().replace('\n', ", "));
                ConfigError::Wrong(vec![Problem::new(place, text)])
            })?;
            for (section, value) in table.get_ref() {
                let Some(keys) = value.get_ref().as_table() else {
                    let text = format!(
                        "{} stands outside a section; put it under one, such as [server]",
                        section.get_ref()
                    );
                    problems.push(Problem::new(line(section.span().start), text));
                    continue;
                };
                if keys.is_empty() {
                    // Kept so that a misspelled section is refused even when it holds nothing.
                    let name = format!("{}.", section.get_ref());
                    values.insert(name, (Value::Other("table"), line(section.span().start)));
                }
                for (key, value) in keys {
                    let name = format!("{}.{}", section.get_ref(), key.get_ref());
                    values.insert(name, (Value::from_toml(value.get_ref()), line(key.span().start)));
                }
            }
        }
        for (variable, value) in variables {
            let Some(rest) = variable.strip_prefix(PREFIX) else {
                continue;
            };
            let name = rest.to_ascii_lowercase().replace("__", ".");
            match value.into_string() {
                Ok(text) => {
                    values.insert(name, (Value::Untyped(text), Place::Variable(variable)));
                }
                Err(_) => {
                    problems.push(Problem::new(
                        Place::Variable(variable),
                        "the value is not UTF-8; write it in UTF-8",
                    ));
                }
            }
        }
        Ok(Self {
            values,
            places: BTreeMap::new(),
        })
    }

    /// Hands the value of one key over, once.
    pub fn take(&mut self, name: &str) -> Option<(Value, Place)> {
        let taken = self.values.remove(name)?;
        self.places.insert(name.to_owned(), taken.1.clone());
        Some(taken)
    }

    /// What no key took is a mistake; each is named with the key that was probably meant.
    pub fn refuse_the_rest(&self, known: &[String], problems: &mut Vec<Problem>) {
        for (name, (_, place)) in &self.values {
            if let Some(section) = name.strip_suffix('.') {
                if !known.iter().any(|key| key.starts_with(name)) {
                    let sections = known
                        .iter()
                        .filter_map(|key| key.split_once('.'))
                        .map(|(section, _)| section);
                    let text = format!(
                        "unknown section [{section}]{}",
                        did_you_mean(nearest(section, sections), "[")
                    );
                    problems.push(Problem::new(place.clone(), text));
                }
                continue;
            }
            let text = format!("unknown key {name}{}", did_you_mean(likely(name, known), ""));
            problems.push(Problem::new(place.clone(), text));
        }
    }
}

fn did_you_mean(meant: Option<&str>, open: &str) -> String {
    let close = if open.is_empty() { "" } else { "]" };
    match meant {
        Some(meant) => format!("; did you mean {open}{meant}{close}?"),
        None => "; `posthouse config reference` lists every key, remove this one".to_owned(),
    }
}

/// The key that was probably meant: the same key of another section, else the one spelled most alike.
fn likely<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let key = name.split_once('.').map_or(name, |(_, key)| key);
    let elsewhere = known
        .iter()
        .find(|one| one.split_once('.').is_some_and(|(_, other)| other == key));
    nearest(name, known.iter().map(String::as_str)).or(elsewhere.map(String::as_str))
}

/// The candidate with the fewest edits, if they are few enough to be a slip.
fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (edits(word, candidate), candidate))
        .filter(|(edits, _)| *edits <= 2 + word.len() / 8)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance in bytes.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let next = (corner + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            corner = row[j + 1];
            row[j + 1] = next;
        }
    }
    row[b.len()]
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.get(..at).map_or(0, |before| before.matches('\n').count())
}
