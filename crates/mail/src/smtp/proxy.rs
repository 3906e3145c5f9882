//! The PROXY protocol, versions 1 and 2: the few octets with which a proxy says for whom it connects.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// What a header of version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and protocol, length of the rest.
const FIXED: usize = 16;
/// The most that may follow it; addresses take 36 at most, the rest is what proxies say beside them.
const MOST: usize = 4 * 1024;
/// What a header of version 1 begins with.
const NAME: &[u8; 6] = b"PROXY ";
/// `PROXY UNKNOWN` and CRLF, the shortest header of both versions.
const SHORTEST: usize = 15;
/// The longest line of version 1, its CRLF included.
const LONGEST: usize = 107;

/// For whom a proxy connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    At(SocketAddr),
    /// Somebody whose address it does not know or cannot say.
    Unknown,
    /// Itself, to see whether we are there.
    Proxy,
}

/// What came of reading a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// At least so many more octets belong to it. What follows it is another's to read, so no more may be taken.
    Needs(usize),
    Whole(Client),
}

/// What came is no header, or one that is longer than any has reason to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no header of the PROXY protocol")]
pub struct NoHeader;

/// Reads the header of which `input` is the beginning.
pub fn read(input: &[u8]) -> Result<Header, NoHeader> {
    let (binary_header, text) = (begins(input, SIGNATURE), begins(input, NAME));
    if !binary_header && !text {
        Err(NoHeader)
    } else if input.len() < SHORTEST {
        // Which of the two it is need not be known yet.
        Ok(Header::Needs(SHORTEST - input.len()))
    } else if text {
        line(input)
    } else {
        binary(input)
    }
}

/// Whether `input` may yet turn out to begin with `mark`.
fn begins(input: &[u8], mark: &[u8]) -> bool {
    input.iter().zip(mark).all(|(a, b)| a == b)
}

fn line(input: &[u8]) -> Result<Header, NoHeader> {
    let Some(text) = input.strip_suffix(b"\r\n") else {
        let missing = if input.ends_with(b"\r") { 1 } else { 2 };
        let possible = input.len() + missing <= LONGEST && !input.contains(&b'\n');
        return possible.then_some(Header::Needs(missing)).ok_or(NoHeader);
    };
    let text = std::str::from_utf8(text).map_err(|_| NoHeader)?;
    let mut words = text.split(' ').skip(1);
    match words.next() {
        // What follows is not to be looked at.
        Some("UNKNOWN") => Ok(Header::Whole(Client::Unknown)),
        Some("TCP4") => addresses::<Ipv4Addr>(words),
        Some("TCP6") => addresses::<Ipv6Addr>(words),
        _ => Err(NoHeader),
    }
}

fn addresses<'a, Ip: FromStr + Into<IpAddr>>(
    mut words: impl Iterator<Item = &'a str>,
) -> Result<Header, NoHeader> {
    let mut next = || words.next().ok_or(NoHeader);
    let [from, to] = [next()?, next()?].map(str::parse::<Ip>);
    let [port, to_port] = [next()?, next()?].map(str::parse::<u16>);
    match (from, to, port, to_port, words.next()) {
        (Ok(from), Ok(_), Ok(port), Ok(_), None) => Ok(at(from.into(), port)),
        _ => Err(NoHeader),
    }
}

fn binary(input: &[u8]) -> Result<Header, NoHeader> {
    let Some((fixed, rest)) = input.split_at_checked(FIXED) else {
        return Ok(Header::Needs(FIXED - input.len()));
    };
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if length > MOST {
        return Err(NoHeader);
    }
    if rest.len() < length {
        return Ok(Header::Needs(length - rest.len()));
    }
    match (fixed[12], fixed[13]) {
        (0x20, _) => Ok(Header::Whole(Client::Proxy)),
        (0x21, 0x11) => {
            let from: [u8; 4] = octets(rest, 0)?;
            octets::<4>(rest, 4)?;
            Ok(at(from.into(), port(rest, 8)?))
        }
        (0x21, 0x21) => {
            let from: [u8; 16] = octets(rest, 0)?;
            octets::<16>(rest, 16)?;
            Ok(at(from.into(), port(rest, 32)?))
        }
        (0x21, _) => Ok(Header::Whole(Client::Unknown)),
        _ => Err(NoHeader),
    }
}

fn octets<const N: usize>(input: &[u8], from: usize) -> Result<[u8; N], NoHeader> {
    let found = input.get(from..from + N).ok_or(NoHeader)?;
    found.try_into().map_err(|_| NoHeader)
}

/// Of the client; the one behind it, which is ours, has to be there as well.
fn port(input: &[u8], from: usize) -> Result<u16, NoHeader> {
    octets::<2>(input, from + 2)?;
    octets(input, from).map(u16::from_be_bytes)
}

