//! One connection: reads and writes for its session, waits no longer than it should, and takes every decision to its place.

use std::future::{Future, poll_fn};
use std::io::{self, Read};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use accounts::{Principal, Quota, RateLeft};
use bytes::BytesMut;
use mail::address::Address;
use mail::replies;
use mail::smtp::server::{Session, Step, Tls, Verdict};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};
use tokio_rustls::rustls::ProtocolVersion;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tracing::{debug, info};

use super::clock::{Patience, Transfer};
use super::inbound::Arriving;
use super::slots::Slot;
use super::{Counters, Door, Kind, Shared};
use crate::budget::Share;
use crate::ops::Open;

/// Room for a read while commands are exchanged.
const READ: usize = 8 * 1024;
/// Room for a read while a message streams in.
const READ_MUCH: usize = 64 * 1024;
const TLS_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the replies to a client that makes many errors are held back.
const HELD_BACK: Duration = Duration::from_secs(1);
/// How long a client may take to hang up after us. Closing a socket with unread bytes in it would tear our last reply away.
const LINGER: Duration = Duration::from_secs(1);

pub(super) struct Connection {
    pub(super) shared: Arc<Shared>,
    pub(super) door: Door,
    /// Names the connection in the log.
    pub(super) id: u64,
    pub(super) peer: SocketAddr,
    pub(super) session: Session,
    input: BytesMut,
    /// Whether the last read filled all the room it had.
    streaming: bool,
    /// Who sends: signed in, or known by address since the last MAIL.
    pub(super) principal: Option<Principal>,
    /// On the inbound listener: what the mail of the open transaction is.
    pub(super) arriving: Option<Arriving>,
    /// The reverse-path of the open transaction, and whom hooks let in as its recipients.
    pub(super) sender: Option<Address>,
    pub(super) named: Arc<Vec<String>>,
    /// What is left of the account's day, for the transaction that is open.
    pub(super) quota: Option<Quota>,
    /// How many recipients the credential that was signed in with may have in the open transaction.
    pub(super) rate_left: Option<RateLeft>,
    /// The directory was refreshed since the last bytes came.
    pub(super) refreshed: bool,
    /// Version and cipher suite, under TLS.
    pub(super) tls: Option<String>,
    /// Until the connection is as good as over.
    pub(super) slot: Option<Slot>,
    /// Counts this connection while it lasts.
    _open: Open,
    transfer: Option<Transfer>,
    share: Share,
    waits: Waits,
}

/// What may end a wait, kept over all waits of the connection: setting up a timer for every read would show.
struct Waits {
    patience: Patience,
    timer: Pin<Box<Sleep>>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    stopped: bool,
}

/// Why the conversation paused or ended.
enum End {
    StartTls,
    Closed,
}

/// What came of waiting for the client.
enum Wait {
    Bytes,
    Gone,
    TooLong,
    Stop,
}

impl Connection {
    pub fn new(shared: Arc<Shared>, door: Door, peer: SocketAddr, slot: Slot) -> Self {
        let tls = if door.kind == Kind::Submissions {
            Tls::Active
        } else {
            Tls::Offered
        };
        let share = shared.budget(door.kind).share();
        let patience = Patience {
            pause: shared.settings.command_timeout,
            text: shared.data_timeout(door.kind),
        };
        Self {
            id: shared.next_connection.fetch_add(1, Ordering::Relaxed),
            session: Session::new(Arc::clone(&door.session), tls),
            _open: door.connections.open(),
            door,
            peer,
            input: BytesMut::with_capacity(READ),
            streaming: false,
            principal: None,
            arriving: None,
            sender: None,
            named: Arc::default(),
            quota: None,
            rate_left: None,
            refreshed: false,
            tls: None,
            slot: Some(slot),
            transfer: None,
            share,
            waits: Waits {
                patience,
                timer: Box::pin(sleep_until(Instant::now() + patience.pause)),
                stop: Box::pin(shared.stop.clone().cancelled_owned()),
                stopped: false,
            },
            shared,
        }
    }

    /// Serves the client until one of both hangs up.
    pub async fn run(mut self, stream: TcpStream) {
        debug!(connection = self.id, listener = self.door.kind.as_str(), client = %self.peer, "connected");
        let ended = match self.door.kind {
            Kind::Submissions => self.tls(stream).await,
            Kind::Submission | Kind::Inbound => self.plain(stream).await,
        };
        match ended {
            Ok(()) => debug!(connection = self.id, "closed"),
            Err(error) => debug!(connection = self.id, %error, "broken off"),
        }
    }

