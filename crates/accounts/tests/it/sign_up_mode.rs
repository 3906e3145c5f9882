//! Who may open an account is the operator's word, on every node at once, and the configuration's where there is none.

use std::time::Duration;

use accounts::{By, GuardSettings, Settings, SignUpMode, StandardLimits};
use store::{Clock, both_engines};

use crate::room::room;

both_engines! {
    async fn the_operators_choice_goes_before_the_configuration_on_every_node(test: TestDb) {
        let room = room(&test);
        let settings = Settings {
            free_credits: 0,
            hostname: "x.example".into(), inbound: false,
        dkim_zone: None, links: None,
            day_limits: StandardLimits::default(),
            guard: GuardSettings::default(),
            sign_up: SignUpMode::Invite,
        };
        let other = accounts::Accounts::new(test.reopen().await, Clock::system(), test.ids.clone(), settings);
        assert_eq!(other.sign_up_mode_seen(), SignUpMode::Invite);
        let chosen = room.accounts.choose_sign_up_mode(Some(SignUpMode::Closed), &By::system()).await.unwrap();
        assert_eq!((chosen.mode, chosen.configured), (SignUpMode::Closed, SignUpMode::Open));
        let there = other.sign_up_mode().await.unwrap();
        assert_eq!((there.mode, there.configured), (SignUpMode::Closed, SignUpMode::Invite));
        assert_eq!(other.sign_up_mode_seen(), SignUpMode::Closed);
        // A running server looks by itself.
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let looking = tokio::spawn(other.clone().keep_sign_up_mode(async move { let _ = stopped.await; }));
        room.accounts.choose_sign_up_mode(Some(SignUpMode::Open), &By::system()).await.unwrap();
        let seen = async {
            while other.sign_up_mode_seen() != SignUpMode::Open {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), seen).await.expect("it is seen");
        drop(stop);
        looking.await.unwrap();
        room.accounts.choose_sign_up_mode(None, &By::system()).await.unwrap();
        assert_eq!(other.sign_up_mode().await.unwrap().chosen, None);
        assert_eq!(other.sign_up_mode().await.unwrap().mode, SignUpMode::Invite);
    }
}
