//! Asks what the console asks, over HTTP and in mixed order, and prints how long each answer took.

use std::io::{self, Write as _};

use serde_json::{Value, json};
use store::Engine;
use ureq::Agent;
use ureq::http::header::{COOKIE, SET_COOKIE};

use crate::relay::{PASSWORD, USER};
use crate::{clock, meter};

/// What an answer may take, in milliseconds at the 95th of a hundred.
const AIM: f64 = 150.0;

/// One kind of question, in the forms that are asked in turn.
struct Question {
    name: String,
    paths: Vec<String>,
    micros: Vec<u64>,
}

/// A signed-in browser.
struct Browser {
    agent: Agent,
    base: String,
    cookie: String,
}

impl Browser {
    fn sign_in(address: &str) -> io::Result<Self> {
        let agent = Agent::new_with_config(Agent::config_builder().max_redirects(0).build());
        let base = format!("http://{address}");
        let answer = agent
            .post(format!("{base}/api/v1/session"))
            .header("origin", &base)
            .send_json(json!({"email": USER, "password": PASSWORD}))
            .map_err(io::Error::other)?;
        let cookie = answer
            .headers()
            .get(SET_COOKIE)
            .and_then(|value| value.to_str().ok());
        let cookie = cookie
            .and_then(|cookie| cookie.split(';').next())
            .unwrap_or_default();
        Ok(Self {
            agent,
            cookie: cookie.to_owned(),
            base,
        })
    }

    fn get(&self, path: &str) -> io::Result<Value> {
        let answer = self
            .agent
            .get(format!("{}/api/v1{path}", self.base))
            .header(COOKIE, &self.cookie)
            .call();
        let mut answer = answer.map_err(|error| io::Error::other(format!("{path}: {error}")))?;
        answer.body_mut().read_json().map_err(io::Error::other)
    }
}

pub fn command(address: &str, engine: Engine, rounds: usize, only: &str) -> io::Result<()> {
    let browser = Browser::sign_in(address)?;
    let mut questions = questions(&browser)?;
    questions.retain(|question| question.name.contains(only));
    let load = meter::load();
    for round in 0..rounds {
        // Another order each time, so that nothing always finds what its neighbour left in the caches.
        for step in 0..questions.len() {
            let length = questions.len();
            let at = (step * coprime(length, round) + round) % length;
            let question = &mut questions[at];
            let path = &question.paths[round % question.paths.len()];
            let begun = clock::now();
            browser.get(path)?;
            question.micros.push(clock::now() - begun);
        }
    }
    print(&mut questions, engine, rounds, &load)
}

/// A step that visits each of so many places once, a different one in most rounds.
fn coprime(length: usize, round: usize) -> usize {
    let fits = |step: &usize| {
        (1..=*step)
            .filter(|n| step.is_multiple_of(*n) && length.is_multiple_of(*n))
            .count()
            == 1
    };
    let from = round % length.max(1) + 1;
    (from..from + length).find(fits).unwrap_or(1)
}

fn print(questions: &mut [Question], engine: Engine, rounds: usize, load: &str) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(
        out,
        "{}, each question {rounds} times in mixed order; load average {load} before the start, {} at the end.\n\n\
         | question | p50 ms | p95 ms | max ms | |\n|---|---|---|---|---|",
        engine.name(),
        meter::load()
    )?;
    let mut over = 0;
    for question in questions {
        question.micros.sort_unstable();
        let at = |share: f64| {
            let place = (question.micros.len() as f64 * share).ceil() as usize;
            question.micros[place.saturating_sub(1).min(question.micros.len() - 1)] as f64 / 1000.0
        };
        let late = at(0.95) > AIM;
        over += usize::from(late);
        writeln!(
            out,
            "| {} | {:.1} | {:.1} | {:.1} | {} |",
            question.name,
            at(0.5),
            at(0.95),
            at(1.0),
            if late { "over" } else { "" }
        )?;
    }
    writeln!(out, "\n{over} over {AIM} ms.")
}