    async fn plain(&mut self, mut stream: TcpStream) -> io::Result<()> {
        // Only what is here already is looked at: good clients are not made to wait for the banner.
        let mut early = [0];
        let socket = SockRef::from(&stream);
        if (&*socket).read(&mut early).is_ok_and(|count| count > 0) {
            self.session.early_talk(early[0]);
        }
        match self.converse(&mut stream).await? {
            End::Closed => Ok(()),
            End::StartTls => self.tls(stream).await,
        }
    }

    async fn tls(&mut self, stream: TcpStream) -> io::Result<()> {
        let handshake = timeout(TLS_TIMEOUT, self.shared.tls.accept(stream));
        let mut stream = match handshake.await.map_err(io::Error::from).flatten() {
            Ok(stream) => stream,
            Err(error) => {
                Counters::add(&self.shared.counters.tls_failures, 1);
                info!(connection = self.id, client = %self.peer.ip(), %error, "no TLS came about");
                return Ok(());
            }
        };
        Counters::add(&self.shared.counters.tls_handshakes, 1);
        self.tls = Some(facts(&stream));
        if self.door.kind == Kind::Submissions {
            let mut early = [0];
            let inside = stream.get_mut().1.reader().read(&mut early);
            if inside.is_ok_and(|count| count > 0) {
                self.session.early_talk(early[0]);
            }
        } else {
            self.session.tls_started();
            self.principal = None;
        }
        self.session.bind_channel(channel(&stream));
        self.converse(&mut stream).await.map(|_| ())
    }

    /// Lets the session talk over `stream` until it ends or turns to TLS.
    async fn converse<S: AsyncRead + AsyncWrite + Unpin>(&mut self, stream: &mut S) -> io::Result<End> {
        loop {
            match self.session.receive(&mut self.input) {
                Step::NeedBytes => {
                    self.weigh();
                    self.flush(stream).await?;
                    match self.read(stream).await? {
                        Wait::Bytes => self.look_at_principal().await,
                        Wait::Gone => return Ok(End::Closed),
                        Wait::Stop => self.session.close_with(&replies::SHUTTING_DOWN),
                        Wait::TooLong => self.give_up(),
                    }
                }
                Step::SignIn(credentials) => {
                    self.flush(stream).await?;
                    let verdict = self.sign_in(credentials).await;
                    self.session.answer(verdict);
                }
                Step::Challenge(username) => match self.shared.accounts.challenge(&username) {
                    Some(with) => self.session.challenge(&with.salt, with.iterations, &with.nonce),
                    None => self.session.answer(Verdict::Refuse(replies::SIGN_IN_UNAVAILABLE)),
                },
                Step::Proof(proof) => {
                    self.flush(stream).await?;
                    match self.prove(&proof).await {
                        Ok(message) => self.session.verified(&message),
                        Err(verdict) => self.session.answer(verdict),
                    }
                }
                Step::Mail(reverse_path) => {
                    let verdict = self.mail(reverse_path).await;
                    self.session.answer(verdict);
                }
                Step::Rcpt(recipient) => {
                    let verdict = self.rcpt(&recipient).await;
                    self.session.answer(verdict);
                }
                Step::Data => {
                    let verdict = self.data();
                    self.session.answer(verdict);
                    self.transfer = self.session.is_receiving_text().then(Transfer::start);
                }
                Step::Message {
                    envelope,
                    smtputf8,
                    body,
                } => {
                    self.transfer = None;
                    self.flush(stream).await?;
                    // The text may have grown in its last read; the share is held until the message is accepted.
                    let verdict = if self.share.cover(body.len()) {
                        self.message(envelope, smtputf8, body).await
                    } else {
                        Verdict::Refuse(replies::BUSY)
                    };
                    self.share.resize(0);
                    self.session.answer(verdict);
                }
                Step::StartTls => {
                    self.flush(stream).await?;
                    return Ok(End::StartTls);
                }
                Step::Close => {
                    self.hang_up(stream).await?;
                    return Ok(End::Closed);
                }
            }
        }
    }

    /// Holds the arriving text against the memory there is.
    fn weigh(&mut self) {
        if !self.share.resize(self.session.held()) {
            self.session.turn_away(replies::BUSY);
            self.share.resize(0);
        }
        if !self.session.is_receiving_text() {
            self.transfer = None;
        }
    }

