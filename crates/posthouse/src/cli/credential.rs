//! `posthouse credential`: IP ranges in place of a password, for devices that can neither AUTH nor TLS.

use crate::cli::say::say;
use clap::Subcommand;

use super::Failure;
use super::table::Table;
use crate::app::Rooms;

#[derive(Debug, Subcommand)]
pub enum Action {
    /// Let every client of an IP range send as an account without a password.
    Create {
        /// The account they send as.
        #[arg(long, value_name = "EMAIL")]
        account: String,
        /// An address or a range, such as 192.0.2.7 or `2001:db8::/64`.
        #[arg(long, value_name = "RANGE")]
        ip: String,
        /// A name to tell it from others; the range where none is given.
        #[arg(long, value_name = "TEXT", default_value = "")]
        name: String,
    },
    /// List the ranges.
    List,
    /// End a credential; it counts at once.
    Revoke {
        /// As `list` shows it.
        id: String,
    },
}

pub async fn run(rooms: &Rooms, action: Action) -> Result<(), Failure> {
    match action {
        Action::Create { account, ip, name } => {
            let made = rooms
                .accounts
                .create_ip_credential(&account, &ip, &name, &accounts::By::command_line())
                .await
                .map_err(Failure::new)?;
            say!(
                "Every client in {} sends as {} from now on, without a password.",
                made.range,
                made.email
            );
        }
        Action::List => {
            let mut table = Table::new(&["ID", "RANGE", "ACCOUNT", "NAME", "LAST USED"]);
            for one in rooms.accounts.ip_credentials().await.map_err(Failure::new)? {
                let used = one
                    .used_at
                    .map_or_else(|| "never".to_owned(), mail::time::Time::rfc3339);
                table.row([one.id.to_string(), one.range, one.email, one.name, used]);
            }
            table.print("No credential; `posthouse credential create --account EMAIL --ip RANGE` makes one.");
        }
        Action::Revoke { id } => {
            let id = id.parse().map_err(|_| {
                Failure::text(format!(
                    "{id} is not the id of a credential; `posthouse credential list` shows them"
                ))
            })?;
            rooms
                .accounts
                .revoke_ip_credential(id, &accounts::By::command_line())
                .await
                .map_err(Failure::new)?;
            say!("Revoked.");
        }
    }
    Ok(())
}
