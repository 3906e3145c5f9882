//! Which addresses a foreign name may not lead us to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Loopback, private, link-local, shared, multicast, reserved: nothing that mail for the world goes to.
pub fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_private_v4(ip),
        IpAddr::V6(ip) => is_private_v6(ip),
    }
}

// RFC 6890 section 2.2.2: the special-purpose blocks.
fn is_private_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && matches!(b, 18 | 19))
        // The host of a virtual machine answers there, and nobody else does.
        || ip == Ipv4Addr::new(168, 63, 129, 16)
}

// RFC 6890 section 2.2.3
fn is_private_v6(ip: Ipv6Addr) -> bool {
    if let Some(v4) = ip.to_ipv4_mapped() {
        return is_private_v4(v4);
    }
    let [first, second, .., high, low] = ip.segments();
    // NAT64 reaches the IPv4 world (RFC 6052 section 2.1), its private parts too. Other prefixes beside it are a network's own.
    if ip.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        return is_private_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    }
    // Only 2000::/3 is given out as global unicast; 2002::/16 and 2001::/32 wrap an IPv4 address.
    first & 0xe000 != 0x2000 || first == 0x2002 || (first == 0x2001 && second == 0)
}

/// IPv4 and IPv6 in turn. IPv4 leads: receivers ask more of an IPv6 sender (a PTR record, SPF or DKIM) and refuse it sooner.
pub(super) fn interleaved(v4: Vec<IpAddr>, v6: Vec<IpAddr>) -> Vec<IpAddr> {
    let mut all = Vec::with_capacity(v4.len() + v6.len());
    let (mut v4, mut v6) = (v4.into_iter(), v6.into_iter());
    loop {
        let (next4, next6) = (v4.next(), v6.next());
        if next4.is_none() && next6.is_none() {
            return all;
        }
        all.extend(next4);
        all.extend(next6);
    }
}

/// Whether the address is one of this machine's own: then the system answers it with itself as the source.
pub fn is_ours(ip: IpAddr) -> bool {
    let any: IpAddr = if ip.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    // Connecting a UDP socket sends nothing, it only asks the routing table.
    let source = std::net::UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((ip, 25))?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip() == ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_blocks_are_private_and_the_world_is_not() {
        for ip in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.1.1",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.0.8",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::1",
            "2001:0:7f00:1::1",
            "64:ff9b:1::808:808",
            "fd00:ec2::254",
            "100.100.100.200",
            "168.63.129.16",
        ] {
            assert!(is_private(ip.parse().unwrap()), "{ip}");
        }
        for ip in [
            "8.8.8.8",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "2606:4700::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert!(!is_private(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn loopback_is_ours_and_a_documentation_address_is_not() {
        assert!(is_ours("127.0.0.1".parse().unwrap()));
        assert!(!is_ours("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn the_two_families_take_turns() {
        let ips = |list: &[&str]| list.iter().map(|ip| ip.parse().unwrap()).collect::<Vec<IpAddr>>();
        assert_eq!(
            interleaved(ips(&["192.0.2.1", "192.0.2.2"]), ips(&["2001:db8::1"])),
            ips(&["192.0.2.1", "2001:db8::1", "192.0.2.2"])
        );
    }
}
