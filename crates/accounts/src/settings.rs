//! What holds for the whole installation and stands in its database rather than in a file.

use store::Tx;

/// Reads one value.
pub(crate) fn get(tx: &mut Tx<'_>, name: &str) -> store::Result<Option<String>> {
    tx.query_opt("SELECT value FROM settings WHERE name = $1", &[name.into()])?
        .map(|row| row.text(0))
        .transpose()
}

/// The value that is there, or else this one, which is there from now on. Two at once agree.
pub(crate) fn get_or_put(tx: &mut Tx<'_>, name: &str, value: &str) -> store::Result<String> {
    tx.run(
        "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
        &[name.into(), value.into()],
    )?;
    Ok(get(tx, name)?.unwrap_or_else(|| value.to_owned()))
}

pub(crate) fn put(tx: &mut Tx<'_>, name: &str, value: &str) -> store::Result<()> {
    tx.run(
        "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        &[name.into(), value.into()],
    )
}

pub(crate) fn forget(tx: &mut Tx<'_>, name: &str) -> store::Result<()> {
    tx.run("DELETE FROM settings WHERE name = $1", &[name.into()])
}
