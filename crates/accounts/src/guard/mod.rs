//! Looks at what became of each account's mail, and pauses the account whose recipients bounce or complain too much.
//!
//! It reads the event log behind the transactions that write it, so no delivery waits for it and none is counted twice: counters
//! and cursor move in one transaction. A paused account can sign in and read; new mail is refused, and what waits is held until
//! somebody decides (`outbound` does that, as [`crate::Accounts::holds`] says).

mod window;

use std::collections::HashMap;
use std::time::Duration;

use mail::bounce::Class;
use mail::time::Time;
use serde::{Deserialize, Serialize};
use store::events::{self, Begin, Cursor, Logged};
use store::{Id, Tx};

pub use self::window::{Cause, Counted, Ending, Share, Thresholds, Window};
use crate::audit::{self, By};
use crate::limits::Limit;
use crate::notices::{self, Matter};
use crate::state::AccountState;
use crate::{Accounts, AccountsError, Result, changes};

/// The name under which the cursor is kept.
const CONSUMER: &str = "guard";
/// Events looked at in one go.
const PAGE: i64 = 5_000;
/// How often the people of an account may lift a pause themselves, where they may at all.
const OWN_RESUMES: Limit = Limit {
    what: "resume of",
    most: 1,
    window: Duration::from_hours(24),
};

/// What an operator can set about the guard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GuardSettings {
    pub thresholds: Thresholds,
    /// Whether the people of a paused account may lift the pause themselves, once a day.
    pub owner_resumes: bool,
}

/// Who lifts a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decides {
    Operator,
    /// The account's own people, and the operator.
    Owner,
}

/// Why and when an account was paused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    pub cause: Cause,
    /// Bounces or complaints, whichever the cause is.
    pub failed: u32,
    /// Of so many recipients.
    pub of: u32,
    /// The most that is taken, in hundredths of a per cent.
    pub most: u32,
    /// Microseconds.
    at: i64,
}

impl Pause {
    fn new(cause: Cause, counted: Counted, thresholds: Thresholds, now: Time) -> Self {
        let (failed, most) = match cause {
            Cause::Bounces => (counted.bounced, thresholds.bounces),
            Cause::Complaints => (counted.complained, thresholds.complaints),
        };
        Self {
            cause,
            failed,
            of: counted.recipients,
            most: most.0,
            at: now.as_micros(),
        }
    }

    pub fn at(&self) -> Time {
        Time::from_micros(self.at)
    }

    /// One line for logs, lists and SMTP.
    pub fn reason(&self) -> String {
        let what = match self.cause {
            Cause::Bounces => "bounced",
            Cause::Complaints => "complained",
        };
        format!(
            "{} of the last {} recipients {what}, more than {} %",
            self.failed,
            self.of,
            percent(self.most)
        )
    }
}

/// Hundredths of a per cent as per cent: `8`, `0.3`.
pub fn percent(share: u32) -> String {
    let text = format!("{}.{:02}", share / 100, share % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// How often the log is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// How an account stands with the guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guarded {
    pub state: AccountState,
    /// Whether what waits is held.
    pub holds: bool,
    pub pause: Option<Pause>,
    pub decides: Decides,
    pub counted: Counted,
    pub thresholds: Thresholds,
}

/// What one look at the log came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// There is more to look at now.
    pub more: bool,
    /// Accounts that were paused, each with its reason.
    pub paused: Vec<(Id, String)>,
}

impl Accounts {
    /// Looks at what happened since the last look, by this node or another. Idempotent, and cheap where nothing happened.
    pub async fn watch(&self) -> Result<Watched> {
        let db = &self.inner.db;
        let seen = db
            .read("look at what became of mail", |tx| {
                events::look(tx, CONSUMER, PAGE)
            })
            .await?;
        let Some((from, events)) = seen else {
            // What happened before the guard was there is not its business.
            db.write("begin to look at what becomes of mail", |tx| {
                events::begin(tx, CONSUMER, Begin::Newest)
            })
            .await?;
            return Ok(Watched::default());
        };
        let Some(last) = events.last() else {
            return Ok(Watched::default());
        };
        let (to, more) = (last.cursor, events.len() as i64 == PAGE);
        let look = Look {
            from,
            to,
            endings: endings(&events),
            settings: self.inner.settings.guard,
            now: self.inner.clock.now(),
        };
        let ids = self.inner.ids.clone();
        let paused = db
            .write("count what became of mail", move |tx| {
                look.write(tx, &mut || ids.next(look.now))
            })
            .await?;
        if !paused.is_empty() {
            self.refresh().await?;
        }
        Ok(Watched { more, paused })
    }

