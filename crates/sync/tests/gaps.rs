//! Entries that come before their parents: they wait, their parents are asked for, and nobody is
//! asked for ever.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use weald_dag::{EntryId, Parcel, SecretKey};
use weald_sync::Event;
use world::{Node, World, chain, child, database_of};

/// Makes a sender whose walks from the tips do not find `hidden`, and who shows `shown` after them.
fn forgetful(trunk: &[Parcel], hidden: &[Parcel], shown: &[Parcel]) -> Node {
    let database = database_of(trunk);
    let mut node = Node::with(2, database, trunk);
    let last: Vec<EntryId> = vec![trunk.last().unwrap().entry.id()];
    for parcel in hidden {
        node.store_unverified(database, parcel.clone());
    }
    for parcel in shown {
        node.store_below(database, parcel.clone(), &last);
    }
    // The hidden ones are tips no longer.
    node.forget_tips(database, hidden);
    node
}

fn after(trunk: &[Parcel], count: usize) -> Vec<Parcel> {
    let key = SecretKey::from_seed(&[9; 32]);
    let mut all = vec![trunk.last().unwrap().clone()];
    for n in 0..count {
        let tip = all.last().unwrap();
        all.push(child(&key, &[tip], format!("{n}").into_bytes()));
    }
    all.split_off(1)
}

#[test]
fn missing_parents_are_asked_for_with_growing_depth() {
    for count in [1, 100, 1_500] {
        let trunk = chain(10);
        let database = database_of(&trunk);
        let mut hidden = after(&trunk, count + 1);
        let shown = hidden.split_off(count);
        let sender = forgetful(&trunk, &hidden, &shown);
        let receiver = Node::with(1, database, &trunk);
        let mut world = World::new(vec![receiver, sender]);
        let link = world.link(0, 1);
        world.sync(link, database);
        world.assert_equal(database);
        assert_eq!(world.nodes[0].count(database), 11 + count as u64);
        let (round_trips, complete) = world.settled(link, 0).unwrap();
        assert!(complete);
        assert!(round_trips <= 4, "{round_trips} round trips for {count}");
    }
}

#[test]
fn a_gap_in_what_comes_live_starts_another_round() {
    let trunk = chain(10);
    let database = database_of(&trunk);
    let mut hidden = after(&trunk, 3);
    let shown = hidden.split_off(2);
    let receiver = Node::with(1, database, &trunk);
    let sender = Node::with(2, database, &trunk);
    let mut world = World::new(vec![receiver, sender]);
    let link = world.link(0, 1);
    world.sync(link, database);
    world.nodes[1] = forgetful(&trunk, &hidden, &shown);
    world.committed_at(1, database);
    world.run();
    world.assert_equal(database);
    assert_eq!(world.nodes[0].count(database), 13);
    assert_eq!(world.links[link][0].session.statuses()[&database].rounds, 2);
}

#[test]
fn parents_that_never_come_end_in_an_event() {
    let trunk = chain(10);
    let database = database_of(&trunk);
    let mut lost = after(&trunk, 2);
    let shown = lost.split_off(1);
    let sender = forgetful(&trunk, &[], &shown);
    let receiver = Node::with(1, database, &trunk);
    let mut world = World::new(vec![receiver, sender]);
    let link = world.link(0, 1);
    world.sync(link, database);
    let unclassed = |event: &Event| matches!(event, Event::Unclassed { tips: 1, .. });
    assert!(world.links[link][0].events.iter().any(unclassed));
    assert_eq!(world.settled(link, 0).map(|(_, complete)| complete), Some(false));
    assert_eq!(world.nodes[0].count(database), 10);
    assert!(world.links[link].iter().all(|end| end.closed.is_none()));
    assert_eq!(world.links[link][0].session.statuses()[&database].pending_in, 0);
}

