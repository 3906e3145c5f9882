//! Named SMTP credentials: what they open, for how long and for whom, and the switch that keeps a login's password off SMTP.

use std::net::IpAddr;
use std::time::Duration;

use accounts::smtp_credentials::{Draws, OverRate, charge, give_back};
use accounts::{
    AccountsError, Approach, AttemptFilter, By, CredentialChange, CredentialLimits, Door,
    MOST_SMTP_CREDENTIALS, NewSmtpCredential, Outcome, Principal, Terms, Validity, Via, WantedCredential,
};
use store::both_engines;

use crate::room::{HERE, PASSWORD, Room, from, room, tries};

const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.com";
const ELSEWHERE: &str = "198.51.100.7";

fn limits(networks: &[&str]) -> CredentialLimits {
    CredentialLimits::parse(networks.iter().copied(), None, None).unwrap()
}

impl Room {
    async fn credential(&self, who: &Principal, wanted: WantedCredential) -> NewSmtpCredential {
        let name = if wanted.name.is_empty() {
            "shop".to_owned()
        } else {
            wanted.name.clone()
        };
        let wanted = WantedCredential { name, ..wanted };
        self.accounts
            .create_smtp_credential(who, wanted, &By::system())
            .await
            .unwrap()
    }

    async fn lets_in(&self, ip: &str, login: &str, password: &str) -> Option<Principal> {
        match self.tries_from(ip, login, password).await {
            Outcome::In(principal) => Some(principal),
            Outcome::Wrong => None,
            other => panic!("{other:?}"),
        }
    }

    /// The reasons of what failed for Alice, the latest first, each with the credential's name.
    async fn reasons(&self) -> Vec<(String, Option<String>)> {
        while self.accounts.write_attempts().await.unwrap() {}
        let filter = AttemptFilter {
            limit: 100,
            ..AttemptFilter::default()
        };
        let attempts = self.accounts.sign_in_attempts(filter).await.unwrap();
        attempts
            .into_iter()
            .map(|one| (one.reason.as_str().to_owned(), one.credential))
            .collect()
    }

    async fn is_valid(&self, principal: &Principal, from: &str) -> bool {
        self.accounts.refresh().await.unwrap();
        let from: IpAddr = from.parse().unwrap();
        self.accounts
            .still_valid_from(principal, Some(from))
            .await
            .unwrap()
            == Validity::Ok
    }
}

fn shop(reason: &str) -> (String, Option<String>) {
    (reason.to_owned(), Some("shop".to_owned()))
}

fn draws(account: store::Id, terms: Option<&Terms>, sandbox: bool) -> Draws<'_> {
    Draws {
        account,
        terms,
        sandbox,
        unsent: 0,
    }
}

fn of_credential(wait: Duration) -> OverRate {
    let limit = "this credential";
    OverRate::Reached { limit, wait }
}