    /// Watches until told to stop.
    pub async fn keep_guard(self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut failing = false;
        loop {
            let more = match self.watch().await {
                Ok(watched) => {
                    failing = false;
                    for (account, reason) in &watched.paused {
                        tracing::warn!(%account, reason, "an account was paused");
                    }
                    watched.more
                }
                Err(error) => {
                    // Said once: nobody is paused for as long as it lasts.
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "what became of mail cannot be looked at");
                    }
                    false
                }
            };
            let pause = if more { Duration::ZERO } else { EVERY };
            tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// How an account stands with the guard.
    pub async fn guarded(&self, account: Id) -> Result<Guarded> {
        let found = self.inner.db.read("read how an account stands", move |tx| {
            let Some(row) = tx.query_opt(
                "SELECT state, state_reason, holds, paused FROM accounts WHERE id = $1",
                &[account.into()],
            )?
            else {
                return Ok(None);
            };
            let state = AccountState::from_columns(&row.text(0)?, row.text(1)?);
            let pause = row.opt_text(3)?.and_then(|text| serde_json::from_str(&text).ok());
            Ok(Some((state, row.bool(2)?, pause, load(tx, account)?.counted())))
        });
        let (state, holds, pause, counted) = found.await?.ok_or(AccountsError::NotFound("account"))?;
        let guard = self.inner.settings.guard;
        let owner = guard.owner_resumes && matches!(state, AccountState::Paused(_));
        Ok(Guarded {
            state,
            holds,
            pause,
            decides: if owner { Decides::Owner } else { Decides::Operator },
            counted,
            thresholds: guard.thresholds,
        })
    }

    /// Lifts the pause of an account on the word of its own people, where they may.
    pub async fn resume_own(&self, account: Id, by: &By) -> Result<()> {
        let standing = self.guarded(account).await?;
        if !matches!(standing.state, AccountState::Paused(_)) {
            return Err(AccountsError::NotPaused);
        }
        if standing.decides != Decides::Owner {
            return Err(AccountsError::OperatorDecides);
        }
        // What was read above may be over: nothing but a pause is lifted, and only lifting one is counted.
        let mut change = self.state_change(account, (AccountState::Active, false), by);
        change.from = Some("paused");
        let resumed = self.inner.db.write("resume an account", move |tx| {
            let who = change.account.to_string();
            if let Err(wait) = OWN_RESUMES.take(tx, &who, 1, change.now)? {
                return Ok(Err(AccountsError::TooOften(wait)));
            }
            if !change.write(tx)? {
                OWN_RESUMES.give_back(tx, &who, 1)?;
                return Ok(Err(AccountsError::NotPaused));
            }
            Ok(Ok(()))
        });
        resumed.await??;
        self.refresh().await?;
        Ok(())
    }

    /// Whether mail of this account that waits is to be held. As of the last [`Accounts::refresh`], from memory but for the
    /// first time.
    pub async fn holds(&self, account: Id) -> Result<bool> {
        self.view_holds(account).await
    }

    /// Every account whose waiting mail is held.
    pub async fn holding(&self) -> Result<Vec<Id>> {
        let found = self.inner.db.peek("look whose mail is held", |tx| {
            tx.query("SELECT id FROM accounts WHERE holds = 1 ORDER BY id", &[])?
                .iter()
                .map(|row| row.id(0))
                .collect::<store::Result<Vec<Id>>>()
        });
        Ok(found.await?)
    }
}

/// The events of one page, on their way into the counters.
#[derive(Clone)]
struct Look {
    from: Cursor,
    to: Cursor,
    endings: Vec<(Id, Vec<Told>)>,
    settings: GuardSettings,
    now: Time,
}

/// What one event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    End(Ending),
    /// After it was delivered.
    BouncedLate,
    Complained,
    Nothing,
}

impl Look {
    /// Counts and judges. Nothing, where another node did it meanwhile.
    fn write(&self, tx: &mut Tx<'_>, id: &mut dyn FnMut() -> Id) -> store::Result<Vec<(Id, String)>> {
        if !events::advance_from(tx, CONSUMER, self.from, self.to)? {
            return Ok(Vec::new());
        }
        let mut paused = Vec::new();
        for (account, told) in &self.endings {
            let mut window = load(tx, *account)?;
            for one in told {
                match one {
                    Told::End(ending) => window.end(*ending),
                    Told::BouncedLate => window.bounce_late(),
                    Told::Complained => window.complain(),
                    Told::Nothing => {}
                }
            }
            save(tx, *account, &window)?;
            let Some(cause) = window.judge(self.settings.thresholds) else {
                continue;
            };
            let pause = Pause::new(cause, window.counted(), self.settings.thresholds, self.now);
            if self.pause(tx, *account, &pause, id)? {
                paused.push((*account, pause.reason()));
            }
        }
        Ok(paused)
    }

