//! Two and three peers end with the same entries, at a cost of the difference.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use std::collections::BTreeSet;

use weald_sync::{DatabaseState, Event};
use world::{Node, World, chain, child, closed, database_of, random_graph};

fn synced(a: Node, b: Node, parcels: &[weald_dag::Parcel]) -> World {
    let database = database_of(parcels);
    let mut world = World::new(vec![a, b]);
    let link = world.link(0, 1);
    world.sync(link, database);
    world.assert_equal(database);
    assert!(world.settled(link, 0).is_some() && world.settled(link, 1).is_some());
    world
}

#[test]
fn an_empty_peer_bootstraps() {
    let parcels = random_graph(3, 3_000, 4, 3);
    let database = database_of(&parcels);
    let world = synced(Node::new(1), Node::with(2, database, &parcels), &parcels);
    assert_eq!(world.nodes[0].count(database), 3_000);
    assert!(world.nodes[0].is_complete(database));
    assert_eq!(world.nodes[0].duplicates + world.nodes[1].duplicates, 0);
    assert_eq!(world.settled(0, 0), Some((1, true)));
    let mut totals = world.links[0][0].events.iter().filter_map(|event| match event {
        Event::Progress { entries_done, entries_total, .. } => {
            Some((*entries_done, *entries_total))
        }
        _ => None,
    });
    assert_eq!(totals.next_back(), Some((3_000, Some(3_000))));
}

#[test]
fn one_side_ahead_costs_one_round_trip_and_the_difference() {
    let parcels = chain(2_000);
    let database = database_of(&parcels);
    for dialler_ahead in [false, true] {
        let ahead = Node::with(1, database, &parcels);
        let behind = Node::with(2, database, &parcels[..1_999]);
        let (a, b) = if dialler_ahead { (ahead, behind) } else { (behind, ahead) };
        let world = synced(a, b, &parcels);
        assert_eq!(world.settled(0, 0), Some((1, true)));
        assert_eq!(world.nodes[0].duplicates + world.nodes[1].duplicates, 0);
        let bytes: usize = world.links[0].iter().map(|end| end.bytes_received).sum();
        assert!(bytes < 4_000, "{bytes} bytes, the handshake among them");
    }
}

#[test]
fn equal_graphs_send_nothing() {
    let parcels = random_graph(9, 500, 6, 2);
    let database = database_of(&parcels);
    let world =
        synced(Node::with(1, database, &parcels), Node::with(2, database, &parcels), &parcels);
    assert_eq!(world.nodes[0].duplicates + world.nodes[1].duplicates, 0);
    assert_eq!(world.links[0][0].session.statuses()[&database].state, DatabaseState::Live);
}

#[test]
fn both_moved_on_a_long_history() {
    let mut parcels = chain(3_000);
    let key = weald_dag::SecretKey::from_seed(&[50; 32]);
    let database = database_of(&parcels);
    let mut sides = [parcels.clone(), parcels.clone()];
    for (side, held) in sides.iter_mut().enumerate() {
        for n in 0..40 {
            let tip = held.last().unwrap().clone();
            held.push(child(&key, &[&tip], format!("{side} {n}").into_bytes()));
        }
    }
    let (a, b) = (Node::with(1, database, &sides[0]), Node::with(2, database, &sides[1]));
    let world = synced(a, b, &parcels);
    parcels.truncate(1);
    assert_eq!(world.nodes[0].count(database), 3_080);
    let duplicates = world.nodes[0].duplicates + world.nodes[1].duplicates;
    assert!(duplicates <= 64, "{duplicates} entries came twice");
    assert!(world.settled(0, 0).unwrap().0 <= 3);
}

#[test]
fn both_moved_far_apart_and_announced_at_once() {
    let trunk = chain(500);
    let key = weald_dag::SecretKey::from_seed(&[50; 32]);
    let database = database_of(&trunk);
    let mut sides = [trunk.clone(), trunk.clone()];
    for (side, held) in sides.iter_mut().enumerate() {
        for n in 0..1_500 {
            let tip = held.last().unwrap().clone();
            held.push(child(&key, &[&tip], format!("{side} {n}").into_bytes()));
        }
    }
    let (a, b) = (Node::with(1, database, &sides[0]), Node::with(2, database, &sides[1]));
    let mut world = World::new(vec![a, b]);
    let link = world.link(0, 1);
    world.run();
    world.relate(link, 0, database);
    world.relate(link, 1, database);
    world.run();
    world.assert_equal(database);
    assert_eq!(world.nodes[0].count(database), 3_500);
    let duplicates = world.nodes[0].duplicates + world.nodes[1].duplicates;
    assert!(duplicates <= 128, "{duplicates} entries came twice");
}

