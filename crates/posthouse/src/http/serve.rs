//! The accept loop: plain and TLS connections, each with limits on time and number, closed in order at the end.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::Cursor;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;
use parking_lot::Mutex;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::lingering::{Lingering, Unread};
use super::patient::Patient;
use super::peer::{Connection, network_of};
use super::untaken::Untaken;
use crate::ops::Connections;

/// Connections at the same time; more wait in the kernel's queue.
const MOST_CONNECTIONS: usize = 2_000;
/// Of them, those of one client network. A proxy brings the clients of all networks and has no limit.
const MOST_OF_A_CLIENT: usize = 200;
/// Octets that an HTTP/2 client sends first.
const PREFACE: usize = 24;
/// From connecting to the end of the TLS handshake, and from there to the end of each request's header.
const HANDSHAKE: Duration = Duration::from_secs(15);
const HEADER: Duration = Duration::from_secs(30);
/// How long a client may take nothing of what it asked for.
const UNREAD: Duration = Duration::from_secs(30);
/// Octets of an HTTP/2 answer that wait for the client to read on.
const SEND_BUFFER: usize = 64 * 1024;
/// How long requests in hand may take once we are asked to stop.
const GRACE: Duration = Duration::from_secs(10);

/// A socket to serve, and how.
pub struct Listener {
    pub socket: TcpListener,
    /// TLS with this configuration, or none.
    pub tls: Option<Arc<ServerConfig>>,
    /// Who may speak for somebody else.
    pub proxies: Arc<[IpNet]>,
    pub connections: Arc<Connections>,
}

/// Serves `router` on every listener until told to stop, then finishes the requests in hand.
pub async fn run(listeners: Vec<Listener>, router: Router, stop: CancellationToken) {
    let tracker = TaskTracker::new();
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let clients = Clients::default();
    for listener in listeners {
        let server = Server {
            tls: listener.tls.map(TlsAcceptor::from),
            proxies: listener.proxies,
            router: router.clone(),
            room: Arc::clone(&room),
            clients: clients.clone(),
            connections: listener.connections,
            header: HEADER,
            unread: UNREAD,
            tracker: tracker.clone(),
            stop: stop.clone(),
        };
        tracker.spawn(server.accept(listener.socket));
    }
    tracker.close();
    stop.cancelled().await;
    if timeout(GRACE, tracker.wait()).await.is_err() {
        tracing::info!("HTTP requests were still running at the end");
    }
}

