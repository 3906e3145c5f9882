//! `posthouse credential`: SMTP passwords for single programs, and IP ranges for devices that can neither AUTH nor TLS.

use std::time::Duration;

use accounts::{Accounts, By, CredentialLimits, SmtpCredential, WantedCredential};
use clap::Subcommand;
use mail::time::Time;
use store::Id;

use super::Failure;
use super::table::Table;
use crate::app::Rooms;
use crate::cli::say::say;

#[derive(Debug, Subcommand)]
pub enum Action {
    /// Make an SMTP password for one program (`--smtp`), or let an IP range send without any.
    Create {
        /// The account that it sends as.
        #[arg(long, value_name = "EMAIL")]
        account: String,
        /// Make a password of its own, shown once; the username stays the e-mail address.
        #[arg(long)]
        smtp: bool,
        /// An address or a range, such as 192.0.2.7 or `2001:db8::/64`; with --smtp the credential is bound to it, and there
        /// can be several.
        #[arg(long, value_name = "RANGE", required_unless_present = "smtp")]
        ip: Vec<String>,
        /// A name to tell it from others; needed with --smtp, else the range where none is given.
        #[arg(long, value_name = "TEXT", default_value = "", required_if_eq("smtp", "true"))]
        name: String,
        /// The most recipients an hour.
        #[arg(long, value_name = "N", requires = "smtp")]
        rate: Option<u32>,
        /// Days until it stops.
        #[arg(long, value_name = "DAYS", requires = "smtp", value_parser = clap::value_parser!(u32).range(1..=36500))]
        days: Option<u32>,
        /// A test credential: its mail is kept in the local inbox and sent nowhere.
        #[arg(long, requires = "smtp")]
        test: bool,
    },
    /// List the ranges; with --account, the SMTP credentials of an account.
    List {
        #[arg(long, value_name = "EMAIL")]
        account: Option<String>,
    },
    /// End a credential; it counts at once.
    Revoke {
        /// As `list` shows it.
        id: String,
        /// The account, where it is an SMTP credential.
        #[arg(long, value_name = "EMAIL")]
        account: Option<String>,
    },
}

pub async fn run(rooms: &Rooms, action: Action) -> Result<(), Failure> {
    let accounts = &rooms.accounts;
    match action {
        Action::Create {
            account,
            smtp: true,
            ip,
            name,
            rate,
            days,
            test,
        } => {
            let days = days.map(|days| Duration::from_hours(24 * u64::from(days)));
            let expires_at = days.map(|days| rooms.clock.now().plus(days));
            let limits = CredentialLimits::parse(ip.iter().map(String::as_str), rate, expires_at)
                .map_err(Failure::new)?;
            let wanted = WantedCredential {
                email: None,
                name,
                limits,
                sandbox: test,
            };
            create_smtp(accounts, &account, wanted).await
        }
        Action::Create {
            account, ip, name, ..
        } => {
            let [range] = ip.as_slice() else {
                return Err(Failure::text(
                    "one --ip at a time makes a credential without --smtp",
                ));
            };
            let made = accounts
                .create_ip_credential(&account, range, &name, &By::command_line())
                .await;
            let made = made.map_err(Failure::new)?;
            say!(
                "Every client in {} sends as {} from now on, without a password.",
                made.range,
                made.email
            );
            Ok(())
        }
        Action::List { account: None } => list_ranges(accounts).await,
        Action::List {
            account: Some(account),
        } => list_smtp(accounts, &account).await,
        Action::Revoke { id, account } => revoke(accounts, &id, account.as_deref()).await,
    }
}

async fn create_smtp(accounts: &Accounts, email: &str, wanted: WantedCredential) -> Result<(), Failure> {
    let who = accounts.vouched(email).await.map_err(Failure::new)?;
    let made = accounts
        .create_smtp_credential(&who, wanted, &By::command_line())
        .await
        .map_err(Failure::new)?;
    say!("username: {}", made.credential.email);
    say!("password: {}", made.secret);
    say!("The password is shown this once.");
    Ok(())
}

async fn list_ranges(accounts: &Accounts) -> Result<(), Failure> {
    let mut table = Table::new(&["ID", "RANGE", "ACCOUNT", "NAME", "LAST USED"]);
    for one in accounts.ip_credentials().await.map_err(Failure::new)? {
        table.row([
            one.id.to_string(),
            one.range,
            one.email,
            one.name,
            used(one.used_at),
        ]);
    }
    table.print("No credential; `posthouse credential create --account EMAIL --ip RANGE` lets one in.");
    Ok(())
}

async fn list_smtp(accounts: &Accounts, email: &str) -> Result<(), Failure> {
    let account = accounts.login(email).await.map_err(Failure::new)?.account;
    let mut table = Table::new(&["ID", "NAME", "USERNAME", "PASSWORD", "BOUND TO", "LAST USED"]);
    for one in accounts.smtp_credentials(account).await.map_err(Failure::new)? {
        let (bound, used) = (bounds(&one), used(one.used_at));
        let begins = format!("{}…", one.prefix);
        table.row([one.id.to_string(), one.name, one.email, begins, bound, used]);
    }
    table.print(
        "No SMTP credential; `posthouse credential create --smtp --account EMAIL --name TEXT` makes one.",
    );
    Ok(())
}

fn bounds(credential: &SmtpCredential) -> String {
    let limits = &credential.limits;
    let mut bounds: Vec<String> = limits.networks.iter().map(ToString::to_string).collect();
    bounds.extend(limits.rate.map(|rate| format!("{rate} an hour")));
    bounds.extend(limits.expires_at.map(|at| format!("until {}", at.rfc3339())));
    bounds.extend(credential.sandbox.then(|| "test".to_owned()));
    bounds.join(", ")
}

fn used(at: Option<Time>) -> String {
    at.map_or_else(|| "never".to_owned(), Time::rfc3339)
}

async fn revoke(accounts: &Accounts, id: &str, account: Option<&str>) -> Result<(), Failure> {
    let id: Id = id.parse().map_err(|_| {
        Failure::text(format!(
            "{id} is not the id of a credential; `posthouse credential list` shows them"
        ))
    })?;
    let by = By::command_line();
    match account {
        None => accounts.revoke_ip_credential(id, &by).await,
        Some(email) => {
            let account = accounts.login(email).await.map_err(Failure::new)?.account;
            accounts.revoke_smtp_credential(account, id, &by).await
        }
    }
    .map_err(Failure::new)?;
    say!("Revoked.");
    Ok(())
}
