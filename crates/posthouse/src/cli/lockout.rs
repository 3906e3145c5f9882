//! `posthouse lockout`: who is locked out after failed sign-ins.

use crate::cli::say::say;
use clap::Subcommand;

use super::Failure;
use super::table::Table;
use crate::app::Rooms;

#[derive(Debug, Subcommand)]
pub enum Action {
    /// List the locks in force, those that last longest first.
    List,
    /// Lift the locks on a login, from everywhere, or the lock on a network.
    Lift {
        /// A login address, or a network as the list shows it.
        #[arg(value_name = "EMAIL|NETWORK")]
        whom: String,
    },
}

pub async fn run(rooms: &Rooms, action: Action) -> Result<(), Failure> {
    match action {
        Action::List => {
            let mut table = Table::new(&["LOGIN", "FROM", "UNTIL", "TIMES"]);
            for lockout in rooms.accounts.lockouts().await.map_err(Failure::new)? {
                table.row([
                    lockout.login.unwrap_or_else(|| "every login".to_owned()),
                    if lockout.network.is_empty() {
                        "codes, from everywhere".to_owned()
                    } else {
                        lockout.network
                    },
                    lockout.until.rfc3339(),
                    lockout.locks.to_string(),
                ]);
            }
            table.print("Nobody is locked out.");
        }
        Action::Lift { whom } => {
            let lifted = rooms
                .accounts
                .lift_lockouts(&whom, &accounts::By::command_line())
                .await
                .map_err(Failure::new)?;
            match lifted {
                0 => say!("{whom} was not locked; failures that counted against it are forgotten."),
                1 => say!("One lock on {whom} is lifted; it may sign in at once."),
                many => say!("{many} locks on {whom} are lifted; it may sign in at once."),
            }
        }
    }
    Ok(())
}