/// Open connections by client network.
#[derive(Clone, Default)]
struct Clients(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One connection of a client; given back when it is dropped.
struct Place {
    clients: Clients,
    network: IpAddr,
}

impl Clients {
    fn enter(&self, ip: IpAddr, proxy: bool) -> Option<Place> {
        let network = network_of(ip);
        let mut all = self.0.lock();
        let open = all.entry(network).or_default();
        if *open >= MOST_OF_A_CLIENT && !proxy {
            return None;
        }
        *open += 1;
        Some(Place {
            clients: self.clone(),
            network,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.clients.0.lock();
        if let Some(open) = all.get_mut(&self.network) {
            *open -= 1;
            if *open == 0 {
                all.remove(&self.network);
            }
        }
    }
}

#[derive(Clone)]
struct Server {
    tls: Option<TlsAcceptor>,
    proxies: Arc<[IpNet]>,
    router: Router,
    room: Arc<Semaphore>,
    clients: Clients,
    connections: Arc<Connections>,
    header: Duration,
    unread: Duration,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Server {
    async fn accept(self, socket: TcpListener) {
        loop {
            let slot = tokio::select! {
                () = self.stop.cancelled() => return,
                slot = Arc::clone(&self.room).acquire_owned() => slot.expect("the semaphore is never closed"),
            };
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let ip = peer.ip().to_canonical();
                    let proxy = self.proxies.iter().any(|range| range.contains(&ip));
                    let Some(place) = self.clients.enter(ip, proxy) else {
                        self.connections.turn_away();
                        tracing::debug!(%peer, "a client has too many HTTP connections");
                        continue;
                    };
                    let server = self.clone();
                    let open = self.connections.open();
                    self.tracker.spawn(async move {
                        let _held = (slot, place, open);
                        server.connection(stream, peer, proxy).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "an HTTP connection could not be accepted");
                    // Out of file descriptors, most likely: asking again at once would spin.
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn connection(self, stream: TcpStream, peer: SocketAddr, proxy: bool) {
        // An answer is written in one go; waiting to fill a segment would only delay it.
        let _ = stream.set_nodelay(true);
        let port = stream.local_addr().map_or(0, |address| address.port());
        let connection = |tls| Connection {
            peer,
            port,
            tls,
            proxy,
        };
        let unread = Unread::default();
        let stream = Lingering::new(Patient::new(stream, self.unread), unread.clone());
        match &self.tls {
            None => self.requests(stream, connection(false), unread).await,
            Some(acceptor) => match timeout(HANDSHAKE, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let connection = connection(true);
                    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                        self.streams(stream, connection).await;
                    } else {
                        self.requests(stream, connection, unread).await;
                    }
                }
                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            },
        }
    }

    async fn requests<S>(&self, stream: S, connection: Connection, unread: Unread)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (router, arriving) = (self.router.clone(), unread.clone());
        let untaken = Arc::new(Untaken::default());
        let watched = Arc::clone(&untaken);
        let send = move |answer| watched.watch_urgent(answer);
        let service = TowerToHyperService::new(tower_service(router, connection, arriving, send));
        // Its timer runs from the first read, so it ends those who say nothing at all, too.
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.header)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(serving);
        let ended = tokio::select! {
            ended = serving.as_mut() => ended,
            () = untaken.stalls(self.unread) => {
                tracing::debug!(client = %connection.peer.ip(), "an HTTP client takes too long to read what it asked for");
                return;
            }
            () = self.stop.cancelled() => {
                // Whoever only keeps the connection for later is not waited for.
                unread.forget();
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "an HTTP connection broke");
        }
    }

    /// HTTP/2, whose timers begin with its preface only: that is waited for here.
    async fn streams<S>(&self, stream: S, connection: Connection)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut read, write) = tokio::io::split(stream);
        let mut preface = [0; PREFACE];
        if !matches!(
            timeout(self.header, read.read_exact(&mut preface)).await,
            Ok(Ok(_))
        ) {
            tracing::debug!("an HTTP/2 connection did not begin");
            return;
        }
        let stream = tokio::io::join(Cursor::new(preface).chain(read), write);
        let untaken = Arc::new(Untaken::default());
        let watched = Arc::clone(&untaken);
        let watch = move |answer| watched.watch(answer);
        // A stream that was refused is reset by itself, and the connection goes on.
        let nothing = Unread::default();
        let service =
            TowerToHyperService::new(tower_service(self.router.clone(), connection, nothing, watch));
        let serving = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(HEADER)
            .max_concurrent_streams(100)
            .max_send_buf_size(SEND_BUFFER)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(serving);
        let ended = tokio::select! {
            ended = serving.as_mut() => ended,
            () = untaken.stalls(self.unread) => {
                tracing::debug!(client = %connection.peer.ip(), "an HTTP/2 client does not read what it asked for");
                return;
            }
            () = self.stop.cancelled() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "an HTTP/2 connection broke");
        }
    }
}

/// Answers the requests of a connection, each as `send` makes it; `unread` hears of requests that were not read to their end.
fn tower_service(
    router: Router,
    connection: Connection,
    unread: Unread,
    send: impl Fn(Response) -> Response + Clone + Send + 'static,
) -> impl tower::Service<
    axum::http::Request<hyper::body::Incoming>,
    Response = Response,
    Error = Infallible,
    Future: Send,
> + Clone {
    tower::service_fn(move |request: axum::http::Request<hyper::body::Incoming>| {
        let (router, send) = (router.clone(), send.clone());
        let (head, body) = request.into_parts();
        let (body, arriving) = unread.watch(Body::new(body));
        let mut request = axum::http::Request::from_parts(head, body);
        request.extensions_mut().insert(ConnectInfo(connection));
        async move {
            let answer = tower::ServiceExt::oneshot(router, request).await?;
            arriving.answered();
            Ok(send(answer))
        }
    })
}

#[cfg(test)]
mod tests {
    use axum::Extension;
    use bytes::Bytes;
    use tokio::io::{AsyncWriteExt, duplex};

    use crate::http::untaken::Urgent;

    use super::*;

