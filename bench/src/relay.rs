//! The relays under measurement, each started anew for each run, with its files on the work disk.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{self, Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use tokio::time::Instant;

use crate::resolver;

/// What stands between source and sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing: the ceiling.
    Nothing,
    Posthouse,
    /// Posthouse with PostgreSQL on the same machine.
    PosthousePostgres,
    Postfix,
    Haraka,
}

impl Kind {
    pub fn title(self) -> &'static str {
        match self {
            Self::Nothing => "none (the ceiling)",
            Self::Posthouse => "Posthouse",
            Self::PosthousePostgres => "Posthouse on PostgreSQL",
            Self::Postfix => "Postfix",
            Self::Haraka => "Haraka",
        }
    }
}

/// The account that the load belongs to.
pub const USER: &str = "bench@bench.example";
pub const PASSWORD: &str = "four-horses-at-dawn-77";
/// The domain whose mail is signed.
const DOMAIN: &str = "bench.example";

/// A relay that runs.
pub struct Relay {
    /// Takes mail without AUTH from loopback.
    pub address: SocketAddr,
    /// Takes mail with AUTH under TLS, where the relay has that.
    pub submissions: Option<SocketAddr>,
    /// Where its API is, where it has one.
    pub api: Option<SocketAddr>,
    /// The processes whose trees are the relay.
    pub roots: Vec<u32>,
    children: Vec<Child>,
    stop: Vec<Vec<String>>,
}

/// The binary that is measured, and the disk.
#[derive(Debug, Clone, Args)]
pub struct TestBed {
    /// The posthouse binary, a release build
    #[arg(long, default_value = "target/release/posthouse")]
    posthouse: PathBuf,
    /// Where the relays keep their files: on the disk that is meant
    #[arg(long, default_value = "target/bench")]
    pub work: PathBuf,
}

impl TestBed {
    /// A relay that delivers to this sink, and signs nothing.
    pub fn place(&self, sink: SocketAddr) -> io::Result<Place> {
        Ok(Place {
            posthouse: path::absolute(&self.posthouse)?,
            sources: path::absolute(".")?,
            work: path::absolute(self.work.join("relay"))?,
            sink,
            route: None,
            destinations: 1,
            dkim: false,
        })
    }
}

/// What a relay needs to know to start.
pub struct Place {
    pub posthouse: PathBuf,
    /// The repository, for tests/postgres and the peers.
    pub sources: PathBuf,
    pub work: PathBuf,
    pub sink: SocketAddr,
    /// Settings that say where mail goes, instead of the sink as a smarthost.
    pub route: Option<String>,
    /// Hosts that take the mail, each that of one domain; one takes the mail of all.
    pub destinations: u8,
    pub dkim: bool,
}

impl Relay {
    pub fn start(kind: Kind, place: &Place) -> io::Result<Self> {
        if place.work.exists() {
            fs::remove_dir_all(&place.work)?;
        }
        fs::create_dir_all(&place.work)?;
        match kind {
            Kind::Nothing => Ok(Self::at(place.sink)),
            Kind::Posthouse => posthouse(place, None),
            Kind::PosthousePostgres => posthouse_on_postgres(place),
            Kind::Postfix => postfix(place),
            Kind::Haraka => haraka(place),
        }
    }

    fn at(address: SocketAddr) -> Self {
        Self {
            address,
            submissions: None,
            api: None,
            roots: Vec::new(),
            children: Vec::new(),
            stop: Vec::new(),
        }
    }
}

impl Relay {
    /// Ends it as a power cut would.
    pub fn kill(&mut self) -> io::Result<()> {
        for child in &mut self.children {
            child.kill()?;
            child.wait()?;
        }
        self.children.clear();
        Ok(())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            let _ = child.wait();
        }
        for command in &self.stop {
            let _ = Command::new(&command[0])
                .args(&command[1..])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
        }
    }
}

/// Runs a command to its end; its output is part of the error.
pub fn run(command: &mut Command, stdin: &str) -> io::Result<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child
        .stdin
        .take()
        .map(|mut pipe| pipe.write_all(stdin.as_bytes()))
        .transpose()?;
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(io::Error::other(format!(
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    )))
}

pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> io::Result<T> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        if let Some(found) = ask() {
            return Ok(found);
        }
        thread::park_timeout(Duration::from_millis(20));
    }
    Err(io::Error::other(format!("waited in vain: {what}")))
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn posthouse(place: &Place, database: Option<&str>) -> io::Result<Relay> {
    let config = place.work.join("posthouse.toml");
    let smarthost = format!("delivery.route = \"smtp://{}\"", place.sink);
    let route = place.route.as_ref().unwrap_or(&smarthost);
    let mut text = format!(
        "server.hostname = \"relay.example\"\n\
         server.data_dir = \"{}\"\n\
         http.listen = \"127.0.0.1:0\"\n\
         smtp.submission = [\"127.0.0.1:0\"]\n\
         smtp.submissions = [\"127.0.0.1:0\"]\n\
         smtp.inbound = []\n\
         {route}\n\
         delivery.connections_per_lane = {}\n\
         log.format = \"json\"\n\
         webhooks.allow_private = true\n",
        place.work.join("data").display(),
        place.concurrency(),
    );
    if let Some(url) = database {
        text.extend(["database.url = \"", url, "\"\n"]);
    }
    fs::write(&config, text)?;
    let cli = |arguments: &[&str], stdin: &str| {
        run(
            Command::new(&place.posthouse)
                .args(arguments)
                .arg("--config")
                .arg(&config),
            stdin,
        )
    };
    cli(
        &["account", "create", USER, "--password-stdin", "--operator"],
        &format!("{PASSWORD}\n"),
    )?;
    cli(
        &["credential", "create", "--account", USER, "--ip", "127.0.0.0/8"],
        "",
    )?;
    if place.dkim {
        cli(&["domain", "add", DOMAIN, "--account", USER], "")?;
    }
    serve(place)
}

/// Starts the server over what is in the work directory.
pub fn serve(place: &Place) -> io::Result<Relay> {
    let config = place.work.join("posthouse.toml");
    let log = place.work.join("log");
    let child = Command::new(&place.posthouse)
        .args(["serve", "--config"])
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&log)?)
        .spawn()?;
    let mut relay = Relay::at(place.sink);
    relay.roots.push(child.id());
    relay.children.push(child);
    relay.address = wait_for("Posthouse listens", || listening(&log, "submission"))?;
    relay.submissions = Some(wait_for("Posthouse listens", || listening(&log, "submissions"))?);
    relay.api = Some(wait_for("Posthouse listens", || listening(&log, "http"))?);
    Ok(relay)
}

pub fn listening(log: &Path, listener: &str) -> Option<SocketAddr> {
    let text = fs::read_to_string(log).ok()?;
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut lines = lines.filter(|line| line["message"] == "listening" && line["listener"] == listener);
    lines.next()?["address"].as_str()?.parse().ok()
}

fn posthouse_on_postgres(place: &Place) -> io::Result<Relay> {
    let script = place.sources.join("tests/postgres").display().to_string();
    let cluster = place.work.join("postgres");
    let started = run(
        Command::new(&script)
            .arg("start")
            .arg(&cluster)
            .env("POSTHOUSE_POSTGRES_DURABLE", "1"),
        "",
    )?;
    let stop = vec![script, "stop".to_owned(), cluster.display().to_string()];
    let relay = posthouse(place, Some(started.trim()));
    let mut relay = relay.unwrap_or_else(|error| {
        eprintln!("{error}");
        Relay::at(place.sink)
    });
    relay.stop.push(stop);
    let pid = fs::read_to_string(cluster.join("data/postmaster.pid"))?;
    relay.roots.push(first_number(&pid)?);
    if relay.children.is_empty() {
        Err(io::Error::other("Posthouse did not start on PostgreSQL"))
    } else {
        Ok(relay)
    }
}

fn first_number(text: &str) -> io::Result<u32> {
    text.split_ascii_whitespace()
        .next()
        .and_then(|word| word.parse().ok())
        .ok_or_else(|| io::Error::other("no pid"))
}

