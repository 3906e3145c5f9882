//! Turns at something scarce, dealt out fairly between the networks that clients come from.

use std::collections::{HashMap, VecDeque};

use ipnet::IpNet;

/// Where somebody who waits comes from; `None` is this service itself, and who is signed in already.
pub(crate) type Network = Option<IpNet>;

/// Who waits, in one line for each network. The networks take turns: one that waits with many is served no sooner than
/// one that waits with one.
pub(crate) struct Lines<T> {
    /// The most that wait in one line.
    longest: usize,
    /// Never empty ones.
    waiting: HashMap<Network, VecDeque<T>>,
    /// Each network with a line, once; the next to be served first.
    order: VecDeque<Network>,
}

impl<T> Lines<T> {
    pub(crate) fn new(longest: usize) -> Self {
        Self {
            longest,
            waiting: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Puts `who` at the end of its network's line; gives it back when that is full. Those that `left` are no longer
    /// counted.
    pub(crate) fn join(&mut self, network: Network, who: T, left: impl Fn(&T) -> bool) -> Result<(), T> {
        let line = self.waiting.entry(network).or_insert_with(|| {
            self.order.push_back(network);
            VecDeque::new()
        });
        if line.len() >= self.longest {
            line.retain(|one| !left(one));
        }
        if line.len() >= self.longest {
            return Err(who);
        }
        line.push_back(who);
        Ok(())
    }

    /// Who comes next.
    pub(crate) fn next(&mut self) -> Option<T> {
        let network = self.order.pop_front()?;
        let line = self.waiting.get_mut(&network)?;
        let who = line.pop_front();
        if line.is_empty() {
            self.waiting.remove(&network);
        } else {
            self.order.push_back(network);
        }
        who
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(net: &str) -> IpNet {
        net.parse().unwrap()
    }

    fn lines<const N: usize>(longest: usize, waiting: [(&str, &'static str); N]) -> Lines<&'static str> {
        let mut lines = Lines::new(longest);
        for (net, who) in waiting {
            lines.join(Some(network(net)), who, |_| false).unwrap();
        }
        lines
    }

    fn served(lines: &mut Lines<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| lines.next()).collect()
    }

    #[test]
    fn networks_take_turns_however_many_wait_in_one() {
        let mut lines = lines(
            10,
            [
                ("192.0.2.0/24", "a1"),
                ("192.0.2.0/24", "a2"),
                ("192.0.2.0/24", "a3"),
                ("192.0.2.0/24", "a4"),
                ("198.51.100.0/24", "b1"),
                ("2001:db8::/48", "c1"),
                ("198.51.100.0/24", "b2"),
            ],
        );
        assert_eq!(served(&mut lines), ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]);
        assert!(lines.waiting.is_empty() && lines.order.is_empty());
    }

    #[test]
    fn who_comes_to_a_flood_is_next_but_one() {
        let mut lines = lines(
            10,
            [
                ("192.0.2.0/24", "a1"),
                ("192.0.2.0/24", "a2"),
                ("192.0.2.0/24", "a3"),
            ],
        );
        assert_eq!(lines.next(), Some("a1"));
        lines
            .join(Some(network("198.51.100.0/24")), "b1", |_| false)
            .unwrap();
        assert_eq!(served(&mut lines), ["a2", "b1", "a3"]);
    }

    #[test]
    fn a_full_line_takes_nobody_until_somebody_is_served_or_leaves() {
        let mut lines = lines(2, [("192.0.2.0/24", "a1"), ("192.0.2.0/24", "a2")]);
        let a = Some(network("192.0.2.0/24"));
        assert_eq!(lines.join(a, "a3", |_| false), Err("a3"));
        assert_eq!(
            lines.join(Some(network("198.51.100.0/24")), "b1", |_| false),
            Ok(())
        );
        assert_eq!(lines.join(a, "a3", |one| *one == "a1"), Ok(()));
        assert_eq!(lines.next(), Some("a2"));
        assert_eq!(lines.join(a, "a4", |_| false), Ok(()));
        assert_eq!(served(&mut lines), ["b1", "a3", "a4"]);
    }
}
