//! `posthouse account`: who may send.

use crate::cli::say::say;
use accounts::{Account, AccountFilter, AccountSort, By, NewAccount, SignUpMode};
use clap::{Args, Subcommand};
use outbound::Outbound;

use super::table::Table;
use super::{Failure, password_from_stdin};
use crate::app::{Rooms, sending};
use crate::config::Config;

#[derive(Debug, Subcommand)]
pub enum Action {
    /// Make an account; its e-mail address and password are its SMTP username and password.
    Create(Create),
    /// Give a login a new password; it counts at once, everywhere.
    Password(Password),
    /// Mail somebody a link that opens an account; it works for a week. A running server writes the mail.
    Invite {
        email: String,
        /// The language of the mail: `en` or `fr`.
        #[arg(long, default_value = "en", value_parser = ["en", "fr"])]
        language: String,
    },
    /// Switch two-step sign-in of a login off, for whoever lost app, passkeys and recovery codes. The owner is written to.
    SecondStep {
        email: String,
        /// Nothing else can be done for somebody else.
        #[arg(long, required = true)]
        off: bool,
    },
    /// List accounts, newest first.
    List {
        /// Only those with this in their name or address.
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
    },
    /// Stop an account from sending.
    Suspend {
        email: String,
        /// Why; the account's people read it.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Hold its mail that waits, instead of delivering it.
        #[arg(long)]
        hold: bool,
    },
    /// Send the held mail of a suspended or paused account back to its senders.
    Return { email: String },
    /// Give an account limits of its own: recipients a day.
    Limits {
        email: String,
        /// The most recipients a day: a number, `none` or `configured`.
        #[arg(long, value_name = "LIMIT", value_parser = limit)]
        recipients: Option<OwnLimit>,
        /// The most of them that it never wrote to before.
        #[arg(long, value_name = "LIMIT", value_parser = limit)]
        first_time: Option<OwnLimit>,
    },
    /// Let a suspended account send again.
    Resume { email: String },
    /// The people of an account and what they may do.
    #[command(subcommand)]
    Users(super::users::Action),
    /// Give an account credits, or take some back with a negative number.
    Credits {
        email: String,
        #[arg(allow_negative_numbers = true)]
        amount: i64,
        /// Why; it stands in the ledger, where the account's people read it.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// A limit as the operator gives it: nothing is as configured, 0 is no limit.
#[derive(Debug, Clone, Copy)]
pub struct OwnLimit(Option<u32>);

fn limit(text: &str) -> Result<OwnLimit, String> {
    match text {
        "none" => Ok(OwnLimit(Some(0))),
        "configured" => Ok(OwnLimit(None)),
        number => match number.parse() {
            Ok(most) if most > 0 => Ok(OwnLimit(Some(most))),
            _ => Err("expected a number from 1, `none` or `configured`".to_owned()),
        },
    }
}

#[derive(Debug, Args)]
pub struct Create {
    email: String,
    /// Read the password from standard input, one line.
    #[arg(long, required = true)]
    password_stdin: bool,
    /// The account runs this service: it sees everything, and its sending is not limited.
    #[arg(long)]
    operator: bool,
    /// Credits to start with, in place of `accounts.free_credits`.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    credits: Option<i64>,
}

#[derive(Debug, Args)]
pub struct Password {
    email: String,
    /// Read the password from standard input, one line.
    #[arg(long, required = true)]
    password_stdin: bool,
}

pub async fn run(config: &Config, rooms: &Rooms, action: Action) -> Result<(), Failure> {
    let accounts = &rooms.accounts;
    match action {
        Action::Create(new) => create(rooms, new).await,
        Action::Password(Password { email, .. }) => {
            accounts
                .set_password(&email, &password_from_stdin()?, &By::command_line())
                .await
                .map_err(Failure::new)?;
            say!("The new password of {email} counts from now on.");
            Ok(())
        }
        Action::Invite { email, language } => {
            let found = accounts.sign_up_mode().await.map_err(Failure::new)?;
            if found.mode == SignUpMode::Closed {
                return Err(Failure::text(
                    "nobody may open an account, so nobody can accept an invitation; choose \"invite\" in the console, or set \
                     accounts.signup",
                ));
            }
            accounts.invite(&email, &language).await.map_err(Failure::new)?;
            say!("{email} is invited; the link in the mail works for a week.");
            Ok(())
        }
        Action::SecondStep { email, .. } => {
            accounts
                .lift_second_step(&email, &By::command_line())
                .await
                .map_err(Failure::new)?;
            say!("Two-step sign-in of {email} is off; the password alone signs in.");
            Ok(())
        }
        Action::List { search } => list(rooms, search).await,
        Action::Users(action) => super::users::run(rooms, action).await,
        Action::Suspend { email, reason, hold } => {
            let login = accounts.login(&email).await.map_err(Failure::new)?;
            let (account, by) = (login.account, By::command_line());
            let suspended = if hold {
                accounts.suspend_and_hold(account, &reason, &by).await
            } else {
                accounts.suspend(account, &reason, &by).await
            };
            suspended.map_err(Failure::new)?;
            say!("{email} is suspended; `posthouse account resume {email}` lifts it.");
            Ok(())
        }
        Action::Return { email } => {
            let login = accounts.login(&email).await.map_err(Failure::new)?;
            let outbound =
                Outbound::idle(sending::parts(config, rooms, config.configured_url()).map_err(Failure::new)?);
            let returned = outbound
                .return_held(login.account, &By::command_line())
                .await
                .map_err(Failure::new)?;
            say!("{returned} recipients are given up; a running server reports each to its sender.");
            Ok(())
        }
        Action::Limits {
            email,
            recipients,
            first_time,
        } => limits(rooms, &email, recipients, first_time).await,
        Action::Resume { email } => {
            let login = accounts.login(&email).await.map_err(Failure::new)?;
            accounts
                .resume(login.account, &By::command_line())
                .await
                .map_err(Failure::new)?;
            say!("{email} may send again.");
            Ok(())
        }
        Action::Credits {
            email,
            amount,
            reason,
        } => {
            let login = accounts.login(&email).await.map_err(Failure::new)?;
            let balance = accounts
                .grant(login.account, amount, &reason, &By::command_line())
                .await
                .map_err(Failure::new)?;
            say!("{email} has {balance} credits.");
            Ok(())
        }
    }
}

async fn create(rooms: &Rooms, new: Create) -> Result<(), Failure> {
    let password = password_from_stdin()?;
    let Create {
        email,
        operator,
        credits,
        ..
    } = new;
    let new = NewAccount {
        email,
        password,
        operator,
        credits,
    };
    let account = rooms
        .accounts
        .create(new, &By::command_line())
        .await
        .map_err(Failure::new)?;
    let credits = account
        .credits
        .map_or_else(|| "no limit".to_owned(), |credits| format!("{credits} credits"));
    say!(
        "Account {} made, {credits}. Its SMTP username is the address, its SMTP password the password.",
        account.name
    );
    Ok(())
}

/// Sets what was given and says what holds.
async fn limits(
    rooms: &Rooms,
    email: &str,
    recipients: Option<OwnLimit>,
    first_time: Option<OwnLimit>,
) -> Result<(), Failure> {
    let accounts = &rooms.accounts;
    let account = accounts.login(email).await.map_err(Failure::new)?.account;
    let mut own = accounts.day(account).await.map_err(Failure::new)?.own;
    if let Some(OwnLimit(most)) = recipients {
        own.recipients = most;
    }
    if let Some(OwnLimit(most)) = first_time {
        own.first_time = most;
    }
    if recipients.is_some() || first_time.is_some() {
        accounts
            .limit_day(account, own, &By::command_line())
            .await
            .map_err(Failure::new)?;
    }
    let day = accounts.day(account).await.map_err(Failure::new)?;
    let most = |limit: Option<u32>, used: u32| {
        limit.map_or_else(
            || "no limit".to_owned(),
            |most| format!("{used} of {most} used today"),
        )
    };
    say!(
        "Recipients a day: {}.",
        most(day.limits.recipients, day.used.recipients)
    );
    say!(
        "Of these, never written to before: {}.",
        most(day.limits.first_time, day.used.first_time)
    );
    Ok(())
}

async fn list(rooms: &Rooms, search: Option<String>) -> Result<(), Failure> {
    let mut table = Table::new(&["ACCOUNT", "STATE", "CREDITS", "MADE"]);
    for account in all(rooms, search).await? {
        let mut state = account.state.as_str().to_owned();
        if let Some(reason) = account.state.reason() {
            state = format!("{state}: {reason}");
        }
        let credits = account
            .credits
            .map_or_else(|| "unlimited".to_owned(), |credits| credits.to_string());
        let name = if account.operator {
            format!("{} (operator)", account.name)
        } else {
            account.name
        };
        table.row([name, state, credits, account.created_at.rfc3339()]);
    }
    table.print(
        "No account yet; `posthouse account create EMAIL --password-stdin --operator` makes the first.",
    );
    Ok(())
}

/// Every account that matches, page by page.
pub async fn all(rooms: &Rooms, search: Option<String>) -> Result<Vec<Account>, Failure> {
    let mut filter = AccountFilter {
        q: search,
        sort: AccountSort::Newest,
        limit: 500,
        ..AccountFilter::default()
    };
    let mut accounts = Vec::new();
    loop {
        let page = rooms.accounts.list(filter.clone()).await.map_err(Failure::new)?;
        let last = page.last().map(|account| account.id);
        let full = page.len() == filter.limit as usize;
        accounts.extend(page);
        if !full {
            return Ok(accounts);
        }
        filter.after = last;
    }
}
