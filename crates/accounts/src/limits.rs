//! How often something may be asked for, counted in the database so that neither a restart nor another node forgets it.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use mail::time::Time;
use store::Tx;

/// So often within so long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    /// What is limited; part of the counter's name.
    pub(crate) what: &'static str,
    pub(crate) most: u32,
    pub(crate) window: Duration,
}

/// What counting one more came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    /// The how-manieth of its window this was.
    Within(u32),
    /// One too many, until the window is over.
    Over(Duration),
}

impl Limit {
    /// Counts one of `who`. One statement: two transactions cannot both be the last.
    pub(crate) fn count(&self, tx: &mut Tx<'_>, who: &str, now: Time) -> store::Result<Count> {
        let name = format!("{} {who}", self.what);
        tx.run(
            "INSERT INTO velocity (name, since, seen) VALUES ($1, $2, 1) ON CONFLICT (name) DO UPDATE SET \
             seen = CASE WHEN velocity.since <= $3 THEN 1 ELSE velocity.seen + 1 END, \
             since = CASE WHEN velocity.since <= $3 THEN $2 ELSE velocity.since END",
            &[(&name).into(), now.into(), now.minus(self.window).into()],
        )?;
        let row = tx.query_opt(
            "SELECT since, seen FROM velocity WHERE name = $1",
            &[(&name).into()],
        )?;
        let Some(row) = row else {
            return Ok(Count::Within(1));
        };
        let seen = u32::try_from(row.int(1)?).unwrap_or(u32::MAX);
        Ok(if seen <= self.most {
            Count::Within(seen)
        } else {
            Count::Over(self.window.saturating_sub(now.since(row.time(0)?)))
        })
    }
}

impl Limit {
    /// Counts `many` of `who` where all of them fit; otherwise counts none and says when the window is over.
    pub(crate) fn take(
        &self,
        tx: &mut Tx<'_>,
        who: &str,
        many: u64,
        now: Time,
    ) -> store::Result<Result<(), Duration>> {
        let name = format!("{} {who}", self.what);
        let many = i64::try_from(many).unwrap_or(i64::MAX);
        if many > i64::from(self.most) {
            return Ok(Err(self.window));
        }
        // One statement: two transactions cannot both have the last.
        let taken = tx.execute(
            "INSERT INTO velocity (name, since, seen) VALUES ($1, $2, $4) ON CONFLICT (name) DO UPDATE SET \
             seen = CASE WHEN velocity.since <= $3 THEN $4 ELSE velocity.seen + $4 END, \
             since = CASE WHEN velocity.since <= $3 THEN $2 ELSE velocity.since END \
             WHERE velocity.since <= $3 OR velocity.seen + $4 <= $5",
            &[
                (&name).into(),
                now.into(),
                now.minus(self.window).into(),
                many.into(),
                i64::from(self.most).into(),
            ],
        )?;
        if taken > 0 {
            return Ok(Ok(()));
        }
        Ok(Err(self.left(tx, who, now)?.1))
    }

    /// Takes back what was counted in the same transaction.
    pub(crate) fn give_back(&self, tx: &mut Tx<'_>, who: &str, many: u64) -> store::Result<()> {
        let name = format!("{} {who}", self.what);
        let many = i64::try_from(many).unwrap_or(i64::MAX);
        tx.run(
            "UPDATE velocity SET seen = seen - $2 WHERE name = $1",
            &[(&name).into(), many.into()],
        )
    }

    /// How many more fit, and when the window is over.
    pub(crate) fn left(&self, tx: &mut Tx<'_>, who: &str, now: Time) -> store::Result<(u64, Duration)> {
        let name = format!("{} {who}", self.what);
        let row = tx.query_opt(
            "SELECT since, seen FROM velocity WHERE name = $1 AND since > $2",
            &[(&name).into(), now.minus(self.window).into()],
        )?;
        let Some(row) = row else {
            return Ok((self.most.into(), self.window));
        };
        let left = i64::from(self.most) - row.int(1)?;
        let wait = self.window.saturating_sub(now.since(row.time(0)?));
        Ok((u64::try_from(left).unwrap_or(0), wait))
    }
}

/// Forgets counters that nobody reads any more: no window is longer than a day.
pub(crate) fn purge(tx: &mut Tx<'_>, now: Time) -> store::Result<()> {
    tx.run(
        "DELETE FROM velocity WHERE since <= $1",
        &[now.minus(Duration::from_hours(24)).into()],
    )
}

/// The network that an address is counted by: a /24, or a /48 of IPv6, which is what one customer is given.
pub(crate) fn network(ip: IpAddr) -> String {
    let ip = ip.to_canonical();
    let prefix = if ip.is_ipv4() { 24 } else { 48 };
    IpNet::new(ip, prefix).map_or_else(|_| ip.to_string(), |network| network.trunc().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_count_as_one_network() {
        let of = |ip: &str| network(ip.parse().unwrap());
        assert_eq!(of("192.0.2.7"), "192.0.2.0/24");
        assert_eq!(of("::ffff:192.0.2.9"), of("192.0.2.7"));
        assert_eq!(of("2001:db8:1:ffff::1"), "2001:db8:1::/48");
    }
}
