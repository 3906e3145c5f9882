//! The far end: takes all mail as fast as it can, counts it, and tells the lost from the doubled by their numbers.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use clap::Args;
use futures_util::future::try_join_all;
use memchr::memmem;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

use crate::clock;
use crate::message::NUMBER;

#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Where mail comes in; several must name the same port, or 0
    #[arg(long, default_value = "127.0.0.1:0", value_delimiter = ',')]
    pub listen: Vec<SocketAddr>,
    /// Where the counts are told
    #[arg(long, default_value = "127.0.0.1:0")]
    pub control: SocketAddr,
}

/// What arrived since the start.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Counts {
    pub messages: u64,
    /// One a RCPT: deliveries.
    pub recipients: u64,
    /// Numbers seen at least once.
    pub distinct: u64,
    pub signed: u64,
    pub bytes: u64,
    pub connections: u64,
    /// Microseconds since 1970; 0 before the first.
    pub first: u64,
    pub last: u64,
}

#[derive(Default)]
struct Book {
    counts: Counts,
    seen: HashSet<u64>,
}

pub async fn command(options: Options) -> io::Result<()> {
    let mut doors: Vec<TcpListener> = Vec::new();
    for mut address in options.listen {
        if let Some(first) = doors.first().filter(|_| address.port() == 0) {
            address.set_port(first.local_addr()?.port());
        }
        doors.push(TcpListener::bind(address).await?);
    }
    let first = doors.first().ok_or(io::ErrorKind::InvalidInput)?.local_addr()?;
    let control = TcpListener::bind(options.control).await?;
    println!("{first} {}", control.local_addr()?);
    let book = Rc::new(RefCell::new(Book::default()));
    let tasks = LocalSet::new();
    {
        let book = Rc::clone(&book);
        tasks.spawn_local(async move {
            while let Ok((mut stream, _)) = control.accept().await {
                let text = serde_json::to_string(&book.borrow().counts).unwrap_or_default();
                let _ = stream.write_all(text.as_bytes()).await;
            }
        });
    }
    let taken = doors.into_iter().map(|door| take(door, Rc::clone(&book)));
    tasks.run_until(try_join_all(taken)).await?;
    Ok(())
}

async fn take(door: TcpListener, book: Rc<RefCell<Book>>) -> io::Result<()> {
    loop {
        let (stream, _) = door.accept().await?;
        stream.set_nodelay(true)?;
        book.borrow_mut().counts.connections += 1;
        let book = Rc::clone(&book);
        // A peer that goes away in the middle has nothing to be told.
        tokio::task::spawn_local(async move { Session::new(book, stream).run().await });
    }
}

struct Session {
    book: Rc<RefCell<Book>>,
    stream: TcpStream,
    read: Vec<u8>,
    taken: usize,
    out: Vec<u8>,
    recipients: u64,
}

impl Session {
    fn new(book: Rc<RefCell<Book>>, stream: TcpStream) -> Self {
        Self {
            book,
            stream,
            read: Vec::with_capacity(128 * 1024),
            taken: 0,
            out: Vec::new(),
            recipients: 0,
        }
    }

    async fn run(mut self) -> io::Result<()> {
        self.out.extend_from_slice(b"220 sink.example ESMTP\r\n");
        loop {
            while let Some(length) = memchr::memchr(b'\n', &self.read[self.taken..]) {
                let line = &self.read[self.taken..self.taken + length];
                let verb: [u8; 4] = line
                    .get(..4)
                    .and_then(|verb| verb.try_into().ok())
                    .unwrap_or_default();
                self.taken += length + 1;
                if verb.eq_ignore_ascii_case(b"DATA") {
                    self.out.extend_from_slice(b"354 go on\r\n");
                    self.flush().await?;
                    self.message().await?;
                } else if self.answer(verb) {
                    return self.flush().await;
                }
            }
            self.flush().await?;
            self.fill().await?;
        }
    }

    /// Answers all but DATA; whether the session is over.
    fn answer(&mut self, verb: [u8; 4]) -> bool {
        let verb = verb.map(|letter| letter.to_ascii_uppercase());
        let reply: &[u8] = match &verb {
            b"EHLO" => b"250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 ENHANCEDSTATUSCODES\r\n",
            b"RCPT" => {
                self.recipients += 1;
                b"250 2.1.5 ok\r\n"
            }
            b"QUIT" => b"221 2.0.0 bye\r\n",
            _ => b"250 2.0.0 ok\r\n",
        };
        self.out.extend_from_slice(reply);
        &verb == b"QUIT"
    }

    /// Reads to CRLF.CRLF and counts.
    async fn message(&mut self) -> io::Result<()> {
        let mut searched = self.taken;
        let end = loop {
            if let Some(at) = memmem::find(&self.read[searched..], b"\r\n.\r\n") {
                break searched + at;
            }
            // The end may be cut in two.
            searched = self.read.len().saturating_sub(4).max(self.taken);
            let dropped = self.taken;
            self.fill().await?;
            searched -= dropped;
        };
        self.count(end);
        self.taken = end + 5;
        self.out.extend_from_slice(b"250 2.0.0 kept\r\n");
        Ok(())
    }

    fn count(&mut self, end: usize) {
        let message = &self.read[self.taken..end];
        let number = memmem::find(message, NUMBER).map(|at| {
            let digits = message[at + NUMBER.len()..]
                .iter()
                .take_while(|byte| byte.is_ascii_digit());
            digits.fold(0, |number: u64, digit| number * 10 + u64::from(digit - b'0'))
        });
        let signed =
            message.starts_with(b"DKIM-Signature") || memmem::find(message, b"\nDKIM-Signature:").is_some();
        let mut book = self.book.borrow_mut();
        let now = clock::now();
        if number.is_some_and(|number| book.seen.insert(number)) {
            book.counts.distinct += 1;
        }
        let counts = &mut book.counts;
        counts.messages += 1;
        counts.recipients += std::mem::take(&mut self.recipients);
        counts.signed += u64::from(signed);
        counts.bytes += message.len() as u64;
        counts.last = now;
        if counts.first == 0 {
            counts.first = now;
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        if !self.out.is_empty() {
            self.stream.write_all(&self.out).await?;
            self.out.clear();
        }
        Ok(())
    }

    async fn fill(&mut self) -> io::Result<()> {
        self.read.drain(..self.taken);
        self.taken = 0;
        if self.stream.read_buf(&mut self.read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}