#[test]
fn what_waits_for_parents_is_bounded() {
    let trunk = chain(10);
    let database = database_of(&trunk);
    let lost = after(&trunk, 1);
    let key = SecretKey::from_seed(&[9; 32]);
    let large = |n: u8| {
        let mut randomness = weald_dag::Randomness::from_seed([n; 32]);
        let noise = (0..(1 << 8)).flat_map(|_| randomness.bytes::<4096>()).collect();
        child(&key, &[&lost[0]], noise)
    };
    let shown: Vec<Parcel> = (0..18).map(large).collect();
    let sender = forgetful(&trunk, &[], &shown);
    let receiver = Node::with(1, database, &trunk);
    let mut world = World::new(vec![receiver, sender]);
    let link = world.link(0, 1);
    world.sync(link, database);
    assert_eq!(world.nodes[0].count(database), 10);
    assert_eq!(world.links[link][0].session.statuses()[&database].pending_in, 0);
    assert_eq!(world.settled(link, 0).map(|(_, complete)| complete), Some(false));
}

#[test]
fn numbers_that_dropped_entries_leave_out_are_no_damage() {
    let trunk = chain(10);
    let database = database_of(&trunk);
    let (mine, other) = (SecretKey::from_seed(&[9; 32]), SecretKey::from_seed(&[8; 32]));
    let first = child(&mine, &[&trunk[9]], b"first".to_vec());
    let hidden = child(&other, &[&trunk[9]], b"hidden".to_vec());
    let second = child(&mine, &[&first], b"second".to_vec());
    let held = [trunk.clone(), vec![first, hidden.clone(), second]].concat();
    let mut sender = Node::with(2, database, &held);
    sender.hide(database, &hidden);
    sender.lose(database, &hidden);
    let mut receiver = Node::with(1, database, &trunk);
    let (_, theirs) = receiver.commit(database, "beside");
    let mut world = World::new(vec![receiver, sender]);
    let link = world.link(0, 1);
    // Both have moved, so each asks what is common below its tips.
    world.sync(link, database);
    assert!(world.links[link].iter().all(|end| end.closed.is_none()));
    assert!(world.nodes[0].holds(database, &held[12]) && world.nodes[1].holds(database, &theirs));
}

#[test]
fn what_a_peer_holds_and_was_dropped_here_does_not_end_the_session() {
    let trunk = chain(10);
    let database = database_of(&trunk);
    let other = SecretKey::from_seed(&[8; 32]);
    let entry = |text: &str| child(&other, &[&trunk[9]], text.as_bytes().to_vec());
    let (shown, lost, after) = (entry("shown"), entry("lost"), entry("after"));
    let theirs = [trunk.clone(), vec![lost.clone(), after.clone()]].concat();
    let mut keeper =
        Node::with(2, database, &[trunk, vec![shown.clone(), lost.clone(), after]].concat());
    keeper.hide(database, &shown);
    keeper.hide(database, &lost);
    let mut world = World::new(vec![Node::with(1, database, &theirs), keeper]);
    let link = world.link(0, 1);
    world.sync(link, database);
    world.nodes[1].lose(database, &lost);
    world.nodes[1].show(database, &shown);
    world.committed_at(1, database);
    world.run();
    assert!(world.links[link].iter().all(|end| end.closed.is_none()));
    assert!(world.nodes[0].holds(database, &shown));
}

/// Found by simulation: what came live on top of an entry that was hidden and not kept waited for it
/// until the session ended.
#[test]
fn what_comes_live_after_an_entry_that_is_not_kept_waits_for_nothing_and_comes_with_it() {
    let parcels = chain(5);
    let database = database_of(&parcels);
    let node = |seed| Node::with(seed, database, &parcels);
    let mut world = World::new(vec![node(1), node(2)]);
    let link = world.link(0, 1);
    world.sync(link, database);
    let unwanted = world.commit(0, database, "hidden there");
    world.nodes[1].hides.insert(unwanted);
    world.run();
    for text in ["after it", "and after that"] {
        world.commit(0, database, text);
        world.run();
        let status = &world.links[link][1].session.statuses()[&database];
        assert_eq!((status.pending_in, world.nodes[1].count(database)), (0, 5));
    }
    world.nodes[1].hides.clear();
    world.sync(link, database);
    world.assert_equal(database);
}
