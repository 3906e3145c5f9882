//! One client's conversation with the sink: what SMTP says next, where the script says nothing else.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::TcpStream;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::{ServerConnection, StreamOwned};

use super::{Act, Arrived, Offer, Shared, Verb};

enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
    Between,
}

/// One connection, from banner to end.
pub(super) struct Conversation<'a> {
    shared: &'a Shared,
    offer: Offer,
    number: usize,
    wire: Wire,
    read: VecDeque<u8>,
    user: Option<String>,
    helo: String,
    mail: Option<String>,
    rcpts: Vec<String>,
}

/// The conversation is over, for whatever reason.
pub(super) struct Over;

impl From<io::Error> for Over {
    fn from(_: io::Error) -> Self {
        Self
    }
}

impl<'a> Conversation<'a> {
    pub(super) fn new(shared: &'a Shared, offer: Offer, number: usize, stream: TcpStream) -> Self {
        let _ = stream.set_nodelay(true);
        Self {
            shared,
            offer,
            number,
            wire: Wire::Plain(stream),
            read: VecDeque::new(),
            user: None,
            helo: String::new(),
            mail: None,
            rcpts: Vec::new(),
        }
    }

    pub(super) fn run(mut self) -> Result<(), Over> {
        if self.offer.implicit {
            self.wrap_in_tls();
        }
        self.answer(Verb::Connect, "", "220 sink.example ESMTP")?;
        loop {
            let line = self.line()?;
            self.shared.commands.lock().unwrap().push(line.clone());
            self.obey(&line)?;
        }
    }

