//! Event hooks as they are kept: whose they are, in which order they run, and every save of them. What one does is not known here.

use std::sync::Arc;
use std::time::Duration;

use mail::time::Time;
use store::{Id, Row, Tx};

use crate::changes::{bump, bump_everybody};
use crate::error::checked_name;
use crate::{Accounts, AccountsError, By, Principal, Result, Via, audit, changes, notices};

/// Hooks of one account, and of the operator.
pub const MOST_HOOKS: i64 = 20;
/// Saves of one hook that are kept.
pub const MOST_VERSIONS: i64 = 50;

/// The owners hear that one of them breaks no more often than this.
const TOLD_EVERY: Duration = Duration::from_hours(24);

/// What a hook is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HookKind {
    /// Luau.
    Script,
    /// One of the ready ones, as JSON.
    Rule,
    /// A receiver that is asked, as JSON.
    Http,
}

impl HookKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Script => "script",
            Self::Rule => "rule",
            Self::Http => "http",
        }
    }

    fn from_text(text: &str) -> Self {
        match text {
            "rule" => Self::Rule,
            "http" => Self::Http,
            _ => Self::Script,
        }
    }
}

/// Whose hooks are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HooksOf {
    Account(Id),
    /// The operator's, which run for every account and before its own.
    Everybody,
}

impl HooksOf {
    fn account(self) -> Option<Id> {
        match self {
            Self::Account(account) => Some(account),
            Self::Everybody => None,
        }
    }
}

/// A hook without what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    pub id: Id,
    /// None: it is the operator's.
    pub account: Option<Id>,
    pub name: String,
    pub kind: HookKind,
    pub enabled: bool,
    /// Where it breaks the message goes on without it; else it is refused for now.
    pub fail_open: bool,
    pub place: i64,
    /// The newest save.
    pub version: i64,
    /// `mail`, `rcpt`, `message`: when it has something to say.
    pub stages: String,
    /// Signs what an HTTP hook is asked.
    pub secret: Option<Vec<u8>>,
    pub created_at: Time,
    pub changed_at: Time,
}

impl Hook {
    pub fn is_asked_at(&self, stage: &str) -> bool {
        self.stages.split(' ').any(|one| one == stage)
    }
}

/// One save of a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookVersion {
    pub version: i64,
    pub at: Time,
    /// The address of the login that saved it.
    pub who: String,
    pub stages: String,
    pub body: String,
}

/// What a hook says, checked by whoever knows what that means.
#[derive(Clone, Debug)]
pub struct HookBody {
    pub body: String,
    pub stages: String,
}

/// A hook to be made.
#[derive(Clone, Debug)]
pub struct NewHook {
    pub name: String,
    pub kind: HookKind,
    pub enabled: bool,
    pub fail_open: bool,
    pub body: HookBody,
    pub secret: Option<Vec<u8>>,
}

/// A change of a hook: what is given is replaced.
#[derive(Clone, Debug, Default)]
pub struct HookChange {
    pub name: Option<String>,
    pub enabled: Option<bool>,
    pub fail_open: Option<bool>,
    /// Where among the others it runs, counted from 0.
    pub place: Option<usize>,
    pub body: Option<HookBody>,
}

const COLUMNS: &str =
    "id, account, name, kind, enabled, fail_open, place, version, stages, secret, created_at, changed_at";

impl Accounts {
    /// The hooks that mail of `who` passes, in their order. As of the last [`Accounts::refresh`]; our own mail passes none.
    pub async fn hooks_for(&self, who: &Principal) -> Result<Arc<[Arc<Hook>]>> {
        if who.via == Via::System {
            return Ok(Arc::from([]));
        }
        self.hooks_in_force(who.account).await
    }

    /// All of them, in their order.
    pub async fn hooks(&self, of: HooksOf) -> Result<Vec<Hook>> {
        let list = move |tx: &mut Tx<'_>| read(tx, of);
        Ok(self.inner.db.read("list the hooks", list).await?)
    }

