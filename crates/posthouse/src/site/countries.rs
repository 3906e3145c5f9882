//! Which country an address is in, where the operator gives a database that knows.

use std::net::IpAddr;
use std::path::Path;

use maxminddb::{Reader, path};

use super::SiteError;

const KEY: &str = "tracking.geoip";

/// A database in the MMDB format, in memory.
pub struct Countries(Option<Reader<Vec<u8>>>);

impl Countries {
    /// Reads the file; without one nothing is known.
    pub fn open(file: Option<&Path>) -> Result<Self, SiteError> {
        let Some(file) = file else {
            return Ok(Self(None));
        };
        let content = std::fs::read(file).map_err(|reason| SiteError::Unreadable {
            key: KEY,
            file: file.to_owned(),
            reason,
        })?;
        let reader = Reader::from_source(content).map_err(|error| SiteError::Unusable {
            key: KEY,
            file: file.to_owned(),
            reason: format!("is no database of addresses in the MMDB format: {error}"),
        })?;
        Ok(Self(Some(reader)))
    }

    /// The ISO 3166 code of the country; none where the database does not say.
    pub fn of(&self, ip: IpAddr) -> Option<String> {
        let found = self.0.as_ref()?.lookup(ip).ok()?;
        let code: String = found.decode_path(&path!["country", "iso_code"]).ok()??;
        // It becomes the name of a counter, of which there are to be few.
        let is_code = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase());
        is_code.then_some(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_database_is_told_and_none_knows_nothing() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("countries.mmdb");
        assert!(matches!(
            Countries::open(Some(&file)),
            Err(SiteError::Unreadable { key: KEY, .. })
        ));
        std::fs::write(&file, b"not a database").unwrap();
        assert!(matches!(
            Countries::open(Some(&file)),
            Err(SiteError::Unusable { key: KEY, .. })
        ));
        assert_eq!(Countries::open(None).unwrap().of([192, 0, 2, 1].into()), None);
    }
}
