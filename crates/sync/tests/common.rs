//! What two peers held in common when they last met: the next session begins from it where both have moved, and
//! loses nothing where it is not true any more.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use std::collections::BTreeSet;

use proptest::prelude::*;
use weald_dag::{DatabaseId, EntryId, Parcel, SecretKey};
use weald_sync::limits::COMMON_MAX;
use weald_sync::{CommonTips, Event, Method};
use world::{Node, World, chain, child, closed, database_of, random_graph};

/// Grows a branch of so many entries on one.
fn branch(on: &Parcel, seed: u8, count: usize) -> Vec<Parcel> {
    let key = SecretKey::from_seed(&[seed; 32]);
    let mut all = vec![on.clone()];
    for n in 0..count {
        all.push(child(&key, &[all.last().unwrap()], format!("{seed} {n}").into_bytes()));
    }
    all.split_off(1)
}

/// Two nodes that have met, with what each remembers of it; their link is cut.
fn met(trunk: &[Parcel]) -> (World, Parcel, [CommonTips; 2]) {
    let database = database_of(trunk);
    let nodes = [(1, trunk), (2, &trunk[..trunk.len() / 2])];
    let mut world = World::new(nodes.map(|(seed, held)| Node::with(seed, database, held)).into());
    world.link(0, 1);
    world.run();
    world.sync(0, database);
    // What was pushed since the round counts as well as what it has shown.
    let mut last = trunk.last().unwrap().clone();
    for node in [0, 1, 1, 0] {
        let (_, parcel) = world.nodes[node].commit(database, &format!("live {node}"));
        world.committed_at(node, database);
        world.run();
        last = parcel;
    }
    world.assert_equal(database);
    let tips = part(&mut world);
    assert!(tips.iter().all(|tips| tips[&database].contains(&last.entry.id())));
    (world, last, tips)
}

/// Cuts the first link; returns what each end remembers.
fn part(world: &mut World) -> [CommonTips; 2] {
    world.cut(0);
    let tips = [0, 1].map(|side| {
        let end = &world.links[0][side];
        end.session.common(&world.nodes[end.node]).unwrap()
    });
    world.links.clear();
    tips
}

/// Links both again, each with what it remembers; both or one of them may start.
fn meet(world: &mut World, tips: [CommonTips; 2], starts: [bool; 2]) {
    let database = *tips[0].keys().chain(tips[1].keys()).next().unwrap();
    meet_over(world, database, tips, starts);
}

fn meet_over(world: &mut World, database: DatabaseId, tips: [CommonTips; 2], starts: [bool; 2]) {
    let link = world.link(0, 1);
    for (side, tips) in tips.into_iter().enumerate() {
        world.links[link][side].session.recall(tips);
    }
    world.run();
    for side in [0, 1] {
        if starts[side] {
            world.relate(link, side, database);
        }
    }
    world.run();
    world.assert_equal(database);
}

/// Returns method, round trips and bytes beside the entries, the worse of both sides, and checks that one round
/// was enough.
fn cost(world: &World, database: DatabaseId) -> (Method, u32, u64) {
    let mut worst = (Method::Equal, 0, 0);
    for end in &world.links[0] {
        let status = end.session.statuses()[&database].clone();
        assert_eq!(status.rounds, 1);
        assert!(!end.events.iter().any(|event| matches!(event, Event::Unclassed { .. })));
        let overhead = status.last_round.overhead_in + status.last_round.overhead_out;
        worst.0 = worst.0.max(status.method);
        worst.1 = worst.1.max(status.round_trips);
        worst.2 = worst.2.max(overhead);
    }
    worst
}

fn duplicates(world: &World) -> usize {
    world.nodes.iter().map(|node| node.duplicates).sum()
}

#[test]
fn a_thousand_new_entries_on_each_side_of_what_both_held_cost_one_round_trip_and_few_bytes() {
    let trunk = chain(600);
    let database = database_of(&trunk);
    for (remembers, starts) in [
        ([true, true], [true, false]),
        ([true, true], [false, true]),
        ([true, false], [true, false]),
        ([true, true], [true, true]),
        ([false, false], [true, false]),
        ([false, true], [true, true]),
    ] {
        let (mut world, last, mut tips) = met(&trunk);
        for (node, seed) in [(0, 11), (1, 12)] {
            world.nodes[node].ingest(database, branch(&last, seed, 1_000));
        }
        for (tips, remembers) in tips.iter_mut().zip(remembers) {
            tips.retain(|_, _| remembers);
        }
        meet_over(&mut world, database, tips, starts);
        let (method, round_trips, overhead) = cost(&world, database);
        println!("{remembers:?} {starts:?}: {method:?}, {round_trips}, {overhead} bytes");
        assert_eq!(duplicates(&world), 0);
        if remembers == [false, false] {
            assert_eq!((method, round_trips), (Method::Filter, 2));
        } else {
            assert_eq!(method, Method::Common);
            assert!(overhead <= 1_000, "{overhead}");
            if starts != [true, true] {
                assert_eq!(round_trips, 1);
            }
        }
    }
}

