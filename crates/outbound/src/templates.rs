//! Templates: what an account sends often, kept under a name; who fills them in is not known here.

use std::fmt;

use mail::time::Time;
use store::{Id, Result, Row, Tx};

/// The most templates of one account.
pub const MOST: i64 = 200;
/// Characters of a name.
const NAME: usize = 64;
const COLUMNS: &str = "name, subject, text, html, created_at, updated_at";

/// A message without its sender and recipients, with variables in it. An empty part is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub name: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    pub created_at: Time,
    pub updated_at: Time,
}

/// A name as it is kept, in lower case, however somebody writes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name(String);

impl Name {
    /// None where it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let name = text.trim().to_ascii_lowercase();
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
        let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        (begins && name.len() <= NAME && name.chars().all(fits)).then_some(Self(name))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An account's templates by their names, without what they say.
pub fn list(tx: &mut Tx<'_>, account: Id) -> Result<Vec<Template>> {
    let rows = tx.query(
        "SELECT name, subject, '', '', created_at, updated_at FROM templates WHERE account = $1 ORDER BY name",
        &[account.into()],
    )?;
    rows.iter().map(template).collect()
}

pub fn find(tx: &mut Tx<'_>, account: Id, name: &Name) -> Result<Option<Template>> {
    let row = tx.query_opt(
        &format!("SELECT {COLUMNS} FROM templates WHERE account = $1 AND name = $2"),
        &[account.into(), name.as_str().into()],
    )?;
    row.as_ref().map(template).transpose()
}

pub fn count(tx: &mut Tx<'_>, account: Id) -> Result<i64> {
    let row = tx.query_opt(
        "SELECT COUNT(*) FROM templates WHERE account = $1",
        &[account.into()],
    )?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// False where there is one of this name already.
pub fn insert(tx: &mut Tx<'_>, account: Id, new: &Template) -> Result<bool> {
    let added = tx.execute(
        "INSERT INTO templates (account, name, subject, text, html, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (account, name) DO NOTHING",
        &[
            account.into(),
            (&new.name).into(),
            (&new.subject).into(),
            (&new.text).into(),
            (&new.html).into(),
            new.created_at.into(),
            new.updated_at.into(),
        ],
    )?;
    Ok(added == 1)
}

/// Replaces what a template says; false where there is none.
pub fn update(tx: &mut Tx<'_>, account: Id, changed: &Template) -> Result<bool> {
    let updated = tx.execute(
        "UPDATE templates SET subject = $3, text = $4, html = $5, updated_at = $6 WHERE account = $1 AND name = $2",
        &[
            account.into(),
            (&changed.name).into(),
            (&changed.subject).into(),
            (&changed.text).into(),
            (&changed.html).into(),
            changed.updated_at.into(),
        ],
    )?;
    Ok(updated == 1)
}

/// False where there is none.
pub fn remove(tx: &mut Tx<'_>, account: Id, name: &Name) -> Result<bool> {
    let removed = tx.execute(
        "DELETE FROM templates WHERE account = $1 AND name = $2",
        &[account.into(), name.as_str().into()],
    )?;
    Ok(removed == 1)
}

fn template(row: &Row) -> Result<Template> {
    Ok(Template {
        name: row.text(0)?,
        subject: row.text(1)?,
        text: row.text(2)?,
        html: row.text(3)?,
        created_at: row.time(4)?,
        updated_at: row.time(5)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_into_a_path_as_it_is() {
        let name = |text: &str| Name::parse(text).map(|name| name.to_string());
        assert_eq!(name(" Order-Shipped.v2 ").as_deref(), Some("order-shipped.v2"));
        for bad in ["", "-a", "a/b", "a b", "é", "..", &"x".repeat(65)] {
            assert_eq!(name(bad), None, "{bad}");
        }
    }
}