/// Everything the console asks of what grows with the mail.
fn questions(browser: &Browser) -> io::Result<Vec<Question>> {
    let mut questions = Vec::new();
    let mut ask = |name: &str, paths: Vec<String>| {
        questions.push(Question {
            name: name.to_owned(),
            paths,
            micros: Vec::new(),
        });
    };
    let newest = browser.get("/messages?limit=200")?;
    let items = newest["items"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let some: Vec<&Value> = items.iter().step_by(9).collect();
    let of = |path: &str, field: &dyn Fn(&Value) -> String| -> Vec<String> {
        some.iter().map(|item| format!("{path}{}", field(item))).collect()
    };
    let far = pages(browser, "/messages?limit=200", 20)?;
    let month = |n: i64| day_before(&newest, n);
    let messages = |query: &str| vec![format!("/messages?{query}")];
    ask("messages", messages("limit=50"));
    ask("messages, 200", messages("limit=200"));
    ask("messages, oldest first", messages("sort=oldest"));
    ask("messages, further pages", far);
    ask("messages of all accounts", messages("all=true"));
    ask(
        "messages of all accounts, further pages",
        pages(browser, "/messages?all=true", 8)?,
    );
    for state in [
        "delivered",
        "bounced",
        "deferred",
        "suppressed",
        "expired",
        "cancelled",
        "held",
        "queued",
        "scheduled",
    ] {
        ask(&format!("state {state}"), messages(&format!("state={state}")));
        ask(
            &format!("all accounts, state {state}"),
            messages(&format!("all=true&state={state}")),
        );
    }
    for class in ["unknown_mailbox", "rate_limited", "greylisted"] {
        ask(&format!("class {class}"), messages(&format!("class={class}")));
        ask(
            &format!("all accounts, class {class}"),
            messages(&format!("all=true&class={class}")),
        );
    }
    for stream in ["transactional", "marketing", "alerts", "unknown"] {
        ask(&format!("stream {stream}"), messages(&format!("stream={stream}")));
        ask(
            &format!("all accounts, stream {stream}"),
            messages(&format!("all=true&stream={stream}")),
        );
    }
    for tag in ["order", "rare", "none-has-this"] {
        ask(&format!("tag {tag}"), messages(&format!("tag={tag}")));
        ask(
            &format!("all accounts, tag {tag}"),
            messages(&format!("all=true&tag={tag}")),
        );
    }
    ask(
        "whole recipient",
        of("/messages?q=", &|item| text(&item["recipients"][0])),
    );
    ask(
        "all accounts, whole recipient",
        of("/messages?all=true&q=", &|item| text(&item["recipients"][0])),
    );
    ask("whole id", of("/messages?q=", &|item| text(&item["id"])));
    let whole_ids = of("/messages/", &|item| text(&item["id"]));
    let message_id = browser.get(&whole_ids[0])?;
    let message_id = text(&message_id["message_id"]);
    ask("whole Message-ID", messages(&format!("q={message_id}")));
    for (what, q) in [
        ("subject that many have", "password"),
        ("subject of one, new", "order%209433"),
        ("recipient's domain", "@d4711.example"),
        ("sender", "shop3"),
        ("part that nothing contains", "zebra-crossing"),
        ("unknown recipient", "nobody@nowhere.example"),
    ] {
        ask(what, messages(&format!("q={q}")));
        ask(
            &format!("all accounts, {what}"),
            messages(&format!("all=true&q={q}")),
        );
    }
    let (since, until) = (month(40), month(39));
    ask("one day", messages(&format!("since={since}&until={until}")));
    ask(
        "one day, bounced",
        messages(&format!("since={since}&until={until}&state=bounced")),
    );
    ask(
        "one day, delivered",
        messages(&format!("since={since}&until={until}&state=delivered")),
    );
    ask(
        "one day, queued",
        messages(&format!("since={since}&until={until}&state=queued")),
    );
    ask(
        "one day, stream alerts",
        messages(&format!("since={since}&until={until}&stream=alerts")),
    );
    ask(
        "one day, a part",
        messages(&format!("since={since}&until={until}&q=zebra")),
    );
    ask("until then, a part", messages(&format!("until={until}&q=zebra")));
    ask(
        "all accounts, one day",
        messages(&format!("all=true&since={since}&until={until}")),
    );
    ask("stream and state", messages("stream=marketing&state=bounced"));
    ask("stream and rare state", messages("stream=alerts&state=held"));
    ask("stream and class", messages("stream=alerts&class=mailbox_full"));
    ask("state and class", messages("state=bounced&class=spam"));
    ask(
        "state and a class of another",
        messages("state=delivered&class=spam"),
    );
    ask("tag and state", messages("tag=vip&state=expired"));
    ask("tag and stream", messages("tag=rare&stream=alerts"));
    ask("a part and state", messages("q=zebra&state=bounced"));
    ask("a part, oldest first", messages("q=zebra&sort=oldest"));
    ask("tag and a part", messages("tag=vip&q=zebra"));
    ask(
        "recipient and state",
        of("/messages?state=bounced&q=", &|item| text(&item["recipients"][0])),
    );
    ask("one message", whole_ids.clone());
    ask("events", vec!["/events?limit=200".to_owned()]);
    ask("events since", vec![format!("/events?since={since}")]);
    ask(
        "events of a rare type",
        vec!["/events?type=complained".to_owned()],
    );
    ask(
        "events of a type and stream",
        vec!["/events?type=bounced&stream=alerts".to_owned()],
    );
    ask(
        "events of a message",
        of("/events?message=", &|item| text(&item["id"])),
    );
    for by in ["day", "stream", "domain", "provider"] {
        let (from, year) = (&month(30)[..10], &month(360)[..10]);
        ask(
            &format!("statistics by {by}, 30 days"),
            vec![format!("/statistics?by={by}&from={from}")],
        );
        ask(
            &format!("statistics by {by}, 360 days"),
            vec![format!("/statistics?by={by}&from={year}")],
        );
    }
    ask(
        "statistics by day of a stream, 360 days",
        vec![format!(
            "/statistics?by=day&stream=marketing&from={}",
            &month(360)[..10]
        )],
    );
    ask("tracking", vec!["/tracking".to_owned()]);
    let suppressions = |query: &str| vec![format!("/suppressions?{query}")];
    ask("suppressions", suppressions("limit=50"));
    ask(
        "suppressions, further pages",
        pages(browser, "/suppressions?limit=200", 8)?,
    );
    ask("suppressions, stream", suppressions("stream=marketing"));
    ask("suppressions, reason", suppressions("reason=hard_bounce"));
    ask("suppressions, reason of none", suppressions("reason=complaint"));
    ask("suppressions, whole address", suppressions("q=gone5@d5.example"));
    ask("suppressions, a part", suppressions("q=zebra"));
    ask("audit", vec!["/account/audit".to_owned()]);
    ask("audit, action", vec!["/account/audit?what=key".to_owned()]);
    ask(
        "audit, an action of none",
        vec!["/account/audit?what=zebra".to_owned()],
    );
    ask(
        "audit, a person of none",
        vec!["/account/audit?who=zebra".to_owned()],
    );
    ask("failed sign-ins", vec!["/account/sign-in-attempts".to_owned()]);
    ask("failed sign-ins of all", vec!["/sign-in-attempts".to_owned()]);
    ask("queue", vec!["/queue".to_owned()]);
    ask("inbox", vec!["/inbox".to_owned()]);
    ask("accounts", vec!["/accounts".to_owned()]);
    Ok(questions)
}

/// The first pages of a list, by following it.
fn pages(browser: &Browser, first: &str, most: usize) -> io::Result<Vec<String>> {
    let mut pages = Vec::new();
    let mut path = first.to_owned();
    for _ in 0..most {
        let page = browser.get(&path)?;
        let Some(next) = page["next"].as_str() else { break };
        path = format!("{first}&after={next}");
        pages.push(path.clone());
    }
    Ok(pages)
}

/// So many days before the newest message.
fn day_before(newest: &Value, days: i64) -> String {
    let at = newest["items"][0]["created_at"].as_str().unwrap_or_default();
    let at = mail::time::Time::parse_rfc3339(at).unwrap_or(mail::time::Time::EPOCH);
    mail::time::Time::from_secs((at.day() - days) * 24 * 3600).rfc3339()
}
