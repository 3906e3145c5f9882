//! Questions to the name servers, with the answers in the words of [`super::answers`].

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use tokio::time::{Instant, timeout};

use super::answers::{Answer, MAX_ALIASES, Mx};

/// However many servers and repetitions the resolver has: no single question takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Dns {
    resolver: TokioResolver,
    /// The name servers that are asked, for people.
    servers: String,
}

impl Dns {
    /// Without servers, those of the system.
    pub(super) fn new(servers: &[SocketAddr], wait: Duration) -> Result<Self, NetError> {
        let named: Vec<String> = if servers.is_empty() {
            let (system, _) = read_system_conf()?;
            system
                .name_servers()
                .iter()
                .map(|server| server.ip.to_string())
                .collect()
        } else {
            servers.iter().map(ToString::to_string).collect()
        };
        let servers_shown = named.join(", ");
        let mut builder = if servers.is_empty() {
            TokioResolver::builder_tokio()?
        } else {
            let servers = servers.iter().map(|&server| name_server(server)).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.timeout = wait;
        options.attempts = 2;
        options.edns0 = true;
        options.cache_size = 4_096;
        let resolver = builder.build()?;
        Ok(Self {
            resolver,
            servers: servers_shown,
        })
    }

    pub(super) fn servers(&self) -> &str {
        &self.servers
    }

    /// What a name is an alias of, itself and not where that leads.
    pub(super) async fn aliases(&self, name: &str) -> Answer<String> {
        self.ask(name, RecordType::CNAME, |data| match data {
            RData::CNAME(target) => Some(target.to_ascii().trim_end_matches('.').to_ascii_lowercase()),
            _ => None,
        })
        .await
    }

    pub(super) async fn mx(&self, name: &str) -> Answer<Mx> {
        self.ask(name, RecordType::MX, |data| match data {
            RData::MX(mx) => Some(Mx {
                preference: mx.preference,
                exchange: mx.exchange.to_ascii().trim_end_matches('.').to_ascii_lowercase(),
            }),
            _ => None,
        })
        .await
    }

    pub(super) async fn v4(&self, name: &str) -> Answer<IpAddr> {
        self.ask(name, RecordType::A, |data| match data {
            RData::A(ip) => Some(IpAddr::V4(ip.0)),
            _ => None,
        })
        .await
    }

    pub(super) async fn v6(&self, name: &str) -> Answer<IpAddr> {
        self.ask(name, RecordType::AAAA, |data| match data {
            RData::AAAA(ip) => Some(IpAddr::V6(ip.0)),
            _ => None,
        })
        .await
    }

    pub(super) async fn pointers(&self, ip: IpAddr) -> Answer<String> {
        let name = Name::from(ip).to_ascii();
        self.ask(name.trim_end_matches('.'), RecordType::PTR, |data| match data {
            RData::PTR(name) => Some(name.to_ascii().trim_end_matches('.').to_ascii_lowercase()),
            _ => None,
        })
        .await
    }

    // RFC 7208 section 3.3: the strings of one record are one text.
    pub(super) async fn texts(&self, name: &str) -> Answer<String> {
        self.ask(name, RecordType::TXT, |data| match data {
            RData::TXT(text) => Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()),
            _ => None,
        })
        .await
    }

    async fn ask<T>(&self, name: &str, kind: RecordType, pick: impl Fn(&RData) -> Option<T>) -> Answer<T> {
        // The final dot keeps the search list of the system out.
        match timeout(PATIENCE, self.resolver.lookup(format!("{name}."), kind)).await {
            Ok(Ok(lookup)) => found(&lookup, pick),
            Ok(Err(error)) if error.is_nx_domain() => Answer::NoName,
            Ok(Err(error)) if error.is_no_records_found() => Answer::NoRecords,
            Ok(Err(error)) => Answer::Trouble(in_words(&error)),
            Err(_) => Answer::Trouble("the name servers did not answer in time".into()),
        }
    }
}

fn name_server(server: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    NameServerConfig::new(server.ip(), true, connections.into())
}

fn found<T>(lookup: &Lookup, pick: impl Fn(&RData) -> Option<T>) -> Answer<T> {
    let mut aliases = 0;
    let mut records = Vec::new();
    for record in lookup.answers() {
        aliases += usize::from(matches!(record.data, RData::CNAME(_)));
        records.extend(pick(&record.data));
    }
    if aliases > MAX_ALIASES {
        return Answer::AliasLoop;
    }
    if records.is_empty() {
        return Answer::NoRecords;
    }
    let left = Instant::from_std(lookup.valid_until()).saturating_duration_since(Instant::now());
    Answer::Found(records, left)
}

fn in_words(error: &NetError) -> String {
    match error {
        NetError::Timeout => "the name servers did not answer in time".into(),
        NetError::NoConnections => "no name server can be reached".into(),
        NetError::Dns(DnsError::ResponseCode(ResponseCode::ServFail)) => {
            "the name servers failed to find out".into()
        }
        NetError::Dns(DnsError::ResponseCode(ResponseCode::Refused)) => {
            "the name servers refuse to answer us".into()
        }
        other => other.to_string(),
    }
}