    fn server() -> Server {
        Server {
            tls: None,
            proxies: Arc::default(),
            router: Router::new(),
            room: Arc::new(Semaphore::new(1)),
            clients: Clients::default(),
            connections: Arc::default(),
            header: Duration::from_millis(50),
            unread: Duration::from_millis(50),
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    const FAR: Connection = Connection {
        peer: SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 4711),
        port: 8080,
        tls: false,
        proxy: false,
    };

    #[tokio::test]
    async fn a_client_that_says_nothing_or_one_octet_is_let_go() {
        for said in ["", "P", "GET / HTTP/1.1\r\n"] {
            for http2 in [false, true] {
                let (mut near, far) = duplex(1_024);
                near.write_all(said.as_bytes()).await.unwrap();
                let server = server();
                let ended = async {
                    if http2 {
                        server.streams(far, FAR).await;
                    } else {
                        server.requests(far, FAR, Unread::default()).await;
                    }
                };
                timeout(Duration::from_secs(10), ended).await.expect(said);
            }
        }
    }

    /// The preface of HTTP/2, SETTINGS with the widest window, as much for the connection, and a HEADERS frame that asks for `/`.
    const OPEN_WINDOW: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
        \0\0\x06\x04\0\0\0\0\0\0\x04\x7f\xff\xff\xff\
        \0\0\x04\x08\0\0\0\0\0\x7f\xff\0\0\
        \0\0\x06\x01\x05\0\0\0\x01\x82\x86\x84\x41\x01a";

    /// The preface of HTTP/2, a SETTINGS frame with a window of zero, and a HEADERS frame that asks for `/`.
    const WINDOW_OF_ZERO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
        \0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0\
        \0\0\x06\x01\x05\0\0\0\x01\x82\x86\x84\x41\x01a";

    #[tokio::test]
    async fn a_client_that_does_not_read_its_answer_is_let_go_and_the_answer_with_it() {
        for http2 in [false, true] {
            let held = Arc::new(vec![b'x'; 1_000_000]);
            let answer = Bytes::from_owner(Shown(Arc::clone(&held)));
            let router = Router::new().route("/", axum::routing::get(move || async move { answer }));
            let server = Server { router, ..server() };
            let (mut near, far) = duplex(16 * 1024);
            let far = Patient::new(far, server.unread);
            let ended = async {
                if http2 {
                    near.write_all(WINDOW_OF_ZERO).await.unwrap();
                    server.streams(far, FAR).await;
                } else {
                    near.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                        .await
                        .unwrap();
                    server.requests(far, FAR, Unread::default()).await;
                }
                // The router holds the answer as well.
                drop(server);
                while Arc::strong_count(&held) > 1 {
                    tokio::task::yield_now().await;
                }
            };
            timeout(Duration::from_secs(10), ended)
                .await
                .expect("it is let go");
            let mut read = Vec::new();
            near.read_to_end(&mut read).await.unwrap();
            assert!(read.len() < 100_000 && read.len() > 10, "{}", read.len());
        }
    }

    #[tokio::test]
    async fn an_urgent_answer_is_over_at_its_time_however_its_client_reads_on() {
        for http2 in [false, true] {
            let held = Arc::new(vec![b'x'; 1_000_000]);
            let answer = Bytes::from_owner(Shown(Arc::clone(&held)));
            let urgent = Extension(Urgent(Duration::from_millis(200)));
            let router =
                Router::new().route("/", axum::routing::get(move || async move { (urgent, answer) }));
            // Its patience alone would last for the whole test.
            let unread = Duration::from_millis(400);
            let server = Server {
                router,
                unread,
                ..server()
            };
            let (near, far) = duplex(16 * 1024);
            let (mut taking, mut asking) = tokio::io::split(near);
            let ended = async {
                if http2 {
                    asking.write_all(OPEN_WINDOW).await.unwrap();
                    server.streams(far, FAR).await;
                } else {
                    asking
                        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                        .await
                        .unwrap();
                    server.requests(far, FAR, Unread::default()).await;
                }
                drop(server);
                while Arc::strong_count(&held) > 1 {
                    tokio::task::yield_now().await;
                }
            };
            let mut read = 0;
            let taking = async {
                let mut octets = [0; 100];
                while let Ok(taken @ 1..) = taking.read(&mut octets).await {
                    read += taken;
                    sleep(Duration::from_millis(1)).await;
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = taking => unreachable!("it never ends"),
                ended = timeout(Duration::from_secs(10), ended) => ended.expect("it is over"),
            }
            assert!(read > 100 && read < 1_000_000, "{read}");
        }
    }

    struct Shown(Arc<Vec<u8>>);

    impl AsRef<[u8]> for Shown {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }

    #[test]
    fn a_client_has_its_limit_and_gets_its_places_back() {
        let clients = Clients::default();
        let enter = |ip: &str| clients.enter(ip.parse().unwrap(), false);
        let mut held: Vec<_> = (0..MOST_OF_A_CLIENT)
            .map(|_| enter("2001:db8::1").unwrap())
            .collect();
        assert!(enter("2001:db8::ffff:1").is_none());
        assert!(enter("2001:db8:0:1::1").is_some());
        assert!(clients.enter("2001:db8::1".parse().unwrap(), true).is_some());
        held.pop();
        assert!(enter("2001:db8::2").is_some());
        drop(held);
        assert!(clients.0.lock().is_empty());
    }
}
