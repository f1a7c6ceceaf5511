//! What is gone over for a peer: few passes however it asks, all of a round over the same, and nothing that
//! one side has said it lacks is left out.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod wire;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ciborium::Value;
use weald_dag::{DatabaseId, Parcel, SecretKey};
use weald_sync::{CloseReason, DatabaseState, DatabaseStatus, Method, PeerFault};
use world::{Node, World, chain, child, database_of};

/// Grows a branch of so many entries on the last of `trunk`, the trunk before it.
fn grown(trunk: &[Parcel], seed: u8, count: usize) -> Vec<Parcel> {
    let key = SecretKey::from_seed(&[seed; 32]);
    let mut all = trunk.to_vec();
    for n in 0..count {
        let next = child(&key, &[all.last().unwrap()], format!("{seed} {n}").into_bytes());
        all.push(next);
    }
    all
}

/// Links two nodes whose words are changed on the way, each control by name.
fn changed(
    held: [&[Parcel]; 2],
    mut change: impl FnMut(usize, &str, &mut Value) + Send + 'static,
) -> (World, DatabaseId) {
    let database = database_of(held[0]);
    let nodes = [(1, held[0]), (2, held[1])].map(|(seed, held)| Node::with(seed, database, held));
    let mut world = World::new(nodes.into());
    world.link_with(0, 1, |a, b| (a.plain, b.plain) = (true, true));
    world.run();
    world.twist = Some(Box::new(move |side, frame| {
        wire::change(frame, &mut |name, control| change(side, name, control))
    }));
    (world, database)
}

fn status(world: &World, side: usize, database: DatabaseId) -> DatabaseStatus {
    world.links[0][side].session.statuses()[&database].clone()
}

fn by_symbols(name: &str, control: &mut Value) {
    if name == "a" {
        wire::put(control, "l", Value::from(1));
    }
}

#[test]
fn symbols_are_not_made_one_at_a_time() {
    let trunk = chain(300);
    let sides = [1, 2].map(|seed| grown(&trunk, seed, 100));
    let (mut world, database) = changed([&sides[0], &sides[1]], |side, name, control| {
        by_symbols(name, control);
        if side == 0 && name == "e" {
            wire::put(control, "j", Value::from(1));
        }
    });
    world.sync(0, database);
    let closed = world.links[0][1].closed.as_ref();
    let Some(CloseReason::Fault(PeerFault::Unexpected { what })) = closed else {
        panic!("{closed:?}");
    };
    assert_eq!(*what, "a question for symbols");
}

#[test]
fn what_comes_between_two_windows_of_symbols_does_not_spoil_them() {
    let trunk = chain(600);
    let database = database_of(&trunk);
    let sides = [1, 2].map(|seed| grown(&trunk, seed, 1_300));
    let told = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&told);
    let (mut world, _) = changed([&sides[0], &sides[1]], move |_, name, control| {
        by_symbols(name, control);
        count.fetch_add(usize::from(name == "y"), Ordering::Relaxed);
    });
    world.relate(0, 0, database);
    for at in 1.. {
        world.step(0, at % 2);
        world.answer();
        if told.load(Ordering::Relaxed) > 0 {
            break;
        }
    }
    for node in 0..2 {
        world.commit(node, database, "meanwhile");
    }
    world.run();
    world.assert_equal(database);
    assert!(told.load(Ordering::Relaxed) > 1, "one window tells nothing here");
    assert_eq!(status(&world, 0, database).rounds, 1);
    assert_eq!([0, 1].map(|side| status(&world, side, database).method), [Method::Symbols; 2]);
}

#[test]
fn tips_that_a_peer_lacks_come_in_the_first_round_whatever_base_it_names() {
    let trunk = chain(300);
    let sides = [1, 2].map(|seed| grown(&trunk, seed, 100));
    let (mut world, database) = changed([&sides[0], &sides[1]], |_, name, control| {
        if name == "f" {
            wire::put(control, "g", Value::from(1u64 << 40));
        }
    });
    world.sync(0, database);
    world.assert_equal(database);
    assert_eq!([0, 1].map(|side| status(&world, side, database).rounds), [1, 1]);
}

#[test]
fn a_side_that_needs_nothing_is_told_no_filter() {
    let trunk = chain(300);
    let sides = [grown(&trunk, 1, 2_000), grown(&trunk, 2, 20)];
    for ahead in 0..2 {
        let held = [sides[ahead].as_slice(), &sides[1 - ahead]];
        let (mut world, database) = changed(held, |_, _, _| {});
        world.sync(0, database);
        world.assert_equal(database);
        let overhead = status(&world, 0, database).last_round;
        let overhead = overhead.overhead_in + overhead.overhead_out;
        assert!(overhead < 4_000, "{ahead}: {overhead}");
        assert_eq!(world.nodes[0].duplicates + world.nodes[1].duplicates, 0);
    }
}

#[test]
fn a_tip_that_both_announced_and_one_has_dropped_since_holds_up_nobody() {
    let trunk = chain(5);
    let key = SecretKey::from_seed(&[9; 32]);
    let leaf = child(&key, &[&trunk[2]], b"leaf".to_vec());
    let held = [&trunk[..3], std::slice::from_ref(&leaf), &trunk[3..]].concat();
    let (mut world, database) = changed([&held, &held], |_, _, _| {});
    world.relate(0, 0, database);
    world.relate(0, 1, database);
    world.nodes[1].hide(database, &leaf);
    world.nodes[1].lose(database, &leaf);
    world.run();
    for side in 0..2 {
        let status = status(&world, side, database);
        assert_eq!(status.state, DatabaseState::Live, "{side}");
        assert_eq!(status.classes.unwrap().theirs.missing, 0);
    }
    assert!(world.nodes[1].holds(database, &leaf));
}
