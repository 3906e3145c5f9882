//! Search that forgives typos: words are compared by the groups of three letters they share.

use std::collections::{HashMap, HashSet};

/// Words of a query that are looked at.
const LOOKED_AT: usize = 8;
/// From this likeness on a word may be the one that was meant.
const ALIKE: f32 = 0.45;
/// A result that is this much worse than the best one is none.
const WORTH: f32 = 0.25;

/// The words of one text, each with the weight of the best place it stands in.
#[derive(Debug, Default)]
pub struct Indexed(Vec<(Word, f32)>);

#[derive(Debug)]
struct Word {
    text: String,
    grams: HashSet<[char; 3]>,
}

impl Word {
    fn new(text: &str) -> Self {
        // A word's ends count like letters, so that its beginning weighs more than its middle.
        let letters: Vec<char> = [' ', ' '].into_iter().chain(text.chars()).chain([' ']).collect();
        Self {
            text: text.to_owned(),
            grams: letters
                .windows(3)
                .map(|three| [three[0], three[1], three[2]])
                .collect(),
        }
    }

    /// From 0 to 1: the same word, its beginning, or a slip of the finger away.
    fn likeness(&self, asked: &Self) -> f32 {
        if self.text == asked.text {
            return 1.0;
        }
        if asked.text.chars().count() >= 3 && self.text.starts_with(&asked.text) {
            return 0.9;
        }
        // A number is right or wrong.
        if asked.text.chars().all(|c| c.is_ascii_digit()) {
            return 0.0;
        }
        let shared = self.grams.intersection(&asked.grams).count() as f32;
        let dice = 2.0 * shared / (self.grams.len() + asked.grams.len()) as f32;
        if dice >= ALIKE { dice * 0.8 } else { 0.0 }
    }
}

impl Indexed {
    /// Indexes texts, each with its weight.
    pub fn new(texts: &[(f32, &str)]) -> Self {
        let mut weights: HashMap<String, f32> = HashMap::new();
        for (weight, text) in texts {
            for word in words(text) {
                let best = weights.entry(word).or_default();
                *best = best.max(*weight);
            }
        }
        Self(
            weights
                .into_iter()
                .map(|(word, weight)| (Word::new(&word), weight))
                .collect(),
        )
    }

    fn score(&self, asked: &Word) -> f32 {
        self.0
            .iter()
            .map(|(word, weight)| word.likeness(asked) * weight)
            .fold(0.0, f32::max)
    }
}

/// The places of the texts that answer the query, the best first.
pub fn search(query: &str, texts: &[&Indexed]) -> Vec<usize> {
    let asked: Vec<Word> = words(query)
        .iter()
        .take(LOOKED_AT)
        .map(|word| Word::new(word))
        .collect();
    let mut totals = vec![0.0_f32; texts.len()];
    for word in &asked {
        let scores: Vec<f32> = texts.iter().map(|text| text.score(word)).collect();
        // A word that stands everywhere tells little.
        let found = scores.iter().filter(|score| **score > 0.0).count().max(1);
        let rare = (1.0 + texts.len() as f32 / found as f32).ln();
        for (total, score) in totals.iter_mut().zip(&scores) {
            *total += score * rare;
        }
    }
    let best = totals.iter().copied().fold(0.0, f32::max);
    let mut order: Vec<usize> = (0..texts.len())
        .filter(|at| totals[*at] > 0.0 && totals[*at] >= best * WORTH)
        .collect();
    order.sort_by(|a, b| totals[*b].total_cmp(&totals[*a]));
    order
}

/// Words in the form in which they are compared.
fn words(text: &str) -> Vec<String> {
    fold(text)
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.chars().count() > 1)
        .map(str::to_owned)
        .collect()
}

/// Lower case without the accents of French.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        match c {
            'à' | 'â' | 'ä' | 'á' => folded.push('a'),
            'ç' => folded.push('c'),
            'é' | 'è' | 'ê' | 'ë' => folded.push('e'),
            'î' | 'ï' | 'í' => folded.push('i'),
            'ô' | 'ö' | 'ó' => folded.push('o'),
            'ù' | 'û' | 'ü' | 'ú' => folded.push('u'),
            'ÿ' => folded.push('y'),
            'œ' => folded.push_str("oe"),
            'æ' => folded.push_str("ae"),
            other => folded.push(other),
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(query: &str) -> Vec<usize> {
        let texts = [
            Indexed::new(&[
                (6.0, "Authentication failed"),
                (1.0, "the password or the address is wrong, 535"),
            ]),
            Indexed::new(&[(6.0, "Échec d’authentification"), (1.0, "mot de passe")]),
            Indexed::new(&[(6.0, "SMTP error 554"), (1.0, "the sender is refused")]),
        ];
        search(query, &texts.iter().collect::<Vec<_>>())
    }

    #[test]
    fn a_slip_of_the_finger_finds_the_same() {
        for query in [
            "authentication",
            "autentication failed",
            "authetnication",
            "AUTHENT",
            "pasword",
        ] {
            assert_eq!(found(query).first(), Some(&0), "{query}");
        }
        assert_eq!(found("echec").first(), Some(&1));
        assert_eq!(found("554"), [2]);
        assert_eq!(found("555"), [0_usize; 0]);
        assert_eq!(found("535"), [0]);
    }

    #[test]
    fn nonsense_and_nothing_find_nothing() {
        for query in ["", " ", "?", "zzzzzz", "xylophone"] {
            assert_eq!(found(query), [0_usize; 0], "{query}");
        }
        assert!(found(&"password ".repeat(10_000)).len() <= 3);
    }
}
