//! Streams: what an account's mail is sorted into, so that receipts and newsletters have each their own lists and ways.
//!
//! Two are there in every account, without a row until somebody changes them; what a message may say about its stream, and
//! which one a credential or a key is bound to, is read from the directory.

use std::collections::HashMap;
use std::sync::Arc;

use mail::message::steer;
use mail::time::Time;
use store::{Id, Row, Tx};

use crate::audit::{self, By};
use crate::changes::{self, bump};
use crate::error::checked_name;
use crate::{Accounts, AccountsError, Principal, Result, Via, api_keys, smtp_credentials};

/// The most streams of one account, archived ones included.
pub const MOST_STREAMS: i64 = 50;
/// The stream of a message that names none.
pub const DEFAULT: &str = "transactional";
/// The other one that every account has.
const MARKETING: &str = "marketing";

/// What kind of mail a stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StreamKind {
    /// What somebody waits for: a receipt, a password link.
    Transactional,
    /// What somebody subscribed to.
    Marketing,
}

impl StreamKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transactional => "transactional",
            Self::Marketing => "marketing",
        }
    }

    fn from_text(text: &str) -> Self {
        if text == Self::Marketing.as_str() {
            Self::Marketing
        } else {
            Self::Transactional
        }
    }
}

/// A stream of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// What headers, keys and lists call it; unique in its account, and it never changes.
    pub slug: String,
    /// What people call it.
    pub name: String,
    pub kind: StreamKind,
    /// What its mail tracks, where the message does not say.
    pub track_opens: bool,
    pub track_clicks: bool,
    /// Whether its mail has a link to unsubscribe by at its end, where the message does not say. Marketing has the fields that
    /// mail programs show a button for in any case.
    pub unsubscribe: bool,
    /// None for what every account has from its beginning.
    pub created_at: Option<Time>,
    /// Since when nothing more is sent in it.
    pub archived_at: Option<Time>,
}

/// A stream to be made.
#[derive(Clone, Debug)]
pub struct NewStream {
    pub slug: String,
    pub name: String,
    pub kind: StreamKind,
}

/// A change of a stream: what is given is replaced.
#[derive(Clone, Debug, Default)]
pub struct StreamChange {
    pub name: Option<String>,
    pub archived: Option<bool>,
    pub track_opens: Option<bool>,
    pub track_clicks: Option<bool>,
    pub unsubscribe: Option<bool>,
}

/// Why a message may not go in the stream that it names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamFault {
    #[error("the account has no stream {0}")]
    Unknown(String),
    #[error("the stream {0} is archived")]
    Archived(String),
    /// What somebody signed in with sends in this one only.
    #[error("this credential sends in the stream {0} only")]
    Bound(String),
}

impl Stream {
    fn new(slug: &str, name: &str, kind: StreamKind) -> Self {
        Self {
            slug: slug.to_owned(),
            name: name.to_owned(),
            kind,
            track_opens: false,
            track_clicks: false,
            unsubscribe: kind == StreamKind::Marketing,
            created_at: None,
            archived_at: None,
        }
    }

    /// What every account has from its beginning.
    fn first_ones() -> [Self; 2] {
        [
            Self::new(DEFAULT, "Transactional", StreamKind::Transactional),
            Self::new(MARKETING, "Marketing", StreamKind::Marketing),
        ]
    }

    /// The one of a message that names none.
    pub fn standard() -> Self {
        let [standard, _] = Self::first_ones();
        standard
    }

    /// Whether every account has it; such a one is never archived.
    pub fn is_everybodys(&self) -> bool {
        [DEFAULT, MARKETING].contains(&self.slug.as_str())
    }
}

impl Accounts {
    /// The account's streams: those that all have first, then by their slugs.
    pub async fn streams(&self, account: Id) -> Result<Vec<Stream>> {
        let mut streams: Vec<Stream> = self
            .inner
            .db
            .read("list the streams", move |tx| read_all(tx, account))
            .await?
            .into_values()
            .map(Arc::unwrap_or_clone)
            .collect();
        streams.sort_by(|a, b| {
            let order = |stream: &Stream| (!stream.is_everybodys(), stream.slug != DEFAULT);
            order(a).cmp(&order(b)).then_with(|| a.slug.cmp(&b.slug))
        });
        Ok(streams)
    }

