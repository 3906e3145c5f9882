//! Serves one HTTP socket, with TLS or without, until told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::listen::Bound;

/// How long a client may take for its TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes that may be under way, and finished ones that may wait, for one socket.
const HANDSHAKES: usize = 256;

/// Serves `router` on one socket. Handlers find the client's address as `ConnectInfo<SocketAddr>`.
pub async fn serve(bound: Bound, tls: Option<Arc<ServerConfig>>, router: Router, stop: CancellationToken) {
    let router = router.layer(from_fn(tell_peer));
    let served = match tls {
        None => {
            let service = router.into_make_service_with_connect_info::<Peer>();
            axum::serve(bound.socket, service)
                .with_graceful_shutdown(stop.cancelled_owned())
                .await
        }
        Some(config) => {
            let listener = TlsListener::start(bound, config, stop.clone());
            let service = router.into_make_service_with_connect_info::<Peer>();
            axum::serve(listener, service)
                .with_graceful_shutdown(stop.cancelled_owned())
                .await
        }
    };
    if let Err(error) = served {
        warn!(%error, "an HTTP listener ended");
    }
}

/// Who is at the other end, over TCP and TLS alike.
#[derive(Clone, Copy)]
struct Peer(SocketAddr);

impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// Puts the address where axum's own extractor looks. One socket takes IPv4 as mapped IPv6; handlers see IPv4.
async fn tell_peer(mut request: Request, next: Next) -> Response {
    if let Some(&ConnectInfo(Peer(address))) = request.extensions().get::<ConnectInfo<Peer>>() {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        request.extensions_mut().insert(ConnectInfo(address));
    }
    next.run(request).await
}

/// A listener whose connections have their handshake behind them, so that a slow one holds nobody up.
struct TlsListener {
    ready: mpsc::Receiver<(tokio_rustls::server::TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
}

impl TlsListener {
    fn start(bound: Bound, config: Arc<ServerConfig>, stop: CancellationToken) -> Self {
        let (sender, ready) = mpsc::channel(HANDSHAKES);
        let address = bound.address;
        tokio::spawn(accept(bound.socket, TlsAcceptor::from(config), sender, stop));
        Self { ready, address }
    }
}

async fn accept(
    mut socket: TcpListener,
    tls: TlsAcceptor,
    ready: mpsc::Sender<(tokio_rustls::server::TlsStream<TcpStream>, SocketAddr)>,
    stop: CancellationToken,
) {
    loop {
        let slot = tokio::select! {
            () = stop.cancelled() => return,
            slot = ready.clone().reserve_owned() => slot,
        };
        let Ok(slot) = slot else { return };
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => return,
            // axum's own accept waits out the errors that come from too many open files.
            accepted = Listener::accept(&mut socket) => accepted,
        };
        let tls = tls.clone();
        tokio::spawn(async move {
            match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                Ok(Ok(stream)) => {
                    slot.send((stream, peer));
                }
                Ok(Err(error)) => debug!(%peer, %error, "TLS handshake failed"),
                Err(_) => debug!(%peer, "TLS handshake took too long"),
            }
        });
    }
}

impl Listener for TlsListener {
    type Io = tokio_rustls::server::TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(ready) => ready,
            // Ended with the server; axum stops asking by itself.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        Ok(self.address)
    }
}
