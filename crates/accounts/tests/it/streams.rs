//! Streams: what every account has, what it makes, and what a credential or a key is bound to.

use accounts::{
    AccountsError, By, CredentialChange, CredentialLimits, MOST_STREAMS, NewStream, Principal, Role, Scope,
    Scopes, Stream, StreamChange, StreamFault, StreamKind, Via, WantedCredential, WantedKey,
};
use store::both_engines;

use crate::room::{Room, room};

const ALICE: &str = "alice@example.com";

impl Room {
    async fn make(&self, who: &Principal, slug: &str) -> Result<Stream, AccountsError> {
        let new = NewStream {
            slug: slug.into(),
            name: slug.into(),
            kind: StreamKind::Marketing,
        };
        self.accounts.create_stream(who.account, new, &By::system()).await
    }

    /// The stream that a message goes in which names this one, as of now.
    async fn stream(&self, who: &Principal, named: Option<&str>) -> Result<String, StreamFault> {
        self.accounts.refresh().await.unwrap();
        let stream = self.accounts.stream(who, named).await.unwrap();
        stream.map(|stream| stream.slug.clone())
    }

    async fn archive(&self, who: &Principal, slug: &str, archived: bool) -> Result<Stream, AccountsError> {
        let change = StreamChange {
            archived: Some(archived),
            ..StreamChange::default()
        };
        self.accounts
            .change_stream(who.account, slug, change, &By::system())
            .await
    }
}

