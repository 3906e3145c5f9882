//! What each command does to the session.

use bytes::{Buf, BytesMut};

use super::grammar::{self, Command, MailParameters, RcptParameters};
use super::line::Line;
use super::scram::Scram;
use super::{
    AuthMistake, AuthRefused, Exchange, Hello, Question, SASL_LIMIT, Session, State, Step, Tls, Transaction,
};
use crate::address::Address;
use crate::envelope::{Envelope, Recipient};
use crate::replies;
use crate::reply::Reply;
use crate::sasl::{self, Credentials, SaslError};

impl Session {
    pub(super) fn command(&mut self, command: Command<'_>) -> Option<Step> {
        match command {
            Command::Mail(rest) => self.mail(rest),
            Command::Rcpt(rest) => self.rcpt(rest),
            Command::Data => self.data(),
            Command::Ehlo(name) => self.greet(name, true),
            Command::Helo(name) => self.greet(name, false),
            Command::Auth { mechanism, initial } => self.auth(mechanism, initial),
            Command::StartTls => self.start_tls(),
            Command::Rset => {
                self.transaction = None;
                self.say(&replies::OK)
            }
            Command::Noop => self.say(&replies::OK),
            Command::Help => self.say(&replies::HELP),
            Command::Vrfy => self.say(&replies::NOT_VERIFIED),
            Command::Elsewhere => self.refuse(&replies::NOT_IMPLEMENTED),
            Command::Quit => {
                replies::BYE.write_to(&mut self.output);
                self.state = State::Closed;
                None
            }
            Command::OtherProtocol => {
                self.close_with(&replies::NOT_SMTP);
                None
            }
        }
    }

    // RFC 5321 section 4.1.1.1
    fn greet(&mut self, name: &str, extended: bool) -> Option<Step> {
        self.transaction = None;
        self.hello = Some(Hello {
            name: name.to_owned(),
            extended,
        });
        let hostname = &self.config.hostname;
        if !extended {
            return self.say(&Reply::plain(250, "").with_text(hostname.clone()));
        }
        let starttls = if self.tls == Tls::Offered {
            "STARTTLS\n"
        } else {
            ""
        };
        let auth = if self.config.sign_in && self.tls == Tls::Active {
            format!("AUTH {}\n", self.mechanisms())
        } else {
            String::new()
        };
        let size = self.config.max_message_size;
        let text = format!(
            "{hostname}\nPIPELINING\nSIZE {size}\n{starttls}{auth}8BITMIME\nSMTPUTF8\nENHANCEDSTATUSCODES\nDSN\nHELP"
        );
        self.say(&Reply::plain(250, "").with_text(text))
    }

    fn start_tls(&mut self) -> Option<Step> {
        match self.tls {
            Tls::Unavailable => self.refuse(&replies::NOT_IMPLEMENTED),
            Tls::Active => self.refuse(&replies::TLS_ALREADY),
            Tls::Offered if self.hello.is_none() => self.refuse(&replies::HELLO_FIRST),
            Tls::Offered => {
                replies::READY_FOR_TLS.write_to(&mut self.output);
                Some(Step::StartTls)
            }
        }
    }

    // RFC 4954 section 4
    fn auth(&mut self, mechanism: &str, initial: Option<&str>) -> Option<Step> {
        if !self.config.sign_in {
            self.auth_refused = Some(AuthRefused::new(AuthMistake::WrongPort, mechanism, initial));
            return self.refuse(&replies::NOT_IMPLEMENTED);
        }
        if self.tls != Tls::Active {
            self.auth_refused = Some(AuthRefused::new(AuthMistake::NoTls, mechanism, initial));
            return self.refuse(&replies::TLS_REQUIRED);
        }
        if !self.hello.as_ref().is_some_and(|hello| hello.extended) {
            return self.refuse(&replies::HELLO_FIRST);
        }
        if self.signed_in {
            return self.refuse(&replies::AUTH_ALREADY);
        }
        if self.transaction.is_some() {
            return self.refuse(&replies::AUTH_IN_TRANSACTION);
        }
        let (exchange, prompt) = if mechanism.eq_ignore_ascii_case("PLAIN") {
            (Exchange::Plain, replies::AUTH_CONTINUE)
        } else if mechanism.eq_ignore_ascii_case("LOGIN") {
            (Exchange::LoginUsername, replies::AUTH_USERNAME)
        } else if let Some(scram) = self.scram_named(mechanism) {
            (Exchange::Scram(Scram::First(scram)), replies::AUTH_CONTINUE)
        } else {
            return self.refuse(&replies::AUTH_MECHANISM);
        };
        if let Some(response) = initial {
            return self.sasl(exchange, response);
        }
        self.state = State::Auth(exchange);
        self.say(&prompt)
    }

    pub(super) fn sasl_line(&mut self, input: &mut BytesMut) -> Option<Step> {
        let (end, next) = match self.lines.find(input, SASL_LIMIT) {
            Line::NotYet => return Some(Step::NeedBytes),
            Line::Whole { end, next } => (end, next),
            Line::TooLong => {
                self.state = State::Commands;
                return self.refuse(&replies::AUTH_LINE_TOO_LONG);
            }
        };
        let State::Auth(exchange) = std::mem::replace(&mut self.state, State::Commands) else {
            unreachable!("a response is read only inside of an exchange");
        };
        let step = if input.len() > next {
            self.out_of_step()
        } else if let Ok(response) = str::from_utf8(&input[..end]) {
            self.sasl(exchange, response)
        } else {
            self.refuse(&replies::AUTH_MALFORMED)
        };
        input.advance(next);
        step
    }