/// A Postfix of its own, tuned for this load as its experts would: no DNS, no rate limits and no client lookups,
/// connections to the one destination reused, a fixed concurrency, processes that live long, and no syslog daemon.
fn postfix(place: &Place) -> io::Result<Relay> {
    let port = free_port()?;
    let [etc, spool, data] = ["etc", "spool", "data"].map(|name| place.work.join(name));
    for directory in [&etc, &spool, &data] {
        fs::create_dir_all(directory)?;
    }
    run(Command::new("chown").arg("postfix").arg(&data), "")?;
    let mut relay = Relay::at(SocketAddr::from(([127, 0, 0, 1], port)));
    let milter = if place.dkim {
        Some(opendkim(place, &mut relay)?)
    } else {
        None
    };
    fs::write(
        etc.join("main.cf"),
        main_cf(place, &spool, &data, milter.as_deref()),
    )?;
    fs::write(
        etc.join("master.cf"),
        MASTER_CF.replace("PORT", &port.to_string()),
    )?;
    let etc = etc.display().to_string();
    run(Command::new("postfix").args(["-c", &etc, "start"]), "")?;
    relay
        .stop
        .push(["postfix", "-c", &etc, "stop"].map(str::to_owned).to_vec());
    wait_for("Postfix listens", || TcpStream::connect(relay.address).ok())?;
    relay
        .roots
        .push(first_number(&fs::read_to_string(spool.join("pid/master.pid"))?)?);
    Ok(relay)
}

fn main_cf(place: &Place, spool: &Path, data: &Path, milter: Option<&str>) -> String {
    let sink = format!("[{}]:{}", place.sink.ip(), place.sink.port());
    let next_hops = || {
        place
            .hosts()
            .map(|(domain, host)| (domain, format!("[{host}]:{}", place.sink.port())))
    };
    let cached: Vec<String> = std::iter::once(sink.clone())
        .chain(next_hops().map(|(_, next_hop)| next_hop))
        .collect();
    let cached = cached.join(", ");
    let transports: Vec<String> = next_hops()
        .map(|(domain, next_hop)| format!("{{ {domain} = smtp:{next_hop} }}"))
        .collect();
    let transports = match transports.join(" ") {
        none if none.is_empty() => none,
        some => format!("inline:{{ {some} }}"),
    };
    let milter = milter.map_or(String::new(), |socket| {
        format!("smtpd_milters = {socket}\nmilter_default_action = tempfail\nmilter_protocol = 6\n")
    });
    format!(
        "compatibility_level = 3.6\n\
         queue_directory = {spool}\n\
         data_directory = {data}\n\
         command_directory = /usr/sbin\n\
         daemon_directory = /usr/lib/postfix/sbin\n\
         mail_owner = postfix\n\
         setgid_group = postdrop\n\
         myhostname = relay.example\n\
         mydestination =\n\
         alias_maps =\n\
         inet_interfaces = 127.0.0.1\n\
         inet_protocols = ipv4\n\
         mynetworks = 127.0.0.0/8\n\
         relayhost = {sink}\n\
         smtp_dns_support_level = disabled\n\
         smtpd_peername_lookup = no\n\
         smtpd_client_connection_count_limit = 0\n\
         smtpd_client_connection_rate_limit = 0\n\
         smtpd_client_event_limit_exceptions = static:all\n\
         smtpd_recipient_restrictions =\n\
         smtpd_relay_restrictions = permit_mynetworks, reject\n\
         smtputf8_enable = no\n\
         in_flow_delay = 0\n\
         fast_flush_domains =\n\
         max_use = 100000\n\
         max_idle = 600s\n\
         default_process_limit = 200\n\
         initial_destination_concurrency = {concurrency}\n\
         default_destination_concurrency_limit = {concurrency}\n\
         default_destination_concurrency_negative_feedback = 0\n\
         default_destination_concurrency_positive_feedback = 0\n\
         smtp_connection_cache_destinations = {cached}\n\
         transport_maps = {transports}\n\
         smtp_connection_reuse_time_limit = 600s\n\
         {milter}",
        spool = spool.display(),
        data = data.display(),
        concurrency = place.concurrency(),
    )
}

impl Place {
    /// Connections to a host that takes mail. One host has as many as come from the source: a relay that delivers over fewer accepts faster
    /// than it delivers, and holds the difference in memory. From 5 to 50 made no difference to Postfix on two cores beyond the noise.
    const fn concurrency(&self) -> u32 {
        if self.destinations > 1 { 20 } else { 50 }
    }

    /// The domains that have a host of their own, with it.
    fn hosts(&self) -> impl Iterator<Item = (String, String)> {
        let apart = (0..self.destinations).filter(|_| self.destinations > 1);
        apart.map(|number| {
            let host = format!("127.0.0.{}", resolver::FIRST_HOST + number);
            (format!("d{number}.sink.example"), host)
        })
    }
}

