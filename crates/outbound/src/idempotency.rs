//! Idempotency keys: within a day, the same key of an account stands for the same message, whoever brings it again.

use std::io::{self, Write};
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use mail::envelope::Envelope;
use mail::message::Head;
use mail::time::Time;
use serde::Serialize;
use store::{Result, StoreError, Tx, Value};

use crate::model::{Accepted, Message};

/// How long a key stands for its message.
const KEPT: Duration = Duration::from_hours(24);

/// A key, with what tells the content it stands for from any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub name: String,
    pub digest: [u8; 32],
}

impl Key {
    /// The key of the same content sent by this stream, or kept in the sandbox.
    #[must_use]
    pub fn of(mut self, sandboxed: bool, stream: &str) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(&self.digest);
        context.update(&[u8::from(sandboxed)]);
        context.update(stream.as_bytes());
        self.digest = finished(context);
        self
    }
}

/// Whose a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// This message's, from now on.
    Ours,
    /// Of this very content, accepted before.
    Before(Accepted),
    /// Of other content.
    Other,
}

/// Fields that another attempt at the same message writes anew: by its way here, or because the program made it again.
const OF_THE_WAY: [&str; 3] = ["received", "date", "message-id"];

/// What tells one message to the same people from another.
pub fn digest(envelope: &Envelope, head: &Head<'_>, body: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    // Each piece with its length, so that no two sequences of pieces read alike.
    let mut add = |piece: &[u8]| {
        context.update(&(piece.len() as u64).to_be_bytes());
        context.update(piece);
    };
    let sender = envelope.reverse_path.as_ref().map(ToString::to_string);
    add(sender.unwrap_or_default().as_bytes());
    let mut recipients: Vec<String> = envelope
        .recipients
        .iter()
        .map(|one| one.address.to_string())
        .collect();
    recipients.sort_unstable();
    add(recipients.join("\n").as_bytes());
    let counts = |name: &str| !OF_THE_WAY.iter().any(|way| way.eq_ignore_ascii_case(name));
    for field in head.fields().iter().filter(|field| counts(field.name)) {
        add(&body[field.start..field.end]);
    }
    add(head.body());
    finished(context)
}

/// The same of what was handed over as a value, however it was written.
pub fn digest_of(value: &impl Serialize) -> [u8; 32] {
    struct Sink(Context);
    impl Write for Sink {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.update(octets);
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut sink = Sink(Context::new(&SHA256));
    serde_json::to_writer(&mut sink, value).expect("texts and numbers are always JSON");
    finished(sink.0)
}

fn finished(context: Context) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// Takes the key for this message, or says what it stands for. Of several who come at once, one gets it and the others wait for
/// its transaction.
pub fn claim(tx: &mut Tx<'_>, key: &Key, message: &Message) -> Result<Claim> {
    let now = message.created_at;
    let taken = tx.execute(
        "INSERT INTO idempotency_keys (account, name, digest, message, recipients, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (account, name) DO UPDATE SET digest = excluded.digest, \
         message = excluded.message, recipients = excluded.recipients, expires_at = excluded.expires_at \
         WHERE idempotency_keys.expires_at <= $7",
        &[
            message.account.into(),
            (&key.name).into(),
            Value::Blob(&key.digest),
            message.id.into(),
            message.recipients.into(),
            now.plus(KEPT).into(),
            now.into(),
        ],
    )?;
    if taken == 1 {
        return Ok(Claim::Ours);
    }
    let row = tx.query_opt(
        "SELECT digest, message, recipients FROM idempotency_keys WHERE account = $1 AND name = $2",
        &[message.account.into(), (&key.name).into()],
    )?;
    let row = row.ok_or_else(|| StoreError::other("claim an idempotency key", "it went away meanwhile"))?;
    if row.blob(0)? != key.digest {
        return Ok(Claim::Other);
    }
    Ok(Claim::Before(Accepted {
        id: row.id(1)?,
        recipients: row.int(2)? as usize,
        again: true,
    }))
}

/// Lets go of the key of a message that was not accepted after all.
pub fn give_back(tx: &mut Tx<'_>, key: &Key, message: &Message) -> Result<()> {
    tx.run(
        "DELETE FROM idempotency_keys WHERE account = $1 AND name = $2 AND message = $3",
        &[message.account.into(), (&key.name).into(), message.id.into()],
    )
}

/// Removes up to `limit` keys that stand for nothing any more.
pub fn prune(tx: &mut Tx<'_>, now: Time, limit: u32) -> Result<u64> {
    let old = tx.query(
        "SELECT account, name FROM idempotency_keys WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2",
        &[now.into(), limit.into()],
    )?;
    let mut removed = 0;
    for row in &old {
        removed += tx.execute(
            "DELETE FROM idempotency_keys WHERE account = $1 AND name = $2 AND expires_at <= $3",
            &[row.id(0)?.into(), row.text(1)?.as_str().into(), now.into()],
        )?;
    }
    Ok(removed)
}
