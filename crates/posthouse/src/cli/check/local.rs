//! What this machine has to offer: directory, ports, certificate, database.

use std::fs::{File, TryLockError};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use mail::time::Time;
use store::{DatabaseUrl, Db, OpenOptions, StoreError, Tx};
use tokio::net::TcpStream;

use super::Findings;
use crate::app::Sockets;
use crate::config::{Acme, CertificateFrom, Config, Listen};
use crate::tls::keeper::own_key;
use crate::tls::{Facts, Pair, kept};

const WAIT: Duration = Duration::from_secs(5);
/// A certificate with less life than this deserves a look.
const SOON: Duration = Duration::from_hours(24 * 14);

/// Whether a server is running on the data directory.
pub fn data_dir(config: &Config, findings: &mut Findings) -> bool {
    let dir = &config.data_dir;
    let shown = dir.display();
    let facts = match std::fs::metadata(dir) {
        Ok(facts) if facts.is_dir() => facts,
        Ok(_) => {
            findings.bad(
                format!("data directory: {shown} is not a directory"),
                "name another in server.data_dir",
            );
            return false;
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            findings.good(format!("data directory: {shown} will be made at first start"));
            return false;
        }
        Err(error) => {
            let remedy = "give it to the user the server runs as, and run this check as that user";
            findings.bad(format!("data directory: {shown}: {error}"), remedy);
            return false;
        }
    };
    if let Err(error) = write_into(dir) {
        findings.bad(
            format!("data directory: {shown} cannot be written to by this user: {error}"),
            "give it to the user the server runs as, and run this check as that user",
        );
        return false;
    }
    if facts.permissions().mode() & 0o077 != 0 {
        let remedy = format!("chmod 700 {shown}");
        findings.note(
            format!("data directory: others on this machine can look into {shown}"),
            remedy,
        );
    }
    let running = match File::open(dir.join("lock")).map(|lock| lock.try_lock()) {
        Ok(Err(TryLockError::WouldBlock)) => true,
        Ok(_) | Err(_) => false,
    };
    let state = if running {
        "a server is running on it"
    } else {
        "no server is running on it"
    };
    findings.good(format!("data directory: {shown}, {state}"));
    running
}

/// Leaves nothing behind.
fn write_into(dir: &Path) -> io::Result<()> {
    let file = dir.join(format!(".check-{}", std::process::id()));
    File::create_new(&file)?;
    std::fs::remove_file(file)
}

/// A running server's ports have to answer; without one they have to be free.
pub async fn ports(config: &Config, running: bool, findings: &mut Findings) {
    if !running {
        let errors = Sockets::errors(config);
        if errors.is_empty() {
            findings.good("ports: all are free");
        }
        for error in errors {
            findings.bad(format!("ports: {error}"), "");
        }
        return;
    }
    let lists = [
        ("smtp.submission", &config.smtp.submission),
        ("smtp.submissions", &config.smtp.submissions),
        ("smtp.inbound", &config.smtp.inbound),
        ("http.listen", &config.http.listen),
        ("http.listen_tls", &config.http.listen_tls),
    ];
    for (key, listen) in lists
        .into_iter()
        .flat_map(|(key, list)| list.iter().map(move |one| (key, *one)))
    {
        if listen.port() == 0 {
            continue;
        }
        match tokio::time::timeout(WAIT, TcpStream::connect(inside(listen))).await {
            Ok(Ok(_)) => findings.good(format!("ports: {key} answers on {listen}")),
            _ => findings.bad(
                format!("ports: {key} does not answer on {listen}"),
                "the running server was started with another configuration; start it again",
            ),
        }
    }
}

/// Where this machine reaches a listener.
fn inside(listen: Listen) -> SocketAddr {
    match listen {
        Listen::Every(port) => (Ipv4Addr::LOCALHOST, port).into(),
        Listen::One(address) => match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, address.port()).into(),
            IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST, address.port()).into(),
            _ => address,
        },
    }
}

/// Reads the certificate without making one. What an authority issued is in the database.
pub async fn certificate(config: &Config, db: Option<&Db>, now: Time, findings: &mut Findings) {
    let own = config.data_dir.join("tls");
    let files = match &config.certificate {
        CertificateFrom::Files { cert, key } => Some((cert.clone(), key.clone())),
        CertificateFrom::Acme(acme) => return fetched(config, acme, db, (now, findings)).await,
        CertificateFrom::Ourselves => {
            Some((own.join("cert.pem"), own.join("key.pem"))).filter(|(cert, _)| cert.exists())
        }
    };
    let Some((cert, key)) = files else {
        return findings.note(
            "certificate: one will be made at first start that clients do not trust by themselves",
            "set tls.cert and tls.key, or acme.domains, before others use this server",
        );
    };
    match Pair::read(&cert, &key) {
        Ok(pair) => judge(config, &cert.display().to_string(), &pair.facts, (now, findings)),
        Err(error) => findings.bad(format!("certificate: {error}"), ""),
    }
}