    /// One response of the client, be it initial or not.
    fn sasl(&mut self, exchange: Exchange, response: &str) -> Option<Step> {
        if response == "*" {
            return self.refuse(&replies::AUTH_CANCELLED);
        }
        // RFC 4954 section 4: a lone equals sign is an empty initial response.
        let response = if response == "=" { "" } else { response };
        let credentials = match exchange {
            Exchange::Plain => sasl::plain(response),
            Exchange::Scram(scram) => return self.scram(scram, response),
            Exchange::LoginUsername => {
                return match sasl::decode(response) {
                    Ok(username) => {
                        self.state = State::Auth(Exchange::LoginPassword { username });
                        self.say(&replies::AUTH_PASSWORD)
                    }
                    Err(_) => self.refuse(&replies::AUTH_MALFORMED),
                };
            }
            Exchange::LoginPassword { username } => sasl::decode(response).map(|password| Credentials {
                username,
                password,
                mechanism: "LOGIN",
            }),
        };
        match credentials {
            Ok(credentials) => Some(self.ask(Question::SignIn, Step::SignIn(credentials))),
            Err(SaslError::OtherIdentity) => self.denied(&Question::SignIn, &replies::SIGN_IN_FAILED),
            Err(SaslError::Encoding | SaslError::Parts) => self.refuse(&replies::AUTH_MALFORMED),
        }
    }

    // RFC 5321 section 4.1.1.2
    fn mail(&mut self, rest: &str) -> Option<Step> {
        if self.hello.is_none() {
            return self.refuse(&replies::HELLO_FIRST);
        }
        if self.transaction.is_some() {
            return self.refuse(&replies::NESTED_MAIL);
        }
        match self.read_mail(rest) {
            Ok(transaction) => {
                let reverse_path = transaction.envelope.reverse_path.clone();
                Some(self.ask(Question::Mail(transaction), Step::Mail(reverse_path)))
            }
            Err(reply) => self.refuse(&reply),
        }
    }

    fn read_mail(&self, rest: &str) -> Result<Transaction, Reply> {
        let (path, parameters) = grammar::path(rest, "FROM:")?;
        let MailParameters {
            size,
            smtputf8,
            ret,
            envid,
        } = grammar::mail_parameters(parameters)?;
        if !smtputf8 && !path.is_ascii() {
            return Err(replies::NEEDS_SMTPUTF8);
        }
        // RFC 1870 section 6.1
        if size.is_some_and(|size| size > self.config.max_message_size) {
            return Err(replies::TOO_BIG);
        }
        let reverse_path = match path {
            "" => None,
            path => Some(Address::parse(path).map_err(replies::bad_sender)?),
        };
        let envelope = Envelope {
            reverse_path,
            ret,
            envid,
            ..Envelope::default()
        };
        Ok(Transaction {
            envelope,
            size,
            smtputf8,
        })
    }

    // RFC 5321 section 4.1.1.3
    fn rcpt(&mut self, rest: &str) -> Option<Step> {
        let Some(transaction) = &self.transaction else {
            return self.refuse(&replies::MAIL_FIRST);
        };
        let recipient = match self.read_rcpt(transaction, rest) {
            Ok(recipient) => recipient,
            Err(reply) => return self.refuse_recipient(&reply),
        };
        let envelope = &transaction.envelope;
        if envelope
            .recipients
            .iter()
            .any(|known| known.address == recipient.address)
        {
            return self.say(&replies::RECIPIENT_OK);
        }
        if envelope.reverse_path.is_none() && !envelope.recipients.is_empty() {
            return self.refuse(&replies::NULL_SENDER_MANY);
        }
        // RFC 5321 section 4.5.3.1.10
        if envelope.recipients.len() >= self.config.max_recipients {
            return self.refuse(&replies::TOO_MANY_RECIPIENTS);
        }
        let address = recipient.address.clone();
        Some(self.ask(Question::Rcpt(recipient), Step::Rcpt(address)))
    }

    fn read_rcpt(&self, transaction: &Transaction, rest: &str) -> Result<Recipient, Reply> {
        let (path, parameters) = grammar::path(rest, "TO:")?;
        // Whoever may not send here learns nothing else about the path, however it is spelt.
        let unless_relaying = |reply| {
            if self.trusted {
                reply
            } else {
                replies::RELAY_DENIED
            }
        };
        if !transaction.smtputf8 && !path.is_ascii() {
            return Err(unless_relaying(replies::NEEDS_SMTPUTF8));
        }
        let address = Address::parse(path).map_err(|error| unless_relaying(replies::bad_recipient(error)))?;
        let RcptParameters { notify, orcpt } = grammar::rcpt_parameters(parameters)?;
        Ok(Recipient {
            address,
            notify,
            orcpt,
        })
    }

    // RFC 5321 section 4.1.1.4
    fn data(&mut self) -> Option<Step> {
        match &self.transaction {
            None => self.refuse(&replies::MAIL_FIRST),
            Some(transaction) if transaction.envelope.recipients.is_empty() => {
                self.refuse(&replies::NO_VALID_RECIPIENTS)
            }
            Some(_) => Some(self.ask(Question::Data, Step::Data)),
        }
    }
}