both_engines! {
    async fn a_credential_signs_in_as_its_login_until_it_is_revoked(test: TestDb) {
        let room = room(&test);
        let account = room.account(ALICE).await;
        let alice = room.sign_in(ALICE).await;
        let made = room.credential(&alice, WantedCredential::default()).await;
        assert!(made.secret.starts_with("phs_") && made.secret.starts_with(&made.credential.prefix));
        let id = made.credential.id;
        let device = room.lets_in(HERE, "Alice@Example.com", &made.secret).await.unwrap();
        assert_eq!((device.account, device.login, device.via), (account.id, alice.login, Via::Credential(id)));
        assert!(room.is_valid(&device, HERE).await);
        let terms = room.accounts.terms(&device).await.unwrap().unwrap();
        assert_eq!((terms.name.as_str(), terms.rate, terms.sandbox), ("shop", None, false));
        assert_eq!(room.accounts.terms(&alice).await.unwrap(), None);

        let bob = room.account(BOB).await;
        let theirs = room.accounts.revoke_smtp_credential(bob.id, id, &By::system()).await;
        assert!(matches!(theirs, Err(AccountsError::NotFound(_))));
        assert!(room.is_valid(&device, HERE).await);
        room.hand.advance(Duration::from_mins(1));
        room.accounts.revoke_smtp_credential(account.id, id, &By::system()).await.unwrap();
        assert!(!room.is_valid(&device, HERE).await);
        assert!(room.is_valid(&alice, HERE).await);
        assert_eq!(room.lets_in(HERE, ALICE, &made.secret).await, None);
        assert_eq!(room.reasons().await[0], shop("revoked_credential"));
        assert!(room.accounts.smtp_credentials(account.id).await.unwrap().is_empty());
        let again = room.accounts.revoke_smtp_credential(account.id, id, &By::system()).await;
        assert!(matches!(again, Err(AccountsError::NotFound(_))));
    }

    async fn a_revoked_credential_is_looked_for_behind_the_lock_and_whatever_the_login_is(test: TestDb) {
        let room = room(&test);
        room.account(ALICE).await;
        let alice = room.sign_in(ALICE).await;
        let made = room.credential(&alice, WantedCredential::default()).await;
        let nobody = "nobody@example.com";
        let never = format!("{}{}", &made.secret[..47], if made.secret.ends_with('A') { 'B' } else { 'A' });
        room.fails(10, ELSEWHERE, ALICE).await;
        // What is in force is in memory from here on; what was revoked is not.
        for (ip, login) in [(HERE, ALICE), (HERE, nobody)] {
            assert_eq!(room.lets_in(ip, login, &never).await, None);
        }
        let away = test.db.write("take the table away", |tx| {
            tx.run("ALTER TABLE smtp_credentials RENAME TO away", &[])
        });
        away.await.unwrap();
        assert!(matches!(room.tries_from(ELSEWHERE, ALICE, &never).await, Outcome::Locked { .. }));
        for login in [ALICE, nobody] {
            let at = from(HERE);
            let attempt = accounts::Attempt { login, password: &never, from: &at };
            assert!(room.accounts.sign_in(attempt).await.is_err(), "{login} is spared the look");
        }
    }

    async fn a_change_of_the_password_leaves_credentials_as_they_are(test: TestDb) {
        let room = room(&test);
        room.account(ALICE).await;
        let alice = room.sign_in(ALICE).await;
        let made = room.credential(&alice, WantedCredential::default()).await;
        let device = room.lets_in(HERE, ALICE, &made.secret).await.unwrap();
        room.accounts.set_password(ALICE, crate::room::OTHER, &By::system()).await.unwrap();
        assert!(room.is_valid(&device, HERE).await && !room.is_valid(&alice, HERE).await);
        assert!(room.lets_in(HERE, ALICE, &made.secret).await.is_some());
    }

    async fn a_credential_opens_smtp_for_its_own_login_and_nothing_else(test: TestDb) {
        let room = room(&test);
        room.account(ALICE).await;
        room.account(BOB).await;
        let alice = room.sign_in(ALICE).await;
        let made = room.credential(&alice, WantedCredential::default()).await;
        assert_eq!(room.lets_in(HERE, BOB, &made.secret).await, None);
        assert!(room.reasons().await.contains(&("wrong_password".to_owned(), None)));
        let web = Approach { door: Door::Web, ..from(HERE) };
        assert_eq!(tries(&room.accounts, &web, ALICE, &made.secret).await, Outcome::Wrong);
        assert!(room.reasons().await.contains(&shop("credential_not_here")));
        let by = By::system();
        let beside = room.accounts.create_smtp_credential(
            &alice, WantedCredential { email: Some(BOB.into()), name: "x".into(), ..WantedCredential::default() }, &by,
        );
        assert!(matches!(beside.await, Err(AccountsError::NoSuchLogin(_))));
    }

    async fn a_credential_holds_within_its_networks_and_its_time_on_open_sessions_too(test: TestDb) {
        let room = room(&test);
        let account = room.account(ALICE).await;
        let alice = room.sign_in(ALICE).await;
        let until = room.clock.now().plus(Duration::from_hours(24));
        let bound = CredentialLimits { expires_at: Some(until), ..limits(&["192.0.2.0/24", "2001:db8::/32"]) };
        let made = room.credential(&alice, WantedCredential { limits: bound, ..WantedCredential::default() }).await;
        let device = room.lets_in("::ffff:192.0.2.9", ALICE, &made.secret).await.unwrap();
        assert!(room.lets_in("2001:db8:7::1", ALICE, &made.secret).await.is_some());
        assert_eq!(room.lets_in(ELSEWHERE, ALICE, &made.secret).await, None);
        assert!(room.reasons().await.contains(&shop("ip_not_allowed")));

        let change = CredentialChange { limits: Some(CredentialLimits { expires_at: Some(until), ..limits(&[ELSEWHERE]) }), name: None };
        room.accounts.change_smtp_credential(account.id, made.credential.id, change, &By::system()).await.unwrap();
        assert!(!room.is_valid(&device, HERE).await && room.is_valid(&device, ELSEWHERE).await);
        room.hand.advance(Duration::from_hours(24));
        assert!(!room.is_valid(&device, ELSEWHERE).await);
        assert_eq!(room.lets_in(ELSEWHERE, ALICE, &made.secret).await, None);
        assert!(room.reasons().await.contains(&shop("expired_credential")));
        let past = CredentialChange { limits: Some(CredentialLimits { expires_at: Some(until), ..limits(&[]) }), name: None };
        let past = room.accounts.change_smtp_credential(account.id, made.credential.id, past, &By::system()).await;
        assert!(matches!(past, Err(AccountsError::PastExpiry)));
    }

    async fn a_good_credential_passes_a_lock_and_clears_no_failure(test: TestDb) {
        let room = room(&test);
        room.account(ALICE).await;
        let alice = room.sign_in(ALICE).await;
        let made = room.credential(&alice, WantedCredential::default()).await;
        room.fails(9, ELSEWHERE, ALICE).await;
        assert!(room.lets_in(ELSEWHERE, ALICE, &made.secret).await.is_some());
        room.fails(1, ELSEWHERE, ALICE).await;
        assert!(matches!(room.tries_from(ELSEWHERE, ALICE, PASSWORD).await, Outcome::Locked { .. }));
        assert!(room.lets_in(ELSEWHERE, ALICE, &made.secret).await.is_some());
    }

    async fn credentials_that_fail_count_towards_the_lock(test: TestDb) {
        let room = room(&test);
        let account = room.account(ALICE).await;
        let alice = room.sign_in(ALICE).await;
        for n in 0..10 {
            let made = room.credential(&alice, WantedCredential::default()).await;
            room.accounts.revoke_smtp_credential(account.id, made.credential.id, &By::system()).await.unwrap();
            // The same one again counts once.
            for _ in 0..if n == 9 { 1 } else { 2 } {
                assert_eq!(room.lets_in(ELSEWHERE, ALICE, &made.secret).await, None);
            }
        }
        assert!(matches!(room.tries_from(ELSEWHERE, ALICE, PASSWORD).await, Outcome::Locked { .. }));
    }

    async fn an_account_has_so_many_credentials_and_each_a_name(test: TestDb) {
        let room = room(&test);
        let account = room.account(ALICE).await;
        let alice = room.sign_in(ALICE).await;
        let nameless = room.accounts.create_smtp_credential(&alice, WantedCredential::default(), &By::system()).await;
        assert!(matches!(nameless, Err(AccountsError::BadName)));
        let first = room.credential(&alice, WantedCredential::default()).await;
        for _ in 1..MOST_SMTP_CREDENTIALS {
            room.credential(&alice, WantedCredential::default()).await;
        }
        let wanted = WantedCredential { name: "one more".into(), ..WantedCredential::default() };
        let more = room.accounts.create_smtp_credential(&alice, wanted.clone(), &By::system()).await;
        assert!(matches!(more, Err(AccountsError::TooMany { .. })));
        room.accounts.revoke_smtp_credential(account.id, first.credential.id, &By::system()).await.unwrap();
        room.accounts.create_smtp_credential(&alice, wanted, &By::system()).await.unwrap();
        assert!(matches!(CredentialLimits::parse([], Some(0), None), Err(AccountsError::BadRate(_))));
        assert!(matches!(CredentialLimits::parse(["0.0.0.0/0"], None, None), Err(AccountsError::Range(_))));
    }

    async fn the_rate_counts_recipients_by_the_hour_and_nothing_of_what_is_refused(test: TestDb) {
        let room = room(&test);
        let account = room.account(ALICE).await;
        let alice = room.sign_in(ALICE).await;
        let rate = CredentialLimits::parse([], Some(10), None).unwrap();
        let made = room.credential(&alice, WantedCredential { limits: rate, ..WantedCredential::default() }).await;
        let device = room.lets_in(HERE, ALICE, &made.secret).await.unwrap();
        let terms = room.accounts.terms(&device).await.unwrap().unwrap();
        let left = async || room.accounts.rate_left(&device, &terms).await.unwrap().unwrap();
        let send = async |recipients: u64| {
            let (terms, now): (Terms, _) = ((*terms).clone(), room.clock.now());
            let work = move |tx: &mut store::Tx<'_>| charge(tx, draws(account.id, Some(&terms), false), (recipients, 1_000), now);
            test.db.write("send", work).await.unwrap()
        };
        assert_eq!(left().await.left, 10);
        let never = |limit, most: &str| Err(OverRate::NeverFits { limit, most: most.to_owned() });
        assert_eq!(send(11).await, never("this credential", "10 recipients"));
        assert_eq!(send(7).await, Ok(()));
        room.hand.advance(Duration::from_mins(20));
        assert_eq!(send(4).await, Err(of_credential(Duration::from_mins(40))));
        assert_eq!(send(3).await, Ok(()));
        assert_eq!((left().await.left, left().await.wait), (0, Duration::from_mins(40)));
        let (given, terms_again) = (account.id, (*terms).clone());
        test.db.write("give back", move |tx| give_back(tx, draws(given, Some(&terms_again), false), (3, 1_000))).await.unwrap();
        assert_eq!(left().await.left, 3);
        room.hand.advance(Duration::from_mins(40));
        assert_eq!(left().await.left, 10);
        assert_eq!(send(10).await, Ok(()));
    }

    async fn a_sandbox_has_a_limit_of_the_whole_account(test: TestDb) {
        let room = room(&test);
        let account = room.account(ALICE).await;
        let terms = |id| Terms { id, name: "s".into(), rate: None, sandbox: true, stream: None };
        let send = async |recipients: u64, octets: u64| {
            let (terms, now) = (terms(test.id()), room.clock.now());
            let work = move |tx: &mut store::Tx<'_>| charge(tx, draws(account.id, Some(&terms), true), (recipients, octets), now);
            test.db.write("send", work).await.unwrap()
        };
        assert_eq!(send(600, 1_000).await, Ok(()));
        assert!(send(401, 1_000).await.is_err());
        // Each recipient has a copy, and what an hour never has is not worth waiting for.
        let never = |most: &str| Err(OverRate::NeverFits { limit: "the sandbox", most: most.to_owned() });
        assert_eq!(send(20, 25 * 1024 * 1024).await, never("256 MiB over all recipients"));
        assert_eq!(send(1_001, 1).await, never("1000 recipients"));
        assert!(matches!(send(300, 800 * 1024).await, Ok(())));
        let again = send(30, 800 * 1024).await;
        assert!(matches!(again, Err(OverRate::Reached { limit: "the sandbox", .. })), "{again:?}");
        assert_eq!(send(99, 1_000).await, Ok(()));
        let now = room.clock.now();
        let asks = move |tx: &mut store::Tx<'_>| charge(tx, draws(account.id, None, true), (2, 1_000), now);
        let refused = test.db.write("send", asks).await.unwrap();
        assert!(refused.is_err(), "a message that asks for it by itself counts as well");
    }

    async fn what_is_sent_to_nobody_and_costs_nothing_has_a_limit_too(test: TestDb) {
        let room = room(&test);
        let account = room.account(ALICE).await;
        let send = async |unsent: u32| {
            let now = room.clock.now();
            let drawn = Draws { account: account.id, terms: None, sandbox: false, unsent };
            test.db.write("send", move |tx| charge(tx, drawn, (u64::from(unsent), 1_000), now)).await.unwrap()
        };
        assert_eq!(send(0).await, Ok(()));
        assert_eq!(send(50_000).await, Ok(()));
        let Err(OverRate::Reached { limit, wait }) = send(1).await else { panic!("it fits") };
        assert_eq!(limit, "recipients who are suppressed or discarded");
        assert_eq!(send(0).await, Ok(()), "what pays goes on");
        room.hand.advance(wait);
        assert_eq!(send(1).await, Ok(()));
    }

    async fn the_switch_keeps_the_password_off_smtp_and_lets_credentials_through(test: TestDb) {
        let room = room(&test);
        room.account(ALICE).await;
        let alice = room.sign_in(ALICE).await;
        let made = room.credential(&alice, WantedCredential::default()).await;
        assert!(room.accounts.smtp_passwords(alice.account).await.unwrap()[0].allowed);
        room.accounts.allow_smtp_password(&alice, None, false, &By::system()).await.unwrap();
        assert!(!room.is_valid(&alice, HERE).await);
        for _ in 0..20 {
            assert_eq!(room.lets_in(HERE, ALICE, PASSWORD).await, None);
        }
        assert!(room.reasons().await.contains(&("password_switched_off".to_owned(), None)));
        let web = Approach { door: Door::Web, ..from(HERE) };
        assert!(matches!(tries(&room.accounts, &web, ALICE, PASSWORD).await, Outcome::In(_)));
        let device = room.lets_in(HERE, ALICE, &made.secret).await.unwrap();
        assert!(room.is_valid(&device, HERE).await);
        let command = room.accounts.vouched(ALICE).await.unwrap();
        assert_eq!(room.accounts.still_valid(&command).await.unwrap(), Validity::Ok);
        room.accounts.allow_smtp_password(&alice, Some(ALICE), true, &By::system()).await.unwrap();
        assert!(room.lets_in(HERE, ALICE, PASSWORD).await.is_some() && room.is_valid(&alice, HERE).await);
        let theirs = room.accounts.allow_smtp_password(&alice, Some(BOB), false, &By::system()).await;
        assert!(matches!(theirs, Err(AccountsError::NoSuchLogin(_))));
    }

    async fn the_last_use_is_noted_with_the_address_it_came_from(test: TestDb) {
        let room = room(&test);
        let account = room.account(ALICE).await;
        let alice = room.sign_in(ALICE).await;
        let made = room.credential(&alice, WantedCredential::default()).await;
        assert_eq!(made.credential.used_at, None);
        room.lets_in("::ffff:192.0.2.9", ALICE, &made.secret).await.unwrap();
        // Noted behind the answer.
        let noted = async {
            loop {
                let list = room.accounts.smtp_credentials(account.id).await.unwrap();
                if let Some(from) = list[0].used_from.clone() {
                    return from;
                }
                tokio::task::yield_now().await;
            }
        };
        let noted = tokio::time::timeout(Duration::from_secs(30), noted).await;
        assert_eq!(noted.unwrap(), "192.0.2.9");
    }
}