both_engines! {
    async fn every_account_has_two_and_makes_more_which_are_its_own(test: TestDb) {
        let room = room(&test);
        room.account(ALICE).await;
        room.account("bob@example.com").await;
        let (alice, bob) = (room.sign_in(ALICE).await, room.sign_in("bob@example.com").await);
        assert_eq!(room.stream(&alice, None).await.unwrap(), "transactional");
        assert_eq!(room.stream(&alice, Some("marketing")).await.unwrap(), "marketing");
        assert_eq!(room.stream(&alice, Some("news")).await, Err(StreamFault::Unknown("news".into())));
        assert_eq!(room.make(&alice, " News ").await.unwrap().slug, "news");
        assert_eq!(room.stream(&alice, Some("news")).await.unwrap(), "news");
        assert_eq!(room.stream(&bob, Some("news")).await, Err(StreamFault::Unknown("news".into())));
        for taken in ["news", "NEWS", "marketing", "transactional"] {
            assert!(matches!(room.make(&alice, taken).await, Err(AccountsError::StreamExists(_))), "{taken}");
        }
        for bad in ["", "a b", "-a", "a_b", "\u{e9}t\u{e9}", &"a".repeat(41)] {
            assert!(matches!(room.make(&alice, bad).await, Err(AccountsError::BadStream)), "{bad}");
        }
        let slugs: Vec<String> = room.accounts.streams(alice.account).await.unwrap().into_iter().map(|one| one.slug).collect();
        assert_eq!(slugs, ["transactional", "marketing", "news"]);
    }

    async fn a_renamed_one_keeps_its_slug_and_an_archived_one_takes_no_more(test: TestDb) {
        let room = room(&test);
        room.account(ALICE).await;
        let alice = room.sign_in(ALICE).await;
        room.make(&alice, "news").await.unwrap();
        let rename = StreamChange { name: Some("Receipts".into()), ..StreamChange::default() };
        let renamed = room.accounts.change_stream(alice.account, "transactional", rename, &By::system()).await.unwrap();
        assert_eq!((renamed.slug.as_str(), renamed.name.as_str()), ("transactional", "Receipts"));
        assert_eq!(room.accounts.streams(alice.account).await.unwrap()[0], renamed);
        assert!(renamed.created_at.is_none());
        room.archive(&alice, "news", true).await.unwrap();
        assert_eq!(room.stream(&alice, Some("news")).await, Err(StreamFault::Archived("news".into())));
        assert!(matches!(room.make(&alice, "news").await, Err(AccountsError::StreamExists(_))));
        room.archive(&alice, "news", false).await.unwrap();
        assert_eq!(room.stream(&alice, Some("news")).await.unwrap(), "news");
        assert!(matches!(room.archive(&alice, "marketing", true).await, Err(AccountsError::StreamOfAll)));
        assert!(matches!(room.archive(&alice, "other", true).await, Err(AccountsError::NotFound(_))));
    }

    async fn what_is_bound_to_one_sends_in_no_other_and_keeps_it_from_being_archived(test: TestDb) {
        let room = room(&test);
        room.account(ALICE).await;
        let alice = room.sign_in(ALICE).await;
        room.make(&alice, "news").await.unwrap();
        let bound = |stream: &str| CredentialLimits { stream: Some(stream.into()), ..CredentialLimits::default() };
        let wanted = |stream: &str| WantedCredential { name: "shop".into(), limits: bound(stream), ..WantedCredential::default() };
        let nowhere = room.accounts.create_smtp_credential(&alice, wanted("other"), &By::system()).await;
        assert!(matches!(nowhere, Err(AccountsError::NoSuchStream(_))));
        let made = room.accounts.create_smtp_credential(&alice, wanted("news"), &By::system()).await.unwrap().credential;
        let shop = Principal { via: Via::Credential(made.id), ..alice.clone() };
        assert_eq!(room.stream(&shop, None).await.unwrap(), "news");
        assert_eq!(room.stream(&shop, Some("news")).await.unwrap(), "news");
        assert_eq!(room.stream(&shop, Some("transactional")).await, Err(StreamFault::Bound("news".into())));
        assert!(matches!(room.archive(&alice, "news", true).await, Err(AccountsError::StreamInUse(1))));

        let scopes: Scopes = [Scope::Send].into_iter().collect();
        let key = WantedKey { stream: Some("news".into()), ..WantedKey::new("k", scopes.clone()) };
        let key = room.accounts.create_key(&alice, &Role::Owner.scopes(false), key, &By::system()).await.unwrap().key;
        assert_eq!(room.accounts.keys(alice.account, None).await.unwrap()[0].stream.as_deref(), Some("news"));
        let by_key = Principal { via: Via::Key(key.id), ..alice.clone() };
        assert_eq!(room.stream(&by_key, None).await.unwrap(), "news");
        assert_eq!(room.stream(&by_key, Some("marketing")).await, Err(StreamFault::Bound("news".into())));
        // It makes nothing that could send by another either.
        let free = WantedKey::new("free", scopes.clone());
        let refused = room.accounts.create_key(&by_key, &scopes, free, &By::system()).await.map(|_| ());
        assert!(matches!(refused, Err(AccountsError::StreamBound(_))), "{refused:?}");
        let free = WantedCredential { name: "free".into(), ..WantedCredential::default() };
        let refused = room.accounts.create_smtp_credential(&by_key, free, &By::system()).await.map(|_| ());
        assert!(matches!(refused, Err(AccountsError::StreamBound(_))), "{refused:?}");
        assert!(matches!(room.archive(&alice, "news", true).await, Err(AccountsError::StreamInUse(2))));

        let free = CredentialChange { limits: Some(CredentialLimits::default()), name: None };
        room.accounts.change_smtp_credential(alice.account, made.id, free, &By::system()).await.unwrap();
        assert_eq!(room.stream(&shop, None).await.unwrap(), "transactional");
        room.accounts.revoke_key(alice.account, key.id, None, &By::system()).await.unwrap();
        room.archive(&alice, "news", true).await.unwrap();
        let archived = WantedKey { stream: Some("news".into()), ..WantedKey::new("k", scopes) };
        let refused = room.accounts.create_key(&alice, &Role::Owner.scopes(false), archived, &By::system()).await;
        assert!(matches!(refused, Err(AccountsError::NoSuchStream(_))));
    }

    async fn there_are_only_so_many(test: TestDb) {
        let room = room(&test);
        room.account(ALICE).await;
        let alice = room.sign_in(ALICE).await;
        for n in 0..MOST_STREAMS - 2 {
            room.make(&alice, &format!("s{n}")).await.unwrap();
        }
        assert!(matches!(room.make(&alice, "more").await, Err(AccountsError::TooMany { .. })));
        // A change of one that had no row yet is no new one.
        assert!(room.archive(&alice, "marketing", false).await.is_ok());
    }
}
