//! The audit log: who changed what, as it is read and how long it stays.

use std::time::Duration;

use accounts::{AuditFilter, AuditLine, By, Role, Scope, Scopes, WantedKey};
use store::both_engines;

use crate::room::{OTHER, PASSWORD, Room, room};

async fn log(room: &Room, filter: AuditFilter) -> Vec<AuditLine> {
    let filter = AuditFilter { limit: 50, ..filter };
    room.accounts.audit(filter).await.unwrap().items
}

fn said(lines: &[AuditLine]) -> Vec<String> {
    lines
        .iter()
        .map(|line| {
            format!("{} {}: {} {}", line.via, line.action, line.target, line.detail)
                .trim_end()
                .to_owned()
        })
        .collect()
}

both_engines! {
    async fn every_change_of_an_account_stands_in_its_log_newest_first(test: TestDb) {
        let room = room(&test);
        let cli = By::command_line();
        let account = room.accounts.create(crate::room::new("Alice@example.com"), &cli).await.unwrap();
        let other = room.account("bob@example.com").await;
        let alice = room.sign_in("alice@example.com").await;
        let by = By::principal(&alice, Some("::ffff:192.0.2.7".parse().unwrap()));
        let held = Role::Owner.scopes(false);
        let scopes: Scopes = [Scope::Send].into_iter().collect();
        let key = room.accounts.create_key(&alice, &held, WantedKey::new("shop", scopes), &by).await.unwrap().key;
        room.accounts.revoke_key(account.id, key.id, None, &by).await.unwrap();
        let domain = room.accounts.add_domain(account.id, "alice.example", false, &by).await.unwrap();
        room.accounts.remove_domain(account.id, domain.id, &by).await.unwrap();
        room.accounts.suspend(account.id, "bounces", &cli).await.unwrap();
        room.accounts.resume(account.id, &cli).await.unwrap();
        room.accounts.grant(account.id, -7, "refund", &cli).await.unwrap();
        let range = room.accounts.create_ip_credential("alice@example.com", "10.0.0.0/8", "", &cli).await.unwrap();
        room.accounts.revoke_ip_credential(range.id, &cli).await.unwrap();
        room.changes_password("alice@example.com", PASSWORD, OTHER, None).await.unwrap();
        let lines = log(&room, AuditFilter { account: Some(account.id), ..AuditFilter::default() }).await;
        let prefix = key.prefix;
        assert_eq!(said(&lines), [
            "login password.changed: Alice@example.com".to_owned(),
            "command line ip_range.revoked: 10.0.0.0/8".to_owned(),
            "command line ip_range.created: 10.0.0.0/8 sends as Alice@example.com".to_owned(),
            "command line credits.granted: -7 refund".to_owned(),
            "command line account.resumed:".to_owned(),
            "command line account.suspended:  bounces".to_owned(),
            "login domain.removed: alice.example".to_owned(),
            "login domain.added: alice.example".to_owned(),
            format!("login key.revoked: shop ({prefix}…)"),
            format!("login key.created: shop ({prefix}…) send"),
            "command line account.created: Alice@example.com".to_owned(),
        ]);
        let key_lines = log(&room, AuditFilter { what: Some("key".into()), ..AuditFilter::default() }).await;
        assert_eq!(key_lines.len(), 2);
        assert_eq!(key_lines[0].ip.as_deref(), Some("192.0.2.7"));
        assert_eq!((key_lines[0].by_account, key_lines[0].by_login), (Some(account.id), alice.login));
        let others = log(&room, AuditFilter { account: Some(other.id), ..AuditFilter::default() }).await;
        assert_eq!(others.len(), 1, "{others:?}");
    }

    async fn the_log_is_read_by_who_and_what_and_page_by_page(test: TestDb) {
        let room = room(&test);
        let account = room.account("alice@example.com").await;
        for n in 1..=5 {
            let by = By { email: format!("user{n}@example.com"), ..By::system() };
            room.accounts.suspend(account.id, &n.to_string(), &by).await.unwrap();
        }
        let mine = AuditFilter { account: Some(account.id), ..AuditFilter::default() };
        let first = room.accounts.audit(AuditFilter { limit: 4, ..mine.clone() }).await.unwrap().items;
        let after = first.last().map(|line| line.id);
        let second = log(&room, AuditFilter { after, ..mine.clone() }).await;
        let details: Vec<_> = first.iter().chain(&second).map(|line| line.detail.as_str()).collect();
        assert_eq!(details, ["5", "4", "3", "2", "1", ""]);
        let who = log(&room, AuditFilter { who: Some("USER3@".into()), ..mine.clone() }).await;
        assert_eq!((who.len(), who[0].detail.as_str()), (1, "3"));
        for (what, found) in [("account", 6), ("account.suspended", 5), ("acc", 0), ("account.%", 0)] {
            let lines = log(&room, AuditFilter { what: Some(what.into()), ..mine.clone() }).await;
            assert_eq!(lines.len(), found, "{what}");
        }
    }

    async fn a_change_that_fails_leaves_no_line(test: TestDb) {
        let room = room(&test);
        let account = room.account("alice@example.com").await;
        let by = By::system();
        assert!(room.accounts.grant(account.id, -501, "too much", &by).await.is_err());
        assert!(room.accounts.revoke_key(account.id, test.id(), None, &by).await.is_err());
        assert!(room.accounts.suspend(test.id(), "nobody", &by).await.is_err());
        let lines = log(&room, AuditFilter::default()).await;
        assert_eq!(lines.len(), 1, "{lines:?}");
    }

    async fn lines_are_kept_for_a_year(test: TestDb) {
        let room = room(&test);
        room.account("alice@example.com").await;
        room.hand.advance(Duration::from_hours(364 * 24));
        room.account("bob@example.com").await;
        room.tidy().await;
        assert_eq!(log(&room, AuditFilter::default()).await.len(), 2);
        room.hand.advance(Duration::from_hours(2 * 24));
        room.tidy().await;
        let left = log(&room, AuditFilter::default()).await;
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].target, "bob@example.com");
    }
}
