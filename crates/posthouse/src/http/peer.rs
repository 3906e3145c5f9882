//! Who is at the other end of a request: the client's address and whether the way to it is private.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use accounts::{Approach, Door};
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;

use super::auth::agent;
use axum::http::HeaderMap;

/// What the accept loop knows of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    pub peer: SocketAddr,
    /// The port of ours that it came to.
    pub port: u16,
    pub tls: bool,
    /// It may speak for somebody else.
    pub proxy: bool,
}

/// In no range that anybody would trust, and not this machine.
const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// What tells that a request came through a proxy.
const FORWARDED: [&str; 6] = [
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "forwarded",
    "via",
];

/// The client of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// [`UNKNOWN`] where a proxy asks for somebody and does not say for whom.
    pub ip: IpAddr,
    /// The request came straight from this machine and through no proxy.
    pub local: bool,
    /// The client speaks TLS with us, or with a proxy that we believe.
    pub tls: bool,
    /// The port of ours that the request came to.
    pub port: u16,
}

impl Client {
    fn of(connection: Connection, headers: &HeaderMap) -> Self {
        let peer = connection.peer.ip().to_canonical();
        let last = |name: &str| {
            let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
            Some(value.rsplit(',').next()?.trim().to_owned())
        };
        let forwarded = FORWARDED.iter().any(|name| headers.contains_key(*name));
        // A proxy may say for whom it asks; everybody else speaks for himself.
        if !connection.proxy || !forwarded {
            return Self {
                ip: peer,
                local: peer.is_loopback() && !forwarded,
                tls: connection.tls,
                port: connection.port,
            };
        }
        // Nor is the client this machine because a proxy passes on that it says so.
        let ip = last("x-forwarded-for")
            .and_then(|ip| ip.parse::<IpAddr>().ok())
            .map(|ip| ip.to_canonical())
            .filter(|ip| !ip.is_loopback())
            .unwrap_or(UNKNOWN);
        let tls = connection.tls || last("x-forwarded-proto").as_deref() == Some("https");
        Self {
            ip,
            local: false,
            tls,
            port: connection.port,
        }
    }

    /// The client as somebody who signs in, with the agent that its `headers` name.
    pub fn approach(&self, headers: &HeaderMap, door: Door) -> Approach {
        Approach {
            door,
            ip: self.ip,
            client: agent(headers).to_owned(),
            port: self.port,
            tls: self.tls.then(|| "TLS".to_owned()),
            mechanism: if door == Door::Api { "key" } else { "form" },
        }
    }

    /// The network that limits count by: the address itself, or the /64 of an IPv6 client, who owns all of it.
    pub fn network(&self) -> IpAddr {
        network_of(self.ip)
    }
}

/// See [`Client::network`].
pub fn network_of(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
    }
}

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let connection = parts
            .extensions
            .get::<ConnectInfo<Connection>>()
            .expect("the accept loop adds it")
            .0;
        Ok(Self::of(connection, &parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, headers: &[(&'static str, &str)]) -> Client {
        let peer: IpAddr = peer.parse().unwrap();
        let connection = Connection {
            peer: SocketAddr::new(peer, 4711),
            port: 8080,
            tls: false,
            proxy: peer.is_loopback() || peer == PROXY,
        };
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        Client::of(connection, &headers)
    }

    const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7));

    #[test]
    fn a_proxy_names_its_client() {
        for proxy in ["127.0.0.1", "10.0.0.7"] {
            let client = client(
                proxy,
                &[
                    ("x-forwarded-for", "10.0.0.1, 192.0.2.9"),
                    ("x-forwarded-proto", "https"),
                ],
            );
            assert_eq!(
                client,
                Client {
                    ip: "192.0.2.9".parse().unwrap(),
                    local: false,
                    tls: true,
                    port: 8080
                }
            );
        }
    }

    #[test]
    fn a_client_from_outside_cannot_name_another() {
        let client = client("192.0.2.7", &[("x-forwarded-for", "127.0.0.1")]);
        assert_eq!(
            client,
            Client {
                ip: "192.0.2.7".parse().unwrap(),
                local: false,
                tls: false,
                port: 8080
            }
        );
    }

    #[test]
    fn only_a_direct_request_from_this_machine_is_local() {
        assert!(client("127.0.0.1", &[]).local);
        assert!(client("::1", &[]).local);
        assert!(!client("127.0.0.1", &[("x-forwarded-for", "127.0.0.1")]).local);
        assert!(!client("192.0.2.7", &[]).local);
    }

    #[test]
    fn a_client_that_the_proxy_does_not_name_is_unknown_and_not_this_machine() {
        for header in [
            ("forwarded", "for=192.0.2.9"),
            ("via", "1.1 proxy"),
            ("x-real-ip", "192.0.2.9"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-for", "unknown"),
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-for", "::ffff:127.0.0.1"),
        ] {
            let client = client("127.0.0.1", &[header]);
            assert_eq!((client.ip, client.local), (UNKNOWN, false), "{header:?}");
        }
    }

    #[test]
    fn an_ipv6_client_counts_as_its_network() {
        assert_eq!(
            client("2001:db8:1:2:3::4", &[]).network(),
            "2001:db8:1:2::".parse::<IpAddr>().unwrap()
        );
        assert_eq!(
            client("::ffff:192.0.2.1", &[]).network(),
            "192.0.2.1".parse::<IpAddr>().unwrap()
        );
    }
}
