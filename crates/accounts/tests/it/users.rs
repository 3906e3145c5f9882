//! Users of an account: invitations, roles, and that an account is never without an owner.

use std::time::Duration;

use accounts::{
    Account, AccountsError, By, Letter, MOST_USERS, NewAccount, Outcome, Principal, Role, Says, Scope,
    SessionOrigin, Validity, WantedKey,
};
use store::{Id, both_engines};

use crate::credits::spend;
use crate::room::{OTHER, PASSWORD, Room, new, room};
use crate::sign_up::{from, letters};

fn token_of(letters: Vec<Letter>) -> String {
    match letters.into_iter().last().expect("a mail").says {
        Says::UserInvitation { token, .. } => token,
        other => panic!("{other:?}"),
    }
}

/// An account with an owner, and a way to act as any of its users.
struct World {
    room: Room,
    account: Account,
}

impl World {
    async fn new(room: Room) -> Self {
        let account = room.account("owner@example.com").await;
        Self { room, account }
    }

    async fn by(&self, email: &str) -> By {
        let login = self.room.accounts.login(email).await.unwrap();
        By {
            account: Some(login.account),
            login: Some(login.id),
            email: login.email,
            ..By::system()
        }
    }

    async fn joins(&self, email: &str, role: Role) -> Principal {
        let owner = self.by("owner@example.com").await;
        let accounts = &self.room.accounts;
        accounts
            .invite_user(self.account.id, (email, role), None, &owner)
            .await
            .unwrap();
        let token = token_of(letters(accounts).await);
        accounts
            .join(&token, OTHER, "fr", &from("192.0.2.1"))
            .await
            .unwrap()
    }

    async fn id(&self, email: &str) -> Id {
        self.room.accounts.login(email).await.unwrap().id
    }

    async fn gives(&self, asker: &str, user: &str, role: Role) -> accounts::Result<()> {
        let (by, user) = (self.by(asker).await, self.id(user).await);
        self.room
            .accounts
            .set_role(self.account.id, user, role, &by)
            .await
    }

    async fn removes(&self, asker: &str, user: &str) -> accounts::Result<()> {
        let (by, user) = (self.by(asker).await, self.id(user).await);
        self.room.accounts.remove_user(self.account.id, user, &by).await
    }

    async fn roles(&self) -> Vec<(String, Role)> {
        let users = self.room.accounts.users(self.account.id).await.unwrap();
        users.into_iter().map(|user| (user.email, user.role)).collect()
    }

    async fn actions(&self) -> Vec<String> {
        let filter = accounts::AuditFilter {
            account: Some(self.account.id),
            limit: 50,
            ..Default::default()
        };
        let lines = self.room.accounts.audit(filter).await.unwrap().items;
        lines.into_iter().map(|line| line.action).collect()
    }
}

