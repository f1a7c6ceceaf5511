//! Who may not read a database learns nothing of it; who could once learns that, and no more.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use std::collections::BTreeSet;

use weald_dag::{DatabaseId, EntryId, Parcel, SecretKey};
use weald_sync::limits::DIRECT_MAX;
use weald_sync::{DatabaseState, Event};
use world::{Node, World, chain, child, closed, database_of, random_graph};

fn user(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn has(world: &World, side: usize, what: impl Fn(&Event) -> bool) -> bool {
    world.links[0][side].events.iter().any(what)
}

/// Delivers frames until none is on its way; returns the ids of these entries that side 1 was sent.
fn ids_sent_to_peer(world: &mut World, parcels: &[Parcel]) -> BTreeSet<EntryId> {
    let mut sent = BTreeSet::new();
    loop {
        world.drain(0, 0);
        for frame in &world.links[0][1].inbox {
            let ids = parcels.iter().map(|parcel| parcel.entry.id());
            sent.extend(ids.filter(|id| frame.windows(32).any(|bytes| bytes == id.as_bytes())));
        }
        if !(world.step(0, 1) | world.step(0, 0)) {
            return sent;
        }
    }
}

fn open(nodes: Vec<Node>) -> World {
    let mut world = World::new(nodes);
    // What is said can be read on a plain link.
    world.link_with(0, 1, |a, b| (a.plain, b.plain) = (true, true));
    world
}

#[test]
fn no_id_leaves_the_dialler_before_the_peer_has_proven_that_it_may_read() {
    let parcels = chain(5);
    let database = database_of(&parcels);
    let holds = |seed| Node::with(seed, database, &parcels);
    for (peer, relates) in [(Node::new(2), false), (holds(2), false), (holds(2), true)] {
        let mut ours = holds(1);
        ours.readers = Some(vec![user(77).public()]);
        ours.commit(database, "a secret");
        let own = ours.ids(database);
        let mut world = open(vec![ours, peer]);
        world.relate(0, 0, database);
        if relates {
            world.relate(0, 1, database);
        }
        assert!(ids_sent_to_peer(&mut world, &parcels).is_empty());
        assert!(world.nodes[1].ids(database).is_subset(&own));
        assert_ne!(world.nodes[1].ids(database), own);
    }
}

#[test]
fn who_proves_a_key_that_may_read_is_told_in_the_same_round() {
    for (ours, theirs) in [(300, 300), (300, 200), (200, 300), (300, 0), (0, 300)] {
        let parcels = random_graph(9, 300, 5, 3);
        let database = database_of(&parcels);
        let node = |seed: u8, count: usize| {
            let mut node = match count {
                0 => Node::new(seed),
                _ => Node::with(seed, database, &parcels[..count]),
            };
            node.keys = vec![user(seed + 10)];
            node.readers = Some(vec![user(11).public(), user(12).public()]);
            node
        };
        let mut world = World::new(vec![node(1, ours), node(2, theirs)]);
        world.link(0, 1);
        world.sync(0, database);
        if theirs == 0 {
            assert!(has(&world, 0, |event| matches!(event, Event::Denied { revoked: false, .. })));
            continue;
        }
        world.assert_equal(database);
        assert_eq!(world.nodes[0].duplicates + world.nodes[1].duplicates, 0);
        for side in 0..2 {
            assert_eq!(world.links[0][side].session.statuses()[&database].rounds, 1);
        }
    }
}

#[test]
fn both_sides_of_branches_that_only_user_keys_may_read_meet() {
    for keys in [[true, true], [true, false], [false, true]] {
        let parcels = random_graph(11, 900, 9, 4);
        let database = database_of(&parcels);
        let half = |side: usize| closed(&parcels, |at| at < 300 || at % 2 == side);
        let node = |side: usize| {
            let seed = u8::try_from(side + 1).unwrap();
            let mut node = Node::with(seed, database, &half(side));
            node.readers = Some(vec![user(seed + 10).public(), user(12 - seed + 1).public()]);
            node.keys = if keys[side] { vec![user(seed + 10)] } else { vec![] };
            node
        };
        let mut world = World::new(vec![node(0), node(1)]);
        world.link(0, 1);
        world.relate(0, 1, database);
        world.sync(0, database);
        let before = [half(0).len() as u64, half(1).len() as u64];
        for side in 0..2 {
            let got = world.nodes[side].count(database);
            assert_eq!(got, if keys[side] { 900 } else { before[side] }, "{keys:?} {side}");
            // What is little is sent without a finer comparison.
            assert!(world.nodes[side].duplicates <= DIRECT_MAX, "{keys:?} {side}");
        }
        assert!(world.links[0].iter().all(|end| end.closed.is_none()));
    }
}

/// A node that has taken from the peer what it could once, and shows it by an entry of its own.
fn revoke(world: &mut World, database: DatabaseId, text: &str) -> EntryId {
    let (_, limit) = world.nodes[1].commit(database, text);
    let peer = world.nodes[0].device.public();
    world.nodes[1].readers = Some(vec![]);
    world.nodes[1].revoked.insert(peer, vec![limit.entry.id()]);
    limit.entry.id()
}

#[test]
fn p49_who_is_revoked_is_told_by_the_entry_that_does_it_and_gets_nothing_more() {
    let parcels = chain(5);
    let database = database_of(&parcels);
    let nodes = vec![Node::with(1, database, &parcels), Node::with(2, database, &parcels)];
    let mut world = World::new(nodes);
    world.link(0, 1);
    world.sync(0, database);
    let limit = revoke(&mut world, database, "a limit");
    let (_, after) = world.nodes[1].commit(database, "after it");
    world.committed_at(1, database);
    world.run();
    assert!(has(&world, 0, |event| matches!(event, Event::Denied { revoked: true, .. })));
    assert!(has(&world, 1, |event| matches!(event, Event::Ended { .. })));
    assert!(world.nodes[0].ids(database).contains(&limit), "it learns of it");
    assert!(!world.nodes[0].ids(database).contains(&after.entry.id()));

    // Also in a fresh session, by whomever it is begun, and again and again.
    for dialler in [0, 1] {
        world.cut(0);
        world.link(0, 1);
        world.links.swap_remove(0);
        for side in [dialler, dialler, 1 - dialler, dialler] {
            world.relate(0, side, database);
            world.run();
        }
        world.commit(1, database, "more");
        world.run();
        assert!(has(&world, 0, |event| matches!(event, Event::Denied { revoked: true, .. })));
        assert!(!world.nodes[0].ids(database).contains(&after.entry.id()));
        assert!(world.links[0].iter().all(|end| end.closed.is_none()));
    }
}

#[test]
fn who_is_revoked_is_heard_out_once_and_told_nothing() {
    let parcels = chain(5);
    let database = database_of(&parcels);
    let mut ours = Node::with(1, database, &parcels);
    let (_, news) = ours.commit(database, "what the other does not know");
    let mut world = open(vec![ours, Node::with(2, database, &parcels)]);
    let own = user(78);
    let (_, secret) = world.nodes[1].commit(database, "a secret");
    world.nodes[1].ingest(database, vec![child(&own, &[&secret], b"another".to_vec())]);
    let limit = revoke(&mut world, database, "a limit on top of it");
    world.sync(0, database);
    assert!(world.nodes[1].ids(database).contains(&news.entry.id()));
    let own = world.nodes[0].ids(database);
    assert!(!own.contains(&limit), "what is before the limit is not shown");
    assert!(!own.contains(&secret.entry.id()));
    let rounds = world.links[0][0].session.statuses();
    assert_eq!(rounds[&database].state, DatabaseState::Revoked);

    // What the peer has heard changes its mind.
    world.nodes[1].readers = None;
    world.committed_at(1, database);
    world.run();
    world.assert_equal(database);
}

#[test]
fn a_grant_that_comes_later_opens_what_was_refused() {
    for relates in [false, true] {
        let parcels = chain(50);
        let database = database_of(&parcels);
        let mut world = World::new(vec![Node::new(1), Node::with(2, database, &parcels)]);
        world.nodes[0].keys = vec![user(77)];
        world.nodes[1].readers = Some(vec![]);
        world.link(0, 1);
        world.sync(0, database);
        if relates {
            world.relate(0, 1, database);
            world.run();
        }
        assert_eq!(world.nodes[0].count(database), 0);
        world.commit(1, database, "not for the other yet");
        world.run();
        assert_eq!(world.nodes[0].count(database), 0);
        world.nodes[1].readers = Some(vec![user(77).public()]);
        world.commit(1, database, "a grant");
        world.run();
        world.assert_equal(database);
        assert_eq!(world.nodes[0].count(database), 52);
        assert!(world.nodes[0].is_complete(database));
    }
}

#[test]
fn what_anyone_could_read_is_left_when_nobody_else_may() {
    let parcels = chain(5);
    let database = database_of(&parcels);
    let mut world = World::new(vec![Node::new(1), Node::with(2, database, &parcels)]);
    world.link(0, 1);
    world.sync(0, database);
    world.assert_equal(database);
    world.nodes[1].readers = Some(vec![]);
    world.commit(1, database, "for members only");
    world.run();
    assert!(has(&world, 0, |event| matches!(event, Event::Left { .. })));
    assert!(has(&world, 1, |event| matches!(event, Event::Ended { .. })));
    world.sync(0, database);
    assert!(has(&world, 0, |event| matches!(event, Event::Denied { revoked: false, .. })));
    assert_eq!(world.nodes[0].count(database), 5);
    world.nodes[1].readers = None;
    world.commit(1, database, "for anyone again");
    world.run();
    world.assert_equal(database);
}

#[test]
fn a_key_counts_only_for_the_database_that_it_was_proven_for() {
    let (one, two) = (chain(5), vec![child(&user(5), &[], b"another root".to_vec())]);
    let (first, second) = (database_of(&one), database_of(&two));
    let mut server = Node::with(2, first, &one);
    server.ingest(second, two);
    server.complete(second);
    server.readers = Some(vec![user(77).public()]);
    let mut world = World::new(vec![Node::new(1), server]);
    world.nodes[0].keys = vec![user(77)];
    world.link(0, 1);
    world.sync(0, first);
    assert_eq!(world.nodes[0].count(first), 5);
    assert_eq!(world.links[0][1].session.peer_keys(&first).len(), 2);
    assert_eq!(world.links[0][1].session.peer_keys(&second).len(), 1);
    world.nodes[0].keys.clear();
    world.sync(0, second);
    assert_eq!(world.nodes[0].count(second), 0);
}

/// Found by simulation: anyone could read and cannot any more, while the proof of a key that may is on
/// its way; the database stayed closed for that key.
#[test]
fn a_key_proven_while_the_database_closes_for_anyone_opens_it_again() {
    let parcels = chain(5);
    let database = database_of(&parcels);
    let mut peer = Node::with(2, database, &parcels);
    peer.keys = vec![user(12)];
    let mut world = World::new(vec![Node::with(1, database, &parcels), peer]);
    world.link(0, 1);
    world.run();
    world.relate(0, 0, database);
    world.step(0, 1);
    world.nodes[0].readers = Some(vec![user(12).public()]);
    world.commit(0, database, "nobody else reads this");
    world.run();
    assert!(has(&world, 1, |event| matches!(event, Event::Left { .. })));
    world.assert_equal(database);
    for side in 0..2 {
        let status = &world.links[0][side].session.statuses()[&database];
        assert_eq!(status.state, DatabaseState::Live, "side {side}");
    }
}