    /// Pauses an active account and notes the mails about it. The operator's own are never paused: whoever would be asked to
    /// decide is the one who sends.
    fn pause(
        &self,
        tx: &mut Tx<'_>,
        account: Id,
        pause: &Pause,
        id: &mut dyn FnMut() -> Id,
    ) -> store::Result<bool> {
        let (now, reason) = (self.now, pause.reason());
        let json = serde_json::to_string(pause).expect("numbers and words are always JSON");
        let changed = tx.execute(
            "UPDATE accounts SET state = 'paused', state_reason = $2, holds = 1, paused = $3 \
             WHERE id = $1 AND state = 'active' AND operator = 0",
            &[account.into(), (&reason).into(), (&json).into()],
        )?;
        if changed == 0 {
            return Ok(false);
        }
        changes::bump(tx, account)?;
        audit::note(
            tx,
            (id(), now),
            account,
            &By::system(),
            "account.paused",
            "",
            &reason,
        )?;
        let owner_decides = self.settings.owner_resumes;
        let matter = |account| Matter::Paused {
            pause: pause.clone(),
            account,
            owner_decides,
        };
        tell_owners(tx, account, &matter(None), id, now)?;
        let name = tx.query_opt("SELECT name FROM accounts WHERE id = $1", &[account.into()])?;
        let name = name.map_or(Ok(String::new()), |row| row.text(0))?;
        for operator in operators(tx)? {
            let matter = matter(Some((account.to_string(), name.clone())));
            tell_owners(tx, operator, &matter, id, now)?;
        }
        Ok(true)
    }
}

/// The accounts of those who run this installation, not more than anybody would write to.
fn operators(tx: &mut Tx<'_>) -> store::Result<Vec<Id>> {
    tx.query(
        "SELECT id FROM accounts WHERE operator = 1 ORDER BY id LIMIT 20",
        &[],
    )?
    .iter()
    .map(|row| row.id(0))
    .collect()
}

/// What these events say of whose mail, in their order.
fn endings(events: &[Logged]) -> Vec<(Id, Vec<Told>)> {
    let mut accounts: HashMap<Id, Vec<Told>> = HashMap::new();
    for event in events {
        let told = match event.kind.as_str() {
            "delivered" | "expired" => Told::End(Ending::Other),
            "bounced" => bounced(&event.data),
            "complained" if event.data.contains(AGAIN) => continue,
            "complained" => Told::Complained,
            _ => continue,
        };
        // Our own reports belong to the account that they are for, which did not send them. What was kept here reached
        // nobody who could refuse it, and costs nothing: it is no proof of good mail.
        if ![OWN_MAIL, CAPTURED_MAIL]
            .iter()
            .any(|mark| event.data.contains(mark))
        {
            accounts.entry(event.account).or_default().push(told);
        }
    }
    let mut accounts: Vec<_> = accounts.into_iter().collect();
    // Two nodes lock rows in one order.
    accounts.sort_unstable_by_key(|(account, _)| *account);
    accounts
}

/// What a bounce says. One that is neither the recipient's fault nor the receiver's decision, such as a message that is too big,
/// says nothing about whom the account writes to. One of a kind that nobody can tell counts.
fn bounced(data: &str) -> Told {
    let data: serde_json::Value = serde_json::from_str(data).unwrap_or_default();
    let class = data["class"].as_str().and_then(Class::parse);
    let tells = class.is_none_or(|class| class.tells_of_the_sender() || class == Class::Unclassified);
    match (tells, data["late"] == true) {
        (true, true) => Told::BouncedLate,
        (true, false) => Told::End(Ending::Bounced),
        // It was counted when it was delivered.
        (false, true) => Told::Nothing,
        (false, false) => Told::End(Ending::Other),
    }
}

/// What the data of a complaint holds whose address had been suppressed before: one person is counted once.
const AGAIN: &str = r#""again":true"#;
/// What the data of an event about our own mail holds. Nobody's text can hold it: quotes in texts are escaped.
pub const OWN_MAIL: &str = r#""own":true"#;
/// The same for mail that was kept in the local inbox.
pub const CAPTURED_MAIL: &str = r#""captured":true"#;

