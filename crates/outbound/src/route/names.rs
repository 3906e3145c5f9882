//! Plain look-ups for people's questions about DNS: what a name or an address has, or in words why nobody knows.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::answers::Answer;
use super::dns::Dns;
use super::router::RouterError;

/// Asks the name servers that delivery asks.
pub struct Names(Dns);

impl Names {
    /// Without servers, those of the system.
    pub fn new(servers: &[SocketAddr], wait: Duration) -> Result<Self, RouterError> {
        Dns::new(servers, wait)
            .map(Self)
            .map_err(|error| RouterError(error.to_string()))
    }

    /// IPv4 addresses, then IPv6.
    pub async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let (v4, v6) = tokio::join!(self.0.v4(name), self.0.v6(name));
        let mut addresses = plain(v4)?;
        addresses.extend(plain(v6)?);
        Ok(addresses)
    }

    /// The names an address resolves back to.
    pub async fn pointers(&self, ip: IpAddr) -> Result<Vec<String>, String> {
        plain(self.0.pointers(ip).await)
    }

    /// Mail hosts, the most preferred first. A null MX is a host without a name.
    pub async fn mail_hosts(&self, domain: &str) -> Result<Vec<String>, String> {
        let mut hosts = plain(self.0.mx(domain).await)?;
        hosts.sort_by_key(|mx| mx.preference);
        Ok(hosts.into_iter().map(|mx| mx.exchange).collect())
    }

    /// The name servers that are asked.
    pub fn servers(&self) -> &str {
        self.0.servers()
    }

    /// What a name is an alias of.
    pub async fn aliases(&self, name: &str) -> Result<Vec<String>, String> {
        plain(self.0.aliases(name).await)
    }

    /// TXT records, each joined from its strings.
    pub async fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        plain(self.0.texts(name).await)
    }
}

/// Nothing there is an answer; only an answer that did not come is not.
fn plain<T>(answer: Answer<T>) -> Result<Vec<T>, String> {
    match answer {
        Answer::Found(records, _) => Ok(records),
        Answer::NoRecords | Answer::NoName => Ok(Vec::new()),
        Answer::AliasLoop => Err("its aliases go in a circle".to_owned()),
        Answer::Trouble(why) => Err(why),
    }
}
