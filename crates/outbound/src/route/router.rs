//! The router: domain to plan, each kept as long as its DNS answers allow.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mail::address::Domain;
use mail::reply::Enhanced;
use moka::sync::Cache;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::address::{interleaved, is_ours};
use super::answers::{self, Addresses, Answer, Exchanges, Mx, Refusal};
use super::dns::Dns;
use super::plan::{Host, Plan, PlanFailure, TlsPolicy, Via};
use super::setting::{Route, Smarthost};
use crate::model::{LaneKey, Verdict};
use crate::simulator;

/// What is known of so many domains is kept.
const KEPT: u64 = 20_000;
/// An answer that may be kept for less is kept this long, so that a burst asks once.
const LEAST: Duration = Duration::from_secs(10);
const MOST: Duration = Duration::from_hours(1);
const KEEP_BOUNCE: Duration = Duration::from_mins(5);
/// Long enough for a burst, shorter than the first retry.
const KEEP_TROUBLE: Duration = Duration::from_secs(15);

#[derive(Clone, Debug)]
pub struct RouterSettings {
    pub route: Route,
    /// Our own host name, to see when a domain's mail host is ourselves.
    pub hostname: String,
    /// Name servers; none means those of the system.
    pub resolver: Vec<SocketAddr>,
    /// How long one name server has for one answer.
    pub resolver_timeout: Duration,
    /// The port of mail hosts found by MX.
    pub port: u16,
    /// Deliver to private and own addresses too.
    pub allow_private: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("the name servers could not be set up ({0}): mend /etc/resolv.conf or set delivery.resolver")]
pub struct RouterError(pub(super) String);

type Planned = Result<Arc<Plan>, Arc<PlanFailure>>;

#[derive(Clone)]
struct Kept {
    planned: Planned,
    until: Instant,
}

/// Finds plans; clones share what they know.
#[derive(Clone)]
pub struct Router(Arc<Inner>);

struct Inner {
    settings: RouterSettings,
    way: Way,
    kept: Cache<Domain, Kept>,
    /// One search at a time for each domain; the others wait for its result.
    searches: Mutex<HashMap<Domain, Arc<tokio::sync::Mutex<()>>>>,
    /// The one plan of a smarthost found by name, whatever the domain.
    smarthost: tokio::sync::Mutex<Option<Kept>>,
}

enum Way {
    /// The local inbox and a smarthost given by address need no name server.
    Fixed(Arc<Plan>),
    Smarthost(Dns, Smarthost),
    Mx(Dns),
}

impl Router {
    pub fn new(settings: RouterSettings) -> Result<Self, RouterError> {
        let dns = || {
            Dns::new(&settings.resolver, settings.resolver_timeout)
                .map_err(|error| RouterError(error.to_string()))
        };
        let way = match &settings.route {
            Route::Capture => Way::Fixed(Arc::new(Plan {
                lane: LaneKey::new("capture"),
                via: Via::Capture,
            })),
            Route::Smarthost(smarthost) => match smarthost.host.parse() {
                Ok(ip) => Way::Fixed(Arc::new(smarthost_plan(smarthost, vec![ip]))),
                Err(_) => Way::Smarthost(dns()?, smarthost.clone()),
            },
            Route::Mx => Way::Mx(dns()?),
        };
        Ok(Self(Arc::new(Inner {
            settings,
            way,
            kept: Cache::new(KEPT),
            searches: Mutex::new(HashMap::new()),
            smarthost: tokio::sync::Mutex::new(None),
        })))
    }

    pub fn route(&self) -> &Route {
        &self.0.settings.route
    }

    /// The plan for a domain's mail, or what became of it where there can be none.
    pub async fn plan(&self, domain: &Domain) -> Result<Arc<Plan>, Arc<PlanFailure>> {
        if simulator::is_domain(domain, &self.0.settings.hostname) {
            return Ok(Arc::new(Plan {
                lane: LaneKey::new("simulator"),
                via: Via::Capture,
            }));
        }
        match &self.0.way {
            Way::Fixed(plan) => Ok(plan.clone()),
            Way::Smarthost(dns, smarthost) => self.smarthost(dns, smarthost).await,
            Way::Mx(dns) => self.by_mx(dns, domain).await,
        }
    }

    /// Asks anew next time: the hosts of this plan could not be reached.
    pub fn forget(&self, domain: &Domain) {
        self.0.kept.invalidate(domain);
    }

    async fn by_mx(&self, dns: &Dns, domain: &Domain) -> Planned {
        if let Some(planned) = self.kept(domain) {
            return planned;
        }
        let search = self.0.searches.lock().entry(domain.clone()).or_default().clone();
        let _one_at_a_time = search.lock().await;
        if let Some(planned) = self.kept(domain) {
            return planned;
        }
        let (planned, keep) = self.search(dns, domain).await;
        let until = Instant::now() + keep;
        self.0.kept.insert(
            domain.clone(),
            Kept {
                planned: planned.clone(),
                until,
            },
        );
        self.0.searches.lock().remove(domain);
        planned
    }

