//! What the needed entries sum up to by generation, in histories that are deep enough for several
//! buckets, as their top is hidden and shown again.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use weald_auth::Level;
use weald_dag::{EntryId, Graph, Number, RUNG_GENERATIONS, Sums};

use crate::laws::{Chance, deliver};
use crate::site::Site;
use crate::world::{Act, World, grant, limit};

/// Sums up what is needed from nothing but the rows of entries.
fn summed(site: &Site, world: &World) -> (u64, BTreeMap<u64, Sums>) {
    let (mut greatest, mut buckets) = (0, BTreeMap::<u64, Sums>::new());
    let snapshot = site.store.snapshot().unwrap();
    let graph = Graph::new(&*snapshot, site.number(world.id));
    graph
        .each_from(Number(0), &mut |stored| {
            let generation = stored.local.generation;
            if stored.local.standing.is_needed() {
                greatest = generation.max(greatest);
                let first = generation / RUNG_GENERATIONS * RUNG_GENERATIONS;
                buckets.entry(first).or_default().add(&stored.parcel.entry.id());
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    (greatest, buckets)
}

fn assert_sums(site: &Site, world: &World) {
    let (greatest, buckets) = summed(site, world);
    assert_eq!(site.head(world.id).generation, greatest);
    assert_eq!(site.buckets(world.id), buckets);
    let snapshot = site.store.snapshot().unwrap();
    let graph = Graph::new(&*snapshot, site.number(world.id));
    let (mut visited, mut needed) = (BTreeSet::new(), site.needed(world.id));
    graph
        .each_needed_id(&mut |number, id| {
            assert_eq!(graph.entry(number).unwrap().id(), id);
            assert!(needed.remove(&id).is_some() && visited.insert(id));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(needed.is_empty());
}

/// A chain of entries by one writer each for a stretch of generations, and a branch beside it.
fn deep(stretches: &[(u8, usize)]) -> World {
    let writers = [2, 3, 4].map(|writer| grant(writer, Level::Write(5)));
    let mut world = World::new([writers.as_slice(), &[grant(5, Level::Admin(1))]].concat());
    let mut last = world.root();
    for (author, length) in stretches {
        for _ in 0..*length {
            last = world.add(&[last], *author, &Act::Counter(1)).unwrap();
        }
    }
    world
}

/// The limiter hides what an author has made.
fn hide(world: &mut World, limiter: u8, author: u8) {
    let root = world.root();
    world.add(&[root], limiter, &Act::Settings(vec![limit(author, None)])).unwrap();
}

#[test]
fn the_ladder_falls_as_the_top_is_hidden_and_rises_as_it_is_shown() {
    let mut world = deep(&[(2, 300), (3, 300)]);
    assert_sums(&world.site, &world);
    assert_eq!(world.site.head(world.id).generation, 600);
    assert_eq!(world.site.listed("ladder", world.id).len(), 2);

    // The upper half goes, and the bucket that was closed is open again.
    hide(&mut world, 5, 3);
    assert_sums(&world.site, &world);
    assert_eq!(world.site.head(world.id).generation, 300);
    assert_eq!(world.site.listed("ladder", world.id).len(), 1);

    // All of the chain goes: nothing but settings is left.
    hide(&mut world, 5, 2);
    assert_sums(&world.site, &world);
    assert_eq!(world.site.listed("ladder", world.id), []);
    world.site.restart();

    // Who outranks the limiter undoes both limits, and all is there again.
    hide(&mut world, 1, 5);
    assert_sums(&world.site, &world);
    assert_eq!(world.site.head(world.id).generation, 600);
    assert_eq!(world.site.listed("ladder", world.id).len(), 2);
    world.site.assert_sound(world.id);
}

#[test]
fn hidden_entries_that_come_to_be_needed_are_summed_up_again() {
    let mut world = deep(&[(2, 280), (3, 20)]);
    let top = *world.ids.last().unwrap();
    hide(&mut world, 1, 3);
    hide(&mut world, 5, 2);
    assert_eq!(world.site.head(world.id).generation, 1);

    // Who is not limited writes on top of what is hidden: all of it is needed.
    world.add(&[top], 4, &Act::Counter(1)).unwrap();
    assert_sums(&world.site, &world);
    assert_eq!(world.site.head(world.id).generation, 301);
    assert_eq!(world.site.head(world.id).needed, 304);
    world.site.assert_sound(world.id);
}

#[test]
fn entries_on_old_ones_change_the_bucket_that_they_fall_into() {
    let mut world = deep(&[(2, 600)]);
    let (low, middle) = (world.ids[10], world.ids[400]);
    for parent in [low, middle, low] {
        world.add(&[parent], 3, &Act::Counter(1)).unwrap();
        assert_sums(&world.site, &world);
    }
    assert_eq!(world.site.listed("ladder", world.id).len(), 2);
}

#[test]
fn replicas_of_deep_histories_sum_up_the_same_whatever_the_order() {
    for seed in 0..2 {
        let mut chance = Chance(seed);
        let mut world = deep(&[(2, 200), (3, 100), (4, 60)]);
        for _ in 0..12 {
            let (parents, author) = (chance.parents(&world), 1 + chance.byte(4));
            let act = match chance.below(4) {
                0 => Act::Settings(vec![limit(2 + chance.byte(3), None)]),
                1 => Act::Settings(vec![grant(2 + chance.byte(3), Level::Write(5))]),
                _ => Act::Counter(1),
            };
            world.add(&parents, author, &act);
            assert_sums(&world.site, &world);
        }
        let all: BTreeSet<EntryId> = world.ids.iter().copied().collect();
        let other = deliver(&world, &all, &mut chance);
        assert_sums(&other, &world);
        assert_eq!(other.buckets(world.id), world.site.buckets(world.id));
        assert_eq!(other.head(world.id).generation, world.site.head(world.id).generation);
        other.assert_sound(world.id);
    }
}

#[test]
fn sums_that_are_not_those_of_the_entries_are_found() {
    let world = deep(&[(2, 300)]);
    let space = weald_dag::Space::new("ladder", world.site.number(world.id));
    let mut rows = world.site.rows();
    let mut row = weald_dag::Snapshot::get(&rows, space, &[0; 8]).unwrap().unwrap();
    *row.last_mut().unwrap() ^= 1;
    rows.put(space, [0; 8], row);
    world.site.store.apply(rows.into_batch(), weald_dag::Durability::Immediate).unwrap();
    let findings = world.site.findings(world.id);
    assert!(findings.iter().any(|found| found.contains("ladder")), "{findings:?}");
}
