//! Asks the hooks that a message passes, one after the other, and puts together what they say.

use std::sync::Arc;
use std::time::Duration;

use accounts::{Accounts, Hook, HookKind, Principal};
use bytes::Bytes;
use mail::message::Steering;
use mail::replies;
use mail::reply::Reply;
use moka::sync::Cache;
use store::{Clock, Db, Id, Ids};

use super::edit::edited;
use super::facts::{Action, Facts, Fault, FaultKind, Run, Said, Stage};
use super::http::{Receiver, ReceiverError};
use super::journal::Journal;
use super::luau;
use super::rules::{Rule, RuleError};
use super::turns::{PATIENCE, Turn, Turns};
use crate::calls::Client;
use crate::settings::ScriptLimits;

/// Octets of scripts that are kept in memory.
const KEPT: u64 = 32 * 1024 * 1024;

/// Receivers that are asked at once, and by the mail of one account.
const CALLS: usize = 256;
const CALLS_OF_ACCOUNT: usize = 16;

/// Hooks at work; clones share it.
#[derive(Clone)]
pub struct Hooks(Arc<Inner>);

struct Inner {
    accounts: Accounts,
    /// What was saved never changes, so it stays for as long as there is room.
    bodies: Cache<(Id, i64), Arc<str>>,
    turns: Shares,
    journal: Journal,
    clock: Clock,
    ids: Ids,
    /// Asks receivers; absent in a process that asks none.
    client: Option<Arc<Client>>,
    /// Questions on their way: of one account, and of all.
    calls: Shares,
    limits: ScriptLimits,
}

/// What all hooks together say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Why the message, or its recipient, is not taken.
    pub refusal: Option<Reply>,
    /// The name of the hook that wants the message sent to nobody.
    pub discarded: Option<String>,
    /// The message as they leave it.
    pub raw: Bytes,
    pub tags: Vec<String>,
    /// The stream that one of them chose.
    pub stream: Option<String>,
}

/// Why what somebody wrote is no hook.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("a script has at most {} octets", luau::LONGEST_SCRIPT)]
    TooLong,
    #[error("a hook cannot hold the character NUL")]
    Nul,
    #[error("{0}")]
    Script(Fault),
    #[error("{0}")]
    Rule(#[from] RuleError),
    #[error("{0}")]
    Receiver(#[from] ReceiverError),
    #[error("too many hooks are at work at the moment, try again soon")]
    Busy,
}

/// Turns at the operator's hooks and at those of accounts: what an account's own hooks take keeps no message from being judged
/// by the operator's.
struct Shares {
    operator: Turns,
    accounts: Turns,
}

impl Shares {
    fn new(places: usize, of_account: usize) -> Self {
        Self {
            operator: Turns::new(places, of_account, PATIENCE),
            accounts: Turns::new(places, of_account, PATIENCE),
        }
    }

    async fn take(&self, account: Id, operators: bool) -> Option<Turn> {
        let turns = if operators { &self.operator } else { &self.accounts };
        turns.take(account).await
    }
}

/// A hook as it is run: whose it is, what it says, and with what it signs.
struct Ready<'a> {
    operators: bool,
    kind: HookKind,
    body: Arc<str>,
    secret: &'a [u8],
}

impl Hooks {
    pub fn new(
        db: &Db,
        accounts: &Accounts,
        (clock, ids): (&Clock, &Ids),
        client: Option<Arc<Client>>,
        limits: ScriptLimits,
    ) -> Self {
        let places = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self(Arc::new(Inner {
            accounts: accounts.clone(),
            bodies: Cache::builder()
                .max_capacity(KEPT)
                .weigher(|_, body: &Arc<str>| u32::try_from(body.len() + 64).unwrap_or(u32::MAX))
                .build(),
            turns: Shares::new(places.max(2), places.max(2) / 2),
            journal: Journal::new(db.clone(), ids.clone()),
            clock: clock.clone(),
            ids: ids.clone(),
            client,
            calls: Shares::new(CALLS, CALLS_OF_ACCOUNT),
            limits,
        }))
    }

    pub fn journal(&self) -> &Journal {
        &self.0.journal
    }

    /// The hooks that mail of `who` passes at this stage; none costs nothing. As of the last refresh of the accounts.
    pub async fn at(&self, who: &Principal, stage: Stage) -> accounts::Result<Option<Arc<[Arc<Hook>]>>> {
        let hooks = self.0.accounts.hooks_for(who).await?;
        let asked = hooks.iter().any(|hook| hook.is_asked_at(stage.as_str()));
        Ok(asked.then_some(hooks))
    }