/// What an authority issued for this server, and the names for links that it issues nothing for.
async fn fetched(config: &Config, acme: &Acme, db: Option<&Db>, (now, findings): (Time, &mut Findings)) {
    let names = own_key(acme);
    let read = move |tx: &mut Tx<'_>| Ok((kept::list(tx)?, kept::pem(tx, &names)?));
    let (kept, pem) = match db {
        // Where the database is older than this binary, there is none yet.
        Some(db) => db.read("read the certificates", read).await.unwrap_or_default(),
        None => (Vec::new(), None),
    };
    let authority = acme.directory.as_str();
    match pem.map(|pem| Pair::of(&pem, authority)) {
        Some(Ok(pair)) => judge(
            config,
            &format!("the one from {authority}"),
            &pair.facts,
            (now, findings),
        ),
        Some(Err(error)) => findings.bad(format!("certificate: {error}"), ""),
        None => findings.note(
            format!("certificate: none from {authority} yet"),
            "it is fetched while the server runs; its log says what is missing",
        ),
    }
    for one in kept.iter().filter(|one| one.fault.is_some()) {
        findings.note(
            format!(
                "certificate: the last order for {} failed: {}",
                one.names,
                one.why()
            ),
            format!(
                "it is tried again at {}, and at once on SIGHUP",
                one.next_at.rfc3339()
            ),
        );
    }
}

fn judge(config: &Config, what: &str, facts: &Facts, (now, findings): (Time, &mut Findings)) {
    let until = facts.not_after.rfc3339();
    if facts.not_after <= now {
        findings.bad(
            format!("certificate: {what} expired on {until}"),
            "have it renewed",
        );
    } else if facts.not_before > now {
        findings.bad(
            format!("certificate: {what} is not valid yet"),
            "see whether this machine's clock is right",
        );
    } else if facts.not_after.since(now) < SOON {
        findings.note(
            format!("certificate: {what} expires on {until}"),
            "have it renewed soon",
        );
    } else {
        findings.good(format!("certificate: {what}, valid until {until}"));
    }
    if !facts.covers(&config.hostname) {
        findings.bad(
            format!(
                "certificate: it is for {}, not for {}",
                facts.names.join(", "),
                config.hostname
            ),
            "have one issued for server.hostname, or set server.hostname to a name it is for",
        );
    }
    if facts.self_signed {
        findings.note(
            "certificate: self-signed, so clients have to be told to trust it",
            "set tls.cert and tls.key, or acme.domains, before others use this server",
        );
    }
}

/// Whether passwords typed into the console could be read on the way.
pub fn web(config: &Config, findings: &mut Findings) {
    let open = config.http.listen.iter().find(|listen| !listen.is_loopback());
    let what = match (&config.http.public_url, open) {
        (Some(url), _) if url.https || url.is_loopback() => return,
        (Some(url), _) => format!("console: {} sends passwords unencrypted", url.as_str()),
        (None, Some(open)) => format!("console: {open} takes passwords unencrypted from other machines"),
        (None, None) => return,
    };
    findings.note(
        what,
        "set http.listen_tls or put a proxy with TLS in front, and set http.public_url to its https address",
    );
}

/// Opens the database if there is one, for whoever looks further; makes none.
pub async fn database(config: &Config, findings: &mut Findings) -> Option<Db> {
    let url = &config.database_url;
    if let DatabaseUrl::Sqlite(path) = url
        && !path.exists()
    {
        findings.good(format!("database: {url} will be made at first start"));
        return None;
    }
    let options = OpenOptions {
        create: false,
        ..OpenOptions::default()
    };
    let asked = async {
        let db = Db::open(url, options).await?;
        db.read("see whether the database answers", |tx| {
            tx.query("SELECT 1", &[]).map(|_| ())
        })
        .await?;
        Ok::<_, StoreError>(db)
    };
    let fault = match tokio::time::timeout(2 * WAIT, asked).await {
        Ok(Ok(db)) => {
            findings.good(format!("database: {url} answers"));
            return Some(db);
        }
        Ok(Err(error)) => format!("database: {url}: {}", super::Failure::new(error).0),
        Err(_) => format!("database: {url} does not answer in time"),
    };
    findings.bad(fault, "correct database.url or make the database reachable");
    None
}