    /// The stream that a message of `who` goes in, which may name one. As of the last [`Accounts::refresh`].
    pub async fn stream(
        &self,
        who: &Principal,
        named: Option<&str>,
    ) -> Result<Result<Arc<Stream>, StreamFault>> {
        if who.via == Via::System {
            return Ok(Ok(Arc::new(Stream::standard())));
        }
        let view = self.streams_of(who.account).await?;
        let bound = self.bound_stream(who).await?;
        if let (Some(bound), Some(named)) = (&bound, named)
            && bound != named
        {
            return Ok(Err(StreamFault::Bound(bound.clone())));
        }
        let slug = named.or(bound.as_deref()).unwrap_or(DEFAULT);
        Ok(match view.get(slug) {
            None => Err(StreamFault::Unknown(slug.to_owned())),
            Some(stream) if stream.archived_at.is_some() => Err(StreamFault::Archived(slug.to_owned())),
            Some(stream) => Ok(Arc::clone(stream)),
        })
    }

    /// Makes a stream.
    pub async fn create_stream(&self, account: Id, new: NewStream, by: &By) -> Result<Stream> {
        let slug = steer::stream(&new.slug).map_err(|_| AccountsError::BadStream)?;
        let now = self.inner.clock.now();
        let stream = Stream {
            created_at: Some(now),
            ..Stream::new(&slug, &checked_name(&new.name)?, new.kind)
        };
        let (made, audit, by) = (stream.clone(), self.id(now), by.clone());
        let create = move |tx: &mut Tx<'_>| {
            changes::alone(tx)?;
            let streams = read_all(tx, account)?;
            if streams.contains_key(&made.slug) {
                return Ok(Err(AccountsError::StreamExists(made.slug.clone())));
            }
            if streams.len() as i64 >= MOST_STREAMS {
                return Ok(Err(AccountsError::TooMany {
                    most: MOST_STREAMS,
                    of: "streams",
                    remedy: "tag messages instead to tell more of them apart",
                }));
            }
            write(tx, account, &made, now)?;
            let kind = made.kind.as_str();
            audit::note(tx, (audit, now), account, &by, "stream.created", &made.slug, kind)?;
            bump(tx, account)?;
            Ok(Ok(()))
        };
        self.inner.db.write("create a stream", create).await??;
        Ok(stream)
    }

    /// Refuses what somebody bound to a stream would make for another one, or for all of them.
    pub async fn within_stream(&self, who: &Principal, wanted: Option<&str>) -> Result<()> {
        match self.bound_stream(who).await? {
            Some(bound) if wanted != Some(bound.as_str()) => Err(AccountsError::StreamBound(bound)),
            _ => Ok(()),
        }
    }

    /// Renames a stream, changes what its mail wants, archives it or takes it up again. One that credentials or keys are bound to is not archived.
    pub async fn change_stream(
        &self,
        account: Id,
        slug: &str,
        change: StreamChange,
        by: &By,
    ) -> Result<Stream> {
        let name = change.name.as_deref().map(checked_name).transpose()?;
        let now = self.inner.clock.now();
        let (slug, audit, by) = (slug.to_owned(), self.id(now), by.clone());
        let change = move |tx: &mut Tx<'_>| {
            changes::alone(tx)?;
            let Some(stream) = read_all(tx, account)?.remove(&slug) else {
                return Ok(Err(AccountsError::NotFound("stream")));
            };
            let mut stream = Arc::unwrap_or_clone(stream);
            if let Some(name) = &name {
                stream.name.clone_from(name);
            }
            let turned = turn(&mut stream, &change);
            let detail = if turned.is_empty() {
                stream.name.clone()
            } else {
                turned
            };
            let action = match change.archived {
                Some(true) if stream.archived_at.is_none() => {
                    if stream.is_everybodys() {
                        return Ok(Err(AccountsError::StreamOfAll));
                    }
                    let bound = smtp_credentials::bound_to(tx, account, &slug)?
                        + api_keys::bound_to(tx, account, &slug)?;
                    if bound > 0 {
                        return Ok(Err(AccountsError::StreamInUse(bound)));
                    }
                    stream.archived_at = Some(now);
                    "stream.archived"
                }
                Some(false) if stream.archived_at.is_some() => {
                    stream.archived_at = None;
                    "stream.restored"
                }
                _ => "stream.changed",
            };
            write(tx, account, &stream, now)?;
            audit::note(tx, (audit, now), account, &by, action, &slug, &detail)?;
            bump(tx, account)?;
            Ok(Ok(stream))
        };
        self.inner.db.write("change a stream", change).await?
    }
}

