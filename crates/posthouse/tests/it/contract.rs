//! The OpenAPI text against the server: for each operation requests that fit it and requests that do not, made by chance; no answer is
//! a failure of the server, each has a status that the text knows, and each refusal is a problem document.

use serde_json::{Map, Value, json};

use crate::both_engines;
use crate::harness::http::Http;
use crate::harness::{PASSWORD, Posthouse};

/// Requests of each operation.
const ROUNDS: u64 = 8;
/// An answer without an end, and what would end the session that asks.
const LEFT_OUT: [&str; 4] = ["listen", "signOut", "changePassword", "endOtherSessions"];

/// The same numbers each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        // xorshift
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize
    }

    fn of<'a, T>(&mut self, many: &'a [T]) -> &'a T {
        &many[self.below(many.len())]
    }

    /// A text that something may stumble over.
    fn text(&mut self) -> String {
        let long = "x".repeat(5_000);
        let texts = [
            "",
            "0",
            "-1",
            "99999999999999999999",
            "null",
            "a@b.example",
            "%00",
            "é\u{202e}💥",
            "' OR 1=1 --",
            "\u{0}\r\nX: y",
            "../../etc/passwd",
            "2026-02-30",
            "2026-11-26T12:00:00Z",
            "{{7*7}}",
            &long,
        ];
        (*self.of(&texts)).to_owned()
    }

    fn value(&mut self) -> Value {
        match self.below(9) {
            0 => Value::Null,
            1 => json!(true),
            2 => json!(-1),
            3 => json!(1.5e300),
            4 => json!(i64::MAX),
            5 => json!([]),
            6 => json!({"a": [[[{}]]]}),
            7 => json!([self.text(), 7, null]),
            _ => json!(self.text()),
        }
    }
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

/// Something that fits a schema.
fn fitting(api: &Value, schema: &Value, chance: &mut Chance, left: usize) -> Value {
    if left == 0 {
        return Value::Null;
    }
    if let Some(name) = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
        return fitting(api, &api["components"]["schemas"][name], chance, left - 1);
    }
    if !schema["example"].is_null() && chance.below(3) > 0 {
        return schema["example"].clone();
    }
    if !list(schema, "enum").is_empty() {
        return chance.of(list(schema, "enum")).clone();
    }
    if !list(schema, "oneOf").is_empty() {
        let one = chance.of(list(schema, "oneOf")).clone();
        return fitting(api, &one, chance, left - 1);
    }
    let mut fields = Map::new();
    for part in list(schema, "allOf") {
        if let Value::Object(inside) = fitting(api, part, chance, left - 1) {
            fields.extend(inside);
        }
    }
    for (name, one) in schema["properties"].as_object().into_iter().flatten() {
        let required = list(schema, "required").contains(&json!(name));
        if required || chance.below(2) == 0 {
            fields.insert(name.clone(), fitting(api, one, chance, left - 1));
        }
    }
    if !fields.is_empty() {
        return Value::Object(fields);
    }
    let kind = match &schema["type"] {
        Value::Array(many) => chance.of(many).as_str().unwrap_or_default().to_owned(),
        one => one.as_str().unwrap_or_default().to_owned(),
    };
    match kind.as_str() {
        "array" => json!([fitting(api, &schema["items"], chance, left - 1)]),
        "boolean" => json!(chance.below(2) == 0),
        "integer" | "number" => json!(chance.below(100)),
        "string" => json!(chance.text()),
        "null" => Value::Null,
        _ => json!({}),
    }
}

/// The same with one thing in it that does not fit.
fn broken(mut value: Value, chance: &mut Chance) -> Value {
    if let Some(fields) = value.as_object_mut()
        && !fields.is_empty()
        && chance.below(6) > 0
    {
        let names: Vec<String> = fields.keys().cloned().collect();
        let name = chance.of(&names).clone();
        if chance.below(3) == 0 {
            fields.remove(&name);
        } else {
            fields.insert(name, chance.value());
        }
        return value;
    }
    chance.value()
}