#[test]
fn a_wide_graph_of_many_tips() {
    let mut parcels = chain(1);
    let key = weald_dag::SecretKey::from_seed(&[50; 32]);
    let root = parcels[0].clone();
    parcels.extend((0..5_000).map(|n| child(&key, &[&root], format!("leaf {n}").into_bytes())));
    let database = database_of(&parcels);
    let even = closed(&parcels, |at| at % 2 == 0);
    let third = closed(&parcels, |at| at % 3 == 0);
    let a = Node::with(1, database, &even);
    let b = Node::with(2, database, &third);
    let union = closed(&parcels, |at| at % 2 == 0 || at % 3 == 0).len();
    let world = synced(a, b, &parcels);
    assert_eq!(world.nodes[0].count(database), union as u64);
    let full = Node::with(3, database, &parcels);
    let world = synced(Node::new(1), full, &parcels);
    assert_eq!(world.nodes[0].count(database), 5_001);
}

#[test]
fn more_tips_than_a_page_on_both_sides() {
    let mut parcels = chain(1);
    let key = weald_dag::SecretKey::from_seed(&[50; 32]);
    let root = parcels[0].clone();
    parcels.extend((0..6_000).map(|n| child(&key, &[&root], format!("leaf {n}").into_bytes())));
    let database = database_of(&parcels);
    let a = Node::with(1, database, &closed(&parcels, |at| at % 5 != 0));
    let b = Node::with(2, database, &closed(&parcels, |at| at % 7 != 0));
    let union = closed(&parcels, |at| at % 35 != 0).len();
    let mut world = synced(a, b, &parcels);
    assert_eq!(world.nodes[0].count(database), union as u64);
    let sent = |world: &World, side: usize| {
        world.links[0][side].session.statuses()[&database].cost.entries_out
    };
    let before = (sent(&world, 0), sent(&world, 1));
    world.sync(0, database);
    assert_eq!((sent(&world, 0), sent(&world, 1)), before, "equal digests send nothing");
}

#[test]
fn entries_up_to_the_limit_pass() {
    let key = weald_dag::SecretKey::from_seed(&[50; 32]);
    let mut parcels = chain(2);
    for n in 0..5u8 {
        let noise = blake3_noise(n, 1 << 20);
        let tip = parcels.last().unwrap().clone();
        parcels.push(child(&key, &[&tip], noise));
    }
    let database = database_of(&parcels);
    let world = synced(Node::new(1), Node::with(2, database, &parcels), &parcels);
    assert_eq!(world.nodes[0].count(database), 7);
}

fn blake3_noise(seed: u8, length: usize) -> Vec<u8> {
    let mut randomness = weald_dag::Randomness::from_seed([seed; 32]);
    (0..length / 4096).flat_map(|_| randomness.bytes::<4096>()).collect()
}

#[test]
fn a_transfer_cut_at_any_frame_goes_on_where_it_stopped() {
    let parcels = random_graph(5, 4_000, 3, 4);
    let database = database_of(&parcels);
    let mut cut_at = 0;
    let mut server = Node::with(2, database, &parcels);
    loop {
        let mut world = World::new(vec![Node::new(1), server]);
        let link = world.link(0, 1);
        world.relate(link, 0, database);
        let mut steps = 0;
        while steps < cut_at && (world.step(link, 0) || world.step(link, 1)) {
            steps += 1;
        }
        let whole = steps < cut_at;
        let before = world.nodes[0].count(database);
        world.links[link].iter_mut().for_each(|end| end.session.handle_link_closed(0));
        world.links.clear();
        let link = world.link(0, 1);
        world.sync(link, database);
        world.assert_equal(database);
        assert!(world.nodes[0].is_complete(database));
        let status = &world.links[link][0].session.statuses()[&database];
        assert_eq!(status.cost.entries_in, 4_000 - before, "cut at {cut_at}");
        if whole {
            break;
        }
        server = world.nodes.pop().unwrap();
        cut_at += 1;
    }
    assert!(cut_at > 8, "{cut_at} frames were cut");
}