/// Turns on and off what the change says; what it turned, in words.
fn turn(stream: &mut Stream, change: &StreamChange) -> String {
    let mut turned = Vec::new();
    for (what, is, wanted) in [
        ("opens", &mut stream.track_opens, change.track_opens),
        ("clicks", &mut stream.track_clicks, change.track_clicks),
        ("unsubscribe link", &mut stream.unsubscribe, change.unsubscribe),
    ] {
        let Some(wanted) = wanted.filter(|wanted| wanted != is) else {
            continue;
        };
        *is = wanted;
        turned.push(format!("{what} {}", if wanted { "on" } else { "off" }));
    }
    turned.join(", ")
}

/// What all streams of an account are called, those of everybody and archived ones too.
pub fn slugs(tx: &mut Tx<'_>, account: Id) -> store::Result<Vec<String>> {
    Ok(read_all(tx, account)?.into_keys().collect())
}

/// The account's streams by their slugs, those that all have included.
pub(crate) fn read_all(tx: &mut Tx<'_>, account: Id) -> store::Result<HashMap<String, Arc<Stream>>> {
    let mut streams: HashMap<String, Arc<Stream>> = Stream::first_ones()
        .into_iter()
        .map(|stream| (stream.slug.clone(), Arc::new(stream)))
        .collect();
    let rows = tx.query(
        "SELECT slug, name, kind, track_opens, track_clicks, unsubscribe, created_at, archived_at FROM streams \
         WHERE account = $1",
        &[(&account).into()],
    )?;
    for row in &rows {
        let stream = stream_of(row)?;
        streams.insert(stream.slug.clone(), Arc::new(stream));
    }
    Ok(streams)
}

/// Whether something can be bound to this stream; asked in the transaction that binds it.
pub(crate) fn is_open(tx: &mut Tx<'_>, account: Id, slug: &str) -> store::Result<bool> {
    let streams = read_all(tx, account)?;
    Ok(streams
        .get(slug)
        .is_some_and(|stream| stream.archived_at.is_none()))
}

fn stream_of(row: &Row) -> store::Result<Stream> {
    let slug = row.text(0)?;
    let everybodys = Stream::first_ones().iter().any(|one| one.slug == slug);
    Ok(Stream {
        slug,
        name: row.text(1)?,
        kind: StreamKind::from_text(&row.text(2)?),
        track_opens: row.bool(3)?,
        track_clicks: row.bool(4)?,
        unsubscribe: row.bool(5)?,
        created_at: if everybodys { None } else { Some(row.time(6)?) },
        archived_at: row.opt_time(7)?,
    })
}

fn write(tx: &mut Tx<'_>, account: Id, stream: &Stream, now: Time) -> store::Result<()> {
    tx.run(
        "INSERT INTO streams (account, slug, name, kind, track_opens, track_clicks, unsubscribe, created_at, archived_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (account, slug) DO UPDATE SET name = excluded.name, \
         track_opens = excluded.track_opens, track_clicks = excluded.track_clicks, unsubscribe = excluded.unsubscribe, \
         archived_at = excluded.archived_at",
        &[
            (&account).into(),
            (&stream.slug).into(),
            (&stream.name).into(),
            stream.kind.as_str().into(),
            stream.track_opens.into(),
            stream.track_clicks.into(),
            stream.unsubscribe.into(),
            stream.created_at.unwrap_or(now).into(),
            stream.archived_at.into(),
        ],
    )
}
