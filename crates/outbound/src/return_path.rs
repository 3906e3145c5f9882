//! The signed return path: an address for each recipient of each message, so that a report says by itself whom it is about.

use aws_lc_rs::hmac;
use mail::address::{Address, Domain};
use mail::time::Time;

use crate::token::{self, About, Purpose};

/// What its local part begins with.
const PREFIX: &str = "b-";

/// The return path of a recipient at this domain.
pub fn make(key: &hmac::Key, about: About, domain: &Domain, now: Time) -> Option<Address> {
    let token = token::make(key, Purpose::ReturnPath, about, now)?;
    Address::parse(&format!("{PREFIX}{token}@{domain}")).ok()
}

/// Whether it is worth asking for the key.
pub fn looks_like_one(address: &Address) -> bool {
    token_of(address).is_some()
}

/// Whom a return path stands for. What stands behind the @ is not looked at: it may be a name of a sender's domain that leads
/// here, or led here when the message went out, and nobody has a token whom we did not write to.
pub fn read(key: &hmac::Key, address: &Address, now: Time) -> Option<About> {
    token::read(key, Purpose::ReturnPath, token_of(address)?, now)
}

fn token_of(address: &Address) -> Option<&str> {
    let local = address.local();
    let (prefix, token) = local.split_at_checked(PREFIX.len())?;
    prefix.eq_ignore_ascii_case(PREFIX).then_some(token)
}