    fn obey(&mut self, line: &str) -> Result<(), Over> {
        let verb = line
            .split([' ', ':'])
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" | "HELO" => {
                line[verb.len()..].trim().clone_into(&mut self.helo);
                let greeting = if verb == "EHLO" {
                    self.greeting()
                } else {
                    "250 sink.example".to_owned()
                };
                self.answer(Verb::Ehlo, line, &greeting)?;
            }
            "STARTTLS" if self.offer.tls.is_some() => {
                if self.answer(Verb::StartTls, line, "220 2.0.0 go on")? {
                    self.wrap_in_tls();
                }
            }
            "AUTH" => self.auth(line)?,
            "MAIL" if self.offer.user.is_some() && self.user.is_none() => {
                self.say("530 5.7.0 sign in first")?;
            }
            "MAIL" => {
                if self.answer(Verb::Mail, line, "250 2.1.0 ok")? {
                    self.mail = Some(line.to_owned());
                    self.rcpts.clear();
                }
            }
            "RCPT" if self.mail.is_none() => self.say("503 5.5.1 MAIL first")?,
            "RCPT" => {
                if self.answer(Verb::Rcpt, line, "250 2.1.5 ok")? {
                    self.rcpts.push(line.to_owned());
                }
            }
            "DATA" if self.rcpts.is_empty() => self.say("503 5.5.1 no valid recipients")?,
            "DATA" => {
                if self.answer(Verb::Data, line, "354 go on")? {
                    self.message()?;
                }
            }
            "RSET" => {
                self.answer(Verb::Rset, line, "250 2.0.0 ok")?;
                self.mail = None;
                self.rcpts.clear();
            }
            "NOOP" => self.say("250 2.0.0 ok")?,
            "QUIT" => {
                self.answer(Verb::Quit, line, "221 2.0.0 bye")?;
                return Err(Over);
            }
            _ => self.say("500 5.5.2 what?")?,
        }
        Ok(())
    }

    fn greeting(&self) -> String {
        let mut keywords = self.offer.capabilities.clone();
        if self.offer.tls.is_some() && matches!(self.wire, Wire::Plain(_)) {
            keywords.push("STARTTLS".to_owned());
        }
        if self.offer.user.is_some() {
            keywords.push("AUTH PLAIN LOGIN".to_owned());
        }
        let mut lines = vec!["sink.example".to_owned()];
        lines.append(&mut keywords);
        let last = lines.len() - 1;
        let lines: Vec<String> = lines
            .iter()
            .enumerate()
            .map(|(at, line)| format!("250{}{line}", if at == last { ' ' } else { '-' }))
            .collect();
        lines.join("\r\n")
    }

    fn auth(&mut self, line: &str) -> Result<(), Over> {
        let words: Vec<&str> = line.split(' ').collect();
        let given = match (
            words
                .get(1)
                .map(|mechanism| mechanism.to_ascii_uppercase())
                .as_deref(),
            words.get(2),
        ) {
            (Some("PLAIN"), Some(initial)) => decode(initial),
            (Some("PLAIN"), None) => {
                self.say("334 ")?;
                decode(&self.line()?)
            }
            (Some("LOGIN"), initial) => {
                let user = if let Some(initial) = initial {
                    decode(initial)
                } else {
                    self.say("334 VXNlcm5hbWU6")?;
                    decode(&self.line()?)
                };
                self.say("334 UGFzc3dvcmQ6")?;
                format!("\0{user}\0{}", decode(&self.line()?))
            }
            _ => return self.say("504 5.5.4 no such mechanism"),
        };
        let right = self
            .offer
            .user
            .as_ref()
            .is_some_and(|(user, password)| given.ends_with(&format!("\0{user}\0{password}")));
        if !right {
            return self.say("535 5.7.8 wrong");
        }
        if self.answer(Verb::Auth, line, "235 2.7.0 welcome")? {
            self.user = self.offer.user.clone().map(|(user, _)| user);
        }
        Ok(())
    }

    fn message(&mut self) -> Result<(), Over> {
        let bytes = self.until_the_end()?;
        let arrived = Arrived {
            connection: self.number,
            helo: self.helo.clone(),
            from: path(self.mail.as_deref().unwrap_or_default()),
            recipients: self.rcpts.iter().map(|line| path(line)).collect(),
            mail_command: self.mail.take().unwrap_or_default(),
            rcpt_commands: std::mem::take(&mut self.rcpts),
            bytes,
            tls: matches!(self.wire, Wire::Tls(_)),
            user: self.user.clone(),
        };
        let about = arrived.recipients.join(" ");
        match self.act(Verb::EndOfData, &about) {
            None => self.keep(arrived),
            Some(Act::KeepAndDrop) => {
                self.shared.arrived.lock().unwrap().push(arrived);
                Err(Over)
            }
            Some(Act::Reply(text)) if text.starts_with('2') => {
                self.shared.arrived.lock().unwrap().push(arrived);
                self.say(&text)
            }
            Some(Act::Hold(gate)) => {
                gate.pass();
                self.keep(arrived)
            }
            Some(act) => self.perform(act).map(drop),
        }
    }

    fn keep(&mut self, arrived: Arrived) -> Result<(), Over> {
        self.shared.arrived.lock().unwrap().push(arrived);
        self.say("250 2.0.0 kept")
    }

    /// Only CRLF.CRLF ends a message.
    fn until_the_end(&mut self) -> Result<Vec<u8>, Over> {
        let mut raw = b"\r\n".to_vec();
        while !raw.ends_with(b"\r\n.\r\n") {
            raw.push(self.byte()?);
        }
        let stuffed = &raw[2..raw.len() - 3];
        let mut bytes = Vec::with_capacity(stuffed.len());
        for (at, &byte) in stuffed.iter().enumerate() {
            let line_start = at == 0 || stuffed[..at].ends_with(b"\r\n");
            if !(line_start && byte == b'.') {
                bytes.push(byte);
            }
        }
        Ok(bytes)
    }

    /// What the script has for this moment, if anything.
    fn act(&self, verb: Verb, about: &str) -> Option<Act> {
        let about = about.to_lowercase();
        let mut rules = self.shared.rules.lock().unwrap();
        let rule = rules
            .iter_mut()
            .find(|rule| rule.verb == verb && about.contains(&rule.matching) && rule.left != Some(0))?;
        if let Some(left) = &mut rule.left {
            *left -= 1;
        }
        Some(rule.act.clone())
    }

    /// Says what the script wants, else `agreed`; whether it was an agreement.
    fn answer(&mut self, verb: Verb, about: &str, agreed: &str) -> Result<bool, Over> {
        match self.act(verb, about) {
            None => self.say(agreed).map(|()| true),
            Some(Act::Hold(gate)) => {
                gate.pass();
                self.say(agreed).map(|()| true)
            }
            Some(act) => self.perform(act),
        }
    }

    fn perform(&mut self, act: Act) -> Result<bool, Over> {
        match act {
            Act::Reply(text) => self.say(&text).map(|()| text.starts_with(['2', '3'])),
            Act::ReplyAndDrop(text) => {
                self.say(&text)?;
                Err(Over)
            }
            Act::Silence | Act::Hold(_) => loop {
                self.byte()?;
            },
            Act::Drop | Act::KeepAndDrop => Err(Over),
        }
    }

    fn say(&mut self, text: &str) -> Result<(), Over> {
        let bytes = format!("{text}\r\n");
        match &mut self.wire {
            Wire::Plain(stream) => stream.write_all(bytes.as_bytes())?,
            Wire::Tls(stream) => {
                stream.write_all(bytes.as_bytes())?;
                stream.flush()?;
            }
            Wire::Between => return Err(Over),
        }
        Ok(())
    }

    fn line(&mut self) -> Result<String, Over> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(self.byte()?);
        }
        line.truncate(line.len() - 2);
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    fn byte(&mut self) -> Result<u8, Over> {
        if self.read.is_empty() {
            let mut chunk = [0; 16 * 1024];
            let count = match &mut self.wire {
                Wire::Plain(stream) => stream.read(&mut chunk)?,
                Wire::Tls(stream) => stream.read(&mut chunk)?,
                Wire::Between => 0,
            };
            self.read.extend(&chunk[..count]);
        }
        self.read.pop_front().ok_or(Over)
    }

    fn wrap_in_tls(&mut self) {
        let config = self.offer.tls.clone().expect("a sink with a certificate");
        if let Wire::Plain(stream) = std::mem::replace(&mut self.wire, Wire::Between) {
            let connection = ServerConnection::new(config).unwrap();
            self.wire = Wire::Tls(Box::new(StreamOwned::new(connection, stream)));
        }
    }
}

fn decode(base64: &str) -> String {
    let bytes = BASE64_STANDARD.decode(base64.trim()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The address between the angle brackets.
fn path(command: &str) -> String {
    let inside = command
        .split_once('<')
        .and_then(|(_, rest)| rest.rsplit_once('>'));
    inside.map(|(path, _)| path.to_owned()).unwrap_or_default()
}