#[test]
fn what_others_have_brought_to_both_since_is_not_sent_again() {
    let trunk = chain(600);
    let (mut world, last, tips) = met(&trunk);
    let database = database_of(&trunk);
    let third = branch(&last, 13, 500);
    for (node, seed) in [(0, 11), (1, 12)] {
        world.nodes[node].ingest(database, third.clone());
        world.nodes[node].ingest(database, branch(&third[300], seed, 500));
    }
    meet(&mut world, tips, [true, false]);
    assert_eq!(cost(&world, database).0, Method::Filter);
    assert_eq!(duplicates(&world), 0);
}

#[test]
fn a_peer_that_holds_no_more_what_it_once_held_gets_all_of_it_in_one_round() {
    let trunk = chain(600);
    let database = database_of(&trunk);
    for (starts, moved) in [([true, false], 300), ([false, true], 300), ([true, true], 5)] {
        let (mut world, last, tips) = met(&trunk);
        world.nodes[0].ingest(database, branch(&last, 11, moved));
        // Of what it held, its backup has the first half.
        let old = [trunk[..300].to_vec(), branch(&trunk[299], 12, moved)].concat();
        world.nodes[1] = Node::with(2, database, &old);
        meet(&mut world, [tips[0].clone(), CommonTips::new()], starts);
        assert_ne!(cost(&world, database).0, Method::Equal);
        assert_eq!(duplicates(&world), 0);
        // Nor where the peer itself remembers what its disk does not hold.
        world.links.clear();
        world.nodes[1] = Node::with(2, database, &old);
        meet(&mut world, [CommonTips::new(), tips[1].clone()], starts);
        assert_eq!(duplicates(&world), 0);
    }
}

#[test]
fn what_was_on_its_way_to_the_peer_is_not_remembered_as_held_by_it() {
    let trunk = chain(50);
    let (mut world, last, tips) = met(&trunk);
    let database = database_of(&trunk);
    meet(&mut world, tips.clone(), [true, false]);
    for n in 0..3 {
        world.commit(0, database, &format!("lost {n}"));
        world.drain(0, 0);
    }
    let after = part(&mut world);
    assert!(after.iter().all(|tips| tips[&database] == [last.entry.id()]));
}

#[test]
fn of_more_tips_than_are_named_none_is_remembered() {
    let root = chain(1);
    let database = database_of(&root);
    let key = SecretKey::from_seed(&[3; 32]);
    let leaf = |n| child(&key, &[&root[0]], format!("leaf {n}").into_bytes());
    for (tips, remembered) in [(COMMON_MAX, true), (COMMON_MAX + 1, false)] {
        let wide = [root.clone(), (0..tips).map(leaf).collect()].concat();
        let mut world = World::new(vec![Node::with(1, database, &wide), Node::new(2)]);
        world.link(0, 1);
        world.run();
        world.relate(0, 1, database);
        world.run();
        world.assert_equal(database);
        let kept = part(&mut world);
        assert!(kept.iter().all(|kept| kept.contains_key(&database) == remembered), "{tips}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_remembered_two_peers_converge_in_one_round(
        seed in any::<u64>(),
        size in 100..400usize,
        width in 1..30usize,
        merges in 1..8usize,
        picks in prop::collection::vec(any::<bool>(), 1..200),
        shared in 1..200usize,
        remembered in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        starts in prop::sample::select(&[[true, false], [false, true], [true, true]]),
    ) {
        let parcels = random_graph(seed, size, width, merges);
        let database = database_of(&parcels);
        let pick = |at: usize| picks[at % picks.len()];
        let parts = [
            closed(&parcels, |at| at < shared || (pick(at) && pick(at * 7 + 1))),
            closed(&parcels, |at| at < shared || (!pick(at) && pick(at * 3 + 2))),
        ];
        let all: BTreeSet<EntryId> = parts.iter().flatten().map(|p| p.entry.id()).collect();
        let nodes = vec![Node::with(1, database, &parts[0]), Node::with(2, database, &parts[1])];
        let mut world = World::new(nodes);
        let tips = [0, 1].map(|side: usize| {
            let ids = remembered.iter().skip(side).map(|at| at.get(&parcels).entry.id());
            CommonTips::from([(database, ids.collect())])
        });
        meet_over(&mut world, database, tips, starts);
        prop_assert!(world.nodes.iter().all(|node| node.ids(database) == all));
        cost(&world, database);
    }
}
