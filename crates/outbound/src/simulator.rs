//! Addresses of this installation with a known outcome: what a program does with a bounce can be tried without one.
//!
//! A message to nobody else is a test, so it is settled as one; what has to wait goes the way of all waiting mail and ends in the
//! local inbox. Nothing of it leaves, whatever the route.

use std::time::Duration;

use mail::address::{Address, Domain};
use mail::reply::Enhanced;
use mail::time::Time;

use crate::model::{Outcome, Verdict};

/// The label before the name of the installation.
const LABEL: &str = "simulator";
/// How long a slow receiver takes.
const SLOW: Duration = Duration::from_secs(30);

/// What is known of a test address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    Delivered,
    /// Refused for good, as an address that nobody has.
    HardBounce,
    /// Put off once, and taken at the next attempt.
    SoftBounce,
    /// Delivered, and then its reader calls it spam.
    Complaint,
    /// Taken after half a minute.
    Slow,
}

impl Known {
    pub const ALL: [Self; 5] = [
        Self::Delivered,
        Self::HardBounce,
        Self::SoftBounce,
        Self::Complaint,
        Self::Slow,
    ];

    /// The local part that stands for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::HardBounce => "hard-bounce",
            Self::SoftBounce => "soft-bounce",
            Self::Complaint => "complaint",
            Self::Slow => "slow",
        }
    }

    /// What the first attempt comes to; none where it is not made at once.
    pub(crate) fn outcome(self, now: Time) -> Result<Outcome, Duration> {
        let answered = |verdict, code, enhanced, text: &str| Outcome {
            code: Some(code),
            host: Some(LABEL.to_owned()),
            ..Outcome::without_reply(verdict, enhanced, text, now)
        };
        match self {
            Self::Delivered | Self::Complaint => Ok(answered(
                Verdict::Delivered,
                250,
                Enhanced::new(2, 0, 0),
                "Taken by a test address",
            )),
            Self::HardBounce => Ok(answered(
                Verdict::Bounced,
                550,
                Enhanced::new(5, 1, 1),
                "No such user here, says a test address",
            )),
            Self::SoftBounce => Ok(answered(
                Verdict::Deferred,
                452,
                Enhanced::new(4, 2, 2),
                "The mailbox is full, says a test address",
            )),
            Self::Slow => Err(SLOW),
        }
    }
}

/// A test address, told from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Test(Known),
    /// It has the domain of test addresses and none of their names.
    Unknown,
    Other,
}

/// Where test addresses are.
pub fn domain(hostname: &str) -> String {
    format!("{LABEL}.{hostname}")
}

pub fn is_domain(domain: &Domain, hostname: &str) -> bool {
    let name = domain.as_str();
    name.len() == LABEL.len() + 1 + hostname.len()
        && name.starts_with(LABEL)
        && name.as_bytes()[LABEL.len()] == b'.'
        && name[LABEL.len() + 1..].eq_ignore_ascii_case(hostname)
}

/// What `address` stands for at the installation `hostname`. A label behind a plus sign makes no difference: it tells one test
/// from another.
pub fn tell(address: &Address, hostname: &str) -> Told {
    if !is_domain(address.domain(), hostname) {
        return Told::Other;
    }
    let local = address.local();
    let name = local.split_once('+').map_or(local, |(name, _)| name);
    Known::ALL
        .into_iter()
        .find(|known| known.as_str().eq_ignore_ascii_case(name))
        .map_or(Told::Unknown, Told::Test)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(address: &str) -> Told {
        tell(&Address::parse(address).unwrap(), "mail.example.com")
    }

    #[test]
    fn a_test_address_is_told_by_its_name_whatever_its_case_and_label() {
        for known in Known::ALL {
            let name = known.as_str();
            for local in [name.to_owned(), name.to_uppercase(), format!("{name}+order-17")] {
                assert_eq!(
                    told(&format!("{local}@simulator.mail.example.com")),
                    Told::Test(known),
                    "{local}"
                );
            }
        }
        assert_eq!(told("slow@Simulator.Mail.Example.COM"), Told::Test(Known::Slow));
        assert_eq!(told("slow@simulator.other.example.com"), Told::Other);
        assert_eq!(told("slow@mail.example.com"), Told::Other);
        assert_eq!(told("slow@x.simulator.mail.example.com"), Told::Other);
        assert_eq!(told("hardbounce@simulator.mail.example.com"), Told::Unknown);
    }
}
