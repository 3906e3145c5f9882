//! Takes over what this node kept in files before the database kept it: certificates, and the account with the authority.

use std::path::{Path, PathBuf};

use store::Db;
use tracing::{info, warn};

use super::kept;
use super::pair::Pair;

/// The account as it was kept: it belongs to the authority that made it.
#[derive(serde::Deserialize)]
struct Account {
    directory: String,
    credentials: serde_json::Value,
}

/// A certificate as it was kept, key and chain in one file.
struct Found {
    file: PathBuf,
    names: String,
    for_links: bool,
    pem: String,
    pair: Pair,
}

/// Moves what is found in `dir` into the database. What cannot be used stays where it is, and is said.
pub(super) async fn run(dir: &Path, db: &Db) -> store::Result<()> {
    let account_file = dir.join("acme-account.json");
    let account = std::fs::read(&account_file)
        .ok()
        .and_then(|text| serde_json::from_slice::<Account>(&text).ok());
    let mut found = Vec::new();
    let own = dir.join("acme.pem");
    if own.exists() {
        found.extend(read(own, false));
    }
    let folder = dir.join("links");
    for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
        if entry.path().extension().is_some_and(|end| end == "pem") {
            found.extend(read(entry.path(), true));
        }
    }
    if account.is_none() && found.is_empty() {
        return Ok(());
    }
    let mut files: Vec<PathBuf> = found.iter().map(|one| one.file.clone()).collect();
    files.extend(account.is_some().then_some(account_file));
    db.write("take certificates over from files", move |tx| {
        if let Some(Account {
            directory,
            credentials,
        }) = &account
        {
            kept::take_account_over(tx, directory, &credentials.to_string())?;
        }
        for one in &found {
            kept::take_over(tx, (&one.names, one.for_links), &one.pem, &one.pair)?;
        }
        Ok(())
    })
    .await?;
    for file in files {
        match std::fs::remove_file(&file) {
            Ok(()) => info!(file = %file.display(), "taken over into the database"),
            Err(error) => {
                warn!(file = %file.display(), %error, "taken over into the database, remove the file: it holds a key");
            }
        }
    }
    // Where something was left in it, it stays.
    let _ = std::fs::remove_dir(folder);
    Ok(())
}

fn read(file: PathBuf, for_links: bool) -> Option<Found> {
    let read = Pair::read(&file, &file)
        .map_err(|error| error.to_string())
        .and_then(|pair| {
            Ok((
                pair,
                std::fs::read_to_string(&file).map_err(|error| error.to_string())?,
            ))
        });
    match read {
        Ok((pair, pem)) => Some(Found {
            names: kept::key_of(pair.facts.names.iter().map(String::as_str)),
            file,
            for_links,
            pem,
            pair,
        }),
        Err(error) => {
            warn!(error, "a certificate of an ACME authority is not taken over");
            None
        }
    }
}