    /// Asks each of them that has something to say at this stage. The first refusal counts.
    pub async fn ask(&self, who: &Principal, hooks: &[Arc<Hook>], mut facts: Facts) -> Asked {
        let mut asked = Asked::default();
        let stage = facts.stage;
        let mut changed = false;
        for hook in hooks.iter().filter(|hook| hook.is_asked_at(stage.as_str())) {
            let Some(mut run) = self.run(who.account, hook, &facts).await else {
                continue;
            };
            if run.fault.is_none()
                && let Err(fault) = self.check_route(who, &run.actions).await
            {
                (run.said, run.fault) = (Said::Nothing, Some(fault));
                run.actions.clear();
            }
            if run.changes() {
                take_over(&mut facts, &mut asked, &mut run).await;
            }
            self.0.journal.note(hook, stage, &run, self.0.clock.now());
            if let Some(fault) = &run.fault {
                tracing::debug!(hook = %hook.id, account = %who.account, %fault, "a hook broke");
                if goes_on_without(hook, fault) {
                    continue;
                }
                asked.refusal = Some(replies::HOOK_FAILED);
                break;
            }
            asked.refusal = run.said.refusal();
            if asked.refusal.is_some() {
                break;
            }
            if run.said == Said::Discard {
                asked.discarded = Some(hook.name.clone());
                break;
            }
            changed |= hook.account.is_some() && !run.actions.is_empty();
        }
        if changed && asked.refusal.is_none() && asked.discarded.is_none() {
            self.ask_operators_again(who, hooks, &facts, &mut asked).await;
        }
        (asked.raw, asked.tags) = (facts.raw, facts.tags);
        asked
    }

    /// What the operator's hooks let through is what is sent: they judge what the account's own made of it. They change nothing more.
    async fn ask_operators_again(
        &self,
        who: &Principal,
        hooks: &[Arc<Hook>],
        facts: &Facts,
        asked: &mut Asked,
    ) {
        let stage = facts.stage;
        let operators = hooks.iter().filter(|hook| hook.account.is_none());
        for hook in operators.filter(|hook| hook.is_asked_at(stage.as_str())) {
            let Some(run) = self.run(who.account, hook, facts).await else {
                continue;
            };
            self.0.journal.note(hook, stage, &run, self.0.clock.now());
            match &run.fault {
                Some(fault) if goes_on_without(hook, fault) => {}
                Some(_) => asked.refusal = Some(replies::HOOK_FAILED),
                None if run.said == Said::Discard => asked.discarded = Some(hook.name.clone()),
                None => asked.refusal = run.said.refusal(),
            }
            if asked.refusal.is_some() || asked.discarded.is_some() {
                return;
            }
        }
    }

    /// None where the hook is gone.
    async fn run(&self, account: Id, hook: &Hook, facts: &Facts) -> Option<Run> {
        let body = match self.body(hook).await {
            Ok(body) => body?,
            Err(error) => {
                tracing::warn!(hook = %hook.id, %error, "what a hook says could not be read");
                return Some(broken(FaultKind::Busy, "it could not be read"));
            }
        };
        let ready = Ready {
            operators: hook.account.is_none(),
            kind: hook.kind,
            body,
            secret: hook.secret.as_deref().unwrap_or_default(),
        };
        Some(self.run_body(account, ready, facts).await)
    }

    async fn run_body(&self, account: Id, ready: Ready<'_>, facts: &Facts) -> Run {
        let Ready {
            operators,
            kind,
            body,
            secret,
        } = ready;
        match kind {
            HookKind::Rule => match Rule::parse(&body) {
                Ok(rule) => rule.apply(facts),
                Err(error) => broken(FaultKind::Error, &error.to_string()),
            },
            HookKind::Script => {
                let Some(turn) = self.0.turns.take(account, operators).await else {
                    return broken(FaultKind::Busy, "too many of the account's hooks were at work");
                };
                let (facts, limits) = (facts.clone(), self.0.limits);
                let call = move || {
                    let run = luau::call(&body, &facts, limits);
                    // Held here: whoever hangs up meanwhile stops nothing.
                    drop((turn, facts));
                    run
                };
                let called = tokio::task::spawn_blocking(call).await;
                called.unwrap_or_else(|_| broken(FaultKind::Error, "a mistake of this program"))
            }
            HookKind::Http => {
                let Some(client) = &self.0.client else {
                    return broken(FaultKind::Error, "this process asks no receivers");
                };
                let receiver = match Receiver::parse(&body, client.is_open()) {
                    Ok(receiver) => receiver,
                    Err(error) => return broken(FaultKind::Error, &error.to_string()),
                };
                let Some(_turn) = self.0.calls.take(account, operators).await else {
                    return broken(
                        FaultKind::Busy,
                        "too many of the account's messages wait for a receiver",
                    );
                };
                let now = self.0.clock.now();
                let id = format!("hook_{}", self.0.ids.next(now));
                receiver.ask(client, secret, facts, (id, now)).await
            }
        }
    }

    async fn body(&self, hook: &Hook) -> accounts::Result<Option<Arc<str>>> {
        let key = (hook.id, hook.version);
        if let Some(body) = self.0.bodies.get(&key) {
            return Ok(Some(body));
        }
        let body = self.0.accounts.hook_body(hook.id, hook.version).await?;
        let body: Option<Arc<str>> = body.map(Arc::from);
        if let Some(body) = &body {
            self.0.bodies.insert(key, Arc::clone(body));
        }
        Ok(body)
    }

