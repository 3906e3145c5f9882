//! What the scheduler needs of whoever carries mail: find the lane of a domain, connect, deliver.

use std::pin::Pin;

use bytes::Bytes;
use mail::address::{Address, Domain};
use mail::notify::Ret;

use super::{JobRecipient, LaneKey, Outcome};

/// What a courier promises.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One message ready to go: signed, for the recipients of one lane.
#[derive(Clone, Debug)]
pub struct Parcel {
    pub reverse_path: Option<Address>,
    pub recipients: Vec<JobRecipient>,
    pub ret: Option<Ret>,
    pub envid: Option<String>,
    /// What stands before the stored message: its signatures.
    pub prefix: Bytes,
    pub body: Bytes,
}

/// The way out: SMTP over the network, or the local inbox.
pub trait Courier: Send + Sync + 'static {
    /// The lane that mail for this domain goes through; where there is none, why, as the outcome of its recipients.
    fn lane(&self, domain: Domain) -> Pending<'_, Result<LaneKey, Outcome>>;

    /// A connection to where mail for this domain goes, any of the domains of a lane.
    fn connect(&self, domain: Domain) -> Pending<'_, Result<Box<dyn Link>, Outcome>>;

    /// Whether all that is delivered stays here, in the local inbox.
    fn captures(&self) -> bool {
        false
    }
}

/// One connection.
pub trait Link: Send {
    /// Delivers one message: one outcome for each recipient, in their order.
    fn deliver<'a>(&'a mut self, parcel: &'a Parcel) -> Pending<'a, Vec<Outcome>>;

    /// Whether it can take another message.
    fn is_usable(&self) -> bool;

    /// Takes leave of the other side.
    fn close(self: Box<Self>) -> Pending<'static, ()>;
}
