//! An SMTP client that speaks as tests think: `smtp.rcpt("a@b").expect("250 2.1.5")`, or raw bytes.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use socket2::{Domain, Socket, Type};

use super::tls::trusting_client;
use super::wait::{PATIENCE, eventually};

enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    /// Only while one becomes the other.
    Between,
}

pub struct Smtp {
    wire: Wire,
    read: Vec<u8>,
}

/// One reply, its lines joined by LF as they came.
#[derive(Debug, Clone)]
pub struct Reply(pub String);

impl Reply {
    /// The reply begins with `prefix` (`"250"`, `"250 2.1.5"`, `"552 5.3.4"`); of several lines, the last one counts.
    #[track_caller]
    pub fn expect(&self, prefix: &str) -> &Self {
        let last = self.0.lines().last().unwrap_or_default();
        assert!(last.starts_with(prefix), "expected {prefix}, got {:?}", self.0);
        self
    }

    pub fn code(&self) -> u16 {
        self.0
            .get(..3)
            .and_then(|code| code.parse().ok())
            .expect("a reply begins with a code")
    }

    pub fn contains(&self, text: &str) -> bool {
        self.0.contains(text)
    }
}

impl Smtp {
    /// Connects and reads nothing yet.
    pub fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).expect("the server takes connections")
    }

    /// Connects from an address of this machine.
    pub fn connect_from(address: SocketAddr, ip: IpAddr) -> Self {
        Self::try_connect_from(address, ip).expect("the server takes connections")
    }

    pub fn try_connect_from(address: SocketAddr, ip: IpAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(ip, 0).into())?;
        socket.connect(&address.into())?;
        Self::over(socket.into())
    }

    pub fn try_connect(address: SocketAddr) -> io::Result<Self> {
        Self::over(TcpStream::connect(address)?)
    }

    fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            wire: Wire::Plain(stream),
            read: Vec::new(),
        })
    }

    /// Connects with implicit TLS.
    pub fn connect_tls(address: SocketAddr) -> Self {
        Self::connect(address).into_tls()
    }

    /// Turns to TLS from here on, whatever the server thinks of it.
    pub fn into_tls(mut self) -> Self {
        self.wrap_in_tls();
        self
    }

    fn wrap_in_tls(&mut self) {
        let Wire::Plain(stream) = std::mem::replace(&mut self.wire, Wire::Between) else {
            panic!("already under TLS");
        };
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = ClientConnection::new(trusting_client(), name).unwrap();
        self.wire = Wire::Tls(Box::new(StreamOwned::new(connection, stream)));
    }

    /// Writes bytes as they are.
    #[track_caller]
    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).expect("the server reads");
    }

    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.wire {
            Wire::Plain(stream) => stream.write_all(bytes),
            Wire::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
            Wire::Between => unreachable!("no TLS half way"),
        }
    }

    /// Waits until all that was sent lies on the server's side, in its kernel at least.
    pub fn wait_until_it_arrived(&self) {
        let Wire::Plain(stream) = &self.wire else {
            panic!("asked of plain connections only");
        };
        let SocketAddr::V4(local) = stream.local_addr().unwrap() else {
            panic!("asked of IPv4 only");
        };
        // As /proc/net/tcp writes an address: the four octets in the machine's order, the port, both hexadecimal.
        let ip = u32::from_ne_bytes(local.ip().octets());
        let local = format!("{ip:08X}:{:04X}", local.port());
        eventually("the server's kernel has it all", || {
            let sockets = fs::read_to_string("/proc/net/tcp").unwrap();
            let mut lines = sockets
                .lines()
                .map(|line| line.split_whitespace().collect::<Vec<_>>());
            let ours = lines.find(|fields| fields.get(1) == Some(&local.as_str()))?;
            // What was sent and is not acknowledged yet, before the colon.
            ours[4].starts_with("00000000:").then_some(())
        });
    }

    /// Reads one whole reply.
    #[track_caller]
    pub fn reply(&mut self) -> Reply {
        self.try_reply().expect("a reply")
    }

    pub fn try_reply(&mut self) -> io::Result<Reply> {
        let mut lines = Vec::new();
        loop {
            let line = self.line()?;
            let last = line.as_bytes().get(3) != Some(&b'-');
            lines.push(line);
            if last {
                return Ok(Reply(lines.join("\n")));
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.read.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.read.drain(..end + 2).collect::<Vec<u8>>();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if self.fill()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut chunk = [0; 4096];
        let count = match &mut self.wire {
            Wire::Plain(stream) => stream.read(&mut chunk)?,
            Wire::Tls(stream) => stream.read(&mut chunk)?,
            Wire::Between => unreachable!("no TLS half way"),
        };
        self.read.extend_from_slice(&chunk[..count]);
        Ok(count)
    }

    /// The server hangs up, and says nothing more before that than what is returned.
    #[track_caller]
    pub fn expect_closed(&mut self) -> String {
        loop {
            match self.fill() {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    panic!("the server kept the connection open")
                }
                Err(_) => break,
            }
        }
        String::from_utf8_lossy(&self.read).into_owned()
    }

    /// One command line, one reply.
    #[track_caller]
    pub fn command(&mut self, line: &str) -> Reply {
        self.send(format!("{line}\r\n").as_bytes());
        self.reply()
    }

    #[track_caller]
    pub fn ehlo(&mut self) -> Reply {
        self.command("EHLO client.example")
    }

    /// STARTTLS, the handshake, and EHLO again.
    #[track_caller]
    pub fn starttls(&mut self) {
        self.command("STARTTLS").expect("220");
        assert!(self.read.is_empty(), "bytes behind the reply to STARTTLS");
        self.wrap_in_tls();
        self.ehlo().expect("250");
    }

    #[track_caller]
    pub fn auth_plain(&mut self, user: &str, password: &str) -> Reply {
        let initial = BASE64_STANDARD.encode(format!("\0{user}\0{password}"));
        self.command(&format!("AUTH PLAIN {initial}"))
    }

    #[track_caller]
    pub fn auth_login(&mut self, user: &str, password: &str) -> Reply {
        self.command("AUTH LOGIN").expect("334");
        self.command(&BASE64_STANDARD.encode(user)).expect("334");
        self.command(&BASE64_STANDARD.encode(password))
    }

    #[track_caller]
    pub fn mail(&mut self, from: &str) -> Reply {
        self.command(&format!("MAIL FROM:<{from}>"))
    }

    #[track_caller]
    pub fn rcpt(&mut self, to: &str) -> Reply {
        self.command(&format!("RCPT TO:<{to}>"))
    }

    /// DATA, the message with its dots stuffed and the end, and the reply to that end.
    #[track_caller]
    pub fn data(&mut self, message: &[u8]) -> Reply {
        self.command("DATA").expect("354");
        self.send(&stuffed(message));
        self.reply()
    }

    /// A whole transaction; the reply to its end.
    #[track_caller]
    pub fn submit(&mut self, from: &str, to: &[&str], message: &[u8]) -> Reply {
        self.mail(from).expect("250");
        for recipient in to {
            self.rcpt(recipient).expect("250");
        }
        self.data(message)
    }

    #[track_caller]
    pub fn quit(mut self) {
        self.command("QUIT").expect("221");
    }
}

/// A message as DATA wants it: dots doubled, CRLF.CRLF behind it.
pub fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 8);
    let mut line_start = true;
    for &byte in message {
        if line_start && byte == b'.' {
            out.push(b'.');
        }
        out.push(byte);
        line_start = byte == b'\n' && out.ends_with(b"\r\n");
    }
    if !out.ends_with(b"\r\n") && !out.is_empty() {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}
