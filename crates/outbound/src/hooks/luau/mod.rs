//! The interpreter of scripts: a fresh Luau state for each call, with hard limits and nothing in it that reaches out.

mod patterns;
mod told;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Duration;

use mail::message::{Footer, LONGEST_FOOTER, Steering, field, steer};
use mlua::chunk::{ChunkMode, Compiler};
use mlua::{Error, Function, Lua, LuaOptions, LuaString, StdLib, Table, Value, Variadic, VmState};
use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

use self::told::told;
use super::facts::{Action, Facts, Fault, FaultKind, Run, Said, Stage};
use crate::settings::HookLimits;

/// The longest script.
pub const LONGEST_SCRIPT: usize = 64 * 1024;
/// Header fields that one run sets or adds, and their octets.
const MOST_FIELDS: usize = 50;
const FIELDS_OCTETS: usize = 16 * 1024;
/// What one run may write to its log.
const MOST_LINES: usize = 50;
const LINE_OCTETS: usize = 500;
/// What a script is called in its own errors.
const NAME: &str = "hook";

/// Runs before each script, with a seed and with [`patterns::widest`].
///
/// What does not come back to the interpreter by itself while it works is kept small: how long one call of these takes is
/// bounded by what it is given. A comparison in Luau, on the other hand, is a step. Between two looks at the clock a pattern goes
/// through the whole text at most once, with each letter against all that one class names. Of a value that is neither text nor
/// number it is said what it is, never where it lies in this process; numbers of chance follow from our seed, because the
/// interpreter would take such a place for one.
const PRELUDE: &str = include_str!("prelude.luau");

/// Globals of the interpreter that read code, other functions' surroundings, or the interpreter itself.
const TAKEN_AWAY: [&str; 12] = [
    "loadstring",
    "load",
    "loadfile",
    "dofile",
    "require",
    "getfenv",
    "setfenv",
    "collectgarbage",
    "gcinfo",
    "newproxy",
    "debug",
    "os",
];

/// Why a call does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// It decided.
    Said,
    Steps,
    Time,
}

/// What is shared with the functions that a script calls.
struct Shared {
    limits: HookLimits,
    stage: Stage,
    began: Instant,
    cpu_began: Duration,
    /// What numbers of chance follow from.
    seed: u32,
    /// When the processor's time was looked at last.
    looked: Cell<Instant>,
    steps: Cell<u64>,
    stop: Cell<Option<Stop>>,
    said: RefCell<Said>,
    actions: RefCell<Vec<Action>>,
    steering: RefCell<Steering>,
    fields: Cell<usize>,
    octets: Cell<usize>,
    /// Octets of footers.
    footers: Cell<usize>,
    log: RefCell<Vec<String>>,
}

/// The processor time of this thread.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

impl Shared {
    fn new(limits: HookLimits, stage: Stage, tags: &[String]) -> Rc<Self> {
        let (now, cpu_began) = (Instant::now(), cpu());
        Rc::new(Self {
            limits,
            stage,
            began: now,
            cpu_began,
            seed: cpu_began.subsec_nanos(),
            looked: Cell::new(now),
            steps: Cell::new(0),
            stop: Cell::new(None),
            said: RefCell::default(),
            actions: RefCell::default(),
            steering: RefCell::new(Steering {
                tags: tags.to_vec(),
                ..Steering::default()
            }),
            fields: Cell::new(0),
            octets: Cell::new(0),
            footers: Cell::new(0),
            log: RefCell::default(),
        })
    }

    /// One step. Once it may not go on it hears so at each, so nothing that catches errors keeps it alive.
    fn step(&self) -> mlua::Result<VmState> {
        self.steps.set(self.steps.get() + 1);
        if self.stop.get().is_none() {
            self.stop.set(self.over());
        }
        match self.stop.get() {
            None => Ok(VmState::Continue),
            Some(_) => Err(ended()),
        }
    }

