//! Certificates for names of sending domains that lead here for their links: fetched one after the other, shown by name.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use accounts::Accounts;
use mail::address::Domain;
use mail::time::Time;
use outbound::OwnNames;
use rustls::sign::CertifiedKey;
use store::Clock;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::acme::{Keeper, PATIENCE, is_old};
use super::pair::Pair;
use super::{Certificates, Files};
use crate::config::{Acme, CertificateFrom, Config, HostName};
use crate::ops::private::private_dir;

/// How often it is looked which names there are.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Authorities count orders as well: no more than so many an hour, whoever adds how many domains.
const ORDERS_AN_HOUR: u32 = 20;
/// Names for which certificates are kept.
const MOST: i64 = 2_000;

/// A name, as far as it has come.
#[derive(Default)]
struct Name {
    pair: Option<Pair>,
    failures: usize,
    /// When an order that failed is tried again.
    next: Option<Time>,
}

/// How the hour goes.
#[derive(Default)]
struct Pace {
    hour: i64,
    orders: u32,
}

impl Pace {
    fn take(&mut self, now: Time) -> bool {
        let hour = now.as_secs().div_euclid(3_600);
        if self.hour != hour {
            *self = Self { hour, orders: 0 };
        }
        self.orders += 1;
        self.orders <= ORDERS_AN_HOUR
    }
}

impl Certificates {
    /// Fetches, renews and shows a certificate for each name, and tells `names` for which there is one, until told to stop;
    /// returns at once where that is not done.
    pub async fn keep_named(
        self,
        config: Config,
        (accounts, names): (Accounts, OwnNames),
        clock: Clock,
        stop: CancellationToken,
    ) {
        let (CertificateFrom::Acme(acme), OwnNames::These(served)) = (&config.certificate, &names) else {
            return;
        };
        let Files::Kept { .. } = &self.0.from else { return };
        let (dir, mut known, mut pace) = (config.data_dir.join("tls"), HashMap::new(), Pace::default());
        loop {
            match accounts.link_names(MOST).await {
                Ok(wanted) => {
                    let round = self.round(acme, (&dir, &wanted), (&mut known, &mut pace), clock.now());
                    tokio::select! {
                        () = stop.cancelled() => return,
                        shown = round => *served.write() = shown,
                    }
                }
                Err(error) => tracing::debug!(%error, "the names of links could not be read"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Orders for the first name whose turn it is, and shows what there is; says for which names.
    async fn round(
        &self,
        acme: &Acme,
        (dir, wanted): (&Path, &[Domain]),
        (known, pace): (&mut HashMap<Domain, Name>, &mut Pace),
        now: Time,
    ) -> HashSet<Domain> {
        let folder = dir.join("links");
        known.retain(|name, _| wanted.contains(name));
        let file_of = |name: &Domain| folder.join(format!("{}.pem", name.as_str()));
        for name in wanted {
            let one = known.entry(name.clone()).or_default();
            if one.pair.is_none() {
                one.pair = read(&file_of(name), name);
            }
        }
        // What is there is renewed before anything is fetched anew, and what failed again and again comes last.
        let mut turns: Vec<&Domain> = wanted.iter().collect();
        turns.sort_by_key(|name| known.get(*name).map(|one| (one.pair.is_none(), one.failures)));
        let mut ordered = false;
        for name in turns {
            let file = file_of(name);
            let one = known.entry(name.clone()).or_default();
            let is_due = one.pair.as_ref().is_none_or(|pair| is_old(&pair.facts, now));
            let may = !ordered && one.next.is_none_or(|next| next <= now);
            if !(is_due && may && pace.take(now)) {
                continue;
            }
            ordered = true;
            match self.order(acme, (dir, &folder, &file), name).await {
                Ok(()) => {
                    info!(%name, "certificate issued by the ACME authority for links");
                    *one = Name {
                        pair: read(&file, name),
                        ..Name::default()
                    };
                }
                Err(error) => {
                    let wait = PATIENCE[one.failures.min(PATIENCE.len() - 1)];
                    one.failures += 1;
                    one.next = Some(now.plus(wait));
                    warn!(%name, error, "no certificate for links; they have the name of this server meanwhile");
                }
            }
        }
        let good = |one: &Name| {
            let pair = one.pair.as_ref().filter(|pair| pair.facts.not_after > now)?;
            Some(Arc::clone(&pair.key))
        };
        let shown: HashMap<String, Arc<CertifiedKey>> = known
            .iter()
            .filter_map(|(name, one)| Some((name.as_str().to_ascii_lowercase(), good(one)?)))
            .collect();
        let names = known.iter().filter(|(_, one)| good(one).is_some());
        let names = names.map(|(name, _)| name.clone()).collect();
        self.0.shown.named.store(Arc::new(shown));
        names
    }

    async fn order(
        &self,
        acme: &Acme,
        (dir, folder, file): (&Path, &Path, &Path),
        name: &Domain,
    ) -> Result<(), String> {
        private_dir(folder).map_err(|error| error.to_string())?;
        let acme = Acme {
            domains: vec![HostName(name.as_str().to_owned())],
            ..acme.clone()
        };
        let keeper = Keeper::new(&acme, (dir, file), (&self.0.challenges, &self.0.turn));
        keeper.order().await.map_err(|error| error.to_string())
    }
}

/// What is kept for this name, where that is what it says.
fn read(file: &Path, name: &Domain) -> Option<Pair> {
    Pair::read(file, file)
        .ok()
        .filter(|pair| pair.facts.covers(name.as_str()))
}
