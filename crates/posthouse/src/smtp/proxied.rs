//! Reads from a proxy for whom it connects, and not one octet more.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use mail::smtp::proxy::{Client, Header, read};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

/// A proxy knows what it says before it connects.
const DEADLINE: Duration = Duration::from_secs(5);
/// In no range that anybody would trust.
const UNKNOWN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// The address that counts for this connection of `proxy`.
pub(super) async fn client<S: AsyncRead + Unpin>(
    stream: &mut S,
    proxy: SocketAddr,
) -> io::Result<SocketAddr> {
    Ok(match timeout(DEADLINE, header(stream)).await?? {
        Client::At(client) => client,
        Client::Unknown => UNKNOWN,
        Client::Proxy => proxy,
    })
}

async fn header<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Client> {
    let mut input = Vec::new();
    loop {
        match read(&input).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))? {
            Header::Whole(client) => return Ok(client),
            Header::Needs(more) => {
                let before = input.len();
                input.resize(before + more, 0);
                stream.read_exact(&mut input[before..]).await?;
            }
        }
    }
}
