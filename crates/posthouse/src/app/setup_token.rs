//! The word that proves, at a first start over the network, that whoever opens the console can read our output.

use std::path::Path;

use accounts::Accounts;
use store::Ids;

use super::AppError;
use crate::ops::private::write_private;

/// The token in DATA/setup-token, made when it is missing; `None`, and no file, once an operator exists.
pub async fn current(data_dir: &Path, accounts: &Accounts, ids: &Ids) -> Result<Option<String>, AppError> {
    let file = data_dir.join("setup-token");
    if accounts.has_operator().await? {
        let _ = std::fs::remove_file(&file);
        return Ok(None);
    }
    if let Ok(text) = std::fs::read_to_string(&file)
        && text.trim().len() == 32
    {
        return Ok(Some(text.trim().to_owned()));
    }
    let token = hex(&ids.secret(16));
    write_private(&file, format!("{token}\n").as_bytes()).map_err(|source| AppError::Keep {
        file: "setup-token",
        source,
    })?;
    Ok(Some(token))
}

fn hex(octets: &[u8]) -> String {
    octets
        .iter()
        .flat_map(|octet| [octet >> 4, octet & 15])
        .filter_map(|n| char::from_digit(n.into(), 16))
        .collect()
}
