//! A small service on one database: an account with a verified domain, and everything that leaves goes to one sink.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use accounts::{Accounts, By, NewAccount, Principal, Via};
use bytes::Bytes;
use mail::address::Address;
use mail::envelope::{Envelope, Recipient};
use mail::notify::Notify;
use mail::smtp::client::Login;
use outbound::accept::Door;
use outbound::carry::{CarrySettings, Timeouts, Transport};
use outbound::hooks::Hooks;
use outbound::model::{Accepted, Counters, Origin, Submission};
use outbound::route::{Route, Router, RouterSettings, Smarthost, TlsPolicy};
use outbound::schedule::{Core, RoutedCourier};
use outbound::settle::Policy;
use outbound::{Outbound, Parts, Settings};
use store::testing::TestDb;
use store::{Clock, Id, Row};
use tokio::time::{Instant, sleep};

pub struct World {
    pub test: TestDb,
    pub accounts: Accounts,
    pub clock: Clock,
    pub principal: Principal,
    pub settings: Settings,
}

pub const PASSWORD: &str = "brass-kettle-on-the-hob-42";

impl World {
    pub async fn new(test: TestDb) -> Self {
        let clock = Clock::system();
        let accounts = Accounts::new(
            test.db.clone(),
            clock.clone(),
            test.ids.clone(),
            accounts::Settings {
                free_credits: 500,
                hostname: "us.example".into(),
                inbound: false,
                dkim_zone: None,
                links: None,
                day_limits: accounts::StandardLimits::default(),
                guard: accounts::GuardSettings::default(),
                sign_up: accounts::SignUpMode::Open,
            },
        );
        let account = accounts
            .create(
                NewAccount {
                    email: "ann@sender.example".into(),
                    password: PASSWORD.into(),
                    operator: false,
                    credits: Some(100_000),
                },
                &By::system(),
            )
            .await
            .unwrap();
        accounts
            .add_domain(account.id, "sender.example", true, &By::system())
            .await
            .unwrap();
        let principal = accounts.vouched("ann@sender.example").await.unwrap();
        assert_eq!(principal.via, Via::Command);
        let settings = Settings {
            retry: Policy {
                retry: vec![Duration::from_millis(50)],
                give_up: Duration::from_hours(1),
                ..Policy::default()
            },
            idle_connection: Duration::from_millis(300),
            ..Settings::new(test.id(), "us.example")
        };
        Self {
            test,
            accounts,
            clock,
            principal,
            settings,
        }
    }

    /// An account beside the one that sends.
    pub async fn other_account(&self, email: &str) -> Id {
        let new = NewAccount {
            email: email.into(),
            password: PASSWORD.into(),
            operator: false,
            credits: None,
        };
        self.accounts.create(new, &By::system()).await.unwrap().id
    }

    pub fn parts(&self, route: &Route) -> Parts {
        let router = Router::new(RouterSettings {
            route: route.clone(),
            hostname: "us.example".into(),
            resolver: vec!["127.0.0.1:1".parse().unwrap()],
            resolver_timeout: Duration::from_millis(100),
            port: 25,
            allow_private: true,
        })
        .unwrap();
        let timeouts = Timeouts {
            quit: Duration::from_millis(500),
            ..Timeouts::default()
        };
        let transport = Transport::new(
            CarrySettings {
                timeouts,
                ..CarrySettings::new("us.example")
            },
            route,
        )
        .unwrap();
        Parts {
            db: self.test.db.clone(),
            accounts: self.accounts.clone(),
            clock: self.clock.clone(),
            ids: self.test.ids.clone(),
            settings: Arc::new(self.settings.clone()),
            courier: Arc::new(RoutedCourier::new(router, transport, self.clock.clone())),
            client: None,
        }
    }

    /// Starts sending everything to this address.
    pub async fn send_to(&self, sink: SocketAddr) -> Outbound {
        Outbound::start(self.parts(&smarthost(sink))).await.unwrap()
    }

