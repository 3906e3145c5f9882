//! Reports about recipients, wherever these stand when a report comes.

use bytes::Bytes;
use outbound::Outbound;
use outbound::feedback::Taken;
use outbound::route::Route;
use outbound::token::About;
use store::both_engines;

use crate::world::World;

const FAILED: &[u8] =
    b"From: MAILER-DAEMON@mx.there.example\r\nContent-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\
    Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.there.example\r\n\r\n\
    Final-Recipient: rfc822; b@there.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\
    Diagnostic-Code: smtp; 550 5.1.1 User unknown\r\n\r\n--b--\r\n";

both_engines! {
    async fn a_report_that_overtakes_the_record_of_its_delivery_has_to_come_again(test: TestDb) {
        let world = World::new(test).await;
        let outbound = Outbound::idle(world.parts(&Route::Capture));
        let message = world.accept(&outbound, &["b@there.example"]).await.id;
        let about = About { message, ordinal: 0 };
        let take = async || outbound.take_report(about, Bytes::from_static(FAILED)).await.unwrap();
        assert_eq!(take().await, Taken::TooEarly);
        assert_eq!(world.count("SELECT COUNT(*) FROM suppressions").await, 0);
        world.change("UPDATE recipients SET state = 'delivered' WHERE message = $1", message).await;
        assert_eq!(take().await, Taken::Bounced);
        assert_eq!(take().await, Taken::Nothing);
        assert_eq!(world.fates(message).await, ["bounced: reported later by mx.there.example: 550 5.1.1 User unknown"]);
        assert_eq!(world.count("SELECT COUNT(*) FROM suppressions WHERE why = 'hard_bounce'").await, 1);
        assert_eq!(world.count("SELECT COUNT(*) FROM events WHERE kind = 'bounced'").await, 1);
        // The report to the sender, once.
        assert_eq!(world.count("SELECT COUNT(*) FROM messages").await, 2);
    }
}
