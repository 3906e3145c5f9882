//! The accept loop: plain and TLS connections, each with limits on time and number, closed in order at the end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::peer::Connection;

/// Connections at the same time; more wait in the kernel's queue.
const MOST_CONNECTIONS: usize = 2_000;
/// From connecting to the end of the TLS handshake, and from there to the end of each request's header.
const HANDSHAKE: Duration = Duration::from_secs(15);
const HEADER: Duration = Duration::from_secs(30);
/// How long requests in hand may take once we are asked to stop.
const GRACE: Duration = Duration::from_secs(10);

/// A socket to serve, and how.
pub struct Listener {
    pub socket: TcpListener,
    /// TLS with this configuration, or none.
    pub tls: Option<Arc<ServerConfig>>,
}

/// Serves `router` on every listener until told to stop, then finishes the requests in hand.
pub async fn run(listeners: Vec<Listener>, router: Router, stop: CancellationToken) {
    let tracker = TaskTracker::new();
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    for listener in listeners {
        let server = Server {
            tls: listener.tls.map(TlsAcceptor::from),
            router: router.clone(),
            room: Arc::clone(&room),
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

#[derive(Clone)]
struct Server {
    tls: Option<TlsAcceptor>,
    router: Router,
    room: Arc<Semaphore>,
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
                    let server = self.clone();
                    self.tracker.spawn(async move {
                        let _slot = slot;
                        server.connection(stream, peer).await;
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

    async fn connection(self, stream: TcpStream, peer: SocketAddr) {
        // An answer is written in one go; waiting to fill a segment would only delay it.
        let _ = stream.set_nodelay(true);
        match &self.tls {
            None => self.requests(stream, Connection { peer, tls: false }).await,
            Some(acceptor) => match timeout(HANDSHAKE, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => self.requests(stream, Connection { peer, tls: true }).await,
                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            },
        }
    }

    async fn requests<S>(&self, stream: S, connection: Connection)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = tower_service(self.router.clone(), connection);
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(HEADER)
            .max_concurrent_streams(100);
        let serving = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        tokio::pin!(serving);
        let ended = tokio::select! {
            ended = serving.as_mut() => ended,
            () = self.stop.cancelled() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "an HTTP connection broke");
        }
    }
}

fn tower_service(
    router: Router,
    connection: Connection,
) -> impl tower::Service<
    axum::http::Request<hyper::body::Incoming>,
    Response = axum::response::Response,
    Error = Infallible,
    Future: Send,
> + Clone {
    tower::service_fn(move |request: axum::http::Request<hyper::body::Incoming>| {
        let router = router.clone();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(connection));
        tower::ServiceExt::oneshot(router, request)
    })
}