    pub async fn hook(&self, of: HooksOf, id: Id) -> Result<Hook> {
        let find = move |tx: &mut Tx<'_>| find(tx, of, id);
        let found = self.inner.db.read("find a hook", find).await?;
        found.ok_or(AccountsError::NotFound("hook"))
    }

    /// A hook, whosever it is.
    pub async fn any_hook(&self, id: Id) -> Result<Option<Hook>> {
        let find = move |tx: &mut Tx<'_>| find_any(tx, id);
        Ok(self.inner.db.read("find a hook", find).await?)
    }

    /// What a hook says in one of its versions. What was saved never changes.
    pub async fn hook_body(&self, hook: Id, version: i64) -> Result<Option<String>> {
        let read = move |tx: &mut Tx<'_>| {
            let row = tx.query_opt(
                "SELECT body FROM hook_versions WHERE hook = $1 AND version = $2",
                &[(&hook).into(), version.into()],
            )?;
            row.map(|row| row.text(0)).transpose()
        };
        Ok(self.inner.db.peek("read what a hook says", read).await?)
    }

    /// The saves of a hook, the last one first.
    pub async fn hook_versions(&self, of: HooksOf, id: Id) -> Result<Vec<HookVersion>> {
        let read = move |tx: &mut Tx<'_>| {
            if find(tx, of, id)?.is_none() {
                return Ok(None);
            }
            let rows = tx.query(
                "SELECT version, at, who, stages, body FROM hook_versions WHERE hook = $1 ORDER BY version DESC",
                &[(&id).into()],
            )?;
            rows.iter()
                .map(version_of)
                .collect::<store::Result<Vec<_>>>()
                .map(Some)
        };
        let found = self.inner.db.read("list the versions of a hook", read).await?;
        found.ok_or(AccountsError::NotFound("hook"))
    }

    /// Makes a hook; it runs behind the others.
    pub async fn create_hook(&self, of: HooksOf, new: NewHook, by: &By) -> Result<Hook> {
        let name = checked_name(&new.name)?;
        let now = self.inner.clock.now();
        let hook = Hook {
            id: self.id(now),
            account: of.account(),
            name,
            kind: new.kind,
            enabled: new.enabled,
            fail_open: new.fail_open,
            place: 0,
            version: 1,
            stages: new.body.stages,
            secret: new.secret,
            created_at: now,
            changed_at: now,
        };
        let (body, audit, by) = (new.body.body, self.id(now), by.clone());
        let create = move |tx: &mut Tx<'_>| {
            // Two that count at once would both find room.
            changes::alone(tx)?;
            let others = read(tx, of)?;
            if others.len() as i64 >= MOST_HOOKS {
                return Ok(Err(AccountsError::TooMany {
                    most: MOST_HOOKS,
                    of: "hooks",
                    remedy: "one script can do the work of several",
                }));
            }
            let hook = Hook {
                place: others.last().map_or(0, |last| last.place + 1),
                ..hook.clone()
            };
            insert(tx, &hook)?;
            insert_version(tx, &hook, &body, &by)?;
            note(tx, (audit, now), &hook, &by, "hook.created")?;
            Ok(Ok(hook))
        };
        self.inner.db.write("create a hook", create).await?
    }

    /// Changes a hook. A new text is a new version; one that says what the newest says is none.
    pub async fn change_hook(&self, of: HooksOf, id: Id, change: HookChange, by: &By) -> Result<Hook> {
        let name = change.name.as_deref().map(checked_name).transpose()?;
        let now = self.inner.clock.now();
        let (audit, by) = (self.id(now), by.clone());
        let alter = move |tx: &mut Tx<'_>| {
            changes::alone(tx)?;
            let Some(mut hook) = find(tx, of, id)? else {
                return Ok(Err(AccountsError::NotFound("hook")));
            };
            if let Some(name) = &name {
                hook.name.clone_from(name);
            }
            hook.enabled = change.enabled.unwrap_or(hook.enabled);
            hook.fail_open = change.fail_open.unwrap_or(hook.fail_open);
            if let Some(place) = change.place {
                move_to(tx, of, &mut hook, place)?;
            }
            if let Some(body) = &change.body
                && current(tx, &hook)?.as_deref() != Some(body.body.as_str())
            {
                hook.version += 1;
                hook.changed_at = now;
                hook.stages.clone_from(&body.stages);
                insert_version(tx, &hook, &body.body, &by)?;
            }
            tx.run(
                "UPDATE hooks SET name = $2, enabled = $3, fail_open = $4, version = $5, stages = $6, changed_at = $7 \
                 WHERE id = $1",
                &[
                    (&hook.id).into(),
                    (&hook.name).into(),
                    hook.enabled.into(),
                    hook.fail_open.into(),
                    hook.version.into(),
                    (&hook.stages).into(),
                    hook.changed_at.into(),
                ],
            )?;
            note(tx, (audit, now), &hook, &by, "hook.changed")?;
            Ok(Ok(hook))
        };
        self.inner.db.write("change a hook", alter).await?
    }

    /// Removes a hook with its versions. What is known of its runs goes by itself.
    pub async fn delete_hook(&self, of: HooksOf, id: Id, by: &By) -> Result<()> {
        let now = self.inner.clock.now();
        let (audit, by) = (self.id(now), by.clone());
        let delete = move |tx: &mut Tx<'_>| {
            changes::alone(tx)?;
            let Some(hook) = find(tx, of, id)? else {
                return Ok(Err(AccountsError::NotFound("hook")));
            };
            tx.run("DELETE FROM hook_versions WHERE hook = $1", &[(&id).into()])?;
            tx.run("DELETE FROM hooks WHERE id = $1", &[(&id).into()])?;
            note(tx, (audit, now), &hook, &by, "hook.deleted")?;
            Ok(Ok(()))
        };
        self.inner.db.write("delete a hook", delete).await?
    }
}

