//! Templates to text: strict about what is missing, and in the language of the page.

use std::fmt::Write as _;

use minijinja::value::{Kwargs, Serde, Value};
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, context, escape_formatter,
};

use serde::Serialize;

use super::Files;
use super::facts::Facts;
use super::lang::{Lang, Visit};
use super::theme::Look;
use super::words::Words;

/// Every template of `site/templates`, with the words and the facts they use.
pub struct Templates {
    env: Environment<'static>,
}

impl Templates {
    pub fn new(facts: &Facts, look: &Look) -> Result<Self, Error> {
        let mut env = Environment::new();
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        // Articles are Markdown, where HTML is not obeyed; everything else is escaped.
        env.set_auto_escape_callback(|name| {
            if name.strip_suffix(".md").is_some() {
                AutoEscape::None
            } else {
                AutoEscape::Html
            }
        });
        env.set_formatter(write_escaped);
        for name in Files::iter() {
            let Some(short) = name.strip_prefix("templates/") else {
                continue;
            };
            let file = Files::get(&name).expect("a listed file is there");
            env.add_template_owned(short.to_owned(), String::from_utf8_lossy(&file.data).into_owned())?;
        }
        let words = Words::read();
        env.add_function("t", move |state: &State, key: &str, values: Kwargs| {
            let mut given = Vec::new();
            for name in values.args() {
                given.push((name, values.get::<Value>(name)?.to_string()));
            }
            words.say(lang(state)?, key, &given)
        });
        env.add_filter("num", |state: &State, number: u64| {
            Ok(grouped(lang(state)?, number))
        });
        env.add_filter("size", |state: &State, octets: u64| {
            Ok(size(lang(state)?, octets))
        });
        env.add_filter("span", |state: &State, seconds: u64| {
            Ok(span(lang(state)?, seconds))
        });
        env.add_filter("listed", |state: &State, items: Vec<Value>| {
            Ok(listed(lang(state)?, &items))
        });
        env.add_global("site", shown(facts));
        env.add_global("look", shown(look));
        env.add_global("langs", Lang::ALL.map(Lang::code).to_vec());
        Ok(Self { env })
    }

    /// A page for one look at it, with `values` of its own.
    pub fn page(&self, name: &str, visit: &Visit, values: Value) -> Result<String, Error> {
        let frame = context! { lang => visit.lang.code(), base => visit.base, path => visit.path.as_str() };
        self.env
            .get_template(name)?
            .render(context! { ..values, ..frame })
    }

    /// The facts put into an article; `name` tells where it came from if something is wrong with it.
    pub fn article(&self, name: &str, lang: Lang, source: &str) -> Result<String, Error> {
        let frame = context! { lang => lang.code() };
        self.env.render_named_str(name, source, frame)
    }
}

fn lang(state: &State) -> Result<Lang, Error> {
    state
        .lookup("lang")
        .and_then(|code| Lang::of_code(code.as_str()?))
        .ok_or_else(|| Error::new(ErrorKind::UndefinedError, "the page has no language"))
}

/// As minijinja does it, but leaves `/` alone: it is harmless where attributes are quoted, and pages are full of paths.
fn write_escaped(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    let Some(text) = value.as_str().filter(|_| !value.is_safe()) else {
        return escape_formatter(out, state, value);
    };
    if !matches!(state.auto_escape(), AutoEscape::Html) {
        return escape_formatter(out, state, value);
    }
    for c in text.chars() {
        let written = match c {
            '&' => out.write_str("&amp;"),
            '<' => out.write_str("&lt;"),
            '>' => out.write_str("&gt;"),
            '"' => out.write_str("&quot;"),
            '\'' => out.write_str("&#39;"),
            c => out.write_char(c),
        };
        written.map_err(Error::from)?;
    }
    Ok(())
}

/// A value of ours as templates see it.
pub fn shown(value: impl Serialize) -> Value {
    Value::from(Serde(value))
}

/// 12,408 or 12 408, with a space that does not break.
pub fn grouped(lang: Lang, number: u64) -> String {
    let separator = match lang {
        Lang::En => ',',
        Lang::Fr => '\u{202f}',
    };
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(separator);
        }
        text.push(digit);
    }
    text
}

/// 25 MiB or 25 Mio; one decimal where it is not whole.
pub fn size(lang: Lang, octets: u64) -> String {
    let (unit, factor) = [("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)]
        .into_iter()
        .find(|(_, factor)| octets >= *factor)
        .unwrap_or(("", 1));
    let (octet, point) = match lang {
        Lang::En => ("B", '.'),
        Lang::Fr => ("o", ','),
    };
    // Rounded down: what is promised has to fit.
    let tenths = octets * 10 / factor;
    let mut text = (tenths / 10).to_string();
    if !tenths.is_multiple_of(10) {
        let _ = write!(text, "{point}{}", tenths % 10);
    }
    format!("{text}\u{a0}{unit}{octet}")
}

/// 5 days or 5 jours, in the largest unit that is whole.
pub fn span(lang: Lang, seconds: u64) -> String {
    const UNITS: [(u64, [&str; 2], [&str; 2]); 4] = [
        (86_400, ["day", "jour"], ["days", "jours"]),
        (3_600, ["hour", "heure"], ["hours", "heures"]),
        (60, ["minute", "minute"], ["minutes", "minutes"]),
        (1, ["second", "seconde"], ["seconds", "secondes"]),
    ];
    let (factor, one, many) = UNITS
        .into_iter()
        .find(|(factor, ..)| seconds >= *factor && seconds.is_multiple_of(*factor))
        .unwrap_or(UNITS[3]);
    let number = seconds / factor;
    let single = number == 1 || (lang == Lang::Fr && number == 0);
    let names = if single { one } else { many };
    format!("{}\u{a0}{}", grouped(lang, number), names[lang as usize])
}

/// 587, 465 and 2525.
pub fn listed(lang: Lang, items: &[Value]) -> String {
    let and = match lang {
        Lang::En => " and ",
        Lang::Fr => " et ",
    };
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    match items.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{}{and}{last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_language_does() {
        assert_eq!(grouped(Lang::En, 500), "500");
        assert_eq!(grouped(Lang::En, 1_234_567), "1,234,567");
        assert_eq!(grouped(Lang::Fr, 12_408), "12\u{202f}408");
        assert_eq!(size(Lang::En, 25 << 20), "25\u{a0}MiB");
        assert_eq!(size(Lang::Fr, (25 << 20) * 57 / 78), "18,2\u{a0}Mio");
        assert_eq!(size(Lang::En, 998), "998\u{a0}B");
        assert_eq!(span(Lang::En, 432_000), "5\u{a0}days");
        assert_eq!(span(Lang::Fr, 3_600), "1\u{a0}heure");
        assert_eq!(span(Lang::En, 90 * 60), "90\u{a0}minutes");
        assert_eq!(span(Lang::Fr, 0), "0\u{a0}seconde");
        let ports = [587, 465, 2525].map(Value::from);
        assert_eq!(listed(Lang::En, &ports), "587, 465 and 2525");
        assert_eq!(listed(Lang::Fr, &ports[..1]), "587");
    }
}
