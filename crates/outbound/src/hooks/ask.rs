//! Asks the hooks that a message passes, one after the other, and puts together what they say.

use std::sync::Arc;
use std::time::Duration;

use accounts::{Accounts, Hook, HookKind, Principal};
use mail::message::Steering;
use mail::replies;
use mail::reply::Reply;
use moka::sync::Cache;
use store::{Clock, Db, Id, Ids};
use tokio::time::{Instant, timeout};

use super::body::{Body, BodyError, broken, check};
use super::edit::edited;
use super::facts::{Action, Facts, Fault, FaultKind, Run, Said, Stage};
use super::journal::Journal;
use super::luau::Script;
use crate::calls::Client;
use crate::settings::HookLimits;
use crate::turns::{PATIENCE, Turn, Turns};

/// Octets of hooks that are kept in memory, as they are asked: read, or compiled.
const KEPT: u64 = 32 * 1024 * 1024;
/// How much of that one takes, as a multiple of what somebody wrote.
const GROWN: usize = 4;
/// And what the shortest one takes.
const ALONE: usize = 1024;

/// Receivers that are asked at once, and by the mail of one account.
const CALLS: usize = 256;
const CALLS_OF_ACCOUNT: usize = 16;

/// Hooks at work; clones share it.
#[derive(Clone)]
pub struct Hooks(Arc<Inner>);

struct Inner {
    accounts: Accounts,
    /// What was saved never changes, so it stays for as long as there is room.
    bodies: Cache<(Id, i64), (Arc<Body>, usize)>,
    turns: Shares,
    journal: Journal,
    clock: Clock,
    ids: Ids,
    /// Asks receivers; absent in a process that asks none.
    client: Option<Arc<Client>>,
    /// Questions on their way: of one account, and of all.
    calls: Shares,
    limits: HookLimits,
}

/// What all hooks together say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Why the message, or its recipient, is not taken.
    pub refusal: Option<Reply>,
    /// The name of the hook that wants the message sent to nobody.
    pub discarded: Option<String>,
    /// The stream that one of them chose.
    pub stream: Option<String>,
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
            operator: Turns::new(places, of_account),
            accounts: Turns::new(places, of_account),
        }
    }

    async fn take(&self, account: Id, operators: bool, within: Duration) -> Option<Turn> {
        let turns = if operators { &self.operator } else { &self.accounts };
        turns.take(account, within).await
    }
}

/// What is left of the time that all hooks of a command, or of a message over the API, may take together. The operator's have theirs for
/// themselves.
#[derive(Debug)]
pub struct Together {
    operators: Duration,
    accounts: Duration,
    /// For turns at either, which somebody else has.
    waiting: Duration,
    /// Those of the operator that are asked now began with all of their time. How often they are asked is up to who sends; where that used
    /// it up, nothing passes them for want of it.
    whole: bool,
}

impl Together {
    fn of(&mut self, operators: bool) -> &mut Duration {
        if operators {
            &mut self.operators
        } else {
            &mut self.accounts
        }
    }

    /// A hook's time was over before it had had its own. It is as broken as one that took too long alone where only the operator's were asked
    /// before it, and only once.
    fn late(&self, operators: bool, took: Duration) -> Run {
        let kind = if operators && self.whole {
            FaultKind::Time
        } else {
            FaultKind::Busy
        };
        Run {
            took,
            ..broken(kind, "all hooks together took longer than they may")
        }
    }

    async fn turn(&mut self, shares: &Shares, account: Id, operators: bool) -> Option<Turn> {
        let began = Instant::now();
        let turn = shares.take(account, operators, self.waiting).await;
        self.waiting = self.waiting.saturating_sub(began.elapsed());
        turn
    }
}

/// A hook as it is run: whose it is, what it says, and with what it signs.
struct Ready<'a> {
    operators: bool,
    body: Arc<Body>,
    secret: &'a [u8],
}