#[test]
fn entries_go_live_along_a_row_of_peers_and_do_not_come_back() {
    let parcels = chain(10);
    let database = database_of(&parcels);
    let nodes = (1..=3).map(|seed| Node::with(seed, database, &parcels)).collect();
    let mut world = World::new(nodes);
    let (ab, cb) = (world.link(0, 1), world.link(2, 1));
    world.sync(ab, database);
    world.sync(cb, database);
    for n in 0..20 {
        world.commit(n % 3, database, &format!("message {n}"));
        if n % 4 == 0 {
            world.run();
        }
    }
    world.run();
    world.assert_equal(database);
    assert_eq!(world.nodes[0].count(database), 30);
    let duplicates: usize = world.nodes.iter().map(|node| node.duplicates).sum();
    assert_eq!(duplicates, 0);
    assert_eq!(world.links[ab][0].session.statuses()[&database].rounds, 1, "no further round");
}

#[test]
fn what_is_committed_during_a_round_goes_after_it() {
    let parcels = chain(3_000);
    let database = database_of(&parcels);
    let a = Node::with(1, database, &parcels[..1_000]);
    let mut world = World::new(vec![a, Node::with(2, database, &parcels)]);
    let link = world.link(0, 1);
    world.relate(link, 0, database);
    for n in 0..30 {
        world.step(link, n % 2);
        world.commit(0, database, &format!("a {n}"));
        world.commit(1, database, &format!("b {n}"));
    }
    world.run();
    world.assert_equal(database);
    assert_eq!(world.nodes[0].count(database), 3_060);
}

#[test]
fn a_round_that_is_asked_for_while_one_runs_brings_what_is_new_by_then() {
    let parcels = chain(300);
    let database = database_of(&parcels);
    let b = Node::with(2, database, &parcels[..100]);
    let mut world = World::new(vec![Node::with(1, database, &parcels), b]);
    let link = world.link(0, 1);
    world.relate(link, 0, database);
    for n in 0..5 {
        world.step(link, n % 2);
    }
    // The session is told of no commit, as where the preferences keep commits for later.
    world.nodes[0].commit(database, "kept for later");
    world.relate(link, 0, database);
    world.run();
    world.assert_equal(database);
}

#[test]
fn many_databases_share_a_link() {
    let graphs: Vec<Vec<weald_dag::Parcel>> = (0..5)
        .map(|at| {
            let key = weald_dag::SecretKey::from_seed(&[at + 60; 32]);
            let mut parcels = vec![child(&key, &[], format!("root {at}").into_bytes())];
            for n in 0..700 {
                let tip = parcels.last().unwrap().clone();
                parcels.push(child(&key, &[&tip], format!("{n}").into_bytes()));
            }
            parcels
        })
        .collect();
    let mut server = Node::new(9);
    for parcels in &graphs {
        server.ingest(database_of(parcels), parcels.clone());
        server.complete(database_of(parcels));
    }
    let mut world = World::new(vec![Node::new(1), server]);
    let link = world.link(0, 1);
    graphs.iter().for_each(|parcels| world.relate(link, 0, database_of(parcels)));
    world.run();
    for parcels in &graphs {
        world.assert_equal(database_of(parcels));
        assert_eq!(world.nodes[0].count(database_of(parcels)), 701);
    }
}

#[test]
fn a_third_peer_completes_what_two_hold_in_halves() {
    let parcels = random_graph(11, 1_200, 5, 3);
    let database = database_of(&parcels);
    let a = Node::with(1, database, &closed(&parcels, |at| at % 7 == 0));
    let c = Node::with(3, database, &closed(&parcels, |at| at % 5 == 0));
    let mut world = World::new(vec![a, Node::new(2), c]);
    let (ba, bc) = (world.link(1, 0), world.link(1, 2));
    world.sync(ba, database);
    world.sync(bc, database);
    world.assert_equal(database);
}

#[test]
fn held_entries_are_listed_once() {
    let parcels = random_graph(12, 300, 5, 3);
    let all: BTreeSet<_> = parcels.iter().map(|parcel| parcel.entry.id()).collect();
    assert_eq!(Node::with(1, database_of(&parcels), &parcels).ids(database_of(&parcels)), all);
}
