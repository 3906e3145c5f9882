//! A request as it is written in four languages, with nothing but what comes with each.

use std::fmt::Write as _;

use serde_json::Value;

use super::{list, text};

/// What stands for an identifier.
const ID: &str = "0199f2c4-6c1e-7b60-9f5e-3d2f8f0c1a77";

/// A request to be written down.
pub struct Request<'a> {
    pub method: &'a str,
    pub url: String,
    pub body: Option<Value>,
    pub signed_in: bool,
}

type Write = fn(&Request<'_>) -> String;

pub const LANGUAGES: [(&str, Write); 4] = [
    ("curl", curl),
    ("Python", python),
    ("Node.js", node),
    ("PHP", php),
];

/// A path with something in the place of each of its parameters.
pub fn path(path: &str, described: &Value) -> String {
    let mut written = path.to_owned();
    for one in list(described, "parameters") {
        let name = text(one, "name");
        let value = match (one["schema"]["type"].as_str(), name) {
            (Some("integer"), _) => "1".to_owned(),
            (_, "id") => ID.to_owned(),
            _ => one["example"].as_str().unwrap_or(name).to_owned(),
        };
        written = written.replace(&format!("{{{name}}}"), &value);
    }
    written
}

fn json(body: &Value) -> String {
    serde_json::to_string_pretty(body).unwrap_or_default()
}

/// In single quotes of a shell.
fn quoted(text: &str) -> String {
    text.replace('\'', "'\\''")
}

fn curl(request: &Request<'_>) -> String {
    let mut lines = vec![format!("curl {}", request.url)];
    if !matches!((request.method, &request.body), ("get", _) | ("post", Some(_))) {
        lines.push(format!("-X {}", request.method.to_ascii_uppercase()));
    }
    if request.signed_in {
        lines.push("-H \"Authorization: Bearer $KEY\"".to_owned());
    }
    if let Some(body) = &request.body {
        lines.push("-H \"Content-Type: application/json\"".to_owned());
        lines.push(format!("-d '{}'", quoted(&json(body))));
    }
    lines.join(" \\\n  ")
}

fn python(request: &Request<'_>) -> String {
    let mut code = "import json, os, urllib.request\n\n".to_owned();
    let body = request.body.as_ref().map(json);
    if let Some(body) = &body {
        let _ = writeln!(code, "body = json.loads(r'''{body}''')");
    }
    let _ = writeln!(
        code,
        "request = urllib.request.Request(\n    \"{}\",",
        request.url
    );
    let _ = writeln!(code, "    method=\"{}\",", request.method.to_ascii_uppercase());
    if body.is_some() {
        code.push_str("    data=json.dumps(body).encode(),\n");
    }
    let mut headers = Vec::new();
    if request.signed_in {
        headers.push("\"Authorization\": f\"Bearer {os.environ['KEY']}\"");
    }
    if body.is_some() {
        headers.push("\"Content-Type\": \"application/json\"");
    }
    let _ = writeln!(code, "    headers={{{}}},\n)", headers.join(", "));
    code.push_str(
        "with urllib.request.urlopen(request) as answer:\n    print(answer.status, answer.read().decode())",
    );
    code
}

fn node(request: &Request<'_>) -> String {
    let mut headers = Vec::new();
    if request.signed_in {
        headers.push("Authorization: `Bearer ${process.env.KEY}`");
    }
    if request.body.is_some() {
        headers.push("\"Content-Type\": \"application/json\"");
    }
    let mut code = format!("const answer = await fetch(\"{}\", {{\n", request.url);
    let _ = writeln!(code, "  method: \"{}\",", request.method.to_ascii_uppercase());
    let _ = writeln!(code, "  headers: {{ {} }},", headers.join(", "));
    if let Some(body) = &request.body {
        let body = json(body).replace('\n', "\n  ");
        let _ = writeln!(code, "  body: JSON.stringify({body}),");
    }
    code.push_str("});\nconsole.log(answer.status, await answer.text());");
    code
}

fn php(request: &Request<'_>) -> String {
    let mut headers = Vec::new();
    if request.signed_in {
        headers.push("'Authorization: Bearer ' . getenv('KEY')");
    }
    if request.body.is_some() {
        headers.push("'Content-Type: application/json'");
    }
    let mut code = format!(
        "<?php\n$request = curl_init('{}');\ncurl_setopt_array($request, [\n",
        request.url
    );
    let _ = writeln!(
        code,
        "    CURLOPT_CUSTOMREQUEST => '{}',",
        request.method.to_ascii_uppercase()
    );
    let _ = writeln!(code, "    CURLOPT_HTTPHEADER => [{}],", headers.join(", "));
    if let Some(body) = &request.body {
        let body = json(body).replace('\\', "\\\\").replace('\'', "\\'");
        let _ = writeln!(code, "    CURLOPT_POSTFIELDS => '{body}',");
    }
    code.push_str("    CURLOPT_RETURNTRANSFER => true,\n]);\necho curl_exec($request);");
    code
}
