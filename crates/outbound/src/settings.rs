//! What an operator can set about sending.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use mail::address::Domain;
use mail::message::Head;
use parking_lot::RwLock;
use store::Id;

use crate::settle::Policy;

/// Which names of sending domains may stand in links: a browser that comes to one has to find this server there, and trust it.
#[derive(Clone, Debug, Default)]
pub enum OwnNames {
    #[default]
    None,
    All,
    /// Those for which there is a certificate.
    These(Arc<RwLock<HashSet<Domain>>>),
}

impl OwnNames {
    fn contains(&self, name: &Domain) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::These(names) => names.read().contains(name),
        }
    }

    /// Puts a name in the place of the host, where links may have it.
    pub fn at(&self, site: &str, name: &Domain) -> Option<String> {
        let (scheme, rest) = site.split_once("://").filter(|_| self.contains(name))?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let port = authority
            .rsplit_once(':')
            .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
            .map(|(_, port)| format!(":{port}"))
            .unwrap_or_default();
        Some(format!("{scheme}://{}{port}{path}", name.as_str()))
    }
}

/// What hooks may take: one call of a script, and all hooks of a command together.
#[derive(Clone, Copy, Debug)]
pub struct HookLimits {
    /// Octets.
    pub memory: usize,
    pub steps: u64,
    /// Of a processor: a machine that is busy with other things is not the script's fault.
    pub cpu: Duration,
    /// From its beginning to its end, however busy the machine is.
    pub wall: Duration,
    /// From the first hook of an SMTP command, or of a message over the API, to the end of the last one.
    pub together: Duration,
}

impl Default for HookLimits {
    fn default() -> Self {
        Self {
            memory: 16 << 20,
            steps: 1_000_000,
            cpu: Duration::from_millis(50),
            wall: Duration::from_secs(1),
            together: Duration::from_secs(10),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Settings {
    /// This process among those that share the database; the same after a restart.
    pub node: Id,
    pub node_name: String,
    /// The name in Received lines, Message-IDs and reports.
    pub hostname: String,
    /// The domain of return paths where this installation receives reports itself.
    pub return_path: Option<Domain>,
    /// Where the site of this installation is, for links; without a slash at its end.
    pub public_url: String,
    /// Names of sending domains at which this server answers as well.
    pub own_names: OwnNames,
    pub retry: Policy,
    pub connections_per_lane: usize,
    /// Over all lanes.
    pub connections: usize,
    // RFC 5321 section 4.5.3.1.8
    pub recipients_per_transaction: usize,
    /// How long a connection without work stays open.
    pub idle_connection: Duration,
    /// Waiting mail kept in memory at most; the rest waits in the database.
    pub memory_bytes: u64,
    pub memory_recipients: u64,
    pub max_message_size: u64,
    pub max_recipients: usize,
    /// More Received fields than this are a loop.
    pub max_received: usize,
    /// How long content stays after a message came in; zero: until nobody waits for it.
    pub keep_content: Duration,
    /// How long a message's rows stay after it came in.
    pub keep_messages: Duration,
    /// The most that an account may choose for either, in days.
    pub most_content_days: u32,
    pub most_message_days: u32,
    /// The newest mails the local inbox holds for one account.
    pub inbox_messages: u64,
    /// Their octets together; of one account, too.
    pub inbox_octets: u64,
    pub hooks: HookLimits,
}

impl Settings {
    /// Whether a message went through so many servers that it runs in a circle.
    // RFC 5321 section 6.3
    pub fn is_loop(&self, head: &Head<'_>) -> bool {
        head.count_received() > self.max_received
    }

    /// The defaults for a node of this name.
    pub fn new(node: Id, hostname: &str) -> Self {
        Self {
            node,
            node_name: hostname.to_owned(),
            hostname: hostname.to_owned(),
            return_path: None,
            public_url: format!("https://{hostname}"),
            own_names: OwnNames::default(),
            retry: Policy::default(),
            connections_per_lane: 20,
            connections: 500,
            recipients_per_transaction: 100,
            idle_connection: Duration::from_secs(5),
            memory_bytes: 64 << 20,
            memory_recipients: 20_000,
            max_message_size: 25 << 20,
            max_recipients: 1_000,
            max_received: 50,
            keep_content: Duration::from_hours(3 * 24),
            keep_messages: Duration::from_hours(30 * 24),
            most_content_days: 30,
            most_message_days: 365,
            inbox_messages: 1_000,
            inbox_octets: 256 << 20,
            hooks: HookLimits::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_takes_the_place_of_the_host_where_this_server_answers_at_it() {
        let name = Domain::parse("links.shop.example").unwrap();
        let at = |site: &str| OwnNames::All.at(site, &name).unwrap();
        assert_eq!(at("https://mail.example"), "https://links.shop.example");
        assert_eq!(
            at("http://mail.example:8080/x"),
            "http://links.shop.example:8080/x"
        );
        assert_eq!(at("http://[::1]:8080"), "http://links.shop.example:8080");
        assert_eq!(OwnNames::None.at("https://mail.example", &name), None);
        let these = OwnNames::These(Arc::default());
        assert_eq!(these.at("https://mail.example", &name), None);
        let OwnNames::These(names) = &these else {
            unreachable!()
        };
        names.write().insert(name.clone());
        assert!(these.at("https://mail.example", &name).is_some());
    }
}
