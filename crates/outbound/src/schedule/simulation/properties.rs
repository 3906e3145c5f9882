//! What holds under random traffic, failing destinations, pauses, cancellations and crashes.

use proptest::prelude::*;

use super::{Connection, Event, LANES, World};
use crate::model::Verdict;

fn event() -> impl Strategy<Value = Event> {
    let verdict = prop_oneof![
        Just(Verdict::Delivered),
        Just(Verdict::Deferred),
        Just(Verdict::Bounced)
    ];
    prop_oneof![
        6 => (0..LANES, 1..6_u8).prop_map(|(lane, recipients)| Event::Accept { lane, recipients }),
        3 => Just(Event::Claim),
        5 => (any::<usize>(), any::<bool>()).prop_map(|(nth, made)| Event::Connect(nth, made)),
        6 => (any::<usize>(), verdict, any::<bool>()).prop_map(|(nth, verdict, survives)| Event::Deliver(nth, verdict, survives)),
        2 => any::<usize>().prop_map(Event::IdleOver),
        4 => (0..900_u16).prop_map(Event::Pass),
        1 => (0..300_u16).prop_map(Event::SetBack),
        1 => Just(Event::Sweep),
        1 => (0..LANES, any::<bool>()).prop_map(|(lane, paused)| Event::Pause(lane, paused)),
        1 => any::<usize>().prop_map(Event::Cancel),
        2 => (0..LANES).prop_map(Event::Pull),
        1 => Just(Event::Crash),
        1 => any::<usize>().prop_map(Event::Lose),
        1 => Just(Event::TakenForDead),
        1 => Just(Event::Reconcile),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_nothing_sent_twice(events in proptest::collection::vec(event(), 1..150)) {
        let mut world = World::new();
        for event in events {
            world.step(event);
        }
        let accepted = world.rows.len();
        world.settle_down();
        prop_assert_eq!(world.rows.len(), accepted, "a recipient is gone");
    }

    #[test]
    fn whatever_waits_for_whatever_reason_expires(events in proptest::collection::vec(event(), 1..100)) {
        let mut world = World::new();
        for event in events {
            world.step(event);
        }
        world.run_out_of_time();
    }
}

#[test]
fn lanes_that_compete_for_connections_all_get_served() {
    let mut world = World::new();
    for (lane, recipients) in [(0, 1), (1, 2), (0, 4), (2, 3)] {
        world.step(Event::Accept { lane, recipients });
    }
    world.settle_down();
}

#[test]
fn fresh_mail_to_a_healthy_lane_finds_room_whatever_waits_for_a_dead_one() {
    let mut world = World::new();
    for _ in 0..200 {
        world.accept(0, 1);
    }
    assert!(world.room.free_recipients() > 0);
    world.accept(1, 1);
    let fresh = world.rows.values().find(|row| row.lane == 1).unwrap();
    assert!(fresh.in_hand, "{fresh:?}");
    // The dead lane empties itself into the database when it turns out to be dead.
    world.connect(0, false);
    let waiting = world
        .rows
        .values()
        .filter(|row| row.lane == 0 && row.in_hand)
        .count();
    assert_eq!(waiting, 0);
    let explained = world
        .rows
        .values()
        .filter(|row| row.reason == "waiting: refused")
        .count();
    assert!(explained > 10, "{explained}");
}

#[test]
fn accounts_take_turns_in_a_lane() {
    let mut world = World::new();
    for _ in 0..6 {
        world.accept(0, 1);
    }
    world.connect(0, true);
    let mut served = Vec::new();
    for _ in 0..3 {
        let index = world.nth(0, |_, one| matches!(one, Connection::Busy(_))).unwrap();
        let Connection::Busy(job) = &world.connections[index].1 else {
            unreachable!("it was chosen for being busy")
        };
        served.push(job.message.account);
        world.deliver(0, Verdict::Delivered, true);
    }
    served.sort();
    served.dedup();
    assert_eq!(served.len(), 3);
}
