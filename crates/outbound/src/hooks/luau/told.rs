//! What a script's function is told about a message.

use std::cell::LazyCell;
use std::rc::Rc;

use mail::message::{Head, parts};
use mlua::{Lua, Table, Value};

use crate::hooks::facts::{Facts, Stage};

/// Octets of one text part that a script sees.
const TEXT_SEEN: usize = 256 * 1024;
/// Octets of all texts that one look at the parts takes.
const TEXTS_SEEN: usize = 1024 * 1024;

/// What the script's function gets.
pub(super) fn told(lua: &Lua, facts: &Facts) -> mlua::Result<Table> {
    let m = lua.create_table()?;
    m.set("stage", facts.stage.as_str())?;
    m.set("account", facts.account.as_str())?;
    m.set("login", facts.login.as_deref())?;
    m.set("credential", facts.credential.as_deref())?;
    m.set("via", facts.via.as_str())?;
    m.set("ip", facts.ip.map(|ip| ip.to_string()))?;
    m.set("helo", facts.helo.as_deref())?;
    m.set("tls", facts.tls.as_deref())?;
    m.set("from", facts.from.as_deref().unwrap_or_default())?;
    let recipients = facts.recipients.iter().map(String::as_str);
    m.set("recipients", lua.create_sequence_from(recipients)?)?;
    m.set("recipient", facts.recipient.as_deref())?;
    if facts.stage != Stage::Message {
        return Ok(m);
    }
    m.set("size", facts.raw.len())?;
    m.set("stream", facts.stream.as_deref())?;
    m.set("tags", facts.tags.clone())?;
    let subject = Head::parse(&facts.raw).ok().and_then(|head| head.subject());
    m.set("subject", subject.unwrap_or_default())?;
    let raw = facts.raw.clone();
    m.set(
        "header",
        lua.create_function(move |_, (_, name): (Value, String)| {
            let head = Head::parse(&raw).ok();
            Ok(head.and_then(|head| head.first(&name).map(mail::message::Field::decoded)))
        })?,
    )?;
    let raw = facts.raw.clone();
    m.set(
        "headers",
        lua.create_function(move |_, (_, name): (Value, Option<String>)| {
            Ok(fields(&raw, name.as_deref(), decoded))
        })?,
    )?;
    let raw = facts.raw.clone();
    m.set(
        "raw_headers",
        lua.create_function(move |lua, (_, name): (Value, Option<String>)| {
            fields(&raw, name.as_deref(), |field| field.value.to_vec())
                .into_iter()
                .map(|value| lua.create_string(value))
                .collect::<mlua::Result<Vec<_>>>()
        })?,
    )?;
    // Taken apart once, and only where it is asked for.
    let raw = facts.raw.clone();
    let seen = Rc::new(LazyCell::new(move || parts(&raw, (TEXT_SEEN, TEXTS_SEEN))));
    let shown = Rc::clone(&seen);
    m.set(
        "parts",
        lua.create_function(move |lua, _: Value| {
            let list = lua.create_table()?;
            for part in &shown.found {
                let one = lua.create_table()?;
                one.set("type", part.content_type.as_str())?;
                one.set("charset", part.charset.as_deref())?;
                one.set("name", part.name.as_deref())?;
                one.set("size", part.size)?;
                one.set("text", part.text.as_deref())?;
                one.set("cut", part.cut)?;
                list.push(one)?;
            }
            Ok(list)
        })?,
    )?;
    m.set(
        "complete",
        lua.create_function(move |_, _: Value| Ok(seen.complete))?,
    )?;
    Ok(m)
}

fn decoded(field: &mail::message::Field<'_>) -> String {
    field.decoded()
}

/// The fields of that name, or all of them.
fn fields<T>(raw: &[u8], name: Option<&str>, show: impl Fn(&mail::message::Field<'_>) -> T) -> Vec<T> {
    let Ok(head) = Head::parse(raw) else {
        return Vec::new();
    };
    head.fields()
        .iter()
        .filter(|field| name.is_none_or(|name| field.is(name)))
        .map(show)
        .collect()
}
