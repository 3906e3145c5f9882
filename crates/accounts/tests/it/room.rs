//! What the tests share: a room over a fresh database, with a clock that they move.

use std::sync::atomic::{AtomicU32, Ordering};

use accounts::GuardSettings;
use accounts::{
    Account, Accounts, Approach, Attempt, By, Door, NewAccount, Outcome, OwnPassword, Principal, Settings,
    StandardLimits,
};
use mail::address::Domain;
use mail::time::Time;
use store::testing::TestDb;
use store::{Clock, Hand};

pub const PASSWORD: &str = "four tired horses at the gate";
pub const OTHER: &str = "seven green lanterns by the river";

pub struct Room {
    pub accounts: Accounts,
    pub clock: Clock,
    pub hand: Hand,
}

pub fn room(test: &TestDb) -> Room {
    room_with(test, StandardLimits::default())
}

pub fn room_with(test: &TestDb, day_limits: StandardLimits) -> Room {
    room_in(test, day_limits, None)
}

pub fn room_in(test: &TestDb, day_limits: StandardLimits, dkim_zone: Option<Domain>) -> Room {
    let (clock, hand) = Clock::manual(Time::parse_rfc3339("2026-11-23T12:00:00Z").unwrap());
    let settings = Settings {
        free_credits: 500,
        hostname: "mail.example.net".into(),
        inbound: true,
        dkim_zone,
        links: None,
        day_limits,
        guard: GuardSettings::default(),
        sign_up: accounts::SignUpMode::Open,
    };
    Room {
        accounts: Accounts::new(test.db.clone(), clock.clone(), test.ids.clone(), settings),
        clock,
        hand,
    }
}

impl Room {
    pub async fn account(&self, email: &str) -> Account {
        self.accounts.create(new(email), &By::system()).await.unwrap()
    }

    pub async fn operator(&self, email: &str) -> Account {
        self.accounts
            .create(
                NewAccount {
                    operator: true,
                    ..new(email)
                },
                &By::system(),
            )
            .await
            .unwrap()
    }

    pub async fn sign_in(&self, email: &str) -> Principal {
        signs_in(&self.accounts, email, PASSWORD)
            .await
            .expect("the password is right")
    }

    pub async fn changes_password(
        &self,
        login: &str,
        password: &str,
        new: &str,
        keep: Option<&str>,
    ) -> accounts::Result<()> {
        let from = &from(HERE);
        let current = Attempt {
            login,
            password,
            from,
        };
        self.accounts
            .change_own_password(OwnPassword { current, new, keep })
            .await
    }

    /// Removes what is old, as a running server does from time to time.
    pub async fn tidy(&self) {
        self.accounts.purge_sign_ins().await.unwrap();
    }

    /// What an attempt from [`HERE`] meets.
    pub async fn tries(&self, email: &str, password: &str) -> Outcome {
        self.tries_from(HERE, email, password).await
    }

    pub async fn tries_from(&self, ip: &str, email: &str, password: &str) -> Outcome {
        tries(&self.accounts, &from(ip), email, password).await
    }

    /// Fails as often with ever other passwords.
    pub async fn fails(&self, times: usize, ip: &str, email: &str) {
        for n in 0..times {
            let wrong = format!("guess {}", GUESSES.fetch_add(1, Ordering::Relaxed));
            let outcome = tries(&self.accounts, &from(ip), email, &wrong).await;
            assert_eq!(outcome, Outcome::Wrong, "{n} of {times} for {email}");
        }
    }
}

/// No guess is made twice.
static GUESSES: AtomicU32 = AtomicU32::new(0);

/// Where the tests sign in from, when it does not matter.
pub const HERE: &str = "192.0.2.1";

pub fn from(ip: &str) -> Approach {
    Approach {
        door: Door::Smtp,
        ip: ip.parse().unwrap(),
        client: "laptop.example".into(),
        port: 587,
        tls: Some("TLSv1_3".into()),
        mechanism: "PLAIN",
    }
}

pub async fn tries(accounts: &Accounts, from: &Approach, login: &str, password: &str) -> Outcome {
    accounts
        .sign_in(Attempt {
            login,
            password,
            from,
        })
        .await
        .unwrap()
}

/// Who signs in with this.
pub async fn signs_in(accounts: &Accounts, email: &str, password: &str) -> Option<Principal> {
    match tries(accounts, &from(HERE), email, password).await {
        Outcome::In(principal) => Some(principal),
        _ => None,
    }
}

pub fn new(email: &str) -> NewAccount {
    NewAccount {
        email: email.into(),
        password: PASSWORD.into(),
        operator: false,
        credits: None,
    }
}
