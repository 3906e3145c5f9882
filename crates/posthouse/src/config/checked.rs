//! The second stage: the keys held against each other, and what was left unset filled in.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use store::DatabaseUrl;

use super::Overrides;
use super::keys::{
    Accounts, Acme, Delivery, Guard, Hooks, Http, Log, Settings, Site, Smtp, Storage, Tracking, Webhooks,
};
use super::problem::{ConfigError, Place, Problem};
use super::value::{HostName, HttpUrl, Listen, Setting, Size};

/// A configuration that makes sense. How it is used is each room's own matter.
#[derive(Debug, Clone)]
pub struct Config {
    pub hostname: String,
    pub data_dir: PathBuf,
    pub shutdown_timeout: Duration,
    pub database_url: DatabaseUrl,
    pub http: Http,
    pub smtp: Smtp,
    pub certificate: CertificateFrom,
    pub delivery: Delivery,
    pub site: Site,
    pub accounts: Accounts,
    pub guard: Guard,
    pub webhooks: Webhooks,
    pub hooks: Hooks,
    pub tracking: Tracking,
    pub storage: Storage,
    pub log: Log,
    settings: Settings,
}

/// Where the certificate comes from.
#[derive(Debug, Clone)]
pub enum CertificateFrom {
    /// The operator's own files.
    Files { cert: PathBuf, key: PathBuf },
    /// An ACME authority.
    Acme(Acme),
    /// Nowhere: one is made that nobody vouches for.
    Ourselves,
}

impl Config {
    /// Judges what belongs together. `problems` are those that reading found.
    pub fn check(
        settings: Settings,
        places: &BTreeMap<String, Place>,
        overrides: &Overrides,
        problems: Vec<Problem>,
    ) -> Result<Self, ConfigError> {
        let mut court = Court { places, problems };
        court.listeners(&settings);
        court.limits(&settings);
        court.delivery(&settings);
        court.hooks(&settings);
        let certificate = court.certificate(&settings);
        if !court.problems.is_empty() {
            return Err(ConfigError::Wrong(court.problems));
        }
        let mut settings = settings;
        if let Some(dir) = &overrides.data_dir {
            settings.server.data_dir.clone_from(dir);
        }
        let data_dir = settings.server.data_dir.clone();
        let database_url = settings
            .database
            .url
            .clone()
            .unwrap_or_else(|| DatabaseUrl::Sqlite(data_dir.join("posthouse.db")));
        Ok(Self {
            hostname: settings
                .server
                .hostname
                .clone()
                .map_or_else(machine_name, |HostName(name)| name),
            data_dir,
            shutdown_timeout: settings.server.shutdown_timeout,
            database_url,
            http: settings.http.clone(),
            smtp: settings.smtp.clone(),
            certificate,
            delivery: settings.delivery.clone(),
            site: settings.site.clone(),
            accounts: settings.accounts.clone(),
            guard: settings.guard.clone(),
            storage: settings.storage.clone(),
            log: settings.log.clone(),
            webhooks: settings.webhooks.clone(),
            hooks: settings.hooks.clone(),
            tracking: settings.tracking.clone(),
            settings,
        })
    }

    /// Where people open the console: as configured, else made from the ports that were bound.
    pub fn public_url(&self, http: Option<u16>, https: Option<u16>) -> HttpUrl {
        if let Some(url) = &self.http.public_url {
            return url.clone();
        }
        let text = match (https, http) {
            (Some(443), _) => format!("https://{}", self.hostname),
            (Some(port), _) => format!("https://{}:{port}", self.hostname),
            (None, Some(80)) => "http://localhost".to_owned(),
            (None, port) => format!("http://localhost:{}", port.unwrap_or(8080)),
        };
        HttpUrl::parse(&text).expect("a checked host name and a port make a URL")
    }

