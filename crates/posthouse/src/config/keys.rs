//! Every key there is: its meaning, its type and its default, from which the reference page is made too.

use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use outbound::route::Route;
use store::DatabaseUrl;

use super::percent::Percent;
use super::problem::Problem;
use super::site::SiteName;
use super::source::{Found, Value};
use super::value::{HostName, HttpUrl, Listen, LogFilter, Mailbox, Misfit, NameServer, Setting, Size};
use super::words::{BareLf, LogFormat, Signup};
use crate::site::Color;

/// One key as the reference page shows it.
pub struct KeyDoc {
    pub name: String,
    pub doc: String,
    pub expected: String,
    pub default: String,
}

/// One section as the reference page shows it.
pub struct SectionDoc {
    pub name: &'static str,
    pub doc: String,
    pub keys: Vec<KeyDoc>,
}

macro_rules! settings {
    ($(
        $(#[doc = $section_doc:literal])*
        $section:ident: $Section:ident {
            $( $(#[doc = $doc:literal])* $key:ident: $type:ty = $default:literal, )*
        }
    )*) => {
        $(
            $(#[doc = $section_doc])*
            #[derive(Debug, Clone)]
            pub struct $Section { $( $(#[doc = $doc])* pub $key: $type, )* }
        )*

        /// Every section, each key read or at its default.
        #[derive(Debug, Clone)]
        pub struct Settings { $( pub $section: $Section, )* }

        impl Settings {
            /// Takes every known key out of what was found. A value that does not fit is a problem, and its
            /// default stands in so that the others are judged too.
            pub fn read(found: &mut Found, problems: &mut Vec<Problem>) -> Self {
                Self { $( $section: $Section { $(
                    $key: one(found, concat!(stringify!($section), ".", stringify!($key)), $default, problems),
                )* }, )* }
            }

            /// `section.key` of every key.
            pub fn names() -> Vec<String> {
                vec![$( $( concat!(stringify!($section), ".", stringify!($key)).to_owned(), )* )*]
            }

            /// Every section with its keys, for the reference page.
            pub fn docs() -> Vec<SectionDoc> {
                vec![$( SectionDoc {
                    name: stringify!($section),
                    doc: prose(&[$($section_doc),*]),
                    keys: vec![$( KeyDoc {
                        name: concat!(stringify!($section), ".", stringify!($key)).to_owned(),
                        doc: prose(&[$($doc),*]),
                        expected: <$type as Setting>::expected().into_owned(),
                        default: standard::<$type>($default).show(),
                    }, )*],
                }, )*]
            }

            /// Every key as a line of TOML, secrets left out.
            pub fn show(&self) -> Vec<(&'static str, Vec<(&'static str, String)>)> {
                vec![$( (stringify!($section), vec![$( (stringify!($key), self.$section.$key.show()), )*]), )*]
            }
        }
    };
}

settings! {
    /// Who this server is, and where it keeps its data.
    server: Server {
        /// The name this server gives itself in SMTP greetings, Received and Message-ID headers and certificates.
        /// It should resolve to this machine, and this machine's address should resolve back to it.
        /// Unset: the name the machine has.
        hostname: Option<HostName> = "",
        /// The directory that holds the database, the certificates and the lock. It is made when it is missing,
        /// readable for its owner only. One server runs on it at a time. A relative path counts from where
        /// the server was started.
        data_dir: PathBuf = "./posthouse-data",
        /// How long a server that was told to stop lets mail in transfer finish before it stops anyway. Nothing is lost
        /// either way.
        shutdown_timeout: Duration = "20s",
    }

    /// Where accounts, mail and history are kept.
    database: Database {
        /// `sqlite:PATH` is a file and needs nothing else; `postgres://...` lets several servers share the work
        /// (`?sslmode=require` for TLS). Unset: `posthouse.db` in the data directory.
        url: Option<DatabaseUrl> = "",
    }

    /// Console, API and probes.
    http: Http {
        /// Where HTTP is spoken without TLS: behind a reverse proxy, on the machine itself, and on port 80 for ACME.
        listen: Vec<Listen> = "*:8080",
        /// Where HTTP is spoken with TLS, with the certificate of [tls] or [acme].
        listen_tls: Vec<Listen> = "",
        /// The address people open the console at. Links are made with it, and cookies are kept to https when it says
        /// https. Unset: the hostname with the first port of `listen_tls`, else localhost with the first of `listen`.
        public_url: Option<HttpUrl> = "",
        /// Who may read `/metrics`. An operator's API key may from everywhere.
        metrics_from: Vec<IpNet> = "127.0.0.0/8, ::1",
        /// The most API requests a minute of one key, one session or, without either, one network; 0: no limit. A batch of messages
        /// is one request.
        requests_per_minute: u32 = "6000",
        /// Reverse proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
        proxies: Vec<IpNet> = "127.0.0.0/8, ::1",
    }

    /// The doors mail comes in through.
    smtp: Smtp {
        /// Where programs and mail clients submit, with STARTTLS. In production `"*:587"` and `"*:2525"`.
        submission: Vec<Listen> = "*:2587, *:2525",
        /// The same with TLS from the first byte. In production `"*:465"`.
        submissions: Vec<Listen> = "*:2465",
        /// Where other mail servers deliver bounces and complaints; no sign-in is offered there. In production `"*:25"`. Where it
        /// is set, each delivery gets a signed return path at `server.hostname`, and nothing is taken but reports to these and mail
        /// to addresses that unsubscribe.
        inbound: Vec<Listen> = "",
        /// The largest message as sent, that is with its attachments encoded.
        max_message_size: Size = "25 MiB",
        /// The most recipients one message may have.
        max_recipients: NonZeroU32 = "1000",
        /// The most octets one line of a message may have. The standard says 998, and many real senders pass that; to wrap
        /// their lines would break their signatures, so they are passed on as they are. Set it to 998 to refuse them.
        max_line_length: NonZeroU32 = "1000000",
        /// The most connections at a time, over all SMTP listeners.
        max_connections: NonZeroU32 = "2000",
        /// The most connections at a time of one client: an IPv4 address or an IPv6 /64.
        connections_per_client: NonZeroU32 = "50",
        /// Proxies in front of these listeners. A connection from there has to begin with a header of the PROXY protocol
        /// (version 1 or 2; the proxy has to be told to send it), which is believed; nobody else may send one.
        proxies: Vec<IpNet> = "",
        /// How long a client may take for its next command.
        command_timeout: Duration = "5m",
        /// How long the transfer of one message may take.
        data_timeout: Duration = "30m",
        /// What becomes of a line feed without a carriage return in a message: `repair` makes it CRLF before anything is
        /// signed or stored, `refuse` refuses the message.
        bare_lf: BareLf = "repair",
        /// Offers SCRAM-SHA-256 beside PLAIN and LOGIN, and SCRAM-SHA-256-PLUS under TLS 1.3, so that the password itself never
        /// travels. What is stored for it is weaker than the argon2id hash beside it: whoever steals the database guesses
        /// at passwords thousands of times faster. The keys are made when a password is set or next used, and deleted when a server
        /// starts with this off. Named SMTP credentials cannot use it; a program that prefers SCRAM has to be told PLAIN for one.
        scram: bool = "false",
    }

    /// A certificate of your own. Without one, and without [acme], one is made at first start that no client trusts
    /// by itself.
    tls: Tls {
        /// The certificate and what it was issued by, in PEM. A changed file is picked up within a minute, or
        /// at once on SIGHUP.
        cert: Option<PathBuf> = "",
        /// Its private key, in PEM.
        key: Option<PathBuf> = "",
    }

    /// A certificate from an ACME authority such as Let's Encrypt, renewed by itself when a third of its life is left.
    /// What fails is tried again after growing waits, and at once on SIGHUP. Naming a domain here accepts the
    /// authority's terms of service. Certificates, their keys and our account with the authority are kept in the database: of several
    /// servers on one database one orders, and all prove and show what they have the same names for.
    acme: Acme {
        /// The names the certificate is for. It is fetched as soon as there is one. Port 80 of each name has to reach
        /// an address of `http.listen`, of any server on the database.
        domains: Vec<HostName> = "",
        /// Where the authority may write to.
        contact: Option<Mailbox> = "",
        /// The directory of the authority.
        directory: HttpUrl = "https://acme-v02.api.letsencrypt.org/directory",
        /// Certificates to trust when talking to the authority, in PEM; for an authority of your own. Unset: the
        /// system's.
        ca_file: Option<PathBuf> = "",
    }

    /// How mail leaves.
    delivery: Delivery {
        /// `mx` delivers to each recipient's own server. A URL hands everything to one server: `smtp://` with TLS if it is
        /// offered, `smtp+starttls://` and `smtps://` with TLS and a certificate that fits. `capture` keeps everything in a
        /// local inbox that the console shows, and nothing leaves.
        route: Route = "mx",
        /// How long a recipient waits before each next try; the last one repeats. Each wait is varied by up to a fifth.
        retry: Vec<Duration> = "1m, 5m, 15m, 30m, 1h, 2h, 4h, 6h",
        /// How long delivery is tried before the message goes back to its sender.
        give_up: Duration = "5d",
        /// From which age on a sender who asked for that (NOTIFY=DELAY) is told that his message still waits, once. `"0s"`: never.
        warn_after: Duration = "4h",
        /// The most connections at a time to one destination.
        connections_per_lane: NonZeroU32 = "20",
        /// A domain of yours below which you publish DKIM keys that your users lead to by a CNAME record, instead of a key of their
        /// own each. `posthouse dkim` prints what to publish, and replaces the key without them doing anything.
        dkim_zone: Option<HostName> = "",
        /// Name servers to ask. Empty: the system's.
        resolver: Vec<NameServer> = "",
        /// The port of other mail servers.
        port: NonZeroU16 = "25",
        /// Whether mail may be delivered to private, loopback and link-local addresses. For tests and closed networks.
        allow_private: bool = "false",
        /// Certificates to trust for a server named in `route`, in PEM, beside the system's.
        ca_file: Option<PathBuf> = "",
        /// The addresses to deliver from, at most one IPv4 and one IPv6. Empty: the system chooses.
        source_address: Vec<IpAddr> = "",
    }

    /// The public pages: home, SMTP settings and help.
    site: Site {
        /// What the service is called on them.
        name: SiteName = "Posthouse",
        /// The colour of links and buttons. Where it would be hard to read it is darkened, or lightened for dark pages.
        accent: Option<Color> = "",
        /// A picture in place of the horn and the name, SVG or PNG, at most 48 KiB.
        logo: Option<PathBuf> = "",
        /// Your terms, in Markdown. Without them the page says that you have published none.
        terms: Option<PathBuf> = "",
        /// Your privacy notice, in Markdown. Without it the page says that you have published none.
        privacy: Option<PathBuf> = "",
        /// A folder of help articles of your own: `en/NAME.md` and `fr/NAME.md`, made like those of the project. An article
        /// with the name of one of ours takes its place; one that is there in one language only is shown in both.
        help_dir: Option<PathBuf> = "",
        /// The address that people are told to write to.
        contact: Option<Mailbox> = "",
    }

    /// Who may send, and how much.
    accounts: Accounts {
        /// Credits a new account starts with; one credit is one recipient. Operators' own accounts are not limited.
        free_credits: u32 = "500",
        /// Who may open an account: `open` (anybody who confirms an address), `invite` (whoever the operator invited, with
        /// `posthouse account invite` or the API) or `closed` (nobody; the operator makes accounts). An account that opened
        /// itself sends to its own address only, until one of its sending domains is verified. An operator can choose otherwise in
        /// the console; that counts on every node at once and goes before this key, until "as configured" is chosen there.
        signup: Signup = "closed",
        /// Whom our own mail comes from: links to confirm an address or to choose a new password, and news about an account.
        /// Unset: `postmaster` at `server.hostname`. Where the first operator's account has verified the domain of this
        /// address, the mail is signed for it.
        notices_from: Option<Mailbox> = "",
        /// The most recipients a day (of UTC) of an account that the operator made; 0: no limit. What is over a limit is refused
        /// for the day (450, the API answers 429) and nothing of it is lost. The operator can give one account other limits.
        daily_recipients: u32 = "0",
        /// Of these, the most that the account has never written to before; 0: no limit. It counts from the day it is set: whom
        /// an account wrote to without such a limit is not known. Recipients are remembered as keyed hashes, for 400 days.
        first_time_recipients: u32 = "0",
        /// The same for accounts that opened themselves. A stolen password or a farmed account is worth to a spammer what it can
        /// send before somebody looks.
        opened_daily_recipients: u32 = "1000",
        /// Most honest senders write to the same people again; lists that somebody bought are all first-time recipients.
        opened_first_time_recipients: u32 = "200",
    }

    /// When an account is paused by itself. It can sign in and read, new mail is refused with the reason, and what waits is held
    /// until the pause is lifted, or returned. The operator's own accounts are never paused.
    guard: Guard {
        /// More than this share of the last 1,000 recipients refused for good, at least 50 of at least 200. `"0%"`: never.
        bounces: Percent = "8%",
        /// More than this share of them complained, at least 4 of at least 200. Mailbox providers report them to
        /// `smtp.inbound`, as mail to the signed return paths. `"0%"`: never.
        complaints: Percent = "0.3%",
        /// Whether owners and admins of a paused account may lift the pause themselves, once a day. Otherwise the operator decides.
        owner_resumes: bool = "false",
    }

    /// Calls to other people's servers.
    webhooks: Webhooks {
        /// Whether webhooks may go to private addresses, loopback included, to any port, and without TLS (`http://`). For tests
        /// and closed networks: whoever has an account can then reach what this server can. Otherwise a webhook has to begin
        /// with `https://`, on port 443 or from 1024 on.
        allow_private: bool = "false",
    }

    /// What one call of an event hook's script may take, and all hooks together. Scripts are written by whoever has an account; one
    /// that takes more is ended there and counts as broken.
    hooks: Hooks {
        /// The most memory, from 1 MiB to 256 MiB. As many calls as this machine has processors hold it at once, and again as many of
        /// the operator's own hooks.
        memory: Size = "16 MiB",
        /// The most steps (loops, calls, returns), from 10000 to 100000000.
        steps: NonZeroU32 = "1000000",
        /// The most time of a processor, from 5 ms to 5 seconds.
        processor_time: Duration = "50ms",
        /// The most time from its beginning to its end, from 100 ms to 30 seconds and no less than `hooks.processor_time`. The client
        /// waits for it.
        time: Duration = "1s",
        /// The most time that all hooks of an account take together for one SMTP command, or for one message over the API, what
        /// receivers take to answer among it; the operator's have as much for themselves, and so has the wait for turns. From 100 ms
        /// to 1 minute and no less than `hooks.time`. A script or a receiver that comes later is not asked and counts as broken; where
        /// the operator's come later because one message over the API makes them be asked often, mail waits for them.
        time_together: Duration = "10s",
    }

    /// Opens and clicks of tracked messages.
    tracking: Tracking {
        /// A database of the countries of IP addresses in the MMDB format (`.mmdb`). A new file in its place is read within
        /// half a minute, and at once on SIGHUP. Unset: figures of opens and clicks say nothing about countries. Addresses
        /// themselves are never kept.
        geoip: Option<PathBuf> = "",
    }

    /// How long things are kept.
    storage: Storage {
        /// How long the content of a message stays after it came in, for the console to show; longer where somebody still
        /// waits for it. `"0s"`: no longer than that. An account can choose otherwise. What is kept costs about twice what only passes through.
        keep_content: Duration = "3d",
        /// How long a message, its recipients and attempts stay on record after the last that happened to it. An account can choose
        /// otherwise.
        keep_messages: Duration = "30d",
        /// The longest that an account may choose to keep the content of its messages, in whole days.
        content_at_most: Duration = "30d",
        /// The longest that an account may choose to keep its messages, recipients and attempts on record.
        messages_at_most: Duration = "365d",
    }

    /// What the server writes to standard error.
    log: Log {
        /// `text` for people, `json` for programs: one object a line.
        format: LogFormat = "text",
        /// `error`, `warn`, `info`, `debug` or `trace`; parts may differ: `"info,posthouse::smtp=debug"`.
        level: LogFilter = "info",
    }
}

/// Reads one key, its default where it is missing or wrong.
fn one<T: Setting>(found: &mut Found, name: &str, default: &'static str, problems: &mut Vec<Problem>) -> T {
    let Some((value, place)) = found.take(name) else {
        return standard(default);
    };
    T::read(&value).unwrap_or_else(|misfit| {
        problems.push(Problem::new(place, complaint::<T>(name, &value, misfit, default)));
        standard(default)
    })
}

fn standard<T: Setting>(default: &'static str) -> T {
    T::read(&Value::Untyped(default.to_owned())).expect("a test reads every default")
}

fn complaint<T: Setting>(name: &str, value: &Value, Misfit(why): Misfit, default: &'static str) -> String {
    let found = if T::SECRET {
        "a value that does not fit".to_owned()
    } else {
        value.quoted()
    };
    let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
    let shown = standard::<T>(default).show();
    let remedy = if default.is_empty() {
        "or remove it".to_owned()
    } else {
        format!("or remove it for the default {shown}")
    };
    format!(
        "{name} is {found}{why}; expected {}; correct it {remedy}",
        T::expected()
    )
}

/// Doc lines as one paragraph.
fn prose(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}