/// Tells the owners that this hook of theirs broke, once a day at most. The operator's are looked at in the console.
pub fn tell_broken(
    tx: &mut Tx<'_>,
    hook: Id,
    fault: &str,
    id: &mut dyn FnMut() -> Id,
    now: Time,
) -> store::Result<()> {
    let told = tx.execute(
        "UPDATE hooks SET told_at = $2 WHERE id = $1 AND account IS NOT NULL AND (told_at IS NULL OR told_at <= $3)",
        &[(&hook).into(), now.into(), now.minus(TOLD_EVERY).into()],
    )?;
    if told == 0 {
        return Ok(());
    }
    let Some(hook) = find_any(tx, hook)? else {
        return Ok(());
    };
    match hook.account {
        Some(account) => notices::hook_broke(tx, account, (&hook.name, fault, hook.fail_open), id, now),
        None => Ok(()),
    }
}

/// The enabled hooks that an account's mail passes: the operator's, then its own.
pub(crate) fn in_force(tx: &mut Tx<'_>, account: Id) -> store::Result<Arc<[Arc<Hook>]>> {
    let mut hooks = read(tx, HooksOf::Everybody)?;
    hooks.extend(read(tx, HooksOf::Account(account))?);
    Ok(hooks
        .into_iter()
        .filter(|hook| hook.enabled)
        .map(Arc::new)
        .collect())
}

fn read(tx: &mut Tx<'_>, of: HooksOf) -> store::Result<Vec<Hook>> {
    let rows = match of.account() {
        Some(account) => tx.query(
            &format!("SELECT {COLUMNS} FROM hooks WHERE account = $1 ORDER BY place, id"),
            &[(&account).into()],
        )?,
        None => tx.query(
            &format!("SELECT {COLUMNS} FROM hooks WHERE account IS NULL ORDER BY place, id"),
            &[],
        )?,
    };
    rows.iter().map(hook_of).collect()
}

fn find(tx: &mut Tx<'_>, of: HooksOf, id: Id) -> store::Result<Option<Hook>> {
    Ok(find_any(tx, id)?.filter(|hook| hook.account == of.account()))
}

