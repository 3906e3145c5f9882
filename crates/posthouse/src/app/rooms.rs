//! Database and accounts, for the server and for commands beside it or without it.

use accounts::Accounts;
use store::{Clock, Db, Ids, OpenOptions};

use super::AppError;
use crate::config::Config;

pub struct Rooms {
    pub db: Db,
    pub accounts: Accounts,
    pub clock: Clock,
    pub ids: Ids,
}

impl Rooms {
    /// Opens the configured database, making a SQLite file where there is none, and brings its schema up to date.
    pub async fn open(config: &Config) -> Result<Self, AppError> {
        let url = &config.database_url;
        let failed = |source| AppError::Database {
            url: url.to_string(),
            source,
        };
        let db = Db::open(url, OpenOptions::default()).await.map_err(failed)?;
        db.migrate().await.map_err(failed)?;
        let (clock, ids) = (Clock::system(), Ids::new());
        let settings = accounts::Settings {
            free_credits: config.accounts.free_credits.into(),
            hostname: config.hostname.clone(),
        };
        let accounts = Accounts::new(db.clone(), clock.clone(), ids.clone(), settings);
        Ok(Self {
            db,
            accounts,
            clock,
            ids,
        })
    }
}