fn at(ip: IpAddr, port: u16) -> Header {
    Header::Whole(Client::At(SocketAddr::new(ip.to_canonical(), port)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE, [command, family].as_slice(), &length, rest].concat()
    }

    fn client(address: &str) -> Header {
        Header::Whole(Client::At(address.parse().unwrap()))
    }

    const V4: &[u8] = &[192, 0, 2, 9, 198, 51, 100, 1, 0xc0, 0x00, 0x02, 0x4b];

    #[test]
    fn a_client_is_named_in_both_versions() {
        assert_eq!(
            read(b"PROXY TCP4 192.0.2.9 198.51.100.1 49152 587\r\n"),
            Ok(client("192.0.2.9:49152"))
        );
        assert_eq!(
            read(b"PROXY TCP6 2001:db8::9 2001:db8::1 1 65535\r\n"),
            Ok(client("[2001:db8::9]:1"))
        );
        assert_eq!(read(&v2(0x21, 0x11, V4)), Ok(client("192.0.2.9:49152")));
        // What stands behind the addresses is skipped.
        assert_eq!(
            read(&v2(0x21, 0x11, &[V4, b"\x04\0\x01x"].concat())),
            Ok(client("192.0.2.9:49152"))
        );
        let mut v6 = [0; 36];
        v6[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        v6[15] = 9;
        v6[33] = 25;
        assert_eq!(read(&v2(0x21, 0x21, &v6)), Ok(client("[2001:db8::9]:25")));
        // An IPv4 client is one in whatever family it is written.
        let mapped = b"PROXY TCP6 ::ffff:192.0.2.9 ::1 49152 587\r\n";
        assert_eq!(read(mapped), Ok(client("192.0.2.9:49152")));
    }

    #[test]
    fn a_proxy_may_speak_for_itself_or_not_know_for_whom() {
        for (header, who) in [
            (v2(0x20, 0x00, b""), Client::Proxy),
            (v2(0x20, 0x11, V4), Client::Proxy),
            (v2(0x21, 0x00, b""), Client::Unknown),
            (v2(0x21, 0x31, &[0; 216]), Client::Unknown),
            (v2(0x21, 0x12, V4), Client::Unknown),
            (b"PROXY UNKNOWN\r\n".to_vec(), Client::Unknown),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), Client::Unknown),
        ] {
            assert_eq!(read(&header), Ok(Header::Whole(who)), "{header:?}");
        }
    }

    #[test]
    fn what_is_no_header_is_none() {
        for input in [
            b"EHLO client.example\r\n".to_vec(),
            b"\x16\x03\x01".to_vec(),
            b"proxy TCP4 192.0.2.9 198.51.100.1 1 2\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.9 198.51.100.1 1\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.9 198.51.100.1 1 2 3\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.9 198.51.100.1 1 65536\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.09 198.51.100.1 1 2\r\n".to_vec(),
            b"PROXY TCP4 ::1 ::1 1 2\r\n".to_vec(),
            b"PROXY TCP5 192.0.2.9 198.51.100.1 1 2\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.9 198.51.100.1 1 2\n".to_vec(),
            [b"PROXY UNKNOWN ".as_slice(), &[b'x'; LONGEST]].concat(),
            v2(0x11, 0x11, V4),
            v2(0x22, 0x11, V4),
            v2(0x21, 0x11, &V4[..11]),
            v2(0x21, 0x21, V4),
            v2(0x21, 0x11, &[0; MOST + 1]),
        ] {
            assert_eq!(
                read(&input),
                Err(NoHeader),
                "{:?}",
                String::from_utf8_lossy(&input)
            );
        }
    }

    fn header() -> impl Strategy<Value = Vec<u8>> {
        let ip = any::<[u8; 4]>().prop_map(Ipv4Addr::from);
        let ip6 = any::<[u8; 16]>().prop_map(Ipv6Addr::from);
        prop_oneof![
            (ip, any::<u16>())
                .prop_map(|(ip, port)| format!("PROXY TCP4 {ip} 192.0.2.1 {port} 25\r\n").into_bytes()),
            (ip6, any::<u16>())
                .prop_map(|(ip, port)| format!("PROXY TCP6 {ip} ::1 {port} 25\r\n").into_bytes()),
            Just(b"PROXY UNKNOWN\r\n".to_vec()),
            (
                prop::sample::select(vec![0x20, 0x21]),
                prop::sample::select(vec![0x00, 0x11, 0x21, 0x31]),
                prop::collection::vec(any::<u8>(), 36..300),
            )
                .prop_map(|(command, family, rest)| v2(command, family, &rest)),
        ]
    }

    proptest! {
        #[test]
        fn wherever_a_header_is_split_no_octet_behind_it_is_asked_for(header in header()) {
            for end in 0..header.len() {
                match read(&header[..end]) {
                    Ok(Header::Needs(more)) => prop_assert!(more > 0 && end + more <= header.len()),
                    other => prop_assert!(false, "{other:?} after {end}"),
                }
            }
            prop_assert!(matches!(read(&header), Ok(Header::Whole(_))));
        }

        #[test]
        fn no_input_is_read_without_end(input in prop::collection::vec(any::<u8>(), 0..200), v1 in any::<bool>()) {
            let mut read_so_far = if v1 { NAME.to_vec() } else { SIGNATURE.to_vec() };
            let mut input = input.into_iter().chain(std::iter::repeat(b'x'));
            while let Ok(Header::Needs(more)) = read(&read_so_far) {
                prop_assert!(more > 0);
                read_so_far.extend(input.by_ref().take(more));
                prop_assert!(read_so_far.len() <= FIXED + MOST);
            }
        }
    }
}
