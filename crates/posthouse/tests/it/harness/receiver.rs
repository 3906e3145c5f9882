//! An HTTP receiver for webhooks on loopback, well-behaved or hostile by the path that is called.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::{ServerConnection, StreamOwned};
use serde_json::Value;

use super::eventually;
use super::tls::Identity;

/// What a receiver does with a request it has read.
#[derive(Clone, Debug)]
pub enum Reply {
    Status(u16),
    /// A status with this body.
    Says(u16, String),
    /// A redirect to this address.
    Redirect(String),
    /// Not a word, and the connection stays open.
    Silence,
    /// One octet of a head now and then, which never ends.
    Drip,
    /// A good head, and a body without end.
    Endless,
    /// The connection is closed at once.
    Close,
    /// 200, once `release` is called.
    Hold,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Call {
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Call {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(given, _)| given.eq_ignore_ascii_case(name))
            .map_or("", |(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }
}

#[derive(Default)]
struct Inner {
    calls: Mutex<Vec<Call>>,
    replies: Mutex<BTreeMap<String, Reply>>,
    released: AtomicBool,
    stopped: AtomicBool,
    connections: AtomicUsize,
}

pub struct Receiver {
    address: SocketAddr,
    inner: Arc<Inner>,
}

impl Receiver {
    pub fn start() -> Self {
        Self::listen(serve)
    }

    /// One that speaks TLS.
    pub fn with_tls(identity: &Identity) -> Self {
        let config = identity.server();
        Self::listen(move |stream, inner| {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            serve(StreamOwned::new(connection, stream), inner)
        })
    }

    fn listen(serve: impl Fn(TcpStream, &Inner) -> std::io::Result<()> + Send + Sync + 'static) -> Self {
        let serve = Arc::new(serve);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::<Inner>::default();
        let shared = Arc::clone(&inner);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.stopped.load(Ordering::SeqCst) {
                    return;
                }
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let (shared, serve) = (Arc::clone(&shared), Arc::clone(&serve));
                thread::spawn(move || {
                    let _ = serve(stream, &shared);
                });
            }
        });
        Self { address, inner }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What is done with requests for this path; 204 where nothing is said.
    pub fn reply(&self, path: &str, reply: Reply) {
        self.inner.replies.lock().unwrap().insert(path.to_owned(), reply);
    }

    /// Lets the requests go on that are held.
    pub fn release(&self) {
        self.inner.released.store(true, Ordering::SeqCst);
    }

    /// The requests for this path so far.
    pub fn calls(&self, path: &str) -> Vec<Call> {
        let calls = self.inner.calls.lock().unwrap();
        calls.iter().filter(|call| call.path == path).cloned().collect()
    }

    #[track_caller]
    pub fn wait_for(&self, path: &str, count: usize) -> Vec<Call> {
        eventually(&format!("{count} requests for {path}"), || {
            Some(self.calls(path)).filter(|calls| calls.len() >= count)
        })
    }

    /// Connections so far, with a request or without.
    pub fn connections(&self) -> usize {
        self.inner.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.inner.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
    }
}

fn serve(stream: impl Read + Write, inner: &Inner) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.push((name.to_owned(), value.to_owned()));
    }
    let length = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let call = Call {
        path: path.clone(),
        headers,
        body: String::from_utf8(body).unwrap(),
    };
    inner.calls.lock().unwrap().push(call);
    let reply = inner.replies.lock().unwrap().get(&path).cloned();
    let head = |status: u16, more: &str| format!("HTTP/1.1 {status} Said\r\n{more}Connection: close\r\n\r\n");
    let going = || !inner.stopped.load(Ordering::SeqCst);
    let reply = reply.unwrap_or(Reply::Status(204));
    if matches!(reply, Reply::Silence) {
        // Until the other side gives up.
        return reader.read_to_end(&mut Vec::new()).map(drop);
    }
    let stream = reader.get_mut();
    match reply {
        Reply::Status(status) => {
            stream.write_all(head(status, "").as_bytes())?;
            stream.flush()
        }
        Reply::Says(status, body) => stream.write_all(format!("{}{body}", head(status, "")).as_bytes()),
        Reply::Redirect(to) => stream.write_all(head(302, &format!("Location: {to}\r\n")).as_bytes()),
        Reply::Drip => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nX: ")?;
            while going() {
                stream.write_all(b"x")?;
                thread::park_timeout(Duration::from_millis(200));
            }
            Ok(())
        }
        Reply::Endless => {
            stream.write_all(head(200, "").as_bytes())?;
            while going() {
                stream.write_all(&[b'y'; 8_192])?;
            }
            Ok(())
        }
        Reply::Silence | Reply::Close => Ok(()),
        Reply::Hold => {
            while going() && !inner.released.load(Ordering::SeqCst) {
                thread::park_timeout(Duration::from_millis(10));
            }
            stream.write_all(head(200, "").as_bytes())
        }
    }
}
