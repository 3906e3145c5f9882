//! `posthouse voucher`: codes that stand for credits.

use accounts::By;
use accounts::credits::NewBatch;
use clap::{Args, Subcommand};
use mail::time::Time;

use super::Failure;
use super::table::Table;
use crate::app::Rooms;
use crate::cli::say::say;

/// Batches on one page of the list.
const PAGE: u32 = 200;

#[derive(Debug, Subcommand)]
pub enum Action {
    /// Make codes and print them, one a line. They are told this once: only their hashes are kept.
    Create(Create),
    /// List what was made, newest first.
    List,
    /// Make all codes of a batch useless; what was redeemed stays.
    Revoke {
        /// As the list shows it.
        batch: String,
    },
}

#[derive(Debug, Args)]
pub struct Create {
    /// Credits for each use.
    #[arg(value_parser = clap::value_parser!(i64).range(1..))]
    amount: i64,
    /// Why; it stands in the ledger of whoever redeems one.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// How many codes.
    #[arg(long, value_name = "N", default_value_t = 1)]
    codes: u32,
    /// How many accounts may redeem each code.
    #[arg(long, value_name = "N", default_value_t = 1)]
    uses: u32,
    /// The last day on which they work, in UTC; without it they hold for good.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = end_of_day)]
    until: Option<Time>,
}

/// The moment in which a day is over.
fn end_of_day(text: &str) -> Result<Time, String> {
    let midnight = Time::parse_rfc3339(&format!("{text}T00:00:00Z"));
    let midnight = midnight.ok_or_else(|| "a day is written as 2027-01-31".to_owned())?;
    Ok(midnight.plus(std::time::Duration::from_hours(24)))
}

pub async fn run(rooms: &Rooms, action: Action) -> Result<(), Failure> {
    match action {
        Action::Create(new) => create(rooms, new).await,
        Action::List => list(rooms).await,
        Action::Revoke { batch } => {
            let id = batch.parse().map_err(|_| {
                Failure::text(format!(
                    "{batch} is no batch; `posthouse voucher list` shows them"
                ))
            })?;
            rooms
                .accounts
                .revoke_vouchers(id, &By::command_line())
                .await
                .map_err(Failure::new)?;
            say!("Batch {batch} is revoked.");
            Ok(())
        }
    }
}

async fn create(rooms: &Rooms, new: Create) -> Result<(), Failure> {
    let new = NewBatch {
        reason: new.reason,
        amount: new.amount,
        codes: new.codes,
        uses: new.uses,
        expires_at: new.until,
    };
    let (_, codes) = rooms
        .accounts
        .create_vouchers(new, &By::command_line())
        .await
        .map_err(Failure::new)?;
    for code in codes {
        say!("{code}");
    }
    Ok(())
}

async fn list(rooms: &Rooms) -> Result<(), Failure> {
    let mut table = Table::new(&["BATCH", "CREDITS", "CODES", "USES", "USED", "UNTIL", "REASON"]);
    let mut after = None;
    loop {
        let page = rooms.accounts.vouchers(after, PAGE).await.map_err(Failure::new)?;
        let full = page.len() == PAGE as usize;
        after = page.last().map(|batch| batch.id);
        for batch in page {
            let until = match (batch.revoked_at, batch.expires_at) {
                (Some(_), _) => "revoked".to_owned(),
                (None, Some(end)) => end.rfc3339(),
                (None, None) => "for good".to_owned(),
            };
            table.row([
                batch.id.to_string(),
                batch.amount.to_string(),
                batch.codes.to_string(),
                batch.uses.to_string(),
                batch.used.to_string(),
                until,
                batch.reason,
            ]);
        }
        if !full {
            break;
        }
    }
    table.print("No vouchers yet; `posthouse voucher create 500 --reason TEXT` makes one.");
    Ok(())
}
