//! `posthouse doctor`: why something does not work for somebody, and what to do.

use std::process::ExitCode;

use accounts::{AccountState, AttemptFilter, Diagnosis, LoginFacts, Reason, SignInAttempt};
use clap::Subcommand;
use mail::time::Time;

use super::Failure;
use super::check::{Findings, local};
use crate::app::Rooms;
use crate::config::{Config, Listen};
use crate::http::{Security, SmtpPort};
use crate::program::{Encryption, Fault, Given, Offer, faults};

/// Attempts that are shown.
const SHOWN: u32 = 20;

#[derive(Debug, Subcommand)]
pub enum Action {
    /// Say why signing in with this address fails: over SMTP, in the console, with a key.
    Auth {
        email: String,
        #[command(flatten)]
        told: Told,
    },
}

/// What the program was told that does not get in; left out, what it has to be told is shown.
#[derive(Debug, clap::Args)]
pub struct Told {
    /// The server that stands in the program.
    #[arg(long)]
    server: Option<String>,
    /// The port that stands there.
    #[arg(long)]
    port: Option<String>,
    /// How it encrypts.
    #[arg(long, value_enum)]
    security: Option<Encryption>,
}

pub async fn run(config: &Config, rooms: &Rooms, action: Action) -> Result<ExitCode, Failure> {
    let Action::Auth { email, told } = action;
    let mut findings = Findings::default();
    let now = rooms.clock.now();
    match rooms.accounts.diagnose(&email).await.map_err(Failure::new)? {
        Diagnosis::Login(facts) => login(&facts, &mut findings),
        Diagnosis::Unknown { near, asked_at } => findings.bad(
            format!("login: there is none for {email}"),
            match (asked_at, near) {
                (Some(at), _) => format!(
                    "not confirmed yet: its owner follows the link in the mail that came with the sign-up of {}",
                    at.rfc3339()
                ),
                (None, Some(near)) => format!("use {near}, which is probably meant"),
                (None, None) => format!("make one with `posthouse account create {email} --password-stdin`"),
            },
        ),
    }
    lockouts(rooms, &email, &mut findings).await?;
    attempts(rooms, &email, &mut findings).await?;
    let running = local::data_dir(config, &mut findings);
    local::ports(config, running, &mut findings).await;
    local::certificate(config, Some(&rooms.db), now, &mut findings).await;
    settings(config, &email, told, &mut findings);
    Ok(findings.print())
}

fn login(facts: &LoginFacts, findings: &mut Findings) {
    let LoginFacts {
        email,
        confirmed,
        state,
        password_changed_at,
    } = facts;
    let since = password_changed_at.rfc3339();
    findings.good(format!("login: {email}, with its password since {since}"));
    if !confirmed {
        findings.note(
            format!("login: {email} is not confirmed, so nothing can be sent as it"),
            "its owner follows the link in the mail that came with the sign-up",
        );
    }
    if let AccountState::Suspended(reason) | AccountState::Paused(reason) = state {
        findings.bad(
            format!("account: {}: {reason}", state.as_str()),
            format!("`posthouse account resume {email}`, once that is settled"),
        );
    }
}

async fn lockouts(rooms: &Rooms, email: &str, findings: &mut Findings) -> Result<(), Failure> {
    for lockout in rooms.accounts.lockouts_of(email).await.map_err(Failure::new)? {
        let until = lockout.until.rfc3339();
        let (what, whom) = match &lockout.login {
            Some(login) if lockout.network.is_empty() => {
                (format!("the second step of {login}"), login.clone())
            }
            Some(login) => (format!("{login} from {}", lockout.network), login.clone()),
            None => (
                format!("every login that was not used from {} lately", lockout.network),
                lockout.network.clone(),
            ),
        };
        findings.bad(
            format!("lockout: {what} until {until}, after too many failures"),
            format!("wait, set a new password, or `posthouse lockout lift {whom}`"),
        );
    }
    Ok(())
}

async fn attempts(rooms: &Rooms, email: &str, findings: &mut Findings) -> Result<(), Failure> {
    let filter = AttemptFilter {
        login: Some(email.to_owned()),
        limit: SHOWN,
        ..AttemptFilter::default()
    };
    let found = rooms
        .accounts
        .sign_in_attempts(filter)
        .await
        .map_err(Failure::new)?;
    if found.is_empty() {
        findings.note(
            format!("attempts: none with {email} in the last 30 days"),
            "the client does not reach this server, or gives another username; see its host name and port",
        );
    }
    for attempt in &found {
        let (what, remedy) = words(attempt);
        let who = from(attempt);
        let times = match attempt.count {
            1 => attempt.last_at.rfc3339(),
            count => format!("{count} times, last on {}", attempt.last_at.rfc3339()),
        };
        if attempt.reason == Reason::SignedIn {
            findings.good(format!(
                "attempts: {what} {who}, last on {}",
                attempt.last_at.rfc3339()
            ));
        } else {
            findings.note(format!("attempts: {what} {who}, {times}"), remedy);
        }
    }
    Ok(())
}

fn from(attempt: &SignInAttempt) -> String {
    let client = if attempt.client.is_empty() {
        String::new()
    } else {
        format!(" ({})", attempt.client)
    };
    let tls = if attempt.tls.is_some() {
        "with TLS"
    } else {
        "without TLS"
    };
    format!("from {}{client} on port {} {tls}", attempt.ip, attempt.port)
}

