//! `posthouse account users`: the people of an account and what they may do.

use accounts::{By, Role};
use clap::Subcommand;

use super::Failure;
use super::table::Table;
use crate::app::Rooms;
use crate::cli::say::say;

#[derive(Debug, Subcommand)]
pub enum Action {
    /// List the users of an account and who is invited.
    List {
        /// The address of any of its users.
        account: String,
    },
    /// Mail somebody a link into an account; it works for a week. A running server writes the mail.
    Invite {
        email: String,
        /// The address of any user of the account.
        #[arg(long, value_name = "EMAIL")]
        account: String,
        /// owner, admin, marketer, developer or viewer.
        #[arg(long)]
        role: Role,
        /// The language of the mail: `en` or `fr`.
        #[arg(long, default_value = "en", value_parser = ["en", "fr"])]
        language: String,
    },
    /// Give a user another role; it counts at once, everywhere.
    Role { email: String, role: Role },
    /// Remove a user; its sessions, keys and credentials end at once.
    Remove { email: String },
}

pub async fn run(rooms: &Rooms, action: Action) -> Result<(), Failure> {
    let accounts = &rooms.accounts;
    let by = By::command_line();
    match action {
        Action::List { account } => list(rooms, &account).await,
        Action::Invite {
            email,
            account,
            role,
            language,
        } => {
            let login = accounts.login(&account).await.map_err(Failure::new)?;
            accounts
                .invite_user(login.account, (&email, role), Some(&language), &by)
                .await
                .map_err(Failure::new)?;
            say!("{email} is invited as {role}; the link in the mail works for a week.");
            Ok(())
        }
        Action::Role { email, role } => {
            let login = accounts.login(&email).await.map_err(Failure::new)?;
            accounts
                .set_role(login.account, login.id, role, &by)
                .await
                .map_err(Failure::new)?;
            say!("{email} is {role} from now on.");
            Ok(())
        }
        Action::Remove { email } => {
            let login = accounts.login(&email).await.map_err(Failure::new)?;
            accounts
                .remove_user(login.account, login.id, &by)
                .await
                .map_err(Failure::new)?;
            say!("{email} is removed; what it sent stays with the account.");
            Ok(())
        }
    }
}

async fn list(rooms: &Rooms, account: &str) -> Result<(), Failure> {
    let login = rooms.accounts.login(account).await.map_err(Failure::new)?;
    let mut table = Table::new(&["USER", "ROLE", "SINCE"]);
    for user in rooms.accounts.users(login.account).await.map_err(Failure::new)? {
        table.row([user.email, user.role.to_string(), user.created_at.rfc3339()]);
    }
    let invitations = rooms.accounts.user_invitations(login.account).await;
    for invited in invitations.map_err(Failure::new)? {
        let until = format!("invited until {}", invited.expires_at.rfc3339());
        table.row([invited.email, invited.role.to_string(), until]);
    }
    table.print("");
    Ok(())
}
