//! Making accounts, listing them, suspending them.

use accounts::{AccountFilter, AccountSort, AccountState, AccountsError, By, NewAccount, Validity};
use store::both_engines;

use crate::room::{PASSWORD, new, room};

both_engines! {
    async fn an_account_gets_the_free_credits_and_an_operator_has_no_limit(test: TestDb) {
        let room = room(&test);
        assert_eq!(room.account("alice@example.com").await.credits, Some(500));
        assert_eq!(room.operator("ops@example.com").await.credits, None);
        let given = NewAccount { credits: Some(7), operator: true, ..new("few@example.com") };
        assert_eq!(room.accounts.create(given, &By::system()).await.unwrap().credits, Some(7));
    }

    async fn one_address_has_one_login_whatever_its_case(test: TestDb) {
        let room = room(&test);
        room.account("Alice@Bücher.example").await;
        for same in ["alice@bücher.example", "ALICE@xn--bcher-kva.example"] {
            let refused = room.accounts.create(new(same), &By::system()).await.unwrap_err();
            assert!(matches!(refused, AccountsError::LoginExists(_)), "{same}: {refused}");
        }
    }

    async fn bad_addresses_and_weak_passwords_make_no_account(test: TestDb) {
        let room = room(&test);
        assert!(matches!(room.accounts.create(new("nobody"), &By::system()).await, Err(AccountsError::Address(_))));
        let weak = NewAccount { password: "password123".into(), ..new("alice@example.com") };
        assert!(matches!(room.accounts.create(weak, &By::system()).await, Err(AccountsError::Weak(_))));
        assert!(room.accounts.list(page(AccountSort::Newest)).await.unwrap().is_empty());
    }

    async fn there_is_only_one_first_operator(test: TestDb) {
        let room = room(&test);
        assert!(!room.accounts.has_operator().await.unwrap());
        let first = room.accounts.create_first_operator("ops@example.com".into(), PASSWORD.into(), None);
        let second = room.accounts.create_first_operator("eve@example.com".into(), PASSWORD.into(), None);
        let (first, second) = tokio::join!(first, second);
        assert_eq!(usize::from(first.is_ok()) + usize::from(second.is_ok()), 1);
        assert!(room.accounts.has_operator().await.unwrap());
        let late = room.accounts.create_first_operator("late@example.com".into(), PASSWORD.into(), None).await;
        assert!(matches!(late, Err(AccountsError::AlreadySetUp)));
    }

    async fn a_suspended_account_is_told_the_reason_until_it_is_resumed(test: TestDb) {
        let room = room(&test);
        let account = room.account("alice@example.com").await;
        let alice = room.sign_in("alice@example.com").await;
        room.accounts.suspend(account.id, " too many bounces ", &By::system()).await.unwrap();
        let suspended = Validity::Suspended("too many bounces".into());
        assert_eq!(room.accounts.still_valid(&alice).await.unwrap(), suspended);
        let state = room.accounts.account(account.id).await.unwrap().state;
        assert_eq!(state, AccountState::Suspended("too many bounces".into()));
        room.accounts.resume(account.id, &By::system()).await.unwrap();
        assert_eq!(room.accounts.still_valid(&alice).await.unwrap(), Validity::Ok);
        let nobody = room.accounts.suspend(test.id(), "x", &By::system()).await;
        assert!(matches!(nobody, Err(AccountsError::NotFound("account"))));
    }

    async fn lists_are_searched_sorted_and_paged(test: TestDb) {
        let room = room(&test);
        for name in ["carol", "alice", "bob_x", "bobbx"] {
            room.account(&format!("{name}@example.com")).await;
        }
        let names = async |filter: AccountFilter| -> Vec<String> {
            let list = room.accounts.list(filter).await.unwrap();
            list.into_iter().map(|a| a.name.split('@').next().unwrap().to_owned()).collect()
        };
        assert_eq!(names(page(AccountSort::Newest)).await, ["bobbx", "bob_x", "alice", "carol"]);
        assert_eq!(names(page(AccountSort::Oldest)).await, ["carol", "alice", "bob_x", "bobbx"]);
        let search = |q: &str| AccountFilter { q: Some(q.into()), ..page(AccountSort::Oldest) };
        assert_eq!(names(search("BOB")).await, ["bob_x", "bobbx"]);
        assert_eq!(names(search("b_x")).await, ["bob_x"]);
        assert_eq!(names(search("100%")).await, Vec::<String>::new());
        for sort in [AccountSort::Newest, AccountSort::Oldest, AccountSort::Name, AccountSort::FewestCredits] {
            let whole = room.accounts.list(page(sort)).await.unwrap();
            let mut paged = Vec::new();
            let mut after = None;
            while let Some(next) = room
                .accounts
                .list(AccountFilter { limit: 1, after, ..page(sort) })
                .await
                .unwrap()
                .pop()
            {
                after = Some(next.id);
                paged.push(next);
            }
            assert_eq!(paged, whole, "{sort:?}");
        }
        let suspended = AccountFilter { state: Some("suspended".into()), ..page(AccountSort::Name) };
        assert_eq!(names(suspended).await, Vec::<String>::new());
    }
}

fn page(sort: AccountSort) -> AccountFilter {
    AccountFilter {
        sort,
        limit: 50,
        ..AccountFilter::default()
    }
}