    fn over(&self) -> Option<Stop> {
        const LOOK: Duration = Duration::from_millis(2);
        if self.steps.get() > self.limits.steps {
            return Some(Stop::Steps);
        }
        let now = Instant::now();
        if now - self.began > self.limits.wall {
            return Some(Stop::Time);
        }
        if now - self.looked.get() > LOOK {
            self.looked.set(now);
            if cpu().saturating_sub(self.cpu_began) > self.limits.cpu {
                return Some(Stop::Time);
            }
        }
        None
    }

    /// What changes the message has a message to change.
    fn only_at_message(&self, what: &str) -> mlua::Result<()> {
        self.goes_on()?;
        match self.stage {
            Stage::Message => Ok(()),
            Stage::Mail | Stage::Rcpt => Err(wrong(format!("{what} works in on_message only"))),
        }
    }

    fn goes_on(&self) -> mlua::Result<()> {
        if self.stop.get().is_some() {
            return Err(ended());
        }
        Ok(())
    }

    fn decide(&self, said: Said) -> mlua::Error {
        if self.stop.get().is_none() {
            *self.said.borrow_mut() = said;
            self.stop.set(Some(Stop::Said));
        }
        ended()
    }

    fn field(&self, name: &str, value: &str) -> mlua::Result<Vec<u8>> {
        let line = field(name, value).map_err(|problem| wrong(problem.to_string()))?;
        self.fields.set(self.fields.get() + 1);
        self.octets.set(self.octets.get() + line.len());
        if self.fields.get() > MOST_FIELDS || self.octets.get() > FIELDS_OCTETS {
            return Err(wrong(format!(
                "one run writes at most {MOST_FIELDS} header fields of together {FIELDS_OCTETS} octets"
            )));
        }
        Ok(line)
    }
}

fn ended() -> Error {
    Error::RuntimeError("the hook has ended".to_owned())
}

fn wrong(message: impl Into<String>) -> Error {
    Error::RuntimeError(message.into())
}

/// A script; read once, when it is called first, whatever is asked of it later.
pub struct Script {
    source: Box<str>,
    program: OnceLock<Result<Program, Fault>>,
}

/// What the interpreter runs, made of text by its own compiler: that alone may be trusted not to break it.
struct Program {
    prelude: &'static [u8],
    own: Vec<u8>,
}

impl Program {
    fn compile(source: &str) -> Result<Self, Fault> {
        static PRELUDE_OF_ALL: OnceLock<Result<Vec<u8>, Fault>> = OnceLock::new();
        let compile = |source: &str| {
            Compiler::new()
                .compile(source)
                .map_err(|error| unreadable(&error))
        };
        let prelude = PRELUDE_OF_ALL.get_or_init(|| compile(PRELUDE));
        Ok(Self {
            prelude: prelude.as_deref().map_err(Clone::clone)?,
            own: compile(source)?,
        })
    }

    fn call(&self, facts: &Facts, limits: HookLimits) -> Run {
        let shared = Shared::new(limits, facts.stage, &facts.tags);
        let mut memory = 0;
        let ended = prepare(self, &shared).and_then(|lua| {
            let called = match lua.globals().get::<Value>(facts.stage.function())? {
                Value::Function(function) => {
                    told(&lua, facts).and_then(|told| function.call::<Variadic<Value>>(told).map(|_| ()))
                }
                _ => Ok(()),
            };
            memory = lua.used_memory() as u64;
            called
        });
        let fault = match ended {
            Ok(()) if shared.stop.get().is_none() => None,
            Ok(()) => fault_of(shared.stop.get(), &shared.limits),
            Err(_) if shared.stop.get() == Some(Stop::Said) => None,
            Err(error) => Some(fault(&error, &shared)),
        };
        let mut run = Run {
            log: shared.log.take(),
            steps: shared.steps.get(),
            memory,
            took: shared.began.elapsed(),
            ..Run::default()
        };
        if fault.is_none() {
            (run.said, run.actions) = (shared.said.take(), shared.actions.take());
        }
        run.fault = fault;
        run
    }
}

