//! A peer that owes an answer is waited for as long as it comes nearer, and no longer.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use weald_dag::{DatabaseId, Parcel};
use weald_sync::CloseReason;
use weald_sync::limits::{BATCH_BYTES, SILENCE_MAX_MS};
use world::{Node, World, child, database_of};

/// One node that sends several batches, and one that has taken them and has not judged any.
fn owing() -> (World, DatabaseId) {
    let first = Node::new(1);
    let mut parcels: Vec<Parcel> = vec![child(&first.device, &[], b"root".to_vec())];
    for n in 0..6u8 {
        let parent = parcels.last().unwrap().clone();
        parcels.push(child(&first.device, &[&parent], vec![n; BATCH_BYTES]));
    }
    let database = database_of(&parcels);
    let second = Node::with(2, database, &parcels[..1]);
    let mut world = World::new(vec![Node::with(1, database, &parcels), second]);
    let link = world.link(0, 1);
    world.relate(link, 0, database);
    world.slow = true;
    world.drain(0, 0);
    while world.step(0, 0) | world.step(0, 1) {}
    assert!(world.waiting.len() > 2, "{}", world.waiting.len());
    (world, database)
}

/// Lets time pass up to the next deadline of the first side, at most so long.
fn pass(world: &mut World, time: u64) {
    let end = &mut world.links[0][0];
    let until = world.now + time;
    world.now = end.session.deadline().map_or(until, |due| due.min(until));
    let reads = &world.nodes[end.node];
    end.session.handle_deadline(world.now, reads);
    world.drain(0, 0);
}

#[test]
fn a_peer_that_says_other_things_than_what_it_owes_is_given_up() {
    let (mut world, database) = owing();
    let began = world.now;
    for _ in 0..10 {
        pass(&mut world, SILENCE_MAX_MS / 3);
        let end = &mut world.links[0][1];
        end.session.ask(world.now, b"may I?".to_vec(), &world.nodes[1]);
        while world.step(0, 0) {}
    }
    let closed = &world.links[0][0].closed;
    assert!(matches!(closed, Some(CloseReason::Silent)), "{closed:?}");
    assert!(world.now - began <= 10 * SILENCE_MAX_MS / 3);
    assert!(world.nodes[1].count(database) < 8);
}

#[test]
fn a_slow_peer_that_comes_nearer_is_waited_for() {
    let (mut world, database) = owing();
    while !world.waiting.is_empty() {
        pass(&mut world, SILENCE_MAX_MS - 1);
        assert!(world.answer());
        while world.step(0, 0) | world.step(0, 1) {}
    }
    world.slow = false;
    world.run();
    assert_eq!(world.nodes[1].count(database), 7);
    world.assert_equal(database);
}
