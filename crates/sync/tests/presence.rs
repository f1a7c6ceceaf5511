//! Presence in a session: said to who syncs and may read, bounded either way, and no reason to end anything.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use weald_dag::{DatabaseId, SecretKey};
use weald_sync::limits::{
    PRESENCE_BODY_MAX, PRESENCE_BURST_SECONDS, PRESENCE_HEARD_PER_SECOND, PRESENCE_PER_SECOND,
    PRESENCE_TOPIC_MAX,
};
use weald_sync::{CloseReason, Event, PeerFault, PresenceMessage};
use world::{Node, WALL, World, chain, database_of};

fn synced() -> (World, DatabaseId) {
    let parcels = chain(3);
    let database = database_of(&parcels);
    let mut world = World::new(vec![Node::with(1, database, &parcels), Node::new(2)]);
    world.link(1, 0);
    world.sync(0, database);
    (world, database)
}

fn message(database: DatabaseId, topic: &str, body: Vec<u8>, nonce: u64) -> PresenceMessage {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&nonce.to_le_bytes());
    let key = SecretKey::from_seed(&[9; 32]);
    PresenceMessage::sign(&key, &database, topic.to_owned(), body, WALL, bytes)
}

fn say(world: &mut World, side: usize, database: DatabaseId, message: &PresenceMessage) -> bool {
    let end = &mut world.links[0][side];
    end.session.say(world.now, &database, message, &world.nodes[end.node])
}

fn heard(world: &World, side: usize) -> Vec<PresenceMessage> {
    let heard = |event: &Event| match event {
        Event::Presence { message, .. } => Some(message.clone()),
        _ => None,
    };
    world.links[0][side].events.iter().filter_map(heard).collect()
}

#[test]
fn what_is_said_arrives_as_it_was_signed_either_way() {
    let (mut world, database) = synced();
    for side in [0, 1] {
        let longest = "t".repeat(PRESENCE_TOPIC_MAX);
        let said = message(database, &longest, vec![7; PRESENCE_BODY_MAX], side as u64);
        assert!(say(&mut world, side, database, &said));
        world.run();
        assert_eq!(heard(&world, 1 - side), std::slice::from_ref(&said));
        assert!(heard(&world, 1 - side)[0].is_genuine(&database));
    }
    assert_eq!(world.links[0][0].session.deadline(), None, "nobody owes an answer");
}

#[test]
fn nothing_is_said_to_who_does_not_sync_or_may_not_read() {
    let (mut world, database) = synced();
    let other = DatabaseId::from_bytes([3; 32]);
    let said = message(other, "typing", vec![], 1);
    assert!(!say(&mut world, 1, other, &said));
    world.nodes[0].readers = Some(vec![]);
    let said = message(database, "typing", vec![], 2);
    assert!(!say(&mut world, 1, database, &said), "it could read until just now");
    // Who may not read is not listened to either.
    assert!(say(&mut world, 0, database, &said));
    world.run();
    assert!(heard(&world, 0).is_empty() && heard(&world, 1).is_empty());
    assert_eq!(world.links[0][1].session.dropped_presence(), 1);
}

#[test]
fn nothing_is_said_before_it_is_known_for_certain_who_may_read() {
    let parcels = chain(3);
    let database = database_of(&parcels);
    let mut holder = Node::new(1);
    holder.ingest(database, parcels);
    let mut world = World::new(vec![holder, Node::new(2)]);
    world.link(1, 0);
    for side in [0, 1] {
        world.relate(0, side, database);
    }
    world.run();
    let said = message(database, "typing", vec![], 1);
    assert!(!say(&mut world, 1, database, &said), "not all of it is here");
    world.nodes[0].complete(database);
    assert!(say(&mut world, 1, database, &said));
}

#[test]
fn who_says_much_is_held_to_the_rate() {
    let (mut world, database) = synced();
    let mut said = 0;
    let start = world.now;
    for n in 0..100_000 {
        if world.now >= start + 10_000 {
            break;
        }
        let next = message(database, "cursor", vec![], n);
        if say(&mut world, 0, database, &next) {
            said += 1;
        } else {
            world.now = world.links[0][0].session.may_say_from().max(world.now + 1);
        }
    }
    let rate = 10 * PRESENCE_PER_SECOND..=11 * PRESENCE_PER_SECOND;
    assert!(rate.contains(&said), "{said}");
    world.run();
    let dropped = world.links[0][1].session.dropped_presence();
    let bound = PRESENCE_BURST_SECONDS * PRESENCE_HEARD_PER_SECOND;
    assert_eq!(heard(&world, 1).len() as u64, bound, "ten seconds at once");
    assert_eq!(dropped, said - bound);
}

#[test]
fn a_flood_is_cut_off_and_counted_and_ends_nothing() {
    let (mut world, database) = synced();
    let floods = 20;
    for n in 0..floods {
        // The clock of who floods runs as it likes.
        let now = world.now + (n + 1) * 1_000_000;
        for m in 0..PRESENCE_PER_SECOND {
            let next = message(database, "x", vec![], n * 1_000 + m);
            let end = &mut world.links[0][0];
            assert!(end.session.say(now, &database, &next, &world.nodes[end.node]));
        }
    }
    world.run();
    let bound = PRESENCE_BURST_SECONDS * PRESENCE_HEARD_PER_SECOND;
    assert_eq!(heard(&world, 1).len() as u64, bound);
    let session = &world.links[0][1].session;
    assert_eq!(session.dropped_presence(), floods * PRESENCE_PER_SECOND - bound);
    assert!(!session.is_closed());
    let parent = world.nodes[1].count(database);
    world.commit(1, database, "all goes on");
    world.run();
    assert_eq!(world.nodes[0].count(database), parent + 1);
    world.assert_equal(database);
}

#[test]
fn what_is_longer_than_any_message_is_a_fault() {
    for (topic, body) in [(PRESENCE_TOPIC_MAX + 1, 0), (1, PRESENCE_BODY_MAX + 1)] {
        let (mut world, database) = synced();
        let said = message(database, &"t".repeat(topic), vec![0; body], 1);
        say(&mut world, 0, database, &said);
        world.run();
        let closed = &world.links[0][1].closed;
        assert!(
            matches!(closed, Some(CloseReason::Fault(PeerFault::TooMany { .. }))),
            "{closed:?}"
        );
    }
}