/// Why a text is no script. The compiler begins with the line.
fn unreadable(error: &Error) -> Fault {
    let text = in_words(&error.to_string());
    let (line, message) = match text.split_once(':') {
        Some((line, message)) if line.parse::<u32>().is_ok() => {
            (line.parse().ok(), message.trim().to_owned())
        }
        _ => (None, text),
    };
    Fault {
        kind: FaultKind::Error,
        message,
        line,
    }
}

/// Compiles a script and runs it once, to see which functions it has. At least one has to be there, and none whose name is nearly one of them.
pub fn check(source: &str, limits: HookLimits) -> Result<Vec<Stage>, Fault> {
    let program = Program::compile(source)?;
    let shared = Shared::new(limits, Stage::Message, &[]);
    let found = prepare(&program, &shared).and_then(|lua| {
        let mut stages = Vec::new();
        for stage in Stage::ALL {
            if lua.globals().get::<Value>(stage.function())?.is_function() {
                stages.push(stage);
            }
        }
        // Nobody would call it, and nobody would notice.
        for pair in lua.globals().pairs::<Value, Value>() {
            let (Value::String(name), Value::Function(_)) = pair? else {
                continue;
            };
            let name = name.to_string_lossy();
            if name.starts_with("on_") && !Stage::ALL.iter().any(|stage| stage.function() == name) {
                return Err(wrong(format!(
                    "{name} is none of the functions on_mail, on_rcpt and on_message; spell it as one of them, or call it otherwise"
                )));
            }
        }
        Ok(stages)
    });
    match found {
        Ok(stages) if stages.is_empty() => Err(Fault {
            kind: FaultKind::Error,
            message: "it has none of the functions on_mail, on_rcpt and on_message".to_owned(),
            line: None,
        }),
        Ok(stages) => Ok(stages),
        // A script that decides outside of its functions would do so at every stage.
        Err(_) if shared.stop.get() == Some(Stop::Said) => Err(Fault {
            kind: FaultKind::Error,
            message: "it decides outside of on_mail, on_rcpt and on_message".to_owned(),
            line: None,
        }),
        Err(error) => Err(fault(&error, &shared)),
    }
}

impl Script {
    pub fn new(source: &str) -> Self {
        Self {
            source: source.into(),
            program: OnceLock::new(),
        }
    }

    /// Calls the script's function for this stage.
    pub fn call(&self, facts: &Facts, limits: HookLimits) -> Run {
        match self.program.get_or_init(|| Program::compile(&self.source)) {
            Ok(program) => program.call(facts, limits),
            Err(fault) => Run {
                fault: Some(fault.clone()),
                ..Run::default()
            },
        }
    }
}

/// A state in which the script has run once, so that its functions are there.
fn prepare(program: &Program, shared: &Rc<Shared>) -> mlua::Result<Lua> {
    let libraries = StdLib::TABLE
        | StdLib::STRING
        | StdLib::MATH
        | StdLib::UTF8
        | StdLib::BIT
        | StdLib::BUFFER
        | StdLib::COROUTINE;
    let lua = Lua::new_with(libraries, LuaOptions::new())?;
    lua.set_memory_limit(shared.limits.memory)?;
    let globals = lua.globals();
    for name in TAKEN_AWAY {
        globals.raw_set(name, Value::Nil)?;
    }
    let widest = lua.create_function(|_, pattern: LuaString| Ok(patterns::widest(&pattern.as_bytes())))?;
    lua.load(program.prelude)
        .set_mode(ChunkMode::Binary)
        .set_name("=prelude")
        .call::<()>((shared.seed, widest))?;
    give(&lua, &globals, shared)?;
    // Every library and every global of ours is read-only from here on; what the script defines lies above them.
    lua.sandbox(true)?;
    let watch = Rc::clone(shared);
    lua.set_interrupt(move |_| watch.step());
    lua.load(program.own.as_slice())
        .set_mode(ChunkMode::Binary)
        .set_name(format!("={NAME}"))
        .exec()?;
    Ok(lua)
}