/// What happened, and what to do about it.
fn words(attempt: &SignInAttempt) -> (String, String) {
    let date = |time: Time| time.rfc3339();
    let (what, remedy) = match &attempt.reason {
        Reason::SignedIn => ("signed in".to_owned(), ""),
        Reason::Confirmed => ("entered the password again".to_owned(), ""),
        Reason::PasswordOnly => (
            "right password; the second step was asked for".to_owned(),
            "if that was somebody else, set a new password",
        ),
        Reason::WrongCode => (
            "right password, wrong code in the second step".to_owned(),
            "set the clock of the device with the app; a recovery code does as well, and `posthouse account second-step` lifts it",
        ),
        Reason::WrongPasskey => (
            "a passkey whose answer did not hold".to_owned(),
            "try again; if it stays, remove that passkey and add it anew",
        ),
        Reason::WrongPassword => (
            "wrong password".to_owned(),
            "type it anew in that client; with *Forgot password* or `posthouse account password` set another",
        ),
        Reason::OldPassword { until } => (
            format!("old password, right until {}", date(*until)),
            "that device still has the password from before; give it the new one",
        ),
        Reason::UnknownAddress { .. } => (
            "nobody had this address".to_owned(),
            "the SMTP username is the whole e-mail address of the login",
        ),
        Reason::NotAnAddress => (
            "the username was no e-mail address".to_owned(),
            "the SMTP username is the whole e-mail address of the login",
        ),
        Reason::Locked { until } => (
            format!("locked until {}, so the password was not looked at", date(*until)),
            "wait, or lift the lock",
        ),
        Reason::NoTls => (
            "wanted to sign in without TLS".to_owned(),
            "switch STARTTLS on in that client, or SSL/TLS on the port for it; if it sent the password, set a new one",
        ),
        Reason::WrongPort => (
            "wanted to sign in on the port for other mail servers".to_owned(),
            "set one of the ports below in that client",
        ),
        Reason::RevokedCredential { until } => (
            format!("an SMTP credential, revoked on {}", date(*until)),
            "make a new credential for that device, or give it another password",
        ),
        Reason::ExpiredCredential { until } => (
            format!("an SMTP credential, expired on {}", date(*until)),
            "give the credential a later end, or make a new one",
        ),
        Reason::IpNotAllowed => (
            "an SMTP credential that is bound to other networks".to_owned(),
            "add this address to the credential's networks, if the device is yours",
        ),
        Reason::CredentialNotHere => (
            "an SMTP credential outside of SMTP".to_owned(),
            "the console takes the password of the login",
        ),
        Reason::PasswordSwitchedOff => (
            "the right password, but the login takes named credentials only".to_owned(),
            "make a credential for that device, or allow the login's password on SMTP again",
        ),
        Reason::RevokedKey => ("a revoked API key".to_owned(), "make a new key and put it there"),
        Reason::UnknownKey => (
            "an API key that was never made here".to_owned(),
            "copy the key again",
        ),
        Reason::More => ("more attempts, too many to list".to_owned(), ""),
    };
    let what = match &attempt.credential {
        Some(name) => format!("{what}, \"{name}\","),
        None => what,
    };
    (what, remedy.to_owned())
}

/// What a client has to be told, and what is wrong with what it was told.
fn settings(config: &Config, email: &str, told: Told, findings: &mut Findings) {
    let ports = |listen: &[Listen], security| -> Vec<SmtpPort> {
        let ports = listen.iter().map(|one| one.port());
        ports.map(|port| SmtpPort { port, security }).collect()
    };
    let listed = |ports: &[SmtpPort]| {
        let ports: Vec<String> = ports.iter().map(|one| one.port.to_string()).collect();
        ports.join(", ")
    };
    let host = &config.hostname;
    let starttls = ports(&config.smtp.submission, Security::StartTls);
    let tls = ports(&config.smtp.submissions, Security::Tls);
    let right = format!(
        "host {host}, port {} with STARTTLS or {} with SSL/TLS, username {email}, the login's password",
        listed(&starttls),
        listed(&tls)
    );
    let Told {
        server,
        port,
        security,
    } = told;
    if server.is_some() || port.is_some() || security.is_some() {
        let offered = [starttls.as_slice(), &tls].concat();
        let given = Given {
            host: server.unwrap_or_else(|| host.clone()),
            port: port.unwrap_or_else(|| {
                offered
                    .first()
                    .map_or_else(String::new, |one| one.port.to_string())
            }),
            security: security.unwrap_or_default(),
            username: email.to_owned(),
        };
        let offer = Offer {
            host,
            ports: &offered,
        };
        for fault in faults(&given, &offer, None) {
            findings.bad(format!("settings: {}", wrong(fault)), format!("set {right}"));
        }
    }
    findings.good(format!("settings: {right}"));
}

fn wrong(fault: Fault) -> &'static str {
    match fault {
        Fault::HostIsUrl => "the server is given as a URL or with a port",
        Fault::HostIsAddress => "the server is given as an IP address, which the certificate is not for",
        Fault::OtherHost => "the server is another one",
        Fault::PortIsNoNumber => "the port is no number",
        Fault::Port25 => "port 25 is for mail between servers, and most networks block it",
        Fault::PortIsNotOpen => "nobody signs in on that port",
        Fault::NotEncrypted => "without encryption no password is taken",
        Fault::PlainOnTls => "the port is encrypted from the start, and the program speaks plainly",
        Fault::StarttlsOnTls => "the port is encrypted from the start, and the program waits for STARTTLS",
        Fault::TlsOnStarttls => "the port switches by STARTTLS, and the program begins with TLS",
        Fault::UsernameIsEmpty | Fault::UsernameHasSpaces | Fault::UsernameIsNoAddress => {
            "the username is no e-mail address"
        }
        Fault::OtherLogin => "the username is another login's",
    }
}
