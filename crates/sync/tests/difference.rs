//! How what differs is found: by which method, in how many round trips, at what cost beside the entries; and
//! that it is found whatever is said of it on the way.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod wire;
mod world;

use std::collections::BTreeSet;

use ciborium::Value;
use proptest::prelude::*;
use weald_dag::{DatabaseId, EntryId, Parcel, Randomness, SecretKey};
use weald_sync::limits::WANTS_MAX;
use weald_sync::{DatabaseStatus, Event, Method};
use world::{Node, World, chain, child, closed, database_of, random_graph};

/// Grows a branch of so many entries on the last of `trunk`.
fn branch(trunk: &[Parcel], seed: u8, count: usize) -> Vec<Parcel> {
    let key = SecretKey::from_seed(&[seed; 32]);
    let mut all = vec![trunk.last().unwrap().clone()];
    for n in 0..count {
        all.push(child(&key, &[all.last().unwrap()], format!("{seed} {n}").into_bytes()));
    }
    all.split_off(1)
}

/// Grows leaves here and there on old entries of `trunk`.
fn leaves(trunk: &[Parcel], seed: u8, count: usize) -> Vec<Parcel> {
    let key = SecretKey::from_seed(&[seed; 32]);
    let on = |n: usize| &trunk[(n * 7_919 + usize::from(seed) * 31) % (trunk.len() - 1)];
    (0..count).map(|n| child(&key, &[on(n)], format!("{seed} leaf {n}").into_bytes())).collect()
}

/// Links two nodes that hold these and syncs them; nothing of the handshake is counted to the database.
fn synced(held: [&[Parcel]; 2]) -> World {
    let database = database_of(held[0]);
    let [a, b] = [(1, held[0]), (2, held[1])].map(|(seed, held)| Node::with(seed, database, held));
    let mut world = World::new(vec![a, b]);
    world.link(0, 1);
    world.run();
    world.sync(0, database);
    world.assert_equal(database);
    world
}

fn status(world: &World, side: usize, database: DatabaseId) -> DatabaseStatus {
    world.links[0][side].session.statuses()[&database].clone()
}

/// Returns method, round trips and bytes beside the entries of the last round, the worse of both sides.
fn cost(world: &World, database: DatabaseId) -> (Method, u32, u64) {
    let of = |side| {
        let status = status(world, side, database);
        let overhead = status.last_round.overhead_in + status.last_round.overhead_out;
        (status.method, status.round_trips, overhead)
    };
    let (a, b) = (of(0), of(1));
    (a.0.max(b.0), a.1.max(b.1), a.2.max(b.2))
}

/// Returns all bytes that went over the link.
fn on_the_link(world: &World) -> u64 {
    let traffic = world.links[0][0].session.traffic();
    traffic.bytes_in + traffic.bytes_out
}

#[test]
fn one_new_entry_costs_one_round_trip_and_at_most_400_bytes_beside_it() {
    let parcels = chain(2_000);
    let database = database_of(&parcels);
    let mut world = synced([&parcels, &parcels]);
    assert_eq!(cost(&world, database).0, Method::Equal);
    for ahead in [0, 1, 1, 0] {
        let before = on_the_link(&world);
        let (_, parcel) = world.nodes[ahead].commit(database, &format!("{before}"));
        world.sync(0, database);
        world.assert_equal(database);
        let (method, round_trips, overhead) = cost(&world, database);
        let mut entry = Vec::new();
        parcel.encode(&mut entry);
        let beside = on_the_link(&world) - before - entry.len() as u64;
        assert_eq!((method, round_trips), (Method::FastForward, 1), "{ahead}");
        assert!(overhead <= 400 && beside <= 400, "{ahead}: {overhead} counted, {beside} in all");
        let rounds = [0, 1].map(|side| status(&world, side, database).last_round);
        assert_eq!(rounds[0].overhead_in, rounds[1].overhead_out);
        assert_eq!(rounds[0].overhead_out, rounds[1].overhead_in);
    }
}

#[test]
fn one_new_entry_over_a_fresh_link_costs_no_more() {
    let parcels = chain(2_000);
    let database = database_of(&parcels);
    for ahead in [0, 1] {
        let mut held = [parcels.as_slice(), parcels.as_slice()];
        held[1 - ahead] = &parcels[..1_999];
        let world = synced(held);
        let (method, round_trips, overhead) = cost(&world, database);
        assert_eq!((method, round_trips), (Method::FastForward, 1));
        assert!(overhead <= 400, "{ahead}: {overhead}");
    }
}