    /// The host that names of sending domains lead to for their links, where a browser that comes by one of them is answered:
    /// without TLS anyway, and with it where certificates can be fetched for any name.
    pub fn links_host(&self) -> Option<&str> {
        let url = self.http.public_url.as_ref()?;
        let answers = !url.https || matches!(self.certificate, CertificateFrom::Acme(_));
        let is_name = url.host.contains('.') && url.host.parse::<IpAddr>().is_err();
        (answers && is_name).then_some(url.host.as_str())
    }

    /// The same for a command, which binds no port: with those that are configured.
    pub fn configured_url(&self) -> String {
        let [http, https] = [&self.http.listen, &self.http.listen_tls]
            .map(|list| list.iter().map(|listen| listen.port()).min());
        self.public_url(http, https).as_str().to_owned()
    }

    /// The configuration in force as TOML, without its secrets.
    pub fn show(&self) -> String {
        let mut text = String::new();
        for (section, keys) in self.settings.show() {
            let _ = writeln!(text, "[{section}]");
            for (key, value) in keys {
                let value = match (section, key) {
                    ("server", "hostname") => HostName(self.hostname.clone()).show(),
                    ("database", "url") => self.database_url.show(),
                    _ => value,
                };
                let _ = writeln!(text, "{key} = {value}");
            }
            text.push('\n');
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }
}

/// The name the machine has, or `localhost`.
fn machine_name() -> String {
    ["/proc/sys/kernel/hostname", "/etc/hostname"]
        .iter()
        .filter_map(|file| std::fs::read_to_string(file).ok())
        .find_map(|name| HostName::read(&super::source::Value::Text(name)).ok())
        .map_or_else(|| "localhost".to_owned(), |HostName(name)| name)
}

/// Collects what is wrong, each with the place of the key that is to be changed.
struct Court<'a> {
    places: &'a BTreeMap<String, Place>,
    problems: Vec<Problem>,
}

