//! Keeps the certificates of an ACME authority fresh and shows them: this server's own, and those for names of sending domains that
//! lead here for their links. Every node looks at the same rows and shows what it finds; one of them at a time orders.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use accounts::domains::has_link_name;
use accounts::{Accounts, AccountsError};
use mail::address::Domain;
use mail::time::Time;
use outbound::OwnNames;
use parking_lot::RwLock;
use store::{Clock, Db, Id, StoreError, Topic, Tx};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::acme::{AcmeError, Authority};
use super::kept::{self, Asked, Kept, State, Turn};
use super::pair::Pair;
use super::{Certificates, takeover};
use crate::app::Rooms;
use crate::config::{Acme, CertificateFrom, Config};

/// How often it is looked what there is, without a bell.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// However often the bell rings.
const LOOK_NO_SOONER: Duration = Duration::from_millis(500);
/// By then every node shows a new certificate, and links may lead to its name.
const SHOWN_BY_ALL: Duration = Duration::from_secs(20);

/// Why nothing could be looked at.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Accounts(#[from] AccountsError),
}

pub struct Keeper {
    certificates: Certificates,
    db: Db,
    accounts: Accounts,
    clock: Clock,
    acme: Acme,
    hostname: String,
    /// The names of this server, as they are kept.
    own: String,
    /// Names that belong to this server, whatever a sending domain says.
    reserved: HashSet<String>,
    /// Where it is said which names may stand in links; none where they are not kept here.
    served: Option<Arc<RwLock<HashSet<Domain>>>>,
    /// What was read so far, by names.
    loaded: HashMap<String, Pair>,
}

impl Keeper {
    /// Takes over what files have, and shows what there is. None where no authority is configured.
    pub async fn open(
        config: &Config,
        certificates: &Certificates,
        rooms: &Rooms,
        own_names: &OwnNames,
    ) -> Result<Option<Self>, LookError> {
        let CertificateFrom::Acme(acme) = &config.certificate else {
            return Ok(None);
        };
        takeover::run(&config.data_dir.join("tls"), &rooms.db).await?;
        let domains = acme.domains.iter().map(|domain| domain.0.as_str());
        let also = [Some(config.hostname.as_str()), config.links_host()];
        let mut keeper = Self {
            certificates: certificates.clone(),
            db: rooms.db.clone(),
            accounts: rooms.accounts.clone(),
            clock: rooms.clock.clone(),
            hostname: config.hostname.clone(),
            own: own_key(acme),
            reserved: domains
                .chain(also.into_iter().flatten())
                .map(str::to_ascii_lowercase)
                .collect(),
            acme: acme.clone(),
            served: match own_names {
                OwnNames::These(served) => Some(Arc::clone(served)),
                OwnNames::None | OwnNames::All => None,
            },
            loaded: HashMap::new(),
        };
        keeper.look(None).await?;
        Ok(Some(keeper))
    }

