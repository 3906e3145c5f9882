//! A client for the HTTP API: JSON in, status and JSON out, signed in by cookie or key.

use std::io;

use serde_json::Value;
use ureq::Agent;
use ureq::http::Request;

pub struct Http {
    agent: Agent,
    base: String,
    pub cookie: Option<String>,
    pub bearer: Option<String>,
    /// What a browser would say in `Origin`; unsafe requests with a cookie need it.
    pub origin: Option<String>,
    /// Further header fields of each request.
    pub headers: Vec<(String, String)>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub text: String,
}

impl Answer {
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

impl Http {
    pub fn new(base: impl Into<String>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(super::wait::PATIENCE))
            // A request refused before its body arrived ends its connection, which another could not be sent on.
            .max_idle_connections(0)
            .build();
        let base = base.into();
        Self {
            agent: Agent::new_with_config(config),
            origin: Some(base.clone()),
            base,
            cookie: None,
            bearer: None,
            headers: Vec::new(),
        }
    }

    /// Signs in with `POST /session` and keeps the cookie.
    #[track_caller]
    pub fn sign_in(&mut self, email: &str, password: &str) -> Value {
        let answer = self
            .post(
                "/api/v1/session",
                &serde_json::json!({"email": email, "password": password}),
            )
            .expect(200);
        self.keep_cookie(&answer);
        answer.json()
    }

    /// The id of the account with this login, as an operator sees it.
    pub fn account_id(&self, email: &str) -> String {
        let page = self
            .get(&format!("/api/v1/accounts?q={email}"))
            .expect(200)
            .json();
        page["items"][0]["id"].as_str().unwrap().to_owned()
    }

    /// Keeps the session cookie of an answer for what follows.
    pub fn keep_cookie(&mut self, answer: &Answer) {
        if let Some(cookie) = answer.header("set-cookie") {
            self.cookie = cookie.split(';').next().map(str::to_owned);
        }
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, None)
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.request("POST", path, Some(body))
    }

    #[track_caller]
    pub fn delete(&self, path: &str) -> Answer {
        self.request("DELETE", path, None)
    }

    /// Sends a form as a browser without JavaScript does.
    #[track_caller]
    pub fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = form_urlencoded(fields);
        self.send("POST", path, Some(("application/x-www-form-urlencoded", body)))
    }

    #[track_caller]
    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.send(
            method,
            path,
            body.map(|body| ("application/json", body.to_string())),
        )
    }

    /// [`Self::post`] to a server that may go away meanwhile.
    pub fn try_post(&self, path: &str, body: &Value) -> io::Result<Answer> {
        self.try_send("POST", path, Some(("application/json", body.to_string())))
    }

    #[track_caller]
    pub fn send(&self, method: &str, path: &str, body: Option<(&str, String)>) -> Answer {
        self.try_send(method, path, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    fn try_send(&self, method: &str, path: &str, body: Option<(&str, String)>) -> io::Result<Answer> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base));
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        if let Some(key) = &self.bearer {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if let Some(origin) = &self.origin {
            request = request.header("origin", origin);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let response = match body {
            Some((kind, body)) => self
                .agent
                .run(request.header("content-type", kind).body(body).unwrap()),
            None => self.agent.run(request.body(()).unwrap()),
        };
        let mut response = response.map_err(ureq::Error::into_io)?;
        Ok(Answer {
            status: response.status().as_u16(),
            headers: response
                .headers()
                .iter()
                .map(|(name, value)| {
                    (
                        name.to_string(),
                        String::from_utf8_lossy(value.as_bytes()).into_owned(),
                    )
                })
                .collect(),
            text: response.body_mut().read_to_string().unwrap_or_default(),
        })
    }
}

fn form_urlencoded(fields: &[(&str, &str)]) -> String {
    let escaped = |text: &str| -> String {
        let byte = |b: u8| match b {
            b if b.is_ascii_alphanumeric() => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        };
        text.bytes().map(byte).collect()
    };
    let pairs: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)))
        .collect();
    pairs.join("&")
}
