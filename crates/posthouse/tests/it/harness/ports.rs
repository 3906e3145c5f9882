//! Ports that have to be known before whoever listens on them is there.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below what the system gives away, so that nobody is given it meanwhile, and beside what `tests/postgres` takes.
const FIRST: u16 = 10_000;
const MANY: u16 = 10_000;

static HANDED_OUT: AtomicU16 = AtomicU16::new(0);

/// An address on loopback where nobody listens, handed out once.
pub fn free() -> SocketAddr {
    // Test processes beside this one begin elsewhere.
    let begin = (std::process::id() % u32::from(MANY)) as u16;
    for _ in 0..MANY {
        let place = (begin + HANDED_OUT.fetch_add(1, Ordering::Relaxed) % MANY) % MANY;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST + place));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("one of ten thousand ports is free");
}