    /// Looks, orders and shows until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut bell = self.db.bell(Topic::Changes);
        let mut hurry = None;
        loop {
            let looked = tokio::select! {
                () = stop.cancelled() => return,
                looked = self.look(hurry) => looked,
            };
            match looked {
                Ok(Some(asked)) => {
                    if self.order(asked, &stop).await {
                        continue;
                    }
                }
                Ok(None) => {}
                Err(error) => debug!(%error, "the certificates could not be looked at"),
            }
            let rung = async {
                bell.rung().await;
                tokio::time::sleep(LOOK_NO_SOONER).await;
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.certificates.asked_again() => hurry = Some(self.clock.now()),
                () = rung => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Notes what is wanted now and what is not any more, and shows what there is. Says what to ask for where something is due.
    async fn look(&mut self, hurry: Option<Time>) -> Result<Option<Arc<Asked>>, LookError> {
        let now = self.clock.now();
        let links = self.links().await?;
        let asked = Arc::new(Asked {
            directory: self.acme.directory.as_str().to_owned(),
            own: self.own.clone(),
            links: links
                .iter()
                .map(|(name, (_, account))| (name.clone(), *account))
                .collect(),
            hurry,
        });
        let kept = self.enter(&asked, now).await?;
        self.load(&kept, &asked).await?;
        self.show(&kept, &links, now);
        let is_due = |one: &Kept| asked.is_for(one) && one.is_due(now, hurry);
        Ok(kept.iter().any(is_due).then_some(asked))
    }

    /// The names for links, by what they are kept under.
    async fn links(&self) -> Result<HashMap<String, (Domain, Id)>, AccountsError> {
        if self.served.is_none() {
            return Ok(HashMap::new());
        }
        let names = self.accounts.link_names().await?.into_iter();
        let keyed = names.map(|(name, account)| (name.as_str().to_ascii_lowercase(), (name, account)));
        Ok(keyed.filter(|(key, _)| !self.reserved.contains(key)).collect())
    }

    /// Brings the rows to what is wanted. A name that leads here no more keeps its certificate, unused, as long as it holds and its
    /// domain is there: DNS has bad days, and authorities count.
    async fn enter(&self, asked: &Arc<Asked>, now: Time) -> Result<Vec<Kept>, StoreError> {
        let (wanted, for_links) = (Arc::clone(asked), self.served.is_some());
        let look = move |tx: &mut Tx<'_>| {
            let kept = kept::list(tx)?;
            let mut gone = Vec::new();
            for one in &kept {
                let is_gone = if one.for_links {
                    // What has become our own name is kept as such.
                    let stays = one.holds(now) && has_link_name(tx, &one.names)?;
                    one.names == wanted.own || (for_links && !wanted.is_for(one) && !stays)
                } else {
                    one.is_left_behind(&wanted.own, now)
                };
                if is_gone {
                    gone.push(one.names.clone());
                }
            }
            Ok((kept, gone))
        };
        let (kept, gone) = self.db.read("read the certificates", look).await?;
        let known: HashSet<&str> = kept.iter().map(|one| one.names.as_str()).collect();
        let wanted = asked.links.keys().map(|name| (name.clone(), true));
        let mut fresh: Vec<(String, bool)> = wanted
            .chain([(self.own.clone(), false)])
            .filter(|(name, _)| !known.contains(name.as_str()))
            .collect();
        // In one order on every node, or two of them wait for each other.
        fresh.sort_unstable();
        if fresh.is_empty() && gone.is_empty() {
            return Ok(kept);
        }
        for names in &gone {
            info!(names, "certificate forgotten: nobody wants it any more");
        }
        let enter = move |tx: &mut Tx<'_>| {
            for (names, for_links) in &fresh {
                kept::want(tx, names, *for_links, now)?;
            }
            for names in &gone {
                kept::forget(tx, names)?;
            }
            kept::list(tx)
        };
        self.db.write("note which certificates are wanted", enter).await
    }