/// The functions that a script decides and changes with.
fn give(lua: &Lua, globals: &Table, shared: &Rc<Shared>) -> mlua::Result<()> {
    let own = || Rc::clone(shared);
    let s = own();
    globals.set(
        "accept",
        lua.create_function(move |_, ()| Err::<(), _>(s.decide(Said::Accept)))?,
    )?;
    let s = own();
    globals.set(
        "reject",
        lua.create_function(move |_, text: Option<String>| Err::<(), _>(s.decide(Said::Reject(text))))?,
    )?;
    let s = own();
    globals.set(
        "defer",
        lua.create_function(move |_, text: Option<String>| Err::<(), _>(s.decide(Said::Defer(text))))?,
    )?;
    let s = own();
    globals.set(
        "discard",
        lua.create_function(move |_, ()| {
            s.only_at_message("discard()")?;
            Err::<(), _>(s.decide(Said::Discard))
        })?,
    )?;
    let s = own();
    globals.set(
        "tag",
        lua.create_function(move |_, name: String| {
            s.only_at_message("tag()")?;
            let mut steering = s.steering.borrow_mut();
            let before = steering.tags.len();
            steering
                .add_tag(&name)
                .map_err(|fault| wrong(format!("the tag {fault}")))?;
            if let Some(tag) = steering.tags.get(before) {
                s.actions.borrow_mut().push(Action::Tag(tag.clone()));
            }
            Ok(())
        })?,
    )?;
    let s = own();
    globals.set(
        "set_header",
        lua.create_function(move |_, (name, value): (String, String)| {
            s.only_at_message("set_header()")?;
            let line = s.field(&name, &value)?;
            s.actions.borrow_mut().push(Action::SetHeader { name, line });
            Ok(())
        })?,
    )?;
    let s = own();
    globals.set(
        "add_header",
        lua.create_function(move |_, (name, value): (String, String)| {
            s.only_at_message("add_header()")?;
            let line = s.field(&name, &value)?;
            s.actions.borrow_mut().push(Action::AddHeader { name, line });
            Ok(())
        })?,
    )?;
    let s = own();
    globals.set(
        "route",
        lua.create_function(move |_, name: String| {
            s.only_at_message("route()")?;
            let stream = steer::stream(&name).map_err(|fault| wrong(format!("route() {fault}")))?;
            let mut actions = s.actions.borrow_mut();
            actions.retain(|action| !matches!(action, Action::Route(_)));
            actions.push(Action::Route(stream));
            Ok(())
        })?,
    )?;
    let s = own();
    globals.set(
        "add_footer",
        lua.create_function(move |_, (text, html): (String, Option<String>)| {
            s.only_at_message("add_footer()")?;
            let footer = Footer::new(&text, html.as_deref()).map_err(|fault| wrong(fault.to_string()))?;
            s.footers
                .set(s.footers.get() + text.len() + html.map_or(0, |html| html.len()));
            if s.footers.get() > 2 * LONGEST_FOOTER {
                return Err(wrong(format!(
                    "one run adds footers of together at most {} octets",
                    2 * LONGEST_FOOTER
                )));
            }
            s.actions.borrow_mut().push(Action::AddFooter(footer));
            Ok(())
        })?,
    )?;
    let print = printer(lua, own())?;
    globals.set("print", &print)?;
    globals.set("log", print)
}

