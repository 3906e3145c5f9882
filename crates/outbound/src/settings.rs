//! What an operator can set about sending.

use std::time::Duration;

use mail::address::Domain;
use store::Id;

use crate::settle::Policy;

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
}

impl Settings {
    /// The defaults for a node of this name.
    pub fn new(node: Id, hostname: &str) -> Self {
        Self {
            node,
            node_name: hostname.to_owned(),
            hostname: hostname.to_owned(),
            return_path: None,
            public_url: format!("https://{hostname}"),
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
        }
    }
}