both_engines! {
    async fn owners_and_admins_are_told_that_credits_run_out_and_nobody_else(test: TestDb) {
        let world = World::new(room(&test)).await;
        for (email, role) in [("admin@example.com", Role::Admin), ("dev@example.com", Role::Developer), ("viewer@example.com", Role::Viewer)] {
            world.joins(email, role).await;
        }
        letters(&world.room.accounts).await;
        spend(&test.db, world.account.id, 400, world.room.clock.now().day()).await;
        let mut told: Vec<String> = letters(&world.room.accounts).await.into_iter().map(|letter| letter.to.to_string()).collect();
        told.sort();
        assert_eq!(told, ["admin@example.com", "owner@example.com"]);
    }

    async fn whoever_is_invited_joins_with_a_password_of_their_own_and_sends_at_once(test: TestDb) {
        let world = World::new(room(&test)).await;
        let accounts = &world.room.accounts;
        let owner = world.by("owner@example.com").await;
        let invited = ("Bob@example.com", Role::Viewer);
        accounts.invite_user(world.account.id, invited, Some("fr"), &owner).await.unwrap();
        let mails = letters(accounts).await;
        assert_eq!((mails.len(), mails[0].to.to_string(), mails[0].language.as_str()), (1, "Bob@example.com".into(), "fr"));
        let token = token_of(mails);
        let offer = accounts.offered(&token).await.unwrap().unwrap();
        assert_eq!((offer.email.as_str(), offer.role, offer.invited_by.as_str()), ("Bob@example.com", Role::Viewer, "owner@example.com"));
        let weak = accounts.join(&token, "1234567890", "fr", &from("192.0.2.1")).await;
        assert!(matches!(weak, Err(AccountsError::Weak(_))));
        let bob = accounts.join(&token, OTHER, "fr", &from("192.0.2.1")).await.unwrap();
        assert_eq!(bob.account, world.account.id);
        assert!(matches!(world.room.tries("bob@example.com", OTHER).await, Outcome::In(who) if who.account == world.account.id));
        assert!(accounts.user_invitations(world.account.id).await.unwrap().is_empty());
        let again = accounts.join(&token, OTHER, "fr", &from("192.0.2.1")).await;
        assert!(matches!(again, Err(AccountsError::LinkGone)));
        assert_eq!(world.roles().await, [("owner@example.com".into(), Role::Owner), ("Bob@example.com".into(), Role::Viewer)]);
        assert_eq!(world.actions().await, ["user.joined", "user.invited", "account.created"]);
    }

    async fn an_invitation_lasts_a_week_and_a_new_mail_or_its_withdrawal_ends_the_old_link(test: TestDb) {
        let world = World::new(room(&test)).await;
        let (accounts, account) = (&world.room.accounts, world.account.id);
        let owner = world.by("owner@example.com").await;
        let invitation = accounts.invite_user(account, ("bob@example.com", Role::Admin), None, &owner).await.unwrap();
        let twice = accounts.invite_user(account, ("BOB@example.com", Role::Viewer), None, &owner).await;
        assert!(matches!(twice, Err(AccountsError::Invited(_))), "{twice:?}");
        let first = token_of(letters(accounts).await);
        accounts.send_user_invitation(account, invitation.id, &owner).await.unwrap();
        let second = token_of(letters(accounts).await);
        assert!(accounts.offered(&first).await.unwrap().is_none());
        world.room.hand.advance(Duration::from_hours(7 * 24 + 1));
        assert!(accounts.offered(&second).await.unwrap().is_none(), "too old");
        accounts.send_user_invitation(account, invitation.id, &owner).await.unwrap();
        let third = token_of(letters(accounts).await);
        assert!(accounts.offered(&third).await.unwrap().is_some());
        accounts.withdraw_user_invitation(account, invitation.id, &owner).await.unwrap();
        let late = accounts.join(&third, OTHER, "en", &from("192.0.2.1")).await;
        assert!(matches!(late, Err(AccountsError::LinkGone)));
        let gone = accounts.send_user_invitation(account, invitation.id, &owner).await;
        assert!(matches!(gone, Err(AccountsError::NotFound(_))));
    }

    async fn an_address_that_has_a_login_elsewhere_is_told_and_who_invites_is_not(test: TestDb) {
        let world = World::new(room(&test)).await;
        world.room.account("carol@example.org").await;
        let (accounts, account) = (&world.room.accounts, world.account.id);
        let owner = world.by("owner@example.com").await;
        let elsewhere = accounts.invite_user(account, ("carol@example.org", Role::Viewer), None, &owner).await.unwrap();
        let nowhere = accounts.invite_user(account, ("dave@example.org", Role::Viewer), None, &owner).await.unwrap();
        let says: Vec<Says> = letters(accounts).await.into_iter().map(|letter| letter.says).collect();
        assert_eq!(says[0], Says::InvitedElsewhere { by: "owner@example.com".into() });
        assert!(matches!(says[1], Says::UserInvitation { .. }));
        let listed = accounts.user_invitations(account).await.unwrap();
        assert_eq!(listed, [nowhere, elsewhere], "both wait alike");
        let own = accounts.invite_user(account, ("owner@example.com", Role::Viewer), None, &owner).await;
        assert!(matches!(own, Err(AccountsError::UserExists(_))), "one's own users are no secret");
    }

    async fn mails_of_invitations_are_limited_and_the_limit_to_an_address_is_not_told(test: TestDb) {
        let world = World::new(room(&test)).await;
        let (accounts, account) = (&world.room.accounts, world.account.id);
        let owner = world.by("owner@example.com").await;
        let invitation = accounts.invite_user(account, ("bob@example.com", Role::Viewer), None, &owner).await.unwrap();
        for _ in 0..3 {
            accounts.send_user_invitation(account, invitation.id, &owner).await.unwrap();
        }
        let often = accounts.send_user_invitation(account, invitation.id, &owner).await;
        assert!(matches!(often, Err(AccountsError::TooOften(_))), "{often:?}");
        assert_eq!(letters(accounts).await.len(), 4);
        for n in 0..2 {
            let email = format!("other{n}@example.com");
            let other = world.room.account(&email).await;
            let by = world.by(&email).await;
            accounts.invite_user(other.id, ("bob@example.com", Role::Viewer), None, &by).await.unwrap();
        }
        assert_eq!(letters(accounts).await.len(), 1, "five a day to one address");
        world.room.hand.advance(Duration::from_hours(25));
        for n in 1..50 {
            let asked = (format!("user{n}@example.com"), Role::Viewer);
            accounts.invite_user(account, (&asked.0, asked.1), None, &owner).await.unwrap();
        }
        accounts.send_user_invitation(account, invitation.id, &owner).await.unwrap();
        let fifty_first = accounts.invite_user(account, ("more@example.com", Role::Viewer), None, &owner).await;
        assert!(matches!(fifty_first, Err(AccountsError::TooOften(_))), "{fifty_first:?}");
        world.room.hand.advance(Duration::from_hours(25));
        for n in 50..MOST_USERS - 1 {
            let asked = (format!("user{n}@example.com"), Role::Viewer);
            accounts.invite_user(account, (&asked.0, asked.1), None, &owner).await.unwrap();
        }
        let full = accounts.invite_user(account, ("one@example.com", Role::Viewer), None, &owner).await;
        assert!(matches!(full, Err(AccountsError::TooMany { .. })), "{full:?}");
    }

    async fn owners_decide_about_owners_admins_about_the_rest_and_others_about_nobody(test: TestDb) {
        let world = World::new(room(&test)).await;
        for (email, role) in [("admin@example.com", Role::Admin), ("dev@example.com", Role::Developer), ("viewer@example.com", Role::Viewer)] {
            world.joins(email, role).await;
        }
        let refused = |done: accounts::Result<()>| matches!(done, Err(AccountsError::OwnersOnly | AccountsError::AdminsOnly));
        assert!(refused(world.gives("admin@example.com", "viewer@example.com", Role::Owner).await));
        assert!(refused(world.gives("admin@example.com", "admin@example.com", Role::Owner).await));
        assert!(refused(world.gives("admin@example.com", "owner@example.com", Role::Viewer).await));
        assert!(refused(world.removes("admin@example.com", "owner@example.com").await));
        for asker in ["dev@example.com", "viewer@example.com"] {
            assert!(refused(world.gives(asker, asker, Role::Admin).await));
            assert!(refused(world.removes(asker, "admin@example.com").await));
            let by = world.by(asker).await;
            let invited = world.room.accounts.invite_user(world.account.id, ("x@example.com", Role::Viewer), None, &by).await;
            assert!(refused(invited.map(|_| ())));
        }
        let by = world.by("admin@example.com").await;
        let owner = world.room.accounts.invite_user(world.account.id, ("x@example.com", Role::Owner), None, &by).await;
        assert!(refused(owner.map(|_| ())));
        world.gives("admin@example.com", "dev@example.com", Role::Marketer).await.unwrap();
        world.removes("admin@example.com", "viewer@example.com").await.unwrap();
        let (stranger, dev) = (world.room.account("stranger@example.org").await, world.id("dev@example.com").await);
        let by = world.by("stranger@example.org").await;
        let theirs = world.room.accounts.set_role(stranger.id, dev, Role::Viewer, &by).await;
        assert!(matches!(theirs, Err(AccountsError::NotFound(_))), "another account's user is not found");
    }

    async fn a_user_who_is_removed_is_out_everywhere_and_what_was_theirs_stops(test: TestDb) {
        let world = World::new(room(&test)).await;
        let bob = world.joins("bob@example.com", Role::Developer).await;
        let accounts = &world.room.accounts;
        let session = accounts.open_session(&bob, SessionOrigin::default()).await.unwrap().unwrap();
        let scopes = [Scope::Send].into_iter().collect();
        let key = accounts.create_key(&bob, &Role::Developer.scopes(false), WantedKey::new("k", scopes), &By::system()).await.unwrap();
        accounts.create_ip_credential("bob@example.com", "10.0.0.0/8", "", &By::system()).await.unwrap();
        let range = accounts.by_ip("10.1.1.1".parse().unwrap()).await.unwrap().unwrap();
        world.removes("owner@example.com", "bob@example.com").await.unwrap();
        assert!(accounts.find_session(&session).await.unwrap().is_none());
        assert!(accounts.find_key(&key.secret).await.unwrap().is_none());
        assert!(accounts.by_ip("10.1.1.1".parse().unwrap()).await.unwrap().is_none());
        for who in [&bob, &range] {
            assert_eq!(accounts.still_valid(who).await.unwrap(), Validity::SignedOut);
        }
        assert_eq!(world.room.tries("bob@example.com", OTHER).await, Outcome::Wrong);
        let again = world.joins("bob@example.com", Role::Viewer).await;
        assert_ne!(again.login, bob.login);
        assert_eq!(accounts.still_valid(&bob).await.unwrap(), Validity::SignedOut);
    }

    async fn news_of_a_suspension_goes_to_every_owner_and_nobody_else(test: TestDb) {
        let world = World::new(room(&test)).await;
        for (email, role) in [("bob@example.com", Role::Owner), ("eve@example.com", Role::Owner), ("admin@example.com", Role::Admin)] {
            world.joins(email, role).await;
        }
        // The oldest login is an owner no more.
        world.gives("bob@example.com", "owner@example.com", Role::Viewer).await.unwrap();
        letters(&world.room.accounts).await;
        world.room.accounts.suspend(world.account.id, "spam", &By::system()).await.unwrap();
        let mut told: Vec<_> = letters(&world.room.accounts).await.iter().map(|letter| letter.to.to_string()).collect();
        told.sort();
        assert_eq!(told, ["bob@example.com", "eve@example.com"]);
    }

    async fn the_keys_of_a_user_shrink_with_the_role_at_once(test: TestDb) {
        let world = World::new(room(&test)).await;
        let bob = world.joins("bob@example.com", Role::Admin).await;
        let accounts = &world.room.accounts;
        let scopes = [Scope::Send, Scope::Account].into_iter().collect();
        let key = accounts.create_key(&bob, &Role::Admin.scopes(false), WantedKey::new("k", scopes), &By::system()).await.unwrap();
        let session = accounts.open_session(&bob, SessionOrigin::default()).await.unwrap().unwrap();
        for (role, left) in [
            (Role::Developer, vec![Scope::Send, Scope::Credentials]),
            (Role::Viewer, vec![]),
            (Role::Admin, vec![Scope::Send, Scope::Credentials, Scope::Account]),
        ] {
            world.gives("owner@example.com", "bob@example.com", role).await.unwrap();
            let (_, scopes, _) = accounts.find_key(&key.secret).await.unwrap().unwrap();
            assert_eq!(scopes.iter().collect::<Vec<_>>(), left, "{role}");
            assert_eq!(accounts.find_session(&session).await.unwrap().unwrap().role, role);
            assert_eq!(accounts.role(&bob).await.unwrap(), Some(role));
        }
    }

    async fn nobody_but_owners_and_admins_of_an_operators_account_is_an_operator(test: TestDb) {
        let room = room(&test);
        let account = room.operator("owner@example.com").await;
        let world = World { room, account };
        let held = Role::Owner.scopes(true);
        for role in Role::ALL {
            let email = format!("{role}@ops.example");
            let who = world.joins(&email, Role::Admin).await;
            let scopes = [Scope::Operator].into_iter().collect();
            let key = world.room.accounts.create_key(&who, &held, WantedKey::new("k", scopes), &By::system()).await.unwrap();
            world.gives("owner@example.com", &email, role).await.unwrap();
            let (_, scopes, _) = world.room.accounts.find_key(&key.secret).await.unwrap().unwrap();
            assert_eq!(scopes.contains(Scope::Operator), matches!(role, Role::Owner | Role::Admin), "{role}");
        }
    }

    async fn the_last_owner_stays_until_the_account_is_handed_over(test: TestDb) {
        let world = World::new(room(&test)).await;
        world.joins("bob@example.com", Role::Viewer).await;
        let last = |done: accounts::Result<()>| matches!(done, Err(AccountsError::LastOwner));
        assert!(last(world.gives("owner@example.com", "owner@example.com", Role::Admin).await));
        assert!(last(world.removes("owner@example.com", "owner@example.com").await));
        let operator = By::command_line();
        let owner = world.id("owner@example.com").await;
        assert!(last(world.room.accounts.remove_user(world.account.id, owner, &operator).await), "not even by a command");
        let (by, bob) = (world.by("owner@example.com").await, world.id("bob@example.com").await);
        world.room.accounts.hand_over(world.account.id, bob, &by).await.unwrap();
        assert_eq!(world.roles().await, [("owner@example.com".into(), Role::Admin), ("bob@example.com".into(), Role::Owner)]);
        let again = world.room.accounts.hand_over(world.account.id, bob, &by).await;
        assert!(matches!(again, Err(AccountsError::OwnersOnly)));
        world.removes("bob@example.com", "owner@example.com").await.unwrap();
        assert_eq!(world.actions().await[..3], ["user.removed", "user.role_changed", "user.role_changed"]);
    }

    async fn two_owners_who_demote_each_other_at_once_leave_one(test: TestDb) {
        for round in 0..5 {
            let room = room(&test);
            let (first, second) = (format!("a{round}@example.com"), format!("b{round}@example.com"));
            let account = room.accounts.create(NewAccount { ..new(&first) }, &By::system()).await.unwrap();
            let world = World { room, account };
            let by = world.by(&first).await;
            let asked = (second.as_str(), Role::Owner);
            world.room.accounts.invite_user(world.account.id, asked, None, &by).await.unwrap();
            let token = token_of(letters(&world.room.accounts).await);
            world.room.accounts.join(&token, PASSWORD, "en", &from("192.0.2.1")).await.unwrap();
            // Who is who is looked up before: afterwards one of them may be gone.
            let (first, second) = (by, world.by(&second).await);
            let [one_id, other_id] = [&first, &second].map(|by| by.login.unwrap());
            let (accounts, account) = (&world.room.accounts, world.account.id);
            let (one, other) = tokio::join!(
                accounts.set_role(account, other_id, Role::Viewer, &first),
                accounts.remove_user(account, one_id, &second),
            );
            assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
            let owners = world.roles().await.into_iter().filter(|(_, role)| *role == Role::Owner);
            assert_eq!(owners.count(), 1);
        }
    }
}
