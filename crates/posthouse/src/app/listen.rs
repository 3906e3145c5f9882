//! Opens the sockets of every listener, all of them before any is served, so that a port in use is a clear refusal.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tracing::info;

use crate::config::{Config, Listen};
use crate::smtp::Kind;

/// Connections the kernel holds for us while a burst is being accepted.
const BACKLOG: i32 = 1024;

/// Why a listener cannot listen, with the key that is to be changed.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {listen} ({key}): {reason}; {remedy}")]
pub struct ListenError {
    key: &'static str,
    listen: Listen,
    reason: io::Error,
    remedy: String,
}

impl ListenError {
    fn new(key: &'static str, listen: Listen, reason: io::Error) -> Self {
        let variable = format!("POSTHOUSE__{}", key.to_uppercase().replace('.', "__"));
        let remedy = match reason.kind() {
            io::ErrorKind::AddrInUse => {
                format!("stop the program that has the port, or name another in {key} (or {variable})")
            }
            io::ErrorKind::PermissionDenied => format!(
                "a port below 1024 needs the right to it (deploy/posthouse.service grants it), or name another in {key}"
            ),
            io::ErrorKind::AddrNotAvailable => format!("this machine has no such address; correct {key}"),
            _ => format!("correct {key}"),
        };
        Self {
            key,
            listen,
            reason,
            remedy,
        }
    }
}

/// One open socket.
#[derive(Debug)]
pub struct Bound {
    pub socket: TcpListener,
    pub address: SocketAddr,
}

/// Every socket of the server.
#[derive(Debug)]
pub struct Sockets {
    pub submission: Vec<Bound>,
    pub submissions: Vec<Bound>,
    pub inbound: Vec<Bound>,
    pub http: Vec<Bound>,
    pub https: Vec<Bound>,
}

impl Sockets {
    pub fn open(config: &Config) -> Result<Self, ListenError> {
        Ok(Self {
            submission: bind("smtp.submission", "submission", &config.smtp.submission)?,
            submissions: bind("smtp.submissions", "submissions", &config.smtp.submissions)?,
            inbound: bind("smtp.inbound", "inbound", &config.smtp.inbound)?,
            https: bind("http.listen_tls", "https", &config.http.listen_tls)?,
            http: bind("http.listen", "http", &config.http.listen)?,
        })
    }

    /// Why some of them cannot be opened, each; those that can are closed again.
    pub fn errors(config: &Config) -> Vec<ListenError> {
        let lists = [
            ("smtp.submission", &config.smtp.submission),
            ("smtp.submissions", &config.smtp.submissions),
            ("smtp.inbound", &config.smtp.inbound),
            ("http.listen_tls", &config.http.listen_tls),
            ("http.listen", &config.http.listen),
        ];
        let addresses = lists
            .into_iter()
            .flat_map(|(key, list)| list.iter().map(move |listen| (key, *listen)));
        addresses
            .filter_map(|(key, listen)| Some(ListenError::new(key, listen, open(listen).err()?)))
            .collect()
    }

    /// The SMTP sockets by what they are for.
    pub fn take_smtp(&mut self) -> Vec<(Kind, TcpListener)> {
        let lists = [
            (Kind::Submission, std::mem::take(&mut self.submission)),
            (Kind::Submissions, std::mem::take(&mut self.submissions)),
            (Kind::Inbound, std::mem::take(&mut self.inbound)),
        ];
        let one = |(kind, list): (Kind, Vec<Bound>)| list.into_iter().map(move |bound| (kind, bound.socket));
        lists.into_iter().flat_map(one).collect()
    }

    /// Where people open the console.
    pub fn public_url(&self, config: &Config) -> String {
        let [http, https] = [&self.http, &self.https].map(|bound| Self::ports(bound).first().copied());
        config.public_url(http, https).as_str().to_owned()
    }

    /// The ports of some sockets, each once.
    pub fn ports(sockets: &[Bound]) -> Vec<u16> {
        let mut ports: Vec<u16> = sockets.iter().map(|bound| bound.address.port()).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }
}

/// Opens every address of one key and says so in the log under the listener's name.
pub fn bind(
    key: &'static str,
    listener: &'static str,
    addresses: &[Listen],
) -> Result<Vec<Bound>, ListenError> {
    addresses
        .iter()
        .map(|listen| {
            let bound = open(*listen).map_err(|reason| ListenError::new(key, *listen, reason))?;
            info!(listener, address = %bound.address, "listening");
            Ok(bound)
        })
        .collect()
}

fn open(listen: Listen) -> io::Result<Bound> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in listen.candidates() {
        match socket(address, matches!(listen, Listen::Every(_))) {
            Ok(bound) => return Ok(bound),
            // A machine without IPv6 says so in one of these ways; a port in use is in use on IPv4 as well.
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn socket(address: SocketAddr, both_families: bool) -> io::Result<Bound> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!both_families)?;
    }
    // A restart does not wait for the connections of the last run to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let socket = TcpListener::from_std(socket.into())?;
    let address = socket.local_addr()?;
    Ok(Bound { socket, address })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_refused_with_its_key() {
        let any = Listen::One("127.0.0.1:0".parse().unwrap());
        let first = bind("smtp.submission", "submission", &[any]).unwrap();
        let taken = Listen::One(first[0].address);
        let refused = bind("http.listen", "http", &[taken]).unwrap_err().to_string();
        assert!(
            refused.contains("(http.listen)") && refused.contains("POSTHOUSE__HTTP__LISTEN"),
            "{refused}"
        );
    }

    #[tokio::test]
    async fn every_address_takes_ipv4() {
        let bound = bind("http.listen", "http", &[Listen::Every(0)]).unwrap();
        let port = bound[0].address.port();
        assert!(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok());
    }
}