const MASTER_CF: &str = "\
PORT       inet  n - n - -   smtpd
pickup     unix  n - n 60 1  pickup
cleanup    unix  n - n - 0   cleanup
qmgr       unix  n - n 300 1 qmgr
tlsmgr     unix  - - n 1000? 1 tlsmgr
rewrite    unix  - - n - -   trivial-rewrite
bounce     unix  - - n - 0   bounce
defer      unix  - - n - 0   bounce
trace      unix  - - n - 0   bounce
verify     unix  - - n - 1   verify
proxymap   unix  - - n - -   proxymap
smtp       unix  - - n - -   smtp
relay      unix  - - n - -   smtp
error      unix  - - n - -   error
retry      unix  - - n - -   error
discard    unix  - - n - -   discard
anvil      unix  - - n - 1   anvil
scache     unix  - - n - 1   scache
";

/// Starts opendkim with an RSA-2048 key and returns its socket as Postfix wants it.
fn opendkim(place: &Place, relay: &mut Relay) -> io::Result<String> {
    let directory = place.work.join("opendkim");
    fs::create_dir_all(&directory)?;
    run(
        Command::new("opendkim-genkey")
            .args(["--bits=2048", "--selector=bench", "--domain", DOMAIN])
            .current_dir(&directory),
        "",
    )?;
    let port = free_port()?;
    let config: PathBuf = directory.join("opendkim.conf");
    fs::write(
        &config,
        format!(
            "Domain {DOMAIN}\nSelector bench\nKeyFile {}\nSocket inet:{port}@127.0.0.1\nMode s\n\
             Canonicalization relaxed/relaxed\nSyslog no\nRequireSafeKeys no\nBackground no\n",
            directory.join("bench.private").display()
        ),
    )?;
    let child = Command::new("opendkim")
        .arg("-f")
        .arg("-x")
        .arg(&config)
        .stdin(Stdio::null())
        .spawn()?;
    relay.roots.push(child.id());
    relay.children.push(child);
    wait_for("opendkim listens", || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    })?;
    Ok(format!("inet:127.0.0.1:{port}"))
}

/// A Haraka of its own with two workers that log warnings only, without DNS and TLS. It writes its queue files without a sync.
fn haraka(place: &Place) -> io::Result<Relay> {
    let modules = place.sources.join("bench/peers/node_modules");
    let port = free_port()?;
    let [config, plugins, queue] = ["config", "plugins", "queue"].map(|name| place.work.join(name));
    for directory in [&config, &plugins, &queue] {
        fs::create_dir_all(directory)?;
    }
    // Settings that a file of ours does not have are not taken from its own one.
    fs::copy(
        modules.join("haraka/config/connection.ini"),
        config.join("connection.ini"),
    )?;
    fs::write(
        config.join("smtp.ini"),
        format!("listen=127.0.0.1:{port}\nnodes=2\n"),
    )?;
    fs::write(config.join("log.ini"), "[main]\nlevel=warn\n")?;
    fs::write(
        config.join("outbound.ini"),
        "enable_tls=false\nconcurrency_max=100\n",
    )?;
    fs::write(config.join("me"), "relay.example\n")?;
    fs::write(config.join("plugins"), "bench\n")?;
    fs::write(
        plugins.join("bench.js"),
        format!(
            "exports.hook_connect = (next, connection) => {{ connection.relaying = true; next(); }};\n\
             exports.hook_rcpt = (next) => next(OK);\n\
             const hosts = {};\n\
             exports.hook_get_mx = (next, mail, domain) => next(OK, {{ priority: 0, exchange: hosts[domain] ?? '{}', port: {} }});\n",
            serde_json::json!(place.hosts().collect::<HashMap<_, _>>()),
            place.sink.ip(),
            place.sink.port()
        ),
    )?;
    let child = Command::new(modules.join(".bin/haraka"))
        .arg("-c")
        .arg(&place.work)
        .stdin(Stdio::null())
        .stdout(File::create(place.work.join("log"))?)
        .stderr(Stdio::null())
        .spawn()?;
    let mut relay = Relay::at(SocketAddr::from(([127, 0, 0, 1], port)));
    relay.roots.push(child.id());
    relay.children.push(child);
    wait_for("Haraka listens", || TcpStream::connect(relay.address).ok())?;
    Ok(relay)
}
