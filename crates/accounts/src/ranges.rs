//! IP ranges that stand in for a password: how they are written, and which one a client falls into.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use ipnet::IpNet;

/// A range that is not accepted, with the reason as a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    #[error("`{0}` is neither an IP address nor a range such as 192.0.2.0/24 or 2001:db8::/48")]
    NotARange(String),
    #[error("`{range}` is wider than /{widest}; such a range would let strangers send")]
    TooWide { range: IpNet, widest: u8 },
}

/// The widest ranges that may stand in for a password.
const WIDEST_V4: u8 = 8;
const WIDEST_V6: u8 = 32;

/// Reads an address or a range in CIDR form; host bits are cleared.
pub fn parse(text: &str) -> Result<IpNet, RangeError> {
    let text = text.trim();
    let net = IpNet::from_str(text)
        .ok()
        .or_else(|| IpAddr::from_str(text).ok().map(IpNet::from))
        .ok_or_else(|| RangeError::NotARange(text.chars().take(64).collect()))?
        .trunc();
    let widest = if net.addr().is_ipv4() {
        WIDEST_V4
    } else {
        WIDEST_V6
    };
    if net.prefix_len() < widest {
        return Err(RangeError::TooWide { range: net, widest });
    }
    Ok(net)
}

/// An IPv4 client on a dual-stack socket arrives as `::ffff:192.0.2.1` and is the IPv4 client.
pub(crate) fn canonical(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(ip, |v4: Ipv4Addr| IpAddr::V4(v4)),
        IpAddr::V4(_) => ip,
    }
}

/// Ranges and what they stand for; the longest prefix wins.
pub struct RangeTable<T> {
    longest_first: Vec<(IpNet, T)>,
}

impl<T> RangeTable<T> {
    pub fn new(mut ranges: Vec<(IpNet, T)>) -> Self {
        ranges.sort_by_key(|(net, _)| std::cmp::Reverse(net.prefix_len()));
        Self {
            longest_first: ranges,
        }
    }

    pub fn find(&self, ip: IpAddr) -> Option<&T> {
        let ip = canonical(ip);
        self.longest_first
            .iter()
            .find(|(net, _)| net.contains(&ip))
            .map(|(_, value)| value)
    }

    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.longest_first.iter().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(ranges: &[&'static str]) -> RangeTable<&'static str> {
        RangeTable::new(ranges.iter().map(|text| (parse(text).unwrap(), *text)).collect())
    }

    #[test]
    fn the_longest_prefix_wins() {
        let table = table(&["10.0.0.0/8", "10.1.2.3", "10.1.0.0/16"]);
        assert_eq!(table.find("10.1.2.3".parse().unwrap()), Some(&"10.1.2.3"));
        assert_eq!(table.find("10.1.9.9".parse().unwrap()), Some(&"10.1.0.0/16"));
        assert_eq!(table.find("10.200.0.1".parse().unwrap()), Some(&"10.0.0.0/8"));
        assert_eq!(table.find("11.0.0.1".parse().unwrap()), None);
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_client() {
        let table = table(&["192.0.2.0/24"]);
        assert_eq!(
            table.find("::ffff:192.0.2.7".parse().unwrap()),
            Some(&"192.0.2.0/24")
        );
    }

    #[test]
    fn host_bits_are_cleared() {
        assert_eq!(parse("192.0.2.77/24").unwrap().to_string(), "192.0.2.0/24");
        assert_eq!(parse(" 127.0.0.1 ").unwrap().to_string(), "127.0.0.1/32");
    }

    #[test]
    fn the_whole_world_is_not_a_range() {
        assert!(matches!(parse("0.0.0.0/0"), Err(RangeError::TooWide { .. })));
        assert!(matches!(parse("::/0"), Err(RangeError::TooWide { .. })));
        assert!(matches!(parse("localhost"), Err(RangeError::NotARange(_))));
    }
}