#[test]
fn what_is_counted_is_what_goes_over_the_link() {
    let parcels = chain(300);
    let database = database_of(&parcels);
    let mut world = synced([&parcels, &parcels[..200]]);
    for n in 0..3 {
        let counted = |world: &World| {
            let cost = status(world, 0, database).cost;
            cost.overhead_in + cost.overhead_out + cost.entry_bytes_in + cost.entry_bytes_out
        };
        let before = (counted(&world), on_the_link(&world));
        world.commit(n % 2, database, "one");
        world.run();
        world.relate(0, n % 2, database);
        world.run();
        // Nothing here is long enough to be compressed.
        assert_eq!(counted(&world) - before.0, on_the_link(&world) - before.1);
    }
    let [a, b] = [0, 1].map(|side| status(&world, side, database).cost);
    assert_eq!((a.entries_out, a.entry_bytes_out), (b.entries_in, b.entry_bytes_in));
    assert_eq!(a.overhead_out, b.overhead_in);
}

#[test]
fn a_thousand_new_entries_on_each_side_cost_two_round_trips_and_at_most_5_kilobytes() {
    let trunk = chain(8_000);
    let database = database_of(&trunk);
    let sides = [1, 2].map(|seed| [trunk.clone(), branch(&trunk, seed, 1_000)].concat());
    let world = synced([&sides[0], &sides[1]]);
    let (method, round_trips, overhead) = cost(&world, database);
    assert_eq!((method, round_trips), (Method::Filter, 2));
    assert!(overhead <= 5_000, "{overhead}");
    assert_eq!(world.nodes[0].duplicates + world.nodes[1].duplicates, 0);
}

#[test]
fn leaves_missing_here_and_there_in_old_history_cost_few_round_trips_and_bytes() {
    let trunk = chain(4_000);
    let database = database_of(&trunk);
    for moved in [0, 10, 300] {
        let side = |seed: u8| {
            [trunk.clone(), leaves(&trunk, seed, 250), branch(&trunk, seed, moved)].concat()
        };
        let world = synced([&side(1), &side(2)]);
        let (_, round_trips, overhead) = cost(&world, database);
        assert!(round_trips <= 3, "{round_trips}");
        assert!(overhead <= 50_000, "{moved}: {overhead}");
        let duplicates = world.nodes[0].duplicates + world.nodes[1].duplicates;
        assert!(duplicates <= 64, "{duplicates}");
    }
}

#[test]
fn more_tips_than_are_announced_are_found_by_symbols() {
    let root = chain(1);
    let database = database_of(&root);
    let wide = |seed| {
        let key = SecretKey::from_seed(&[3; 32]);
        let leaf = |n| child(&key, &[&root[0]], format!("leaf {n}").into_bytes());
        let shared = (0..4_200).map(leaf);
        shared.chain((0..150).map(|n| leaf(10_000 * seed + n))).collect::<Vec<Parcel>>()
    };
    let sides = [1, 2].map(|seed| [root.clone(), wide(seed)].concat());
    let world = synced([&sides[0], &sides[1]]);
    let (method, round_trips, _) = cost(&world, database);
    assert_eq!(method, Method::Symbols);
    assert!(round_trips <= 3, "{round_trips}");
    assert_eq!(world.nodes[0].duplicates + world.nodes[1].duplicates, 0);
}

#[test]
fn many_equal_databases_share_few_frames_and_one_round_trip() {
    let key = SecretKey::from_seed(&[60; 32]);
    let roots: Vec<Parcel> =
        (0..100).map(|n| child(&key, &[], format!("root {n}").into_bytes())).collect();
    let nodes = [1, 2].map(|seed| {
        let mut node = Node::new(seed);
        for root in &roots {
            let database = root.entry.roots().unwrap();
            node.ingest(database, vec![root.clone()]);
            node.complete(database);
        }
        node
    });
    let mut world = World::new(nodes.into());
    world.link(0, 1);
    world.run();
    let before = world.links[0][0].session.traffic();
    for root in &roots {
        world.relate(0, 0, root.entry.roots().unwrap());
    }
    world.run();
    let after = world.links[0][0].session.traffic();
    let frames = after.frames_in + after.frames_out - before.frames_in - before.frames_out;
    let bytes = after.bytes_in + after.bytes_out - before.bytes_in - before.bytes_out;
    assert!(frames <= 4 && bytes <= 100 * 260, "{frames} frames, {bytes} bytes");
    for status in world.links[0][0].session.statuses().values() {
        assert_eq!((status.rounds, status.round_trips, status.method), (1, 1, Method::Equal));
    }
}

/// Splits a graph in two closed parts that overlap.
fn split(parcels: &[Parcel], picks: &[bool], common: usize) -> [Vec<Parcel>; 2] {
    let pick = |at: usize| picks[at % picks.len()];
    let a = closed(parcels, |at| at < common || (pick(at) && pick(at * 7 + 1)));
    let b = closed(parcels, |at| at < common || (!pick(at) && pick(at * 3 + 2)));
    [a, b]
}

