//! The real binary with a data directory, a configuration and ports of its own; ended when the value goes.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use store::DatabaseUrl;
use tempfile::TempDir;

use super::dns::Dns;
use super::engine::{Database, Engine};
use super::http::Http;
use super::sink::Sink;
use super::smtp::Smtp;
use super::wait::eventually;

/// The password of accounts whose password does not matter.
pub const PASSWORD: &str = "four-horses-at-dawn-77";

/// A Posthouse that is not started yet.
pub struct Setup {
    settings: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    database: Option<Database>,
    home: TempDir,
}

pub struct Posthouse {
    child: Option<Child>,
    log: Arc<Mutex<Vec<Value>>>,
    setup: Setup,
}

impl Posthouse {
    /// Every listener on a free loopback port, mail kept in the local inbox, the database of `engine`.
    pub fn on(engine: Engine) -> Setup {
        let database = (engine == Engine::Postgres).then(Database::create);
        let setup = Setup {
            settings: Vec::new(),
            environment: Vec::new(),
            database,
            home: TempDir::new().unwrap(),
        };
        let setup = setup
            .set("server.hostname", "\"mail.example.com\"")
            .set("http.listen", "[\"127.0.0.1:0\"]")
            .set("smtp.submission", "[\"127.0.0.1:0\"]")
            .set("smtp.submissions", "[\"127.0.0.1:0\"]")
            .set("smtp.inbound", "[]")
            .set("delivery.route", "\"capture\"");
        match setup.database.as_ref().map(Database::url) {
            Some(url) => setup.database_url(&url),
            None => setup,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the server runs").id()
    }

    /// What the server logged so far.
    pub fn log(&self) -> Vec<Value> {
        self.log.lock().unwrap().clone()
    }

    /// Waits for a line of the log that contains `text`, and returns it.
    #[track_caller]
    pub fn wait_for_log(&self, text: &str) -> Value {
        eventually(&format!("{text:?} in the log"), || {
            let log = self.log.lock().unwrap();
            log.iter().find(|line| line.to_string().contains(text)).cloned()
        })
    }

    /// Where a listener listens: `submission`, `submissions`, `inbound`, `http`.
    pub fn address(&self, listener: &str) -> SocketAddr {
        self.listening(listener)
            .unwrap_or_else(|| panic!("no listener {listener}"))
    }

    fn listening(&self, listener: &str) -> Option<SocketAddr> {
        let log = self.log.lock().unwrap();
        let line = log
            .iter()
            .find(|line| line["message"] == "listening" && line["listener"] == listener)?;
        line["address"].as_str()?.parse().ok()
    }

    /// A client on the STARTTLS port that has read the banner, and no more.
    pub fn smtp(&self) -> Smtp {
        let mut smtp = Smtp::connect(self.address("submission"));
        smtp.reply().expect("220");
        smtp
    }

    /// A client on the implicit TLS port that has read the banner, and no more.
    pub fn smtps(&self) -> Smtp {
        let mut smtp = Smtp::connect_tls(self.address("submissions"));
        smtp.reply().expect("220");
        smtp
    }

    /// A client under STARTTLS, signed in with the test password.
    #[track_caller]
    pub fn signed_in(&self, email: &str) -> Smtp {
        let mut smtp = self.smtp();
        smtp.ehlo().expect("250");
        smtp.starttls();
        smtp.auth_plain(email, PASSWORD).expect("235 2.7.0");
        smtp
    }

    pub fn http(&self) -> Http {
        Http::new(format!("http://{}", self.address("http")))
    }

    /// Creates an account with the test password, beside the running server.
    #[track_caller]
    pub fn create_account(&self, email: &str) {
        self.setup.create_account(email);
    }

    /// Creates an account, and signs a browser of its owner in.
    #[track_caller]
    pub fn owner(&self, email: &str) -> Http {
        self.create_account(email);
        let mut http = self.http();
        http.sign_in(email, PASSWORD);
        http
    }

    /// Creates an operator's account beside those that the test is about, and signs a browser of its owner in.
    #[track_caller]
    pub fn operator(&self) -> Http {
        let email = "root@example.com";
        self.cli(
            &["account", "create", email, "--password-stdin", "--operator"],
            PASSWORD,
        );
        let mut http = self.http();
        http.sign_in(email, PASSWORD);
        http
    }

    /// Runs a command of the binary on this server's data and configuration; it must succeed.
    #[track_caller]
    pub fn cli(&self, arguments: &[&str], stdin: &str) -> String {
        self.setup.cli(arguments, stdin)
    }

    /// Runs a command and returns how it went.
    pub fn try_cli(&self, arguments: &[&str], stdin: &str) -> Output {
        self.setup.try_cli(arguments, stdin)
    }

    pub fn data(&self) -> PathBuf {
        self.setup.data()
    }

    /// Where the data is, to look at it beside the server.
    pub fn database(&self) -> DatabaseUrl {
        match &self.setup.database {
            Some(database) => DatabaseUrl::Postgres(database.url()),
            None => DatabaseUrl::Sqlite(self.data().join("posthouse.db")),
        }
    }

    /// Ends the connections of the server to its database, where that is PostgreSQL; false where it is a file.
    pub fn cut_database(&self) -> bool {
        let database = self.setup.database.as_ref();
        database.map(Database::cut_connections).is_some()
    }

    /// Lets time pass for a server whose clock moves, and for its commands.
    pub fn pass(&self, time: Duration) {
        self.move_clock(time.as_secs() as i64);
    }

    /// Sets the clock back, as whoever corrects one does.
    pub fn set_back(&self, time: Duration) {
        self.move_clock(-(time.as_secs() as i64));
    }

    /// By how many seconds the clock is off.
    fn moved(&self) -> i64 {
        let moved = std::fs::read_to_string(self.setup.clock_file()).unwrap_or_default();
        moved.parse().unwrap_or(0)
    }

    fn move_clock(&self, seconds: i64) {
        let file = self.setup.clock_file();
        let passed = self.moved() + seconds;
        let new = file.with_extension("new");
        std::fs::write(&new, passed.to_string()).unwrap();
        std::fs::rename(new, file).unwrap();
    }

    /// What the clock of a server says whose clock moves.
    pub fn now(&self) -> mail::time::Time {
        let now = store::Clock::system().now();
        mail::time::Time::from_micros(now.as_micros() + self.moved() * 1_000_000)
    }

    /// A second server over the same database, with a data directory and ports of its own.
    pub fn second(&self) -> Posthouse {
        self.beside().start()
    }

    /// The same before it starts, for settings of its own.
    pub fn beside(&self) -> Setup {
        let key = |wanted: &str| self.setup.settings.iter().find(|(key, _)| key == wanted).cloned();
        let (_, url) = key("database.url").expect("the database is one that nodes share");
        let mut setup = Posthouse::on(Engine::Sqlite).set("database.url", &url);
        setup.environment.clone_from(&self.setup.environment);
        setup
    }

    /// A client from another address of this machine, under TLS, that has said EHLO.
    pub fn smtp_from(&self, ip: [u8; 4]) -> Smtp {
        let mut smtp = Smtp::connect_from(self.address("submission"), ip.into());
        smtp.reply().expect("220");
        smtp.ehlo().expect("250");
        smtp.starttls();
        smtp
    }

    /// Ends the server as a power cut would, without a word.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks the server to end, and waits for it.
    pub fn stop(&mut self) -> Option<i32> {
        let mut child = self.child.take().expect("the server runs");
        signal(child.id(), "TERM");
        let code = eventually("the server ends when asked", || child.try_wait().unwrap());
        code.code()
    }

    /// Starts again on the same data, after `kill` or `stop`. Ports are new.
    pub fn start_again(&mut self) {
        self.start_again_in(&[]);
    }

    /// The same with these in its environment, this once.
    pub fn start_again_in(&mut self, environment: &[(&str, &str)]) {
        assert!(self.child.is_none(), "still running");
        self.log.lock().unwrap().clear();
        self.setup.write_config();
        let mut command = self.setup.command(&["serve"]);
        command.envs(environment.iter().copied());
        self.child = Some(spawn(command, &self.log));
        self.wait_until_it_listens();
    }

    /// As [`Self::start_again`], with another value for one setting.
    pub fn start_again_with(&mut self, key: &str, value: &str) {
        self.setup.replace(key, value);
        self.start_again();
    }

    fn wait_until_it_listens(&mut self) {
        let wanted = self.setup.wanted_listeners();
        eventually("every listener listens", || {
            if let Some(code) = self.child.as_mut()?.try_wait().unwrap() {
                panic!(
                    "the server ended at its start: {code}\n{}",
                    render(&self.log.lock().unwrap())
                );
            }
            wanted
                .iter()
                .all(|listener| self.listening(listener).is_some())
                .then_some(())
        });
    }
}

impl Drop for Posthouse {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("--- the server's log\n{}---", render(&self.log.lock().unwrap()));
        }
    }
}