fn encoded(text: &str) -> String {
    let byte = |b: u8| match b {
        b if b.is_ascii_alphanumeric() => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// A path and query for an operation.
fn address(path: &str, operation: &Value, chance: &mut Chance) -> String {
    let mut written = path.to_owned();
    let mut query = Vec::new();
    for one in list(operation, "parameters") {
        let name = one["name"].as_str().unwrap();
        let id = "0199f2c4-6c1e-7b60-9f5e-3d2f8f0c1a77".to_owned();
        let words = list(&one["schema"], "enum");
        let value = match (one["in"].as_str().unwrap(), chance.below(3)) {
            ("path", 0 | 1) => id,
            ("query", 0) => continue,
            ("query", 1) if !words.is_empty() => chance.of(words).as_str().unwrap_or_default().to_owned(),
            _ => chance.text(),
        };
        // An empty piece of a path makes another path of it.
        let value = if value.is_empty() { "-".to_owned() } else { value };
        match one["in"].as_str().unwrap() {
            "path" => written = written.replace(&format!("{{{name}}}"), &encoded(&value)),
            "query" => query.push(format!("{name}={}", encoded(&value))),
            _ => {}
        }
    }
    if query.is_empty() {
        return format!("/api/v1{written}");
    }
    format!("/api/v1{written}?{}", query.join("&"))
}

/// What is wrong with an answer, if anything is.
fn fault(operation: &Value, answer: &crate::harness::http::Answer) -> Option<String> {
    let status = answer.status.to_string();
    let known = operation["responses"].get(&status).is_some();
    let kind = answer.header("content-type").unwrap_or_default();
    if answer.status >= 500 {
        return Some("the server failed".to_owned());
    }
    if answer.status < 400 {
        return (!known).then(|| "the text does not know this status".to_owned());
    }
    if kind != "application/problem+json" {
        return Some(format!("a refusal is {kind}"));
    }
    let problem = answer.json();
    let told = ["type", "title", "detail", "help"]
        .iter()
        .all(|field| problem[*field].is_string());
    (!told || problem["status"] != answer.status).then(|| "the problem document is not whole".to_owned())
}

fn signed_in(server: &Posthouse) -> Http {
    let mut http = server.http();
    http.sign_in("ops@example.com", PASSWORD);
    http
}

both_engines! {
    fn no_request_makes_the_server_fail_and_every_answer_is_one_that_the_text_knows(engine) {
        let server = Posthouse::on(engine).set("http.requests_per_minute", "0").start();
        server.cli(&["account", "create", "ops@example.com", "--operator", "--password-stdin"], PASSWORD);
        let mut http = signed_in(&server);
        let api = http.get("/api/v1/openapi.json").expect(200).json();
        let mut chance = Chance(0x2545_F491_4F6C_DD1D);
        let (mut wrong, mut asked) = (Vec::new(), 0);
        for (path, item) in api["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let name = operation["operationId"].as_str().unwrap();
                if LEFT_OUT.contains(&name) {
                    continue;
                }
                let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
                for round in 0..ROUNDS {
                    let mut body = schema.is_object().then(|| fitting(&api, schema, &mut chance, 6));
                    if round % 2 == 1 {
                        body = body.map(|body| broken(body, &mut chance));
                    }
                    let address = address(path, operation, &mut chance);
                    let mut answer = http.request(&method.to_uppercase(), &address, body.as_ref());
                    if answer.status == 401 && name != "signIn" {
                        http = signed_in(&server);
                        answer = http.request(&method.to_uppercase(), &address, body.as_ref());
                    }
                    asked += 1;
                    if let Some(fault) = fault(operation, &answer) {
                        let body = body.map(|body| body.to_string()).unwrap_or_default();
                        let short = |text: &str| text.chars().take(300).collect::<String>();
                        wrong.push(format!("{name}: {fault}: {method} {} {} -> {} {}", short(&address), short(&body), answer.status, short(&answer.text)));
                    }
                }
            }
        }
        assert!(asked > 800, "{asked}");
        assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
    }
}
