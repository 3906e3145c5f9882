//! Mail clients that people use, each told to send one message.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::NamedTempFile;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    Swaks,
    Msmtp,
    Smtplib,
    Nodemailer,
}

pub const ALL: [Client; 4] = [Client::Swaks, Client::Msmtp, Client::Smtplib, Client::Nodemailer];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    Starttls,
    Tls,
}

/// How to sign in and where to.
#[derive(Debug, Clone)]
pub struct Login<'a> {
    pub server: SocketAddr,
    pub security: Security,
    /// `plain` or `login`.
    pub mechanism: &'a str,
    pub user: &'a str,
    pub password: &'a str,
}

impl Client {
    /// Sends `message`; what the client complained of, if it did.
    pub fn send(self, login: &Login, from: &str, to: &[&str], message: &[u8]) -> Result<(), String> {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(message).unwrap();
        let mut command = match self {
            Self::Swaks => swaks(login, from, to, &file),
            Self::Msmtp => msmtp(login, from, to),
            Self::Smtplib => script("/usr/bin/python3", "send_smtplib.py", login, from, to),
            Self::Nodemailer => script("node", "send_nodemailer.js", login, from, to),
        };
        let stdin = file.reopen().unwrap();
        let output = command
            .stdin(Stdio::from(stdin))
            .output()
            .unwrap_or_else(|error| panic!("{self:?}: {error}"));
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        Err(format!("{self:?}: {}", String::from_utf8_lossy(&said)))
    }
}

fn swaks(login: &Login, from: &str, to: &[&str], file: &NamedTempFile) -> Command {
    let mut command = Command::new("swaks");
    command
        .args([
            "--silent",
            "2",
            "--ehlo",
            "client.example",
            "--from",
            from,
            "--to",
            &to.join(","),
        ])
        .args([
            "--server",
            &login.server.ip().to_string(),
            "--port",
            &login.server.port().to_string(),
        ])
        .arg(if login.security == Security::Tls {
            "--tls-on-connect"
        } else {
            "--tls"
        })
        .args([
            "--auth",
            login.mechanism,
            "--auth-user",
            login.user,
            "--auth-password",
            login.password,
        ])
        .arg("--data")
        .arg(format!("@{}", file.path().display()));
    command
}

fn msmtp(login: &Login, from: &str, to: &[&str]) -> Command {
    let starttls = if login.security == Security::Tls {
        "off"
    } else {
        "on"
    };
    let mut command = Command::new("msmtp");
    command
        .arg(format!("--host={}", login.server.ip()))
        .arg(format!("--port={}", login.server.port()))
        .args([
            "--tls=on",
            &format!("--tls-starttls={starttls}"),
            "--tls-certcheck=off",
        ])
        .args([
            format!("--auth={}", login.mechanism),
            format!("--user={}", login.user),
        ])
        .arg(format!("--passwordeval=echo '{}'", login.password))
        .args([&format!("--from={from}"), "--"])
        .args(to);
    command
}

fn script(interpreter: &str, name: &str, login: &Login, from: &str, to: &[&str]) -> Command {
    let security = if login.security == Security::Tls {
        "tls"
    } else {
        "starttls"
    };
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers")).join(name);
    let mut command = Command::new(interpreter);
    command
        .arg(path)
        .args([login.server.ip().to_string(), login.server.port().to_string()])
        .args([security, login.mechanism, login.user, login.password, from])
        .args(to);
    command
}
