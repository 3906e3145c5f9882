//! The words of the site: one table a language, from `site/words`.

use std::collections::BTreeMap;

use minijinja::{Error, ErrorKind};

use super::Files;
use super::lang::Lang;

/// Sentences by their key, such as `home.title`.
#[derive(Debug, Default)]
pub struct Words(BTreeMap<Lang, BTreeMap<String, String>>);

impl Words {
    /// Reads every table. They are part of the binary, so a broken one is our mistake.
    pub fn read() -> Self {
        let table = |lang: Lang| {
            let file =
                Files::get(&format!("words/{}.toml", lang.code())).expect("each language has its words");
            let text = String::from_utf8_lossy(&file.data).into_owned();
            let table: toml::Table = text.parse().expect("the words are TOML");
            let mut words = BTreeMap::new();
            flatten("", &table, &mut words);
            for sentence in words.values_mut() {
                *sentence = typeset(lang, sentence);
            }
            (lang, words)
        };
        Self(Lang::ALL.into_iter().map(table).collect())
    }

    /// The sentence of a key, each `{name}` in it replaced.
    pub fn say(&self, lang: Lang, key: &str, values: &[(&str, String)]) -> Result<String, Error> {
        let wrong = |what: String| Error::new(ErrorKind::UndefinedError, what);
        let sentence = self
            .0
            .get(&lang)
            .and_then(|words| words.get(key))
            .ok_or_else(|| wrong(format!("no words for {key} in {}", lang.code())))?;
        let mut said = String::with_capacity(sentence.len());
        let mut rest = sentence.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| wrong(format!("{key} in {} has a brace too many", lang.code())))?;
            let (_, value) = values
                .iter()
                .find(|(given, _)| *given == name)
                .ok_or_else(|| wrong(format!("{key} in {} needs {name}", lang.code())))?;
            said.push_str(before);
            said.push_str(value);
            rest = after;
        }
        said.push_str(rest);
        Ok(said)
    }
}

/// Keeps on its line what French parts from its word by a space: `« mot » ?`.
pub fn typeset(lang: Lang, text: &str) -> String {
    if lang != Lang::Fr {
        return text.to_owned();
    }
    let narrow = [(" ?", "\u{202f}?"), (" ;", "\u{202f};")];
    let wide = [(" :", "\u{a0}:"), ("« ", "«\u{a0}"), (" »", "\u{a0}»")];
    narrow
        .into_iter()
        .chain(wide)
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

fn flatten(prefix: &str, table: &toml::Table, words: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let key = format!("{prefix}{key}");
        match value {
            toml::Value::Table(inner) => flatten(&format!("{key}."), inner, words),
            toml::Value::String(text) => {
                words.insert(key, text.clone());
            }
            other => panic!("{key} is {other}, not text"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use accounts::password::Weakness;

    use super::*;

    /// The names in braces of a sentence.
    fn places(sentence: &str) -> BTreeSet<&str> {
        sentence
            .split('{')
            .skip(1)
            .map(|rest| rest.split('}').next().unwrap_or_default())
            .collect()
    }

    #[test]
    fn every_language_has_the_same_keys_with_the_same_places() {
        let words = Words::read();
        let english = &words.0[&Lang::En];
        assert!(english.len() > 100);
        for lang in Lang::ALL {
            let other = &words.0[&lang];
            let keys = |table: &BTreeMap<String, String>| table.keys().cloned().collect::<BTreeSet<_>>();
            assert_eq!(keys(english), keys(other), "{}", lang.code());
            for (key, sentence) in other {
                assert!(!sentence.trim().is_empty(), "{key} is empty");
                assert_eq!(
                    places(&english[key]),
                    places(sentence),
                    "{key} in {}",
                    lang.code()
                );
                assert!(!sentence.contains('!'), "{key} in {} shouts", lang.code());
            }
        }
    }

    #[test]
    fn every_word_has_a_place_where_it_is_said() {
        let mut text = String::new();
        for name in Files::iter().filter(|name| name.starts_with("templates/")) {
            text.push_str(&String::from_utf8_lossy(&Files::get(&name).unwrap().data));
        }
        // Keys that end in a word chosen at run time: the table lists them all, the template names the group.
        let chosen = [
            "account.",
            "help.category.",
            "home.announced_",
            "legal.",
            "message.",
            "probe.fault.",
            "trouble.reason.",
            "trouble.remedy.",
            "trouble.fault.",
            "lang.",
        ];
        for key in Words::read().0[&Lang::En].keys() {
            let named = text.contains(&format!("\"{key}\"")) || text.contains(&format!("'{key}'"));
            let group = chosen.iter().any(|group| key.starts_with(group));
            assert!(named || group, "nothing says {key}");
        }
    }

    #[test]
    fn each_weakness_of_a_password_has_words_in_each_language_and_no_other_has() {
        let words = Words::read();
        for lang in Lang::ALL {
            let keys: BTreeSet<_> = words.0[&lang]
                .keys()
                .filter_map(|key| key.strip_prefix("account.weak."))
                .collect();
            let codes = Weakness::ALL.iter().map(|(_, code)| *code).collect();
            assert_eq!(keys, codes, "{}", lang.code());
        }
    }

    #[test]
    fn a_missing_value_or_key_is_an_error() {
        let words = Words::read();
        assert!(words.say(Lang::En, "no.such.key", &[]).is_err());
        let table = Words([(Lang::En, [("a".to_owned(), "{n} credits".to_owned())].into())].into());
        assert!(table.say(Lang::En, "a", &[]).is_err());
        assert_eq!(
            table.say(Lang::En, "a", &[("n", "5".to_owned())]).unwrap(),
            "5 credits"
        );
    }
}