fn printer(lua: &Lua, shared: Rc<Shared>) -> mlua::Result<Function> {
    lua.create_function(move |_, values: Variadic<Value>| {
        shared.goes_on()?;
        let mut log = shared.log.borrow_mut();
        if log.len() >= MOST_LINES {
            return Ok(());
        }
        let mut line = String::new();
        for (place, value) in values.iter().enumerate() {
            if place > 0 {
                line.push('\t');
            }
            match value {
                Value::String(text) => {
                    let octets = text.as_bytes();
                    line += &String::from_utf8_lossy(&octets[..octets.len().min(LINE_OCTETS)]);
                }
                Value::Nil | Value::Boolean(_) | Value::Integer(_) | Value::Number(_) | Value::Vector(_) => {
                    line += &value.to_string()?;
                }
                Value::Error(error) => line += &in_words(&error.to_string()),
                // Never by the value's own function, which may do anything, nor by where it lies.
                _ => line += value.type_name(),
            }
            if line.len() > LINE_OCTETS {
                break;
            }
        }
        let cut: String = line
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(LINE_OCTETS)
            .collect();
        log.push(cut);
        Ok(())
    })
}

fn fault_of(stop: Option<Stop>, limits: &HookLimits) -> Option<Fault> {
    let (kind, message) = match stop? {
        Stop::Said => return None,
        Stop::Steps => (
            FaultKind::Steps,
            format!("it took more than {} steps", limits.steps),
        ),
        Stop::Time => (
            FaultKind::Time,
            format!(
                "it took longer than {} ms of a processor, or {} ms in all",
                limits.cpu.as_millis(),
                limits.wall.as_millis()
            ),
        ),
    };
    Some(Fault {
        kind,
        message,
        line: None,
    })
}

/// What went wrong, in one line, and where.
fn fault(error: &Error, shared: &Shared) -> Fault {
    let text = error.to_string();
    let line = line_of(&text);
    if let Some(fault) = fault_of(shared.stop.get(), &shared.limits) {
        return Fault { line, ..fault };
    }
    let (kind, message) = if is_of_memory(error) {
        let most = shared.limits.memory / (1024 * 1024);
        (
            FaultKind::Memory,
            format!("it took more than {most} MiB of memory"),
        )
    } else {
        (FaultKind::Error, in_words(&text))
    };
    Fault { kind, message, line }
}

fn is_of_memory(error: &Error) -> bool {
    match error {
        Error::MemoryError(_) => true,
        Error::CallbackError { cause, .. } => is_of_memory(cause),
        Error::RuntimeError(text) => text.contains("not enough memory"),
        _ => false,
    }
}

/// The first line of the script that an error names.
fn line_of(text: &str) -> Option<u32> {
    let mark = format!("{NAME}:");
    text.match_indices(&mark).find_map(|(at, _)| {
        let rest = &text[at + mark.len()..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        rest[..digits].parse().ok()
    })
}

/// What an error says beside its kind, its place and the way there.
fn in_words(text: &str) -> String {
    const LONGEST: usize = 400;
    let text = text.split("\nstack traceback:").next().unwrap_or_default();
    let text = ["runtime error: ", "syntax error: "]
        .iter()
        .fold(text, |text, kind| text.strip_prefix(kind).unwrap_or(text));
    let text = match text.strip_prefix(NAME).and_then(|rest| rest.strip_prefix(':')) {
        Some(rest) => rest
            .trim_start_matches(|c: char| c.is_ascii_digit())
            .trim_start_matches(':'),
        None => text,
    };
    without_places(text.trim())
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST)
        .collect()
}

/// The text without places in the memory of this process: what raises a value as its error has it named by its place.
fn without_places(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("0x") {
        let digits = rest[at + 2..].bytes().take_while(u8::is_ascii_hexdigit).count();
        let end = at + 2 + digits;
        let is_place = digits >= 8;
        out += if is_place {
            rest[..at].trim_end_matches(": ")
        } else {
            &rest[..end]
        };
        rest = &rest[end..];
    }
    out + rest
}

#[cfg(test)]
mod tests;