fn find_any(tx: &mut Tx<'_>, id: Id) -> store::Result<Option<Hook>> {
    let row = tx.query_opt(
        &format!("SELECT {COLUMNS} FROM hooks WHERE id = $1"),
        &[(&id).into()],
    )?;
    row.as_ref().map(hook_of).transpose()
}

fn current(tx: &mut Tx<'_>, hook: &Hook) -> store::Result<Option<String>> {
    let row = tx.query_opt(
        "SELECT body FROM hook_versions WHERE hook = $1 AND version = $2",
        &[(&hook.id).into(), hook.version.into()],
    )?;
    row.map(|row| row.text(0)).transpose()
}

/// Puts a hook at another place and numbers all of them anew.
fn move_to(tx: &mut Tx<'_>, of: HooksOf, hook: &mut Hook, place: usize) -> store::Result<()> {
    let mut order: Vec<Id> = read(tx, of)?.into_iter().map(|one| one.id).collect();
    order.retain(|one| *one != hook.id);
    order.insert(place.min(order.len()), hook.id);
    for (place, id) in (0_i64..).zip(&order) {
        tx.run(
            "UPDATE hooks SET place = $2 WHERE id = $1",
            &[id.into(), place.into()],
        )?;
        if *id == hook.id {
            hook.place = place;
        }
    }
    Ok(())
}

fn insert(tx: &mut Tx<'_>, hook: &Hook) -> store::Result<()> {
    tx.run(
        &format!("INSERT INTO hooks ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"),
        &[
            (&hook.id).into(),
            hook.account.into(),
            (&hook.name).into(),
            hook.kind.as_str().into(),
            hook.enabled.into(),
            hook.fail_open.into(),
            hook.place.into(),
            hook.version.into(),
            (&hook.stages).into(),
            hook.secret.as_deref().into(),
            hook.created_at.into(),
            hook.changed_at.into(),
        ],
    )
}

fn insert_version(tx: &mut Tx<'_>, hook: &Hook, body: &str, by: &By) -> store::Result<()> {
    tx.run(
        "INSERT INTO hook_versions (hook, version, at, who, stages, body) VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            (&hook.id).into(),
            hook.version.into(),
            hook.changed_at.into(),
            (&by.email).into(),
            (&hook.stages).into(),
            body.into(),
        ],
    )?;
    tx.run(
        "DELETE FROM hook_versions WHERE hook = $1 AND version <= $2",
        &[(&hook.id).into(), (hook.version - MOST_VERSIONS).into()],
    )
}

/// The line of the audit log, and the word to every node.
fn note(tx: &mut Tx<'_>, line: (Id, Time), hook: &Hook, by: &By, action: &'static str) -> store::Result<()> {
    let state = if hook.enabled { "on" } else { "off" };
    let fault = if hook.fail_open { "open" } else { "closed" };
    let detail = format!(
        "{}, version {}, {state}, fails {fault}",
        hook.kind.as_str(),
        hook.version
    );
    audit::note(tx, line, hook.account, by, action, &hook.name, &detail)?;
    if let Some(account) = hook.account {
        bump(tx, account)
    } else {
        bump_everybody(tx)
    }
}

fn hook_of(row: &Row) -> store::Result<Hook> {
    Ok(Hook {
        id: row.id(0)?,
        account: row.opt_id(1)?,
        name: row.text(2)?,
        kind: HookKind::from_text(&row.text(3)?),
        enabled: row.bool(4)?,
        fail_open: row.bool(5)?,
        place: row.int(6)?,
        version: row.int(7)?,
        stages: row.text(8)?,
        secret: row.opt_bytes(9)?.map(|secret| secret.to_vec()),
        created_at: row.time(10)?,
        changed_at: row.time(11)?,
    })
}

fn version_of(row: &Row) -> store::Result<HookVersion> {
    Ok(HookVersion {
        version: row.int(0)?,
        at: row.time(1)?,
        who: row.text(2)?,
        stages: row.text(3)?,
        body: row.text(4)?,
    })
}
