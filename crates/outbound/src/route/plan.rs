//! The plan for a destination: its lane and the hosts to try.

use std::net::{IpAddr, SocketAddr};

use mail::reply::Enhanced;
use mail::smtp::client::Login;
use mail::time::Time;

use crate::model::{LaneKey, Outcome, Verdict};

/// How a connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsPolicy {
    /// STARTTLS where it is offered, whoever's certificate it is; in the clear where it fails.
    Opportunistic,
    /// STARTTLS with a certificate that names the host, or nothing is sent.
    Required,
    /// TLS from the first octet, with a certificate that names the host.
    Implicit,
}

/// One mail host with its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// A name, or the text of an address.
    pub name: String,
    pub preference: u16,
    /// In the order in which they are tried.
    pub addresses: Vec<IpAddr>,
}

/// Where and how a domain's mail is handed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub lane: LaneKey,
    pub via: Via,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// Kept in the local inbox.
    Capture,
    Smtp {
        /// By rising preference.
        hosts: Vec<Host>,
        port: u16,
        tls: TlsPolicy,
        login: Option<Login>,
    },
}

/// Why there is no plan: a value, because it decides the fate of recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanFailure {
    pub verdict: Verdict,
    pub code: Option<u16>,
    pub enhanced: Enhanced,
    pub text: String,
}

impl PlanFailure {
    pub(super) fn bounced(enhanced: Enhanced, text: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Bounced,
            code: None,
            enhanced,
            text: text.into(),
        }
    }

    pub(super) fn deferred(enhanced: Enhanced, text: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Deferred,
            code: None,
            enhanced,
            text: text.into(),
        }
    }

    /// The outcome for every recipient of the domain.
    pub fn outcome(&self, at: Time) -> Outcome {
        Outcome {
            code: self.code,
            ..Outcome::without_reply(self.verdict, self.enhanced, self.text.clone(), at)
        }
    }
}

impl Via {
    /// Every address with the place of its host, in the order to try: by preference, and inside one preference in an order
    /// that `turn` varies, so that equal hosts share the load (RFC 5321 section 5.1).
    pub fn addresses(&self, turn: u64) -> Vec<(usize, SocketAddr)> {
        let Self::Smtp { hosts, port, .. } = self else {
            return Vec::new();
        };
        let mut order: Vec<usize> = (0..hosts.len()).collect();
        order.sort_by_key(|&nth| {
            (
                hosts[nth].preference,
                scatter(turn.wrapping_mul(64).wrapping_add(nth as u64)),
            )
        });
        let address = |nth: usize| {
            hosts[nth]
                .addresses
                .iter()
                .map(move |&ip| (nth, SocketAddr::new(ip, *port)))
        };
        order.into_iter().flat_map(address).collect()
    }
}

/// Spreads consecutive numbers over all of u64 (the finaliser of `SplitMix64`).
fn scatter(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, preference: u16, address: &str) -> Host {
        Host {
            name: name.into(),
            preference,
            addresses: vec![address.parse().unwrap()],
        }
    }

    #[test]
    fn equal_hosts_take_turns_and_a_worse_preference_waits() {
        let via = Via::Smtp {
            hosts: vec![
                host("a", 10, "192.0.2.1"),
                host("b", 10, "192.0.2.2"),
                host("c", 20, "192.0.2.3"),
            ],
            port: 25,
            tls: TlsPolicy::Opportunistic,
            login: None,
        };
        let mut first = [0; 3];
        for turn in 0..1_000 {
            let order = via.addresses(turn);
            first[order[0].0] += 1;
            assert_eq!(order[2], (2, "192.0.2.3:25".parse().unwrap()));
        }
        assert!(first[0] > 400 && first[1] > 400 && first[2] == 0, "{first:?}");
    }
}