fn load(tx: &mut Tx<'_>, account: Id) -> store::Result<Window> {
    let row = tx.query_opt(
        "SELECT counts FROM guard_windows WHERE account = $1",
        &[account.into()],
    )?;
    Ok(row
        .map(|row| row.text(0))
        .transpose()?
        .map_or_else(Window::default, |text| Window::parse(&text)))
}

fn save(tx: &mut Tx<'_>, account: Id, window: &Window) -> store::Result<()> {
    tx.run(
        "INSERT INTO guard_windows (account, counts) VALUES ($1, $2) \
         ON CONFLICT (account) DO UPDATE SET counts = excluded.counts",
        &[account.into(), (&window.to_text()).into()],
    )
}

/// Forgets what is counted: a pause was lifted, and what led to it shall not lead to the next one at once.
pub(crate) fn begin_anew(tx: &mut Tx<'_>, account: Id) -> store::Result<()> {
    tx.run("DELETE FROM guard_windows WHERE account = $1", &[account.into()])
}

/// Notes a mail to every owner of an account.
pub(crate) fn tell_owners(
    tx: &mut Tx<'_>,
    account: Id,
    matter: &Matter,
    id: &mut dyn FnMut() -> Id,
    now: Time,
) -> store::Result<()> {
    let owners = tx.query(
        "SELECT email FROM logins WHERE account = $1 AND role = 'owner' ORDER BY id",
        &[account.into()],
    )?;
    for owner in owners {
        notices::note(tx, id(), &owner.text(0)?, matter, (now, Duration::ZERO))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_written_without_needless_digits() {
        assert_eq!(
            [percent(800), percent(30), percent(1_005), percent(5)],
            ["8", "0.3", "10.05", "0.05"]
        );
    }

    #[test]
    fn who_complains_of_each_of_a_row_of_mails_is_counted_once() {
        let complaint = |data: &str| Logged {
            cursor: Cursor::START,
            at: Time::EPOCH,
            account: Id::from_bytes([1; 16]),
            message: None,
            ordinal: None,
            kind: "complained".to_owned(),
            data: data.to_owned(),
        };
        let told = endings(&[
            complaint(r#"{"recipient":"zoe@example.net"}"#),
            complaint(r#"{"again":true,"recipient":"zoe@example.net"}"#),
        ]);
        assert_eq!(told, [(Id::from_bytes([1; 16]), vec![Told::Complained])]);
    }

    #[test]
    fn a_bounce_counts_by_whose_fault_it_is_and_a_late_one_counts_once() {
        let told = |class: &str, late: bool| {
            bounced(&serde_json::json!({ "class": class, "late": late }).to_string())
        };
        for (class, expected) in [
            ("unknown_mailbox", Told::End(Ending::Bounced)),
            ("spam", Told::End(Ending::Bounced)),
            ("unclassified", Told::End(Ending::Bounced)),
            ("of a newer version", Told::End(Ending::Bounced)),
            ("too_big", Told::End(Ending::Other)),
            ("loop", Told::End(Ending::Other)),
        ] {
            assert_eq!(told(class, false), expected, "{class}");
        }
        assert_eq!(told("unknown_mailbox", true), Told::BouncedLate);
        assert_eq!(told("too_big", true), Told::Nothing);
    }

    #[test]
    fn only_endings_of_the_accounts_own_mail_count() {
        let account = Id::from_bytes([1; 16]);
        let event = |kind: &str, data: &str| Logged {
            cursor: Cursor::START,
            at: Time::EPOCH,
            account,
            message: None,
            ordinal: None,
            kind: kind.to_owned(),
            data: data.to_owned(),
        };
        let says = |text: &str| serde_json::json!({ "reason": text }).to_string();
        let found = endings(&[
            event("accepted", "{}"),
            event("deferred", "{}"),
            event("bounced", &says(r#"550 5.1.1 "own":true"#)),
            event("bounced", r#"{"reason":"550","own":true}"#),
            event("delivered", r#"{"captured":true,"reason":"kept"}"#),
            event("complained", r#"{"captured":true}"#),
            event("delivered", "{}"),
            event("cancelled", "{}"),
            event("complained", "{}"),
        ]);
        let expected = [
            Told::End(Ending::Bounced),
            Told::End(Ending::Other),
            Told::Complained,
        ];
        assert_eq!(found, [(account, expected.to_vec())]);
    }
}
