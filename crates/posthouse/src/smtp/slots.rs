//! How many connections there may be: in all, for one client, and a part that is kept for clients who signed in lately.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// One of so many slots is kept for clients that signed in lately, so that a flood of strangers does not lock them out.
const KEPT: usize = 10;
/// How long a client counts as one that signed in lately.
const LATELY: Duration = Duration::from_hours(1);
/// Clients without a connection that are remembered, at most.
const REMEMBERED: usize = 10_000;

/// Whom connections are counted for: an IPv4 address, or an IPv6 /64, which one subscriber has to himself.
pub(super) fn client_of(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & (!0 << 64))),
    }
}

#[derive(Clone, Debug)]
pub(super) struct Slots(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    total: usize,
    per_client: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    clients: HashMap<IpAddr, Client>,
}

#[derive(Debug, Default)]
struct Client {
    open: usize,
    signed_in: Option<Instant>,
}

impl Client {
    fn is_known(&self) -> bool {
        self.signed_in.is_some_and(|at| at.elapsed() < LATELY)
    }
}

/// The right to one connection; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Slots,
    client: IpAddr,
}

impl Slots {
    pub fn new(total: usize, per_client: usize) -> Self {
        Self(Arc::new(Inner {
            total,
            per_client,
            taken: Mutex::default(),
        }))
    }

    /// A slot for `client`, as [`client_of`] names it.
    pub fn take(&self, client: IpAddr) -> Option<Slot> {
        let mut taken = self.0.taken.lock();
        let Taken { total, clients } = &mut *taken;
        let known = clients.get(&client);
        let kept = if known.is_some_and(Client::is_known) {
            0
        } else {
            self.0.total / KEPT
        };
        if *total >= self.0.total - kept || known.is_some_and(|client| client.open >= self.0.per_client) {
            return None;
        }
        *total += 1;
        clients.entry(client).or_default().open += 1;
        Some(Slot {
            slots: self.clone(),
            client,
        })
    }
}

impl Slot {
    /// The client behind this connection signed in.
    pub fn signed_in(&self) {
        let mut taken = self.slots.0.taken.lock();
        taken.clients.entry(self.client).or_default().signed_in = Some(Instant::now());
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.0.taken.lock();
        let Taken { total, clients } = &mut *taken;
        *total -= 1;
        let Some(client) = clients.get_mut(&self.client) else {
            return;
        };
        client.open -= 1;
        if client.open == 0 && client.signed_in.is_none() {
            clients.remove(&self.client);
        } else if clients.len() > REMEMBERED {
            clients.retain(|_, client| client.open > 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn a_client_has_its_limit_and_gets_its_slots_back() {
        let slots = Slots::new(100, 2);
        let first = slots.take(client(1));
        let second = slots.take(client(1));
        assert!(first.is_some() && second.is_some());
        assert!(slots.take(client(1)).is_none());
        assert!(slots.take(client(2)).is_some());
        drop(first);
        assert!(slots.take(client(1)).is_some());
    }

    #[test]
    fn a_part_is_kept_for_those_who_signed_in_lately() {
        let slots = Slots::new(10, 100);
        slots.take(client(1)).unwrap().signed_in();
        let strangers: Vec<_> = std::iter::from_fn(|| slots.take(client(2))).collect();
        assert_eq!(strangers.len(), 9);
        let known = slots.take(client(1));
        assert!(known.is_some());
        assert!(slots.take(client(1)).is_none());
    }

    #[test]
    fn an_ipv6_client_is_its_64() {
        let same = |a: &str, b: &str| client_of(a.parse().unwrap()) == client_of(b.parse().unwrap());
        assert!(same("2001:db8::1", "2001:db8::ffff:1"));
        assert!(!same("2001:db8::1", "2001:db8:0:1::1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
    }

    #[test]
    fn strangers_are_forgotten() {
        let slots = Slots::new(100, 100);
        drop(slots.take(client(1)));
        assert!(slots.0.taken.lock().clients.is_empty());
    }
}