    fn give_up(&mut self) {
        Counters::add(&self.shared.counters.timeouts, 1);
        let reply = if self.transfer.is_some() {
            replies::DATA_TOO_SLOW
        } else {
            replies::TIMEOUT
        };
        debug!(connection = self.id, %reply, "gave up waiting");
        self.session.close_with(&reply);
    }

    /// Writes what the session has to say, all in one.
    async fn flush<S: AsyncWrite + Unpin>(&mut self, stream: &mut S) -> io::Result<()> {
        if let Some(refused) = self.session.take_auth_refused() {
            self.note_auth_refused(&refused);
        }
        let tally = self.session.take_tally();
        if tally.commands > 0 {
            Counters::add(&self.shared.counters.commands, tally.commands.into());
        }
        if tally.refusals > 0 {
            Counters::add(&self.shared.counters.refusals, tally.refusals.into());
        }
        if self.session.output().is_empty() {
            return Ok(());
        }
        if self.session.take_slowed() {
            sleep(HELD_BACK).await;
        }
        let pause = self.waits.patience.pause;
        let output = self.session.output();
        let written = timeout(pause, async {
            stream.write_all(output).await?;
            stream.flush().await
        });
        written.await.map_err(io::Error::from).flatten()?;
        output.clear();
        Ok(())
    }

    /// Waits for more input, for the end of patience, or for the end of the server.
    async fn read<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> io::Result<Wait> {
        let deadline = self.waits.patience.until(Instant::now(), self.transfer);
        // A message in transfer may still end; the listeners' drain bounds it.
        let may_stop = self.transfer.is_none();
        let Self { input, waits, .. } = self;
        input.reserve(if self.streaming { READ_MUCH } else { READ });
        let before = input.len();
        let room = input.capacity() - before;
        let wait = {
            let mut read = pin!(stream.read_buf(input));
            poll_fn(|context| match read.as_mut().poll(context) {
                Poll::Ready(Ok(0)) => Poll::Ready(Ok(Wait::Gone)),
                Poll::Ready(read) => Poll::Ready(read.map(|_| Wait::Bytes)),
                Poll::Pending => waits.poll(context, deadline, may_stop).map(Ok),
            })
            .await?
        };
        let count = self.input.len() - before;
        self.refreshed = false;
        self.streaming = count == room && self.transfer.is_some();
        if let Some(transfer) = &mut self.transfer {
            transfer.arrived(count);
        }
        Counters::add(&self.shared.counters.octets, count as u64);
        Ok(wait)
    }

    /// Says the last words and waits a moment for the client to hang up first.
    async fn hang_up<S: AsyncRead + AsyncWrite + Unpin>(&mut self, stream: &mut S) -> io::Result<()> {
        // Before the client hears of it, so that its next connection finds the slot free.
        self.slot = None;
        self.flush(stream).await?;
        stream.shutdown().await?;
        let mut rest = [0; 1024];
        let drained = async { while stream.read(&mut rest).await.is_ok_and(|count| count > 0) {} };
        // Whoever goes on talking is cut off.
        let _: Result<(), _> = timeout(LINGER, drained).await;
        Ok(())
    }
}

impl Waits {
    fn poll(
        &mut self,
        context: &mut std::task::Context<'_>,
        deadline: Instant,
        may_stop: bool,
    ) -> Poll<Wait> {
        if !self.stopped && self.stop.as_mut().poll(context).is_ready() {
            self.stopped = true;
        }
        if self.stopped && may_stop {
            return Poll::Ready(Wait::Stop);
        }
        // The timer is left as it is while it rings too early only: moving it costs more than one wake-up now and then.
        if self.timer.deadline() > deadline {
            self.timer.as_mut().reset(deadline);
        }
        while self.timer.as_mut().poll(context).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(Wait::TooLong);
            }
            self.timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

/// What names this TLS channel. Before TLS 1.3 such a name holds only with an extension that the library does not tell of.
// RFC 9266 section 4.2
fn channel(stream: &TlsStream<TcpStream>) -> Option<Vec<u8>> {
    let connection = stream.get_ref().1;
    if connection.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
        return None;
    }
    let exported = connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""));
    exported.ok().map(|name: [u8; 32]| name.to_vec())
}

/// `TLSv1_3 TLS13_AES_256_GCM_SHA384`.
fn facts(stream: &TlsStream<TcpStream>) -> String {
    let connection = stream.get_ref().1;
    let version = connection.protocol_version().and_then(|version| version.as_str());
    let suite = connection
        .negotiated_cipher_suite()
        .and_then(|suite| suite.suite().as_str());
    format!("{} {}", version.unwrap_or("TLS"), suite.unwrap_or_default())
}