    /// A stream that the account does not have is a mistake of the hook, not of whoever sends.
    async fn check_route(&self, who: &Principal, actions: &[Action]) -> Result<(), Fault> {
        let Some(Action::Route(stream)) = actions.iter().find(|one| matches!(one, Action::Route(_))) else {
            return Ok(());
        };
        let message = match self.0.accounts.stream(who, Some(stream)).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(fault)) => fault.to_string(),
            Err(error) => error.to_string(),
        };
        Err(Fault {
            kind: FaultKind::Error,
            message,
            line: None,
        })
    }

    /// What somebody wrote, as it can be kept; says when it would be asked.
    pub async fn check(&self, account: Id, kind: HookKind, body: &str) -> Result<String, BodyError> {
        let open = self.0.client.as_ref().is_some_and(|client| client.is_open());
        let limits = self.0.limits;
        if kind != HookKind::Script {
            return check(kind, body, limits, open);
        }
        let turn = self.0.turns.take(account, false).await.ok_or(BodyError::Busy)?;
        let body = body.to_owned();
        let checked = tokio::task::spawn_blocking(move || {
            let stages = check(kind, &body, limits, open);
            drop(turn);
            stages
        });
        checked.await.map_err(|_| BodyError::Busy)?
    }

    /// Runs what somebody wrote on a message that stays where it is. `secret` is that of the hook that is tried.
    pub async fn test(
        &self,
        who: &Principal,
        (kind, body, secret): (HookKind, &str, &[u8]),
        facts: &Facts,
    ) -> Run {
        let ready = Ready {
            // Trying one out takes from the share of who tries.
            operators: false,
            kind,
            body: Arc::from(body),
            secret,
        };
        let mut run = self.run_body(who.account, ready, facts).await;
        if run.fault.is_none()
            && let Err(fault) = self.check_route(who, &run.actions).await
        {
            (run.said, run.fault) = (Said::Nothing, Some(fault));
        }
        if run.changes() {
            take_over(&mut facts.clone(), &mut Asked::default(), &mut run).await;
        }
        run
    }
}

/// What somebody wrote, judged on this thread; says when it would be asked. `open`: receivers may be anywhere.
pub fn check(kind: HookKind, body: &str, limits: ScriptLimits, open: bool) -> Result<String, BodyError> {
    if body.len() > luau::LONGEST_SCRIPT {
        return Err(BodyError::TooLong);
    }
    if body.contains('\0') {
        return Err(BodyError::Nul);
    }
    match kind {
        HookKind::Rule => Ok(Rule::parse(body)?.stage().as_str().to_owned()),
        HookKind::Script => {
            let stages = luau::check(body, limits).map_err(BodyError::Script)?;
            let names: Vec<&str> = stages.into_iter().map(Stage::as_str).collect();
            Ok(names.join(" "))
        }
        HookKind::Http => {
            Receiver::parse(body, open)?;
            Ok(Stage::Message.as_str().to_owned())
        }
    }
}

/// Runs a script or a rule of nobody's on a message that stays where it is. None for a receiver, which asks for more than that.
pub async fn try_out(kind: HookKind, body: String, facts: &Facts, limits: ScriptLimits) -> Option<Run> {
    let mut run = match kind {
        HookKind::Http => return None,
        HookKind::Rule => match Rule::parse(&body) {
            Ok(rule) => rule.apply(facts),
            Err(error) => broken(FaultKind::Error, &error.to_string()),
        },
        HookKind::Script => luau::call(&body, facts, limits),
    };
    if run.changes() {
        take_over(&mut facts.clone(), &mut Asked::default(), &mut run).await;
    }
    Some(run)
}

/// Whether mail goes on where the hook broke. One of the operator that had no turn is not broken: mail waits for it.
fn goes_on_without(hook: &Hook, fault: &Fault) -> bool {
    let only_busy = hook.account.is_none() && fault.kind == FaultKind::Busy;
    hook.fail_open && !only_busy
}

/// What the next hook finds is what this one left. A footer that did not come into the message is a line of its log.
async fn take_over(facts: &mut Facts, asked: &mut Asked, run: &mut Run) {
    if facts.stage != Stage::Message || run.actions.is_empty() {
        return;
    }
    let (raw, log) = edited(std::mem::take(&mut facts.raw), &run.actions).await;
    facts.raw = raw;
    run.log.extend(log);
    let mut steering = Steering {
        tags: std::mem::take(&mut facts.tags),
        ..Steering::default()
    };
    for action in &run.actions {
        match action {
            // More than a message can have are left out.
            Action::Tag(tag) => {
                let _ = steering.add_tag(tag);
            }
            Action::Route(stream) => {
                facts.stream = Some(stream.clone());
                asked.stream = Some(stream.clone());
            }
            Action::SetHeader { .. } | Action::AddHeader { .. } | Action::AddFooter(_) => {}
        }
    }
    facts.tags = steering.tags;
}

fn broken(kind: FaultKind, message: &str) -> Run {
    Run {
        fault: Some(Fault {
            kind,
            message: message.to_owned(),
            line: None,
        }),
        took: Duration::ZERO,
        ..Run::default()
    }
}
