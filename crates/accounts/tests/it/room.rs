//! What the tests share: a room over a fresh database, with a clock that they move.

use accounts::{Account, Accounts, NewAccount, Principal, Settings};
use mail::time::Time;
use store::testing::TestDb;
use store::{Clock, Hand};

pub const PASSWORD: &str = "four tired horses at the gate";
pub const OTHER: &str = "seven green lanterns by the river";

pub struct Room {
    pub accounts: Accounts,
    pub hand: Hand,
}

pub fn room(test: &TestDb) -> Room {
    let (clock, hand) = Clock::manual(Time::parse_rfc3339("2026-11-23T12:00:00Z").unwrap());
    let settings = Settings {
        free_credits: 500,
        hostname: "mail.example.net".into(),
    };
    Room {
        accounts: Accounts::new(test.db.clone(), clock, test.ids.clone(), settings),
        hand,
    }
}

impl Room {
    pub async fn account(&self, email: &str) -> Account {
        self.accounts.create(new(email)).await.unwrap()
    }

    pub async fn operator(&self, email: &str) -> Account {
        self.accounts
            .create(NewAccount {
                operator: true,
                ..new(email)
            })
            .await
            .unwrap()
    }

    pub async fn sign_in(&self, email: &str) -> Principal {
        self.accounts
            .verify_password(email, PASSWORD)
            .await
            .unwrap()
            .expect("the password is right")
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