impl Hooks {
    pub fn new(
        db: &Db,
        accounts: &Accounts,
        (clock, ids): (&Clock, &Ids),
        client: Option<Arc<Client>>,
        limits: HookLimits,
    ) -> Self {
        let places = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self(Arc::new(Inner {
            accounts: accounts.clone(),
            bodies: Cache::builder()
                .max_capacity(KEPT)
                .weigher(|_, (_, octets)| u32::try_from(GROWN * octets + ALONE).unwrap_or(u32::MAX))
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

    /// The time that all hooks of one command have together.
    pub fn together(&self) -> Together {
        let together = self.0.limits.together;
        Together {
            operators: together,
            accounts: together,
            waiting: together,
            whole: true,
        }
    }

    /// Asks each of them that has something to say at this stage, and leaves in `facts` what they made of the message. The first
    /// refusal counts.
    pub async fn ask(
        &self,
        who: &Principal,
        hooks: &[Arc<Hook>],
        facts: &mut Facts,
        together: &mut Together,
    ) -> Asked {
        let mut asked = Asked::default();
        let stage = facts.stage;
        let mut changed = false;
        // Of all that one message is asked about, only its recipients can be so many.
        if stage != Stage::Rcpt {
            together.operators = self.0.limits.together;
        }
        together.whole = together.operators == self.0.limits.together;
        for hook in hooks.iter().filter(|hook| hook.is_asked_at(stage.as_str())) {
            let Some(mut run) = self.run(who.account, hook, facts, together).await else {
                continue;
            };
            if run.fault.is_none()
                && let Err(fault) = self.check_route(who, &run.actions).await
            {
                (run.said, run.fault) = (Said::Nothing, Some(fault));
                run.actions.clear();
            }
            if run.changes() {
                take_over(facts, &mut asked, &mut run).await;
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
            // With all of their time once more: what they took before is no reason not to look at what was added.
            let mut again = Together {
                waiting: together.waiting,
                ..self.together()
            };
            self.ask_operators_again((who, hooks), facts, &mut again, &mut asked)
                .await;
        }
        asked
    }

    /// What the operator's hooks let through is what is sent: they judge what the account's own made of it. They change nothing more.
    async fn ask_operators_again(
        &self,
        (who, hooks): (&Principal, &[Arc<Hook>]),
        facts: &Facts,
        together: &mut Together,
        asked: &mut Asked,
    ) {
        let stage = facts.stage;
        let operators = hooks.iter().filter(|hook| hook.account.is_none());
        for hook in operators.filter(|hook| hook.is_asked_at(stage.as_str())) {
            let Some(run) = self.run(who.account, hook, facts, together).await else {
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
    async fn run(&self, account: Id, hook: &Hook, facts: &Facts, together: &mut Together) -> Option<Run> {
        let body = match self.body(hook).await {
            Ok(body) => body?,
            Err(error) => {
                tracing::warn!(hook = %hook.id, %error, "what a hook says could not be read");
                return Some(broken(FaultKind::Busy, "it could not be read"));
            }
        };
        let ready = Ready {
            operators: hook.account.is_none(),
            body,
            secret: hook.secret.as_deref().unwrap_or_default(),
        };
        Some(self.run_body(account, ready, facts, together).await)
    }

    async fn run_body(&self, account: Id, ready: Ready<'_>, facts: &Facts, together: &mut Together) -> Run {
        let Ready {
            operators,
            body,
            secret,
        } = ready;
        let takes_time = matches!(*body, Body::Script(_) | Body::Receiver(_));
        let left = *together.of(operators);
        if takes_time && left.is_zero() {
            return together.late(operators, Duration::ZERO);
        }
        match &*body {
            Body::None(why) => broken(FaultKind::Error, &why.to_string()),
            // It takes no time to speak of, so it is asked however late it is.
            Body::Rule(rule) => rule.apply(facts),
            Body::Script(script) => {
                let Some(turn) = together.turn(&self.0.turns, account, operators).await else {
                    return broken(FaultKind::Busy, "too many of the account's hooks were at work");
                };
                let began = Instant::now();
                let run = self.run_script((turn, Arc::clone(script)), facts, left).await;
                *together.of(operators) = left.saturating_sub(began.elapsed());
                run.unwrap_or_else(|took| together.late(operators, took))
            }
            Body::Receiver(receiver) => {
                let Some(client) = &self.0.client else {
                    return broken(FaultKind::Error, "this process asks no receivers");
                };
                let Some(_turn) = together.turn(&self.0.calls, account, operators).await else {
                    return broken(
                        FaultKind::Busy,
                        "too many of the account's messages wait for a receiver",
                    );
                };
                let now = self.0.clock.now();
                let id = format!("hook_{}", self.0.ids.next(now));
                let began = Instant::now();
                let run = timeout(left, receiver.ask(client, secret, facts, (id, now))).await;
                *together.of(operators) = left.saturating_sub(began.elapsed());
                run.unwrap_or_else(|_| together.late(operators, began.elapsed()))
            }
        }
    }

    /// Runs a script on a thread that may block. What ends it for want of time is a fault of its own only where it had all of its time;
    /// else the answer is how long it had.
    async fn run_script(
        &self,
        (turn, script): (Turn, Arc<Script>),
        facts: &Facts,
        left: Duration,
    ) -> Result<Run, Duration> {
        let (facts, usual) = (facts.clone(), self.0.limits);
        let call = move || {
            let limits = HookLimits {
                wall: usual.wall.min(left),
                ..usual
            };
            let run = script.call(&facts, limits);
            let cut_short = limits.wall < usual.wall && run.took >= limits.wall;
            // Held here: whoever hangs up meanwhile stops nothing.
            drop((turn, facts));
            (run, cut_short)
        };
        match tokio::task::spawn_blocking(call).await {
            Ok((run, true)) if run.fault.as_ref().is_some_and(|one| one.kind == FaultKind::Time) => {
                Err(run.took)
            }
            Ok((run, _)) => Ok(run),
            Err(_) => Ok(broken(FaultKind::Error, "a mistake of this program")),
        }
    }

    async fn body(&self, hook: &Hook) -> accounts::Result<Option<Arc<Body>>> {
        let key = (hook.id, hook.version);
        if let Some((body, _)) = self.0.bodies.get(&key) {
            return Ok(Some(body));
        }
        let Some(text) = self.0.accounts.hook_body(hook.id, hook.version).await? else {
            return Ok(None);
        };
        let body = Arc::new(Body::read(hook.kind, &text, self.is_open()));
        self.0.bodies.insert(key, (Arc::clone(&body), text.len()));
        Ok(Some(body))
    }

    /// Whether receivers may be anywhere.
    fn is_open(&self) -> bool {
        self.0.client.as_ref().is_some_and(|client| client.is_open())
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
        let (open, limits) = (self.is_open(), self.0.limits);
        if kind != HookKind::Script {
            return check(kind, body, limits, open);
        }
        let turn = self
            .0
            .turns
            .take(account, false, PATIENCE)
            .await
            .ok_or(BodyError::Busy)?;
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
            body: Arc::new(Body::read(kind, body, self.is_open())),
            secret,
        };
        let mut run = self
            .run_body(who.account, ready, facts, &mut self.together())
            .await;
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

/// Runs a script or a rule of nobody's on a message that stays where it is. None for a receiver, which asks for more than that.
pub async fn try_out(kind: HookKind, body: &str, facts: &Facts, limits: HookLimits) -> Option<Run> {
    let mut run = match Body::read(kind, body, true) {
        Body::Receiver(_) => return None,
        Body::Rule(rule) => rule.apply(facts),
        Body::Script(script) => script.call(facts, limits),
        Body::None(why) => broken(FaultKind::Error, &why.to_string()),
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