/// What somebody who lies says in place of the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    Nothing,
    /// Everything is in the filter, as if all short ids were equal.
    FullFilter,
    /// What is in the filter is drawn.
    DrawnFilter,
    /// The base is above everything.
    HighBase,
    /// The sums of the ladder are drawn.
    DrawnRungs,
    /// The symbols are drawn.
    DrawnSymbols,
    /// Other entries are asked for by short ids.
    DrawnShorts,
}

fn lie(lie: Lie, name: &str, control: &mut Value, randomness: &mut Randomness) {
    let mut draw = |value: &mut Value, from: usize| {
        let bytes = value.as_bytes_mut().unwrap();
        bytes.iter_mut().skip(from).for_each(|byte| *byte = randomness.bytes::<1>()[0]);
    };
    match (lie, name) {
        (Lie::FullFilter, "f") => {
            let bits = wire::field(control, "b").unwrap().as_bytes_mut().unwrap();
            bits.iter_mut().skip(4).for_each(|byte| *byte = u8::MAX);
        }
        (Lie::DrawnFilter, "f") => draw(wire::field(control, "b").unwrap(), 4),
        (Lie::HighBase, "f") => wire::put(control, "g", Value::from(1u64 << 40)),
        (Lie::DrawnRungs, "a" | "c") => {
            let rungs = wire::field(control, "a").and_then(|answers| wire::field(answers, "u"));
            if let Some(rungs) = rungs {
                // One rung far up.
                *rungs = Value::Bytes(vec![0x80, 0x10, 9, 1, 2, 3, 4]);
            }
        }
        (Lie::DrawnSymbols, "y") => {
            let bytes = wire::field(control, "b").unwrap().as_bytes_mut().unwrap();
            let at = usize::from(randomness.bytes::<1>()[0]) % bytes.len().clamp(1, 16);
            bytes[at] ^= 1;
        }
        (Lie::DrawnShorts, "j") => {
            wire::field(control, "b").into_iter().for_each(|shorts| draw(shorts, 0));
        }
        _ => {}
    }
}

const LIES: [Lie; 7] = [
    Lie::Nothing,
    Lie::FullFilter,
    Lie::DrawnFilter,
    Lie::HighBase,
    Lie::DrawnRungs,
    Lie::DrawnSymbols,
    Lie::DrawnShorts,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_two_graphs_converge_by_every_method_whatever_is_said_on_the_way(
        seed in any::<u64>(),
        size in 100..500usize,
        width in 1..40usize,
        merges in 1..8usize,
        picks in prop::collection::vec(any::<bool>(), 1..200),
        shared in 0..300usize,
        level in 0..3u8,
        lies in prop::sample::select(&LIES),
        liar in 0..3usize,
        simultaneous in any::<bool>(),
    ) {
        let parcels = random_graph(seed, size, width, merges);
        let database = database_of(&parcels);
        let parts = split(&parcels, &picks, shared);
        let all: BTreeSet<EntryId> = parts.iter().flatten().map(|p| p.entry.id()).collect();
        let nodes = vec![Node::with(1, database, &parts[0]), Node::with(2, database, &parts[1])];
        let mut world = World::new(nodes);
        let link = world.link_with(0, 1, |a, b| (a.plain, b.plain) = (true, true));
        world.run();
        let mut seeds = [0; 32];
        seeds[..8].copy_from_slice(&seed.to_le_bytes());
        let mut randomness = Randomness::from_seed(seeds);
        world.twist = Some(Box::new(move |side, frame| {
            wire::change(frame, &mut |name, control| {
                let said = wire::field(control, "l").and_then(|level| level.as_integer());
                if name == "a" && level > 0 && said.is_none_or(|said| said < level.into()) {
                    wire::put(control, "l", Value::from(level));
                }
                if liar == 2 || liar == side {
                    lie(lies, name, control, &mut randomness);
                }
            })
        }));
        if simultaneous {
            world.relate(link, 1, database);
        }
        world.sync(link, database);
        prop_assert!(world.nodes.iter().all(|node| node.ids(database) == all));
        for side in 0..2 {
            let end = &world.links[link][side];
            prop_assert!(end.closed.is_none(), "{:?}", end.closed);
            let unclassed = |event: &Event| matches!(event, Event::Unclassed { .. });
            prop_assert!(!end.events.iter().any(unclassed), "tips without a class");
            let status = end.session.statuses()[&database].clone();
            prop_assert!(status.rounds <= 3);
            if lies == Lie::Nothing {
                prop_assert_eq!(status.rounds, 1);
                prop_assert!(status.round_trips <= 4 + u32::from(WANTS_MAX));
            }
            prop_assert_eq!(status.pending_in + status.pending_out, 0);
            prop_assert_eq!(status.classes.unwrap().theirs.missing, 0);
        }
    }
}