impl Court<'_> {
    fn object(&mut self, key: &str, text: impl Into<String>) {
        let place = self.places.get(key).cloned().unwrap_or(Place::Default);
        self.problems.push(Problem::new(place, text));
    }

    /// Two listeners cannot share an address, and a server without any is of no use.
    fn listeners(&mut self, settings: &Settings) {
        let lists = [
            ("http.listen", &settings.http.listen),
            ("http.listen_tls", &settings.http.listen_tls),
            ("smtp.submission", &settings.smtp.submission),
            ("smtp.submissions", &settings.smtp.submissions),
            ("smtp.inbound", &settings.smtp.inbound),
        ];
        let mut seen: Vec<(&str, Listen)> = Vec::new();
        for (key, list) in lists {
            for listen in list {
                if let Some((other, _)) = seen.iter().find(|(_, other)| collide(*other, *listen)) {
                    let text = format!(
                        "{key} wants {listen}, which {other} has already; give one of them another port"
                    );
                    self.object(key, text);
                }
                seen.push((key, *listen));
            }
        }
        if settings.http.listen.is_empty() && settings.http.listen_tls.is_empty() {
            self.object(
                "http.listen",
                "http.listen and http.listen_tls are both empty; name an address for one of them",
            );
        }
    }

    fn limits(&mut self, settings: &Settings) {
        // RFC 5321 section 4.5.3.1.7 has servers take 64 KiB at least.
        if settings.smtp.max_message_size < Size(64 << 10) || settings.smtp.max_message_size > Size(512 << 20)
        {
            let text = format!(
                "smtp.max_message_size is {}; expected a size from 64 KiB to 512 MiB; correct it",
                settings.smtp.max_message_size.show()
            );
            self.object("smtp.max_message_size", text);
        }
        let durations = [
            ("smtp.command_timeout", settings.smtp.command_timeout),
            ("smtp.data_timeout", settings.smtp.data_timeout),
            ("delivery.give_up", settings.delivery.give_up),
        ];
        for (key, duration) in durations {
            if duration.is_zero() {
                self.object(
                    key,
                    format!("{key} is zero; expected a duration such as \"5m\"; correct it or remove it"),
                );
            }
        }
    }

    fn hooks(&mut self, settings: &Settings) {
        let hooks = &settings.hooks;
        let (memory, steps) = (hooks.memory, hooks.steps.get());
        if !(Size(1 << 20)..=Size(256 << 20)).contains(&memory) {
            let text = format!(
                "hooks.memory is {}; expected a size from 1 MiB to 256 MiB; correct it",
                memory.show()
            );
            self.object("hooks.memory", text);
        }
        if !(10_000..=100_000_000).contains(&steps) {
            let text =
                format!("hooks.steps is {steps}; expected a number from 10000 to 100000000; correct it");
            self.object("hooks.steps", text);
        }
        let within = |millis: std::ops::RangeInclusive<u64>, time: Duration| {
            (Duration::from_millis(*millis.start())..=Duration::from_millis(*millis.end())).contains(&time)
        };
        if !within(5..=5_000, hooks.processor_time) {
            let text = format!(
                "hooks.processor_time is {}; expected a duration from 5 ms to 5 seconds; correct it",
                hooks.processor_time.show()
            );
            self.object("hooks.processor_time", text);
        }
        if !within(100..=30_000, hooks.time) || hooks.time < hooks.processor_time {
            let text = format!(
                "hooks.time is {}; expected a duration from 100 ms to 30 seconds and no less than hooks.processor_time; \
                 correct it",
                hooks.time.show()
            );
            self.object("hooks.time", text);
        }
        if !within(100..=60_000, hooks.time_together) || hooks.time_together < hooks.time {
            let text = format!(
                "hooks.time_together is {}; expected a duration from 100 ms to 1 minute and no less than hooks.time; correct it",
                hooks.time_together.show()
            );
            self.object("hooks.time_together", text);
        }
    }

    fn delivery(&mut self, settings: &Settings) {
        let retry = &settings.delivery.retry;
        if retry.is_empty() || retry.iter().any(Duration::is_zero) {
            let text =
                "delivery.retry needs at least one duration and none of zero; remove it for the default";
            self.object("delivery.retry", text);
        }
        let sources = &settings.delivery.source_address;
        if sources.iter().filter(|ip| ip.is_ipv4()).count() > 1
            || sources.iter().filter(|ip| ip.is_ipv6()).count() > 1
        {
            let text = "delivery.source_address names two addresses of one family; keep one IPv4 and one IPv6 at most";
            self.object("delivery.source_address", text);
        }
    }

    fn certificate(&mut self, settings: &Settings) -> CertificateFrom {
        let acme = !settings.acme.domains.is_empty();
        match (&settings.tls.cert, &settings.tls.key) {
            (Some(_), Some(_)) if acme => {
                let text = "tls.cert and acme.domains both name a certificate; remove one of them";
                self.object("acme.domains", text);
            }
            (Some(cert), Some(key)) => {
                return CertificateFrom::Files {
                    cert: cert.clone(),
                    key: key.clone(),
                };
            }
            (Some(_), None) => self.object(
                "tls.cert",
                "tls.cert is set and tls.key is not; name the private key too",
            ),
            (None, Some(_)) => self.object(
                "tls.key",
                "tls.key is set and tls.cert is not; name the certificate too",
            ),
            (None, None) => {}
        }
        if acme && settings.http.listen.is_empty() {
            let text = "acme.domains needs http.listen, where the authority looks for its proof; name an address that \
                        port 80 reaches, such as \"*:80\"";
            self.object("acme.domains", text);
        }
        if acme {
            CertificateFrom::Acme(settings.acme.clone())
        } else {
            CertificateFrom::Ourselves
        }
    }
}

/// Whether two listeners want the same port of the same address. Port 0 is any free one.
fn collide(a: Listen, b: Listen) -> bool {
    if a.port() != b.port() || a.port() == 0 {
        return false;
    }
    match (a, b) {
        (Listen::One(a), Listen::One(b)) => {
            a.ip() == b.ip()
                || (a.is_ipv4() == b.is_ipv4() && (a.ip().is_unspecified() || b.ip().is_unspecified()))
        }
        _ => true,
    }
}
