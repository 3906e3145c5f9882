//! Whether mail could leave: a connection to the server that would take it, up to its greeting.

use std::net::IpAddr;
use std::time::Duration;

use outbound::route::{Names, Route, Smarthost, TlsPolicy};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;

use super::Findings;
use crate::config::Config;

const WAIT: Duration = Duration::from_secs(15);

pub async fn domain(config: &Config, domain: &str, findings: &mut Findings) {
    let servers: Vec<_> = config.delivery.resolver.iter().map(|server| server.0).collect();
    let names = match Names::new(&servers, WAIT) {
        Ok(names) => names,
        Err(error) => return findings.bad(format!("delivery: {error}"), "correct delivery.resolver"),
    };
    match &config.delivery.route {
        Route::Capture => findings.note(
            "delivery: delivery.route is \"capture\", so nothing leaves",
            "set it to \"mx\" or to a server to deliver for real",
        ),
        Route::Smarthost(smarthost) => {
            let greets = smarthost.tls != TlsPolicy::Implicit;
            let Smarthost { host, port, .. } = smarthost;
            host_answers(&names, host, *port, greets, findings).await;
        }
        Route::Mx => {
            let hosts = match names.mail_hosts(domain).await {
                Ok(hosts) if hosts.is_empty() => vec![domain.to_owned()],
                Ok(hosts) => hosts,
                Err(why) => {
                    return findings.bad(format!("delivery: no answer for the MX of {domain}: {why}"), "");
                }
            };
            let Some(host) = hosts.first().filter(|host| !host.is_empty()) else {
                return findings.note(
                    format!("delivery: {domain} says that it takes no mail"),
                    "ask for another domain",
                );
            };
            host_answers(&names, host, config.delivery.port.get(), true, findings).await;
        }
    }
}

async fn host_answers(names: &Names, host: &str, port: u16, greets: bool, findings: &mut Findings) {
    let addresses = match host.parse::<IpAddr>() {
        Ok(ip) => Ok(vec![ip]),
        Err(_) => names.addresses(host).await,
    };
    let addresses = match addresses {
        Ok(addresses) if addresses.is_empty() => {
            return findings.bad(format!("delivery: {host} has no address"), "");
        }
        Ok(addresses) => addresses,
        Err(why) => return findings.bad(format!("delivery: no answer for {host}: {why}"), ""),
    };
    let mut last = String::new();
    for ip in addresses {
        match tokio::time::timeout(WAIT, greeting(ip, port, greets)).await {
            Ok(Ok(said)) => return findings.good(format!("delivery: {host} answers on port {port}{said}")),
            Ok(Err(error)) => last = error.to_string(),
            Err(_) => "no answer in time".clone_into(&mut last),
        }
    }
    findings.bad(
        format!("delivery: {host} cannot be reached on port {port}: {last}"),
        "many networks block outgoing port 25: ask your provider to open it, or set delivery.route to a server that takes your mail",
    );
}

async fn greeting(ip: IpAddr, port: u16, greets: bool) -> std::io::Result<String> {
    let stream = TcpStream::connect((ip, port)).await?;
    if !greets {
        return Ok(String::new());
    }
    let mut line = Vec::new();
    BufReader::new(tokio::io::AsyncReadExt::take(stream, 1024))
        .read_until(b'\n', &mut line)
        .await?;
    let line = String::from_utf8_lossy(&line);
    Ok(format!(": {}", line.trim().escape_debug()))
}
