//! What DNS says of this server's name and addresses; other servers judge by it whether to take our mail.

use std::time::Duration;

use outbound::route::{Names, Route, is_private};

use super::Findings;
use crate::config::Config;

const WAIT: Duration = Duration::from_secs(5);

pub async fn names(config: &Config, findings: &mut Findings) {
    let host = &config.hostname;
    // Mail that stays here, or goes through a server that others know, does not stand or fall with our name.
    let strict = config.delivery.route == Route::Mx;
    if !host.contains('.') {
        let what = format!("DNS: {host} is not a full host name");
        let remedy = "set server.hostname to the name this server has in DNS, such as \"mail.example.com\"";
        return findings.fault(strict, what, remedy);
    }
    let servers: Vec<_> = config.delivery.resolver.iter().map(|server| server.0).collect();
    let names = match Names::new(&servers, WAIT) {
        Ok(names) => names,
        Err(error) => return findings.bad(format!("DNS: {error}"), "correct delivery.resolver"),
    };
    let addresses = match names.addresses(host).await {
        Ok(addresses) => addresses,
        Err(why) => {
            let remedy =
                "see whether this machine reaches its name servers, or name some in delivery.resolver";
            return findings.bad(format!("DNS: no answer for {host}: {why}"), remedy);
        }
    };
    if addresses.is_empty() {
        let what = format!("DNS: {host} has no address");
        let remedy =
            format!("publish an A record (and AAAA) for {host} that names this machine's public address");
        findings.fault(strict, what, remedy);
    }
    for ip in addresses {
        findings.good(format!("DNS: {host} has the address {ip}"));
        if is_private(ip) {
            continue;
        }
        match names.pointers(ip).await {
            Ok(back) if back.iter().any(|name| name.eq_ignore_ascii_case(host)) => {
                findings.good(format!("DNS: {ip} resolves back to {host}"));
            }
            Ok(back) => {
                let to = if back.is_empty() {
                    "to nothing".to_owned()
                } else {
                    format!("to {}", back.join(", "))
                };
                let remedy = format!(
                    "have whoever gave you the address set its reverse name to {host}; many receivers refuse mail otherwise"
                );
                findings.note(format!("DNS: {ip} resolves back {to}, not to {host}"), remedy);
            }
            Err(why) => findings.note(format!("DNS: no answer for the name of {ip}: {why}"), ""),
        }
    }
    if !config.smtp.inbound.is_empty() {
        inbound(&names, host, findings).await;
    }
}

/// Other servers find the inbound listener by MX, or by the address of the name itself. RFC 5321 section 5.1
async fn inbound(names: &Names, host: &str, findings: &mut Findings) {
    match names.mail_hosts(host).await {
        Ok(hosts) if hosts.is_empty() => {
            findings.good(format!(
                "DNS: {host} has no MX, so mail for it comes to its address"
            ));
        }
        Ok(hosts) if hosts.iter().any(|one| one.eq_ignore_ascii_case(host)) => {
            findings.good(format!("DNS: the MX of {host} leads here"));
        }
        Ok(hosts) => findings.note(
            format!("DNS: mail for {host} goes to {}", hosts.join(", ")),
            format!("publish `{host}. MX 10 {host}.` if bounces are to come to smtp.inbound"),
        ),
        Err(why) => findings.note(format!("DNS: no answer for the MX of {host}: {why}"), ""),
    }
}