    fn kept(&self, domain: &Domain) -> Option<Planned> {
        let kept = self.0.kept.get(domain)?;
        (kept.until > Instant::now()).then_some(kept.planned)
    }

    async fn search(&self, dns: &Dns, domain: &Domain) -> (Planned, Duration) {
        let settings = &self.0.settings;
        let answer = dns.mx(domain.as_str()).await;
        let mut keep = keep(&answer);
        let exchanges = match answers::exchanges(domain, &settings.hostname, &answer) {
            Ok(exchanges) => exchanges,
            Err(failure) => return failed(failure),
        };
        let found = resolve(dns, &exchanges).await;
        for answers in &found {
            keep = keep.min(self::keep(&answers.v4)).min(self::keep(&answers.v6));
        }
        let refusal = Refusal {
            allow_private: settings.allow_private,
            is_ours: &is_ours,
        };
        match answers::hosts(domain, &exchanges, found, &refusal) {
            Ok(hosts) => {
                let via = Via::Smtp {
                    hosts,
                    port: settings.port,
                    tls: TlsPolicy::Opportunistic,
                    login: None,
                };
                let lane = LaneKey::new(&answers::lane(&exchanges.names));
                (Ok(Arc::new(Plan { lane, via })), keep.clamp(LEAST, MOST))
            }
            Err(failure) => failed(failure),
        }
    }

    async fn smarthost(&self, dns: &Dns, smarthost: &Smarthost) -> Planned {
        let mut slot = self.0.smarthost.lock().await;
        if let Some(kept) = slot.as_ref().filter(|kept| kept.until > Instant::now()) {
            return kept.planned.clone();
        }
        let (addresses, keep) = smarthost_addresses(dns, &smarthost.host).await;
        let (planned, keep) = match addresses {
            Ok(addresses) => (
                Ok(Arc::new(smarthost_plan(smarthost, addresses))),
                keep.clamp(LEAST, MOST),
            ),
            Err(failure) => failed(failure),
        };
        *slot = Some(Kept {
            planned: planned.clone(),
            until: Instant::now() + keep,
        });
        planned
    }
}

fn smarthost_plan(smarthost: &Smarthost, addresses: Vec<IpAddr>) -> Plan {
    let host = Host {
        name: smarthost.host.clone(),
        preference: 0,
        addresses,
    };
    let lane = LaneKey::new(&format!("{}:{}", smarthost.host, smarthost.port));
    let via = Via::Smtp {
        hosts: vec![host],
        port: smarthost.port,
        tls: smarthost.tls,
        login: smarthost.login.clone(),
    };
    Plan { lane, via }
}

fn failed(failure: PlanFailure) -> (Planned, Duration) {
    let keep = if failure.verdict == Verdict::Deferred {
        KEEP_TROUBLE
    } else {
        KEEP_BOUNCE
    };
    (Err(Arc::new(failure)), keep)
}

fn keep<T>(answer: &Answer<T>) -> Duration {
    match answer {
        Answer::Found(_, left) => *left,
        Answer::Trouble(_) => KEEP_TROUBLE,
        Answer::NoRecords | Answer::NoName | Answer::AliasLoop => KEEP_BOUNCE,
    }
}

/// The addresses of all exchanges, asked for side by side.
async fn resolve(dns: &Dns, exchanges: &Exchanges) -> Vec<Addresses> {
    let each = exchanges.names.iter().map(|Mx { exchange, .. }| async move {
        let (v4, v6) = tokio::join!(dns.v4(exchange), dns.v6(exchange));
        Addresses { v4, v6 }
    });
    futures_util::future::join_all(each).await
}

/// The operator named this host, so any address of it is taken; that it has none now is no reason to return mail.
async fn smarthost_addresses(dns: &Dns, host: &str) -> (Result<Vec<IpAddr>, PlanFailure>, Duration) {
    let (v4, v6) = tokio::join!(dns.v4(host), dns.v6(host));
    let left = keep(&v4).min(keep(&v6));
    let list = |answer: Answer<IpAddr>| match answer {
        Answer::Found(addresses, _) => addresses,
        _ => Vec::new(),
    };
    let addresses = interleaved(list(v4), list(v6));
    if addresses.is_empty() {
        // RFC 3463 section 3.5: the directory server failed us.
        let text = format!("The smarthost {host} has no address at the moment");
        return (
            Err(PlanFailure::deferred(Enhanced::new(4, 4, 3), text)),
            KEEP_TROUBLE,
        );
    }
    (Ok(addresses), left)
}