impl Setup {
    /// A setting as TOML has it: `set("delivery.route", "\"mx\"")`. The last one for a key counts.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.replace(key, value);
        self
    }

    /// A setting that names a file or a directory.
    #[must_use]
    pub fn set_path(self, key: &str, path: &Path) -> Self {
        self.set(key, &format!("{:?}", path.display().to_string()))
    }

    fn replace(&mut self, key: &str, value: &str) {
        self.settings.retain(|(given, _)| given != key);
        self.settings.push((key.to_owned(), value.to_owned()));
    }

    /// A clock that [`Posthouse::pass`] moves.
    #[must_use]
    pub fn moving_clock(self) -> Self {
        let file = self.clock_file();
        self.environment("POSTHOUSE_TEST_CLOCK", &file.display().to_string())
    }

    fn clock_file(&self) -> PathBuf {
        self.home.path().join("clock")
    }

    #[must_use]
    pub fn environment(mut self, key: &str, value: &str) -> Self {
        self.environment.push((key.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn database_url(self, url: &str) -> Self {
        self.set("database.url", &format!("{url:?}"))
    }

    /// Everything goes to this sink, as to a smarthost.
    #[must_use]
    pub fn route_to(self, sink: &Sink) -> Self {
        self.set("delivery.route", &format!("\"smtp://{}\"", sink.address()))
    }

    /// Mail goes where these zones say, on loopback, to `port` instead of 25.
    #[must_use]
    pub fn resolve_with(self, dns: &Dns, port: u16) -> Self {
        self.set("delivery.route", "\"mx\"")
            .set("delivery.resolver", &format!("[\"{}\"]", dns.address()))
            .set("delivery.port", &port.to_string())
            .set("delivery.allow_private", "true")
    }

    /// Retries follow each other in test time.
    #[must_use]
    pub fn retry_fast(self) -> Self {
        self.set("delivery.retry", "[\"100ms\"]")
    }

    pub fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    pub fn config(&self) -> PathBuf {
        self.home.path().join("posthouse.toml")
    }

    fn wanted_listeners(&self) -> Vec<String> {
        let given = |key: &str| {
            self.settings
                .iter()
                .any(|(name, value)| name == key && value != "[]")
        };
        let listeners = [
            ("submission", "smtp.submission"),
            ("submissions", "smtp.submissions"),
            ("inbound", "smtp.inbound"),
            ("http", "http.listen"),
        ];
        listeners
            .iter()
            .filter(|(_, key)| given(key))
            .map(|(listener, _)| (*listener).to_owned())
            .collect()
    }

    pub fn write_config(&self) {
        let mut text = String::new();
        for (key, value) in &self.settings {
            writeln!(text, "{key} = {value}").unwrap();
        }
        std::fs::write(self.config(), text).unwrap();
    }

    /// The binary with this configuration; arguments are the caller's.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_posthouse"));
        command
            .args(arguments)
            .arg("--config")
            .arg(self.config())
            .env("POSTHOUSE__SERVER__DATA_DIR", self.data())
            .env("POSTHOUSE__LOG__FORMAT", "json")
            .envs(self.environment.iter().map(|(key, value)| (key, value)))
            .current_dir(self.home.path());
        command
    }

    #[track_caller]
    pub fn create_account(&self, email: &str) {
        self.cli(&["account", "create", email, "--password-stdin"], PASSWORD);
    }

    #[track_caller]
    pub fn cli(&self, arguments: &[&str], stdin: &str) -> String {
        let output = self.try_cli(arguments, stdin);
        assert!(
            output.status.success(),
            "posthouse {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub fn try_cli(&self, arguments: &[&str], stdin: &str) -> Output {
        self.write_config();
        let mut command = self.command(arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let _ = child
            .stdin
            .take()
            .unwrap()
            .write_all(format!("{stdin}\n").as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Starts the server and waits until every listener listens.
    #[track_caller]
    pub fn start(self) -> Posthouse {
        self.write_config();
        let command = self.command(&["serve"]);
        self.start_by(command)
    }

    /// The same by a command of the test's own, which may have its settings from elsewhere.
    #[track_caller]
    pub fn start_by(self, command: Command) -> Posthouse {
        let log = Arc::new(Mutex::new(Vec::new()));
        let child = Some(spawn(command, &log));
        let mut server = Posthouse {
            child,
            log,
            setup: self,
        };
        server.wait_until_it_listens();
        server
    }

    /// Starts the server, which is expected to refuse; returns its exit code and what it said.
    #[track_caller]
    pub fn start_refused(&self) -> (i32, String) {
        self.write_config();
        let mut child = quiet(self.command(&["serve"]));
        let status = eventually("the server refuses to start", || child.try_wait().unwrap()).code();
        let said = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
        let code = status.expect("an exit code");
        assert_ne!(code, 0, "the server ended well: {said}");
        (code, said)
    }
}

/// Starts a server and keeps its log.
fn spawn(command: Command, log: &Arc<Mutex<Vec<Value>>>) -> Child {
    let mut child = quiet(command);
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let log = Arc::clone(log);
    thread::spawn(move || {
        for line in stderr.lines().map_while(Result::ok) {
            let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
            log.lock().unwrap().push(value);
        }
    });
    child
}

/// Starts a command that is heard on standard error only.
fn quiet(mut command: Command) -> Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Sends a signal by name to a process of the test's own.
pub fn signal(pid: u32, name: &str) {
    let done = Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .status()
        .unwrap();
    assert!(done.success(), "kill -{name} {pid}");
}

/// Stops a process of the test's own and waits until each of its threads stands: the signal reaches them one by one.
pub fn stand_still(pid: u32) {
    signal(pid, "STOP");
    eventually("every thread stands still", || {
        let mut threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        let stands = |thread: fs::DirEntry| {
            let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(") ")
                .is_some_and(|(_, rest)| rest.starts_with('T'))
        };
        threads.all(|thread| stands(thread.unwrap())).then_some(())
    });
}

fn render(log: &[Value]) -> String {
    let mut text = String::new();
    for line in log {
        let _ = match line {
            Value::String(line) => writeln!(text, "{line}"),
            line => writeln!(text, "{line}"),
        };
    }
    text
}
