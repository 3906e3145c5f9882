//! Passkeys, with an authenticator made here: what is taken, and everything that is not.

use std::time::Duration;

use accounts::{
    ALGORITHMS, AccountsError, Assertion, By, Challenge, Entered, Fault, Given, Login, Owner, Principal,
    Reason, Registration, Requester, Says, SessionOrigin, Site, Step, StepChange,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use store::both_engines;

use crate::device::{Device, Key, PRESENT, VERIFIED};
use crate::room::{HERE, OTHER, Room, from, room, signs_in};
use crate::sign_up::letters;

const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.com";

fn site() -> Site {
    Site::at("https://mail.example.com").unwrap()
}

fn owner(who: &Principal) -> Owner {
    Owner {
        login: Login {
            id: who.login.unwrap(),
            account: who.account,
            email: who.email.clone(),
        },
        by: By::principal(who, None),
        requester: Requester::new(HERE.parse().unwrap(), "Firefox"),
    }
}

async fn adds(room: &Room, who: &Principal, device: &Device) -> accounts::Result<Vec<String>> {
    let asked = room.accounts.begin_passkey(who.login.unwrap()).await?;
    let answer = device.registers(&asked);
    let added = room
        .accounts
        .add_passkey(owner(who), "Laptop", (&site(), &answer))
        .await?;
    Ok(added.1)
}

async fn asked(room: &Room) -> Challenge {
    room.accounts
        .begin_passkey_sign_in(None, &from(HERE))
        .await
        .unwrap()
}

/// Who signs in with this.
async fn opens(room: &Room, answer: Assertion) -> Option<String> {
    let opened = room
        .accounts
        .sign_in_with_passkey(&site(), answer, &from(HERE))
        .await
        .unwrap();
    opened.map(|(who, _)| who.email)
}

async fn with_device(room: &Room) -> (Principal, Device) {
    room.account(ALICE).await;
    let alice = room.sign_in(ALICE).await;
    let device = Device::new(b"device of alice");
    assert_eq!(adds(room, &alice, &device).await.unwrap().len(), 10);
    (alice, device)
}

/// Longer than what was proved counts.
const A_WHILE: Duration = Duration::from_mins(11);

/// A session that the device opened, by its token.
async fn opened(room: &Room, device: &mut Device) -> String {
    let answer = device.signs(&asked(room).await);
    let opened = room
        .accounts
        .sign_in_with_passkey(&site(), answer, &from(HERE))
        .await;
    opened.unwrap().expect("it signs in").1
}

async fn is_fresh(room: &Room, token: &str) -> bool {
    room.accounts.find_session(token).await.unwrap().unwrap().fresh
}

/// What is asked of whoever is signed in.
async fn again(room: &Room, who: &Principal) -> Challenge {
    let asked = room
        .accounts
        .begin_passkey_confirm(who.login.unwrap(), &from(HERE))
        .await;
    asked.unwrap()
}

async fn confirms(room: &Room, who: &Principal, token: &str, answer: Assertion) -> bool {
    let mine = (who.login.unwrap(), token);
    let confirmed = room
        .accounts
        .confirm_session_with_passkey(mine, &site(), answer, &from(HERE))
        .await;
    confirmed.unwrap()
}

both_engines! {
    async fn a_passkey_signs_in_without_the_password(test: TestDb) {
        let room = room(&test);
        let (alice, mut device) = with_device(&room).await;
        let answer = device.signs(&asked(&room).await);
        let (who, token) = room.accounts.sign_in_with_passkey(&site(), answer, &from(HERE)).await.unwrap().unwrap();
        assert_eq!(who.email, ALICE);
        assert!(room.accounts.find_session(&token).await.unwrap().unwrap().fresh);
        let step = room.accounts.second_step(alice.login.unwrap()).await.unwrap();
        assert!(step.is_on() && step.passkeys[0].used_at.is_some());
        // A device that names its user names the right one.
        let mut named = device.signs(&asked(&room).await);
        named.user = Some(alice.login.unwrap().as_bytes().to_vec());
        assert_eq!(opens(&room, named).await.as_deref(), Some(ALICE));
        let mut other = device.signs(&asked(&room).await);
        other.user = Some(vec![7; 16]);
        assert_eq!(opens(&room, other).await, None);
    }

    async fn a_key_of_each_kind_that_is_offered_signs_in_and_each_signature_is_looked_at(test: TestDb) {
        let room = room(&test);
        room.account(ALICE).await;
        let alice = room.sign_in(ALICE).await;
        for algorithm in ALGORITHMS {
            let mut device = Device::with(Key::new(algorithm), algorithm.to_string().as_bytes());
            adds(&room, &alice, &device).await.unwrap();
            let answer = device.signs(&asked(&room).await);
            assert_eq!(opens(&room, answer).await.as_deref(), Some(ALICE), "{algorithm}");
            let mut broken = device.signs(&asked(&room).await);
            *broken.signature.last_mut().unwrap() ^= 1;
            assert_eq!(opens(&room, broken).await, None, "{algorithm}");
            // A key is of the kind that it was registered as, whatever else could be read out of its octets.
            for other in ALGORITHMS.into_iter().filter(|other| *other != algorithm) {
                let asked = room.accounts.begin_passkey(alice.login.unwrap()).await.unwrap();
                let device = Device::with(Key::new(algorithm), b"mislabelled");
                let odd = Registration { algorithm: other, ..device.registers(&asked) };
                let refused = room.accounts.add_passkey(owner(&alice), "x", (&site(), &odd)).await;
                assert!(matches!(refused, Err(AccountsError::Passkey(Fault::Algorithm))), "{algorithm} as {other}");
            }
        }
    }

    async fn a_passkey_counts_as_the_password_entered_again(test: TestDb) {
        let room = room(&test);
        let (alice, mut device) = with_device(&room).await;
        let (mine, other) = (opened(&room, &mut device).await, opened(&room, &mut device).await);
        room.hand.advance(A_WHILE);
        assert!(!is_fresh(&room, &mine).await);
        let once = again(&room, &alice).await;
        assert_eq!(once.credentials, [URL_SAFE_NO_PAD.encode(b"device of alice")]);
        let answer = device.signs(&once);
        assert!(confirms(&room, &alice, &mine, answer.clone()).await);
        assert!(is_fresh(&room, &mine).await);
        assert!(!is_fresh(&room, &other).await, "one session's proof counts for no other");
        assert!(!confirms(&room, &alice, &other, answer).await, "replayed");
        let anew = device.signs(&once);
        assert!(!confirms(&room, &alice, &other, anew).await, "the challenge is used up");
        room.hand.advance(A_WHILE);
        assert!(!is_fresh(&room, &mine).await);
        let late = again(&room, &alice).await;
        room.hand.advance(Duration::from_mins(5));
        let late = device.signs(&late);
        assert!(!confirms(&room, &alice, &mine, late).await);
        let attempts = room.attempts(Some(alice.account)).await;
        for reason in [Reason::Confirmed, Reason::WrongPasskey] {
            assert!(attempts.iter().any(|one| one.reason == reason), "{attempts:?}");
        }
    }

    async fn nobody_elses_key_challenge_or_session_confirms(test: TestDb) {
        let room = room(&test);
        let (alice, mut device) = with_device(&room).await;
        let mine = opened(&room, &mut device).await;
        room.account(BOB).await;
        let bob = room.sign_in(BOB).await;
        let mut bobs = Device::new(b"device of bob");
        adds(&room, &bob, &bobs).await.unwrap();
        room.hand.advance(A_WHILE);
        // Another's key, for the challenge of either; a challenge of another, or one for signing in.
        for challenge in [again(&room, &alice).await, again(&room, &bob).await] {
            let answer = bobs.signs(&challenge);
            assert!(!confirms(&room, &alice, &mine, answer).await);
        }
        for challenge in [again(&room, &bob).await, asked(&room).await] {
            let answer = device.signs(&challenge);
            assert!(!confirms(&room, &alice, &mine, answer).await);
        }
        // What was made for this opens no new session.
        let challenge = again(&room, &alice).await;
        let answer = device.signs(&challenge);
        assert_eq!(opens(&room, answer).await, None);
        // Another's session, as oneself.
        let answer = bobs.signs(&again(&room, &bob).await);
        assert!(!confirms(&room, &bob, &mine, answer).await);
        assert!(!is_fresh(&room, &mine).await);
        // A login without a key has nothing to answer with.
        room.account("carol@example.com").await;
        let carol = room.sign_in("carol@example.com").await;
        assert_eq!(again(&room, &carol).await.credentials, Vec::<String>::new());
    }

    async fn a_challenge_is_answered_once_and_soon(test: TestDb) {
        let room = room(&test);
        let (_, mut device) = with_device(&room).await;
        let once = asked(&room).await;
        let answer = device.signs(&once);
        assert!(opens(&room, answer.clone()).await.is_some());
        assert!(opens(&room, answer).await.is_none(), "replayed");
        let again = device.signs(&once);
        assert!(opens(&room, again).await.is_none(), "signed anew for a challenge that is used up");
        let late = asked(&room).await;
        room.hand.advance(Duration::from_mins(5));
        let late = device.signs(&late);
        assert!(opens(&room, late).await.is_none());
        let mine = Challenge { challenge: URL_SAFE_NO_PAD.encode([7; 32]), credentials: Vec::new() };
        let invented = device.signs(&mine);
        assert!(opens(&room, invented).await.is_none());
    }

    async fn a_challenge_for_one_thing_does_for_no_other(test: TestDb) {
        let room = room(&test);
        let (alice, mut device) = with_device(&room).await;
        room.account(BOB).await;
        let bob = room.sign_in(BOB).await;
        let to_register = room.accounts.begin_passkey(alice.login.unwrap()).await.unwrap();
        let signed = device.signs(&to_register);
        assert!(opens(&room, signed).await.is_none());
        let other = Device::new(b"another device");
        for challenge in [asked(&room).await, to_register] {
            let answer = other.registers(&challenge);
            let refused = room.accounts.add_passkey(owner(&bob), "x", (&site(), &answer)).await;
            assert!(matches!(refused, Err(AccountsError::ChallengeGone)), "{refused:?}");
        }
    }

    async fn a_copy_of_a_device_is_found_by_its_counter(test: TestDb) {
        let room = room(&test);
        let (_, mut device) = with_device(&room).await;
        let answer = device.signs(&asked(&room).await);
        assert!(opens(&room, answer).await.is_some());
        let copy = device.signs_without_counting(&asked(&room).await);
        assert!(opens(&room, copy).await.is_none());
        device.counter = 0;
        let reset = device.signs_without_counting(&asked(&room).await);
        assert!(opens(&room, reset).await.is_none(), "whoever counted goes on counting");
    }

    async fn a_device_that_counts_nothing_signs_in_again_and_again(test: TestDb) {
        let room = room(&test);
        room.account(ALICE).await;
        let alice = room.sign_in(ALICE).await;
        let mut device = Device::new(b"device of alice");
        device.counter = 0;
        adds(&room, &alice, &device).await.unwrap();
        for _ in 0..3 {
            let answer = device.signs_without_counting(&asked(&room).await);
            assert_eq!(opens(&room, answer).await.as_deref(), Some(ALICE));
        }
    }

    async fn what_was_signed_elsewhere_or_by_nobody_opens_nothing(test: TestDb) {
        let room = room(&test);
        let (_, mut device) = with_device(&room).await;
        let good = device.signs(&asked(&room).await);
        let mut broken = good.clone();
        broken.signature[10] ^= 1;
        assert!(opens(&room, broken).await.is_none());
        let mut longer = good.clone();
        longer.client_data.push(b' ');
        assert!(opens(&room, longer).await.is_none());
        let mut unknown = good.clone();
        unknown.credential.push(0);
        assert!(opens(&room, unknown).await.is_none());
        let mut empty = good;
        (empty.client_data, empty.authenticator_data, empty.signature) = (Vec::new(), Vec::new(), Vec::new());
        assert!(opens(&room, empty).await.is_none());
        for change in [
            (|device: &mut Device| device.origin = "https://evil.example") as fn(&mut Device),
            |device| device.origin = "http://mail.example.com",
            |device| device.site = "evil.example",
            |device| device.flags = PRESENT,
            |device| device.flags = VERIFIED,
            |device| device.kind = Some("webauthn.create"),
        ] {
            let kept = (device.origin, device.site, device.flags, device.kind);
            change(&mut device);
            let answer = device.signs(&asked(&room).await);
            assert!(opens(&room, answer).await.is_none());
            (device.origin, device.site, device.flags, device.kind) = kept;
        }
        let answer = device.signs(&asked(&room).await);
        assert!(opens(&room, answer).await.is_some(), "it was not the device");
    }

    async fn a_key_is_registered_once_for_whomever_and_only_if_its_user_was_checked(test: TestDb) {
        let room = room(&test);
        let (alice, device) = with_device(&room).await;
        room.account(BOB).await;
        let bob = room.sign_in(BOB).await;
        for who in [&alice, &bob] {
            assert!(matches!(adds(&room, who, &device).await, Err(AccountsError::PasskeyExists)));
        }
        let mut careless = Device::new(b"careless");
        careless.flags = PRESENT;
        assert!(matches!(adds(&room, &bob, &careless).await, Err(AccountsError::Passkey(Fault::NotVerified))));
        careless.flags |= VERIFIED;
        careless.origin = "https://evil.example";
        assert!(matches!(adds(&room, &bob, &careless).await, Err(AccountsError::Passkey(Fault::OtherSite))));
        let asked = room.accounts.begin_passkey(bob.login.unwrap()).await.unwrap();
        let mut odd = Device::new(b"odd").registers(&asked);
        odd.algorithm = -8;
        let refused = room.accounts.add_passkey(owner(&bob), "x", (&site(), &odd)).await;
        assert!(matches!(refused, Err(AccountsError::Passkey(Fault::Algorithm))));
    }

    async fn a_new_password_by_a_link_leaves_the_second_step(test: TestDb) {
        let room = room(&test);
        let (_, mut device) = with_device(&room).await;
        room.accounts.forgot_password(ALICE, &Requester::new(HERE.parse().unwrap(), "")).await.unwrap();
        let reset = letters(&room.accounts).await.into_iter().find_map(|letter| match letter.says {
            Says::Reset { token } => Some(token),
            _ => None,
        });
        let requester = Requester::new(HERE.parse().unwrap(), "");
        room.accounts.reset_password(&reset.unwrap(), OTHER, &requester).await.unwrap();
        let alice = signs_in(&room.accounts, ALICE, OTHER).await.unwrap();
        let entered = room.accounts.enter(&alice, SessionOrigin::default()).await.unwrap();
        let Entered::Half { token, steps } = entered else { panic!("{entered:?}") };
        assert_eq!(steps, [Step::Passkey, Step::Recovery]);
        assert!(room.accounts.find_session(&token).await.unwrap().is_none());
        let answer = device.signs(&asked(&room).await);
        assert_eq!(opens(&room, answer).await.as_deref(), Some(ALICE));
    }

    async fn the_last_passkey_stays_and_a_removed_one_opens_nothing(test: TestDb) {
        let room = room(&test);
        let (alice, mut device) = with_device(&room).await;
        let login = alice.login.unwrap();
        let first = room.accounts.second_step(login).await.unwrap().passkeys[0].id;
        let refused = room.accounts.remove_passkey(owner(&alice), first).await;
        assert!(matches!(refused, Err(AccountsError::LastStep)));
        let second = Device::new(b"second device");
        assert_eq!(adds(&room, &alice, &second).await.unwrap(), Vec::<String>::new(), "there are codes already");
        room.account(BOB).await;
        let bob = room.sign_in(BOB).await;
        adds(&room, &bob, &Device::new(b"one of bob")).await.unwrap();
        adds(&room, &bob, &Device::new(b"two of bob")).await.unwrap();
        let anothers = room.accounts.remove_passkey(owner(&bob), first).await;
        assert!(matches!(anothers, Err(AccountsError::NotFound(_))));
        room.accounts.remove_passkey(owner(&alice), first).await.unwrap();
        let answer = device.signs(&asked(&room).await);
        assert!(opens(&room, answer).await.is_none());
    }

    async fn of_two_last_passkeys_removed_at_once_one_stays(test: TestDb) {
        let room = room(&test);
        let (alice, _) = with_device(&room).await;
        let login = alice.login.unwrap();
        for round in 0..10_u8 {
            adds(&room, &alice, &Device::new(&[round; 16])).await.unwrap();
            let keys = room.accounts.second_step(login).await.unwrap().passkeys;
            assert_eq!(keys.len(), 2);
            let (one, two) = tokio::join!(
                room.accounts.remove_passkey(owner(&alice), keys[0].id),
                room.accounts.remove_passkey(owner(&alice), keys[1].id),
            );
            assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
            assert!(room.accounts.second_step(login).await.unwrap().is_on());
        }
    }

    async fn whoever_has_the_password_and_guesses_codes_is_told_of_once_a_day(test: TestDb) {
        let room = room(&test);
        with_device(&room).await;
        letters(&room.accounts).await;
        let half = || async {
            let alice = room.sign_in(ALICE).await;
            match room.accounts.enter(&alice, SessionOrigin::default()).await.unwrap() {
                Entered::Half { token, .. } => token,
                other => panic!("{other:?}"),
            }
        };
        let guess = |half: String| {
            let room = &room;
            async move {
                let given = room.accounts.give_code(&half, "000000", &from(HERE)).await.unwrap();
                assert_eq!(given, Given::Wrong);
            }
        };
        let first = half().await;
        for _ in 0..4 {
            guess(first.clone()).await;
        }
        assert_eq!(letters(&room.accounts).await, [], "people mistype");
        guess(first).await;
        room.hand.advance(Duration::from_mins(5));
        let told = letters(&room.accounts).await;
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].says, Says::SecondStep { change: StepChange::CodesGuessed });
        assert_eq!(told[0].requester.as_ref().unwrap().ip.to_string(), HERE);
        let more = |rounds: usize| {
            let (half, guess, room) = (&half, &guess, &room);
            async move {
                for _ in 0..rounds {
                    let token = half().await;
                    for _ in 0..5 {
                        guess(token.clone()).await;
                    }
                    room.hand.advance(Duration::from_mins(20));
                }
            }
        };
        more(2).await;
        room.hand.advance(Duration::from_hours(2));
        more(2).await;
        assert_eq!(letters(&room.accounts).await, [], "once a day");
        room.hand.advance(Duration::from_hours(23));
        more(1).await;
        assert_eq!(letters(&room.accounts).await.len(), 1);
    }
}

#[test]
fn passkeys_want_https_and_a_name() {
    for (url, id) in [
        ("https://mail.example.com", "mail.example.com"),
        ("https://Mail.Example.com:8443/", "mail.example.com"),
        ("http://localhost:8080", "localhost"),
    ] {
        assert_eq!(Site::at(url).unwrap().id, id);
    }
    for url in [
        "http://mail.example.com",
        "https://192.0.2.7",
        "https://[2001:db8::1]:8443",
        "mail.example.com",
        "",
    ] {
        assert!(Site::at(url).is_err(), "{url}");
    }
    assert_eq!(
        Site::at("https://mail.example.com:443"),
        Site::at("https://mail.example.com")
    );
}