    pub fn submission(&self, to: &[&str], body: &str) -> Submission {
        Submission {
            principal: self.principal.clone(),
            origin: Origin {
                via: "smtp".into(),
                protocol: "ESMTPSA".into(),
                ip: Some("192.0.2.7".parse().unwrap()),
                helo: Some("client.example".into()),
                tls: Some("TLSv1.3".into()),
                listener: Some("submission".into()),
                login: Some(self.principal.email.clone()),
                credential: None,
            },
            envelope: Envelope {
                reverse_path: Some(address("ann@sender.example")),
                recipients: to.iter().map(|to| recipient(to, "")).collect(),
                ..Envelope::default()
            },
            body: Bytes::copy_from_slice(body.as_bytes()),
            given: None,
        }
    }

    pub async fn accept(&self, outbound: &Outbound, to: &[&str]) -> Accepted {
        outbound.accept(self.submission(to, MESSAGE)).await.unwrap()
    }

    pub async fn rows(&self, sql: &'static str) -> Vec<Row> {
        self.test
            .db
            .read("look", move |tx| tx.query(sql, &[]))
            .await
            .unwrap()
    }

    pub async fn count(&self, sql: &'static str) -> i64 {
        self.rows(sql).await[0].int(0).unwrap()
    }

    /// Changes one row by hand.
    pub async fn change(&self, sql: &'static str, id: Id) {
        let changing = self
            .test
            .db
            .write("change by hand", move |tx| tx.execute(sql, &[id.into()]));
        assert_eq!(changing.await.unwrap(), 1);
    }

    /// `state: reason` of every recipient of a message.
    pub async fn fates(&self, message: Id) -> Vec<String> {
        self.test
            .db
            .read("look", move |tx| {
                tx.query(
                    "SELECT state, reason FROM recipients WHERE message = $1 ORDER BY ordinal",
                    &[message.into()],
                )
            })
            .await
            .unwrap()
            .iter()
            .map(|row| format!("{}: {}", row.text(0).unwrap(), row.text(1).unwrap()))
            .collect()
    }

    /// Waits until every recipient of a message is in a state that begins so.
    pub async fn until_all(&self, message: Id, beginning: &str) -> Vec<String> {
        eventually(&format!("all are {beginning:?}"), async || {
            let fates = self.fates(message).await;
            if fates.iter().all(|fate| fate.starts_with(beginning)) {
                Ok(fates)
            } else {
                Err(fates)
            }
        })
        .await
    }
}

/// What sending is made of, for a test that makes its upkeep do now what it does every few seconds.
pub async fn scheduler(parts: Parts) -> (Arc<Core>, Door) {
    let counters = Arc::new(Counters::default());
    let core = Core::new(parts.clone(), counters.clone());
    core.recover().await.unwrap();
    core.start();
    let hooks = Hooks::new(
        &parts.db,
        &parts.accounts,
        (&parts.clock, &parts.ids),
        None,
        parts.settings.hooks,
    );
    (core.clone(), Door::new(parts, hooks, counters, Some(core)))
}

pub const MESSAGE: &str = "From: Ann <ann@sender.example>\r\nTo: b@there.example\r\nBcc: secret@there.example\r\nSubject: hello\r\n\r\nHi.\r\n";

pub fn smarthost(sink: SocketAddr) -> Route {
    Route::Smarthost(Smarthost {
        host: sink.ip().to_string(),
        port: sink.port(),
        tls: TlsPolicy::Opportunistic,
        login: None::<Login>,
    })
}

pub fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

pub fn recipient(to: &str, notify: &str) -> Recipient {
    Recipient {
        address: address(to),
        notify: Notify::parse(notify),
        orcpt: None,
    }
}

/// Polls until `holds`, with a deadline.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    eventually(what, async || holds().await.then_some(()).ok_or("it is not so")).await;
}

/// How long a test waits for what must happen. Generous: it is only used up by a failing test.
const PATIENCE: Duration = Duration::from_mins(1);

/// Asks again until there is an answer; panics at the deadline with what there was instead.
pub async fn eventually<T, S: Debug>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, S>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(seen) => assert!(
                Instant::now() < deadline,
                "waited {PATIENCE:?} in vain until {what}: {seen:?}"
            ),
        }
        sleep(Duration::from_millis(10)).await;
    }
}
