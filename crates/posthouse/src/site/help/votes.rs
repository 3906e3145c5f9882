//! Was this helpful: a count per article and answer, and nothing about who gave it.

use std::collections::HashSet;
use std::net::IpAddr;

use mail::time::Time;
use parking_lot::Mutex;
use store::{Db, Result};

/// Answers that are remembered, for a day, so that one network answers once per article.
const REMEMBERED: usize = 100_000;

/// The answers to one article in one language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    pub article: String,
    pub lang: String,
    pub helpful: i64,
    pub not_helpful: i64,
}

/// Who has answered today, in memory only.
#[derive(Debug, Default)]
pub struct Answered(Mutex<(i64, HashSet<(IpAddr, String)>)>);

impl Answered {
    /// Whether this is the first answer of a network to an article today. When too many have answered, nobody is counted
    /// until the day is over.
    pub fn is_first(&self, network: IpAddr, article: &str, now: Time) -> bool {
        let mut answered = self.0.lock();
        if answered.0 != now.day() {
            *answered = (now.day(), HashSet::new());
        }
        answered.1.len() < REMEMBERED && answered.1.insert((network, article.to_owned()))
    }
}

/// Counts one answer.
pub async fn count(db: &Db, article: String, lang: &'static str, helpful: bool) -> Result<()> {
    db.write("count an answer about a help article", move |tx| {
        tx.run(
            "INSERT INTO help_votes (article, lang, helpful, not_helpful) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (article, lang) DO UPDATE SET helpful = help_votes.helpful + excluded.helpful, \
             not_helpful = help_votes.not_helpful + excluded.not_helpful",
            &[
                (&article).into(),
                lang.into(),
                i64::from(helpful).into(),
                i64::from(!helpful).into(),
            ],
        )
    })
    .await
}

/// All counts, the article that helped least often first.
pub async fn counts(db: &Db) -> Result<Vec<Count>> {
    db.read("read the answers about help articles", |tx| {
        let rows = tx.query(
            "SELECT article, lang, helpful, not_helpful FROM help_votes ORDER BY not_helpful DESC, article, lang",
            &[],
        )?;
        rows.iter()
            .map(|row| {
                Ok(Count {
                    article: row.text(0)?,
                    lang: row.text(1)?,
                    helpful: row.int(2)?,
                    not_helpful: row.int(3)?,
                })
            })
            .collect()
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_answers_once_a_day_to_an_article() {
        let answered = Answered::default();
        let (one, two) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let today = Time::from_secs(86_400);
        assert!(answered.is_first(one, "credits", today));
        assert!(!answered.is_first(one, "credits", today));
        assert!(answered.is_first(one, "hooks", today));
        assert!(answered.is_first(two, "credits", today));
        assert!(answered.is_first(one, "credits", Time::from_secs(2 * 86_400)));
    }
}
