//! What is wrong with the settings of somebody's mail program, told from what this server offers and from nothing else.

use mail::address::{Address, Domain};
use serde::{Deserialize, Serialize};

use crate::http::{Security, SmtpPort};

/// What a program has to be told.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    pub host: &'a str,
    pub ports: &'a [SmtpPort],
}

/// How a program is told to encrypt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    #[default]
    Starttls,
    Tls,
    None,
}

/// What the program was told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Given {
    pub host: String,
    pub port: String,
    pub security: Encryption,
    pub username: String,
}

/// One thing that is to be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    HostIsUrl,
    HostIsAddress,
    OtherHost,
    PortIsNoNumber,
    /// Mail between servers, and blocked by most networks.
    Port25,
    PortIsNotOpen,
    /// The server lets nobody sign in before the connection is encrypted.
    NotEncrypted,
    /// The port speaks TLS from the first byte, and the program waits for a greeting.
    PlainOnTls,
    StarttlsOnTls,
    /// The port speaks plainly first, and the program begins with TLS.
    TlsOnStarttls,
    UsernameIsEmpty,
    UsernameHasSpaces,
    UsernameIsNoAddress,
    /// Not the address of whoever asks. That it is another's, or nobody's, is told to nobody.
    OtherLogin,
}

/// Everything that is wrong; `login` is the address of whoever asks, where that is known.
pub fn faults(given: &Given, offer: &Offer<'_>, login: Option<&str>) -> Vec<Fault> {
    [
        host(given.host.trim(), offer.host),
        port(given, offer),
        username(&given.username, login),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn host(given: &str, own: &str) -> Option<Fault> {
    let name = given.trim_end_matches('.');
    let address = name.trim_matches(['[', ']']);
    if address.parse::<std::net::IpAddr>().is_ok() {
        return (address != own).then_some(Fault::HostIsAddress);
    }
    if name.contains(['/', ':', '@']) {
        return Some(Fault::HostIsUrl);
    }
    let same = match (Domain::parse(name), Domain::parse(own)) {
        (Ok(given), Ok(own)) => given == own,
        _ => name.eq_ignore_ascii_case(own),
    };
    (!same).then_some(Fault::OtherHost)
}

fn port(given: &Given, offer: &Offer<'_>) -> Option<Fault> {
    let Ok(port) = given.port.trim().parse::<u16>() else {
        return Some(Fault::PortIsNoNumber);
    };
    let found = offer.ports.iter().find(|offered| offered.port == port);
    match (found.map(|offered| offered.security), given.security) {
        (Some(Security::Tls), Encryption::Tls) | (Some(Security::StartTls), Encryption::Starttls) => None,
        (Some(Security::Tls), Encryption::Starttls) => Some(Fault::StarttlsOnTls),
        (Some(Security::Tls), Encryption::None) => Some(Fault::PlainOnTls),
        (Some(Security::StartTls), Encryption::Tls) => Some(Fault::TlsOnStarttls),
        (Some(Security::StartTls), Encryption::None) => Some(Fault::NotEncrypted),
        (None, _) if port == 25 => Some(Fault::Port25),
        (None, _) => Some(Fault::PortIsNotOpen),
    }
}

fn username(given: &str, login: Option<&str>) -> Option<Fault> {
    if given.trim().is_empty() {
        return Some(Fault::UsernameIsEmpty);
    }
    if given.trim() != given {
        return Some(Fault::UsernameHasSpaces);
    }
    let Ok(given) = Address::parse(given) else {
        return Some(Fault::UsernameIsNoAddress);
    };
    let own = login.and_then(|login| Address::parse(login).ok())?;
    (own.login_key() != given.login_key()).then_some(Fault::OtherLogin)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: Offer<'_> = Offer {
        host: "mail.example.com",
        ports: &[
            SmtpPort {
                port: 587,
                security: Security::StartTls,
            },
            SmtpPort {
                port: 2525,
                security: Security::StartTls,
            },
            SmtpPort {
                port: 465,
                security: Security::Tls,
            },
        ],
    };

    fn given(host: &str, port: &str, security: Encryption, username: &str) -> Given {
        Given {
            host: host.to_owned(),
            port: port.to_owned(),
            security,
            username: username.to_owned(),
        }
    }

    #[test]
    fn each_setting_is_judged_by_what_this_server_offers() {
        use Encryption::{None as Plain, Starttls, Tls};
        const HOST: &str = "mail.example.com";
        const ALICE: &str = "alice@example.com";
        let table: &[(&str, &str, Encryption, &str, &[Fault])] = &[
            (HOST, "587", Starttls, ALICE, &[]),
            (
                " Mail.Example.COM. ",
                " 2525 ",
                Starttls,
                "Alice@EXAMPLE.com",
                &[],
            ),
            (HOST, "465", Tls, ALICE, &[]),
            ("smtp.example.com", "587", Starttls, ALICE, &[Fault::OtherHost]),
            ("", "587", Starttls, ALICE, &[Fault::OtherHost]),
            (
                "https://mail.example.com/",
                "587",
                Starttls,
                ALICE,
                &[Fault::HostIsUrl],
            ),
            (
                "mail.example.com:587",
                "587",
                Starttls,
                ALICE,
                &[Fault::HostIsUrl],
            ),
            ("192.0.2.1", "587", Starttls, ALICE, &[Fault::HostIsAddress]),
            ("[2001:db8::1]", "587", Starttls, ALICE, &[Fault::HostIsAddress]),
            (HOST, "465", Starttls, ALICE, &[Fault::StarttlsOnTls]),
            (HOST, "465", Plain, ALICE, &[Fault::PlainOnTls]),
            (HOST, "587", Tls, ALICE, &[Fault::TlsOnStarttls]),
            (HOST, "587", Plain, ALICE, &[Fault::NotEncrypted]),
            (HOST, "25", Starttls, ALICE, &[Fault::Port25]),
            (HOST, "26", Starttls, ALICE, &[Fault::PortIsNotOpen]),
            (HOST, "smtp", Starttls, ALICE, &[Fault::PortIsNoNumber]),
            (HOST, "70000", Starttls, ALICE, &[Fault::PortIsNoNumber]),
            (HOST, "587", Starttls, "", &[Fault::UsernameIsEmpty]),
            (
                HOST,
                "587",
                Starttls,
                "alice@example.com ",
                &[Fault::UsernameHasSpaces],
            ),
            (HOST, "587", Starttls, "alice", &[Fault::UsernameIsNoAddress]),
            (HOST, "587", Starttls, "bob@example.com", &[Fault::OtherLogin]),
            (
                "x",
                "25",
                Plain,
                "alice",
                &[Fault::OtherHost, Fault::Port25, Fault::UsernameIsNoAddress],
            ),
        ];
        for (host, port, security, username, expected) in table {
            let given = given(host, port, *security, username);
            assert_eq!(faults(&given, &OFFER, Some(ALICE)), *expected, "{given:?}");
        }
    }

    #[test]
    fn a_stranger_learns_of_no_address_whether_it_is_a_login() {
        let own = given("mail.example.com", "587", Encryption::Starttls, "bob@example.com");
        assert_eq!(faults(&own, &OFFER, None), []);
    }
}
