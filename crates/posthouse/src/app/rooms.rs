//! Database and accounts, for the server and for commands beside it or without it.

use accounts::{Accounts, DayLimits, GuardSettings, StandardLimits, Thresholds};
use mail::address::Domain;
use store::{Clock, Db, Ids, OpenOptions};

use super::AppError;
use crate::config::{self, Config, HostName};

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
            inbound: !config.smtp.inbound.is_empty(),
            dkim_zone: config
                .delivery
                .dkim_zone
                .as_ref()
                .and_then(|HostName(zone)| Domain::parse(zone).ok()),
            links: config.links_host().map(str::to_owned),
            day_limits: day_limits(&config.accounts),
            guard: GuardSettings {
                thresholds: Thresholds {
                    bounces: config.guard.bounces.0,
                    complaints: config.guard.complaints.0,
                },
                owner_resumes: config.guard.owner_resumes,
            },
            sign_up: config.accounts.signup.into(),
        };
        let accounts = Accounts::new(db.clone(), clock.clone(), ids.clone(), settings);
        // A command sets passwords too; only a server that starts without SCRAM ends what another made.
        if config.smtp.scram {
            accounts.use_scram(true).await.map_err(failed)?;
        }
        Ok(Self {
            db,
            accounts,
            clock,
            ids,
        })
    }
}

fn day_limits(keys: &config::Accounts) -> StandardLimits {
    let limits = |recipients, first_time| {
        let limit = |most: u32| (most > 0).then_some(most);
        DayLimits {
            recipients: limit(recipients),
            first_time: limit(first_time),
        }
    };
    StandardLimits {
        made: limits(keys.daily_recipients, keys.first_time_recipients),
        opened: limits(keys.opened_daily_recipients, keys.opened_first_time_recipients),
    }
}
