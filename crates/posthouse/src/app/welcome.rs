//! What a started server says on standard output: where it is, how to sign in, what to do first.

use std::fmt::Write as _;

use outbound::route::Route;

use crate::config::Config;
use crate::tls::Facts;

/// What the text is made of.
pub struct Welcome<'a> {
    pub config: &'a Config,
    /// Where the console is.
    pub url: &'a str,
    /// The ports that were bound, submission then submissions.
    pub starttls_ports: &'a [u16],
    pub tls_ports: &'a [u16],
    pub certificate: &'a Facts,
    /// Set while no operator's account exists: what the console's first page asks for.
    pub setup_token: Option<&'a str>,
}

impl Welcome<'_> {
    pub fn text(&self) -> String {
        let mut text = format!("\nPosthouse {} runs.\n\n", env!("CARGO_PKG_VERSION"));
        match self.setup_token {
            Some(token) => {
                let _ = writeln!(text, "  First:        open {}/app/setup?token={token}", self.url);
                text.push_str("                and make the operator's account (or: posthouse account create EMAIL --operator --password-stdin)\n");
            }
            None => {
                let _ = writeln!(text, "  Console:      {}/app", self.url);
            }
        }
        let host = &self.config.hostname;
        for (ports, security) in [(self.starttls_ports, "STARTTLS"), (self.tls_ports, "TLS")] {
            for port in ports {
                let _ = writeln!(text, "  SMTP:         {host} port {port}, {security}");
            }
        }
        text.push_str("                username: an account's e-mail address, password: its password\n");
        let trust = if self.certificate.self_signed {
            "self-signed, "
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "  Certificate:  {trust}until {}",
            day(&self.certificate.not_after.rfc3339())
        );
        let _ = writeln!(
            text,
            "                SHA-256 {}",
            self.certificate.fingerprint_sha256
        );
        let _ = writeln!(text, "  Delivery:     {}", self.delivery());
        if matches!(self.config.delivery.route, Route::Capture) {
            text.push_str("                To deliver for real set delivery.route = \"mx\" (or \"smtp://HOST:PORT\") in posthouse.toml\n");
            text.push_str("                or POSTHOUSE__DELIVERY__ROUTE, and start again.\n");
        }
        if let Some(port) = self.starttls_ports.first() {
            let _ = writeln!(
                text,
                "\n  A first mail: swaks --server localhost:{port} --tls --auth PLAIN --auth-user YOU@EXAMPLE.COM \\\n                      --from YOU@EXAMPLE.COM --to SOMEBODY@EXAMPLE.NET"
            );
        }
        text
    }

    fn delivery(&self) -> String {
        match &self.config.delivery.route {
            Route::Mx => "to each recipient's own server".to_owned(),
            route @ Route::Smarthost(_) => format!("everything through {route}"),
            Route::Capture => {
                "mail is kept in the console's inbox and nothing leaves this machine".to_owned()
            }
        }
    }
}

/// The date of a moment as RFC 3339 has it.
fn day(moment: &str) -> &str {
    moment.split('T').next().unwrap_or(moment)
}

#[cfg(test)]
mod tests {
    use mail::time::Time;

    use super::*;

    fn welcome(more: &str, token: Option<&str>) -> String {
        let config =
            crate::config::from_text(&format!("[server]\nhostname = \"mail.example.com\"\n{more}")).unwrap();
        let certificate = Facts {
            self_signed: true,
            fingerprint_sha256: "AB:CD".to_owned(),
            not_before: Time::EPOCH,
            not_after: Time::from_secs(1_800_000_000),
            names: Vec::new(),
        };
        let welcome = Welcome {
            config: &config,
            url: "http://localhost:8080",
            starttls_ports: &[2587],
            tls_ports: &[2465],
            certificate: &certificate,
            setup_token: token,
        };
        welcome.text()
    }

    #[test]
    fn a_first_start_leads_to_the_first_account() {
        let text = welcome("[delivery]\nroute = \"capture\"", Some("abc"));
        for part in [
            "open http://localhost:8080/app/setup?token=abc",
            "mail.example.com port 2587, STARTTLS",
            "port 2465, TLS",
            "self-signed, until 2027-01-15",
            "delivery.route = \"mx\"",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }

    #[test]
    fn a_later_start_shows_the_console_and_no_secret_of_the_route() {
        let text = welcome(
            "[delivery]\nroute = \"smtps://user:hunter2@relay.example:465\"",
            None,
        );
        assert!(
            text.contains("Console:      http://localhost:8080/app\n") && !text.contains("setup"),
            "{text}"
        );
        assert!(
            text.contains("smtps://user@relay.example:465") && !text.contains("hunter2"),
            "{text}"
        );
    }
}