    /// Reads what was issued since it was last looked.
    async fn load(&mut self, kept: &[Kept], asked: &Asked) -> Result<(), StoreError> {
        let wanted = |one: &&Kept| !one.fingerprint.is_empty() && (!one.for_links || asked.is_for(one));
        let names: HashSet<&str> = kept.iter().filter(wanted).map(|one| one.names.as_str()).collect();
        self.loaded.retain(|loaded, _| names.contains(loaded.as_str()));
        let is_news = |one: &&Kept| {
            let loaded = self.loaded.get(&one.names);
            loaded.is_none_or(|pair| pair.facts.fingerprint_sha256 != one.fingerprint)
        };
        let news: Vec<String> = kept
            .iter()
            .filter(wanted)
            .filter(is_news)
            .map(|one| one.names.clone())
            .collect();
        if news.is_empty() {
            return Ok(());
        }
        let read = move |tx: &mut Tx<'_>| {
            let mut read = Vec::with_capacity(news.len());
            for names in &news {
                if let Some(pem) = kept::pem(tx, names)? {
                    read.push((names.clone(), pem));
                }
            }
            Ok(read)
        };
        for (names, pem) in self.db.read("read new certificates", read).await? {
            match Pair::of(&pem, &names) {
                Ok(pair) => {
                    self.loaded.insert(names, pair);
                }
                Err(error) => warn!(names, %error, "a certificate in the database cannot be used"),
            }
        }
        Ok(())
    }

    fn show(&self, kept: &[Kept], links: &HashMap<String, (Domain, Id)>, now: Time) {
        // After a change of acme.domains the certificate for the names of before stays until there is one for the new ones.
        let own = kept
            .iter()
            .filter(|one| !one.for_links)
            .filter_map(|one| Some((one, self.loaded.get(&one.names)?)))
            .filter(|(one, pair)| one.names == self.own || pair.facts.covers(&self.hostname))
            .max_by_key(|(one, _)| (one.names == self.own, one.not_after));
        if let Some((_, pair)) = own {
            self.certificates.show_fetched(pair);
        }
        let held = || kept.iter().filter(move |one| one.for_links && one.holds(now));
        let by_name =
            held().filter_map(|one| Some((one.names.clone(), Arc::clone(&self.loaded.get(&one.names)?.key))));
        self.certificates.show_named(by_name.collect());
        if let Some(served) = &self.served {
            let settled = |one: &&Kept| one.since.is_some_and(|since| since.plus(SHOWN_BY_ALL) <= now);
            let name = |one: &Kept| links.get(&one.names).map(|(name, _)| name.clone());
            let names = held()
                .filter(settled)
                .filter(|one| self.loaded.contains_key(&one.names));
            *served.write() = names.filter_map(name).collect();
            let states = kept
                .iter()
                .filter(|one| links.contains_key(&one.names))
                .map(|one| one.state(now));
            self.certificates.count(LinkNames::of(states));
        }
    }

    /// One order, where this node gets the turn. Says whether something came of it.
    async fn order(&self, asked: Arc<Asked>, stop: &CancellationToken) -> bool {
        let now = self.clock.now();
        let take = move |tx: &mut Tx<'_>| kept::take_turn(tx, &asked, now);
        let turn = match self.db.write("take the turn to order a certificate", take).await {
            Ok(Some(turn)) => turn,
            Ok(None) => return false,
            Err(error) => {
                debug!(%error, "no certificate can be ordered");
                return false;
            }
        };
        let authority = Authority {
            acme: &self.acme,
            db: &self.db,
        };
        let outcome = tokio::select! {
            () = stop.cancelled() => {
                let now = self.clock.now();
                let given = self.db.write("give the turn to order back", move |tx| kept::give_back(tx, &turn, now));
                if let Err(error) = given.await {
                    debug!(%error, "the turn to order a certificate runs out by itself");
                }
                return false;
            }
            outcome = authority.order(&turn) => outcome,
        };
        say(&turn, outcome.as_ref().err());
        let outcome = outcome.map_err(|error| (error.fault(), error.to_string()));
        let now = self.clock.now();
        let conclude = move |tx: &mut Tx<'_>| kept::conclude(tx, &turn, &outcome, now);
        match self.db.write("note what came of an order", conclude).await {
            Ok(true) => true,
            Ok(false) => {
                warn!(
                    "another node has taken the order of a certificate over; what came of this one is dropped"
                );
                false
            }
            Err(error) => {
                warn!(%error, "what came of an order for a certificate could not be kept");
                false
            }
        }
    }
}

fn say(turn: &Turn, error: Option<&AcmeError>) {
    let (names, next_try_in_seconds) = (turn.names(), turn.patience().as_secs());
    match (error, turn.for_links) {
        (None, false) => info!(domains = ?names, "certificate issued by the ACME authority"),
        (None, true) => info!(domains = ?names, "certificate issued by the ACME authority for links"),
        (Some(error), false) => warn!(
            %error,
            next_try_in_seconds,
            "no certificate from the ACME authority, the one in force stays; SIGHUP tries at once"
        ),
        (Some(error), true) => warn!(
            domains = ?names,
            %error,
            next_try_in_seconds,
            "no certificate for links; they have the name of this server meanwhile"
        ),
    }
}

/// What the names of a server are kept under.
pub fn own_key(acme: &Acme) -> String {
    kept::key_of(acme.domains.iter().map(|domain| domain.0.as_str()))
}

/// How many names for links stand how.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinkNames {
    pub waiting: u64,
    pub issued: u64,
    pub failing: u64,
}

impl LinkNames {
    fn of(states: impl Iterator<Item = State>) -> Self {
        let mut counted = Self::default();
        for state in states {
            match state {
                State::Waiting => counted.waiting += 1,
                State::Issued => counted.issued += 1,
                State::Failing => counted.failing += 1,
            }
        }
        counted
    }
}
