//! Announcements: who sees which, from when to when, until it is put away.

use std::time::Duration;

use accounts::announcements::{Announcement, NewAnnouncement, Severity};
use accounts::{AccountsError, By};
use store::{Id, both_engines};

use crate::room::{Room, room};

fn say(text: &str) -> NewAnnouncement {
    NewAnnouncement {
        text: text.into(),
        severity: Severity::Info,
        from: None,
        until: None,
        account: None,
        public: false,
    }
}

impl Room {
    async fn announces(&self, new: NewAnnouncement) -> Announcement {
        self.accounts.announce(new, &By::system()).await.unwrap()
    }

    async fn sees(&self, account: Id, login: Id) -> Vec<String> {
        let seen = self
            .accounts
            .announcements_for(account, Some(login))
            .await
            .unwrap();
        seen.into_iter().map(|one| one.text).collect()
    }

    async fn site_shows(&self) -> Vec<String> {
        let shown = self.accounts.public_announcements().await.unwrap();
        shown.into_iter().map(|one| one.text).collect()
    }
}

both_engines! {
    async fn everybody_sees_what_runs_until_they_put_it_away(test: TestDb) {
        let room = room(&test);
        let (ann, bob) = (room.account("ann@example.com").await.id, room.account("bob@example.com").await.id);
        let (ann_login, bob_login) = (room.sign_in("ann@example.com").await.login.unwrap(), room.sign_in("bob@example.com").await.login.unwrap());
        let all = room.announces(say("to all")).await;
        room.announces(NewAnnouncement { account: Some(ann), ..say("to Ann") }).await;
        room.announces(NewAnnouncement { public: true, severity: Severity::Problem, ..say("to the world") }).await;
        assert_eq!(room.sees(ann, ann_login).await, ["to all", "to Ann", "to the world"]);
        assert_eq!(room.sees(bob, bob_login).await, ["to all", "to the world"]);
        assert_eq!(room.site_shows().await, ["to the world"]);
        room.accounts.put_announcement_away(all.id, ann, ann_login).await.unwrap();
        room.accounts.put_announcement_away(all.id, ann, ann_login).await.unwrap();
        assert_eq!(room.sees(ann, ann_login).await, ["to Ann", "to the world"]);
        assert_eq!(room.sees(bob, bob_login).await, ["to all", "to the world"]);
        // What somebody is not shown is not there for them.
        let only_ann = room.accounts.announcements().await.unwrap().into_iter().find(|one| one.account.is_some()).unwrap();
        assert_eq!(only_ann.account_name.as_deref(), Some("ann@example.com"));
        let refused = room.accounts.put_announcement_away(only_ann.id, bob, bob_login).await;
        assert!(matches!(refused, Err(AccountsError::NotFound(_))));
        room.accounts.remove_announcement(all.id, &By::system()).await.unwrap();
        assert!(room.accounts.remove_announcement(all.id, &By::system()).await.is_err());
        assert_eq!(room.sees(bob, bob_login).await, ["to the world"]);
    }

    async fn it_begins_and_ends_at_its_time(test: TestDb) {
        let room = room(&test);
        let account = room.account("ann@example.com").await.id;
        let login = room.sign_in("ann@example.com").await.login.unwrap();
        let hour = Duration::from_hours(1);
        let now = room.clock.now();
        let new = NewAnnouncement { from: Some(now.plus(hour)), until: Some(now.plus(2 * hour)), public: true, ..say("soon") };
        room.announces(new).await;
        for expected in [vec![], vec!["soon"], vec![]] {
            assert_eq!(room.sees(account, login).await, expected);
            assert_eq!(room.site_shows().await, expected);
            room.hand.advance(hour);
        }
        assert_eq!(room.accounts.announcements().await.unwrap().len(), 1);
    }

    async fn what_could_not_be_shown_is_refused(test: TestDb) {
        let room = room(&test);
        let now = room.clock.now();
        let account = room.account("ann@example.com").await.id;
        for wrong in [
            say(" "),
            say("two\nlines"),
            say(&"x".repeat(501)),
            NewAnnouncement { until: Some(now), ..say("over") },
            NewAnnouncement { from: Some(now.plus(Duration::from_secs(9))), until: Some(now.plus(Duration::from_secs(8))), ..say("backwards") },
            NewAnnouncement { account: Some(account), public: true, ..say("both") },
            NewAnnouncement { account: Some(test.id()), ..say("to nobody") },
        ] {
            assert!(room.accounts.announce(wrong.clone(), &By::system()).await.is_err(), "{wrong:?}");
        }
        assert!(room.accounts.announcements().await.unwrap().is_empty());
    }
}
