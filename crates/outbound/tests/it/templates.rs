//! Templates that two people change at the same moment.

use std::sync::mpsc;
use std::time::Duration;

use accounts::By;
use outbound::route::Route;
use outbound::templates::Name;
use outbound::{Outbound, Wording};
use store::{Db, Engine, OpenOptions, both_engines};

use crate::world::{World, until};

both_engines! {
    async fn a_template_that_is_deleted_while_it_is_changed_is_not_said_to_be_changed(test: TestDb) {
        let world = World::new(test).await;
        let outbound = Outbound::idle(world.parts(&Route::Capture));
        let (account, by) = (world.principal.account, By::system());
        let greeting = Name::parse("greeting").unwrap();
        let wording = Wording { subject: "Hello".into(), text: "Hello".into(), html: String::new() };
        outbound.create_template(account, greeting.clone(), wording.clone(), &by).await.unwrap();
        // Somebody else's transaction deletes it and is still open.
        let elsewhere = Db::open(&world.test.url, OpenOptions::default()).await.unwrap();
        let (deleted, is_deleted) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let deleting = elsewhere.write("delete a template", move |tx| {
            // Its answer is waited for: from here on the row is locked.
            tx.execute("DELETE FROM templates WHERE account = $1", &[account.into()])?;
            let _ = deleted.send(());
            let _ = may_go_on.recv_timeout(Duration::from_secs(20));
            Ok(())
        });
        let changing = async {
            until("it is deleted", async || is_deleted.try_recv().is_ok()).await;
            let change = outbound.change_template(account, &greeting, wording, &by);
            let let_go = async {
                if world.test.db.engine() == Engine::Postgres {
                    let waits = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
                    until("the change waits", async || world.count(waits).await > 0).await;
                }
                go_on.send(()).unwrap();
            };
            tokio::join!(change, let_go).0
        };
        let (deletion, changed) = tokio::join!(deleting, changing);
        deletion.unwrap();
        assert_eq!(changed.unwrap(), None);
        assert_eq!(world.count("SELECT COUNT(*) FROM audit WHERE action = 'template.changed'").await, 0);
        elsewhere.close().await.unwrap();
    }
}
