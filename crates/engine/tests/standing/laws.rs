//! Laws over random graphs: whatever the order and the batches in which entries come, and however
//! often a replica restarts, what is needed decides what is there.

use std::collections::BTreeSet;

use proptest::prelude::*;
use weald_auth::{Level, Operation};
use weald_dag::{EntryId, Verified};

use crate::site::Site;
use crate::world::{Act, World, grant, invite, limit};

/// Draws numbers, by the SplitMix64 generator.
#[derive(Clone)]
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let number = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((number ^ (number >> 31)) % limit as u64).unwrap()
    }

    pub(crate) fn byte(&mut self, limit: usize) -> u8 {
        u8::try_from(self.below(limit)).unwrap()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    fn level(&mut self) -> Level {
        let priority = [0, 1, 2, 2, 5][self.below(5)];
        match self.below(6) {
            0..3 => Level::Admin(priority),
            3..5 => Level::Write(priority),
            _ => Level::Read,
        }
    }

    fn operations(&mut self, author: u8) -> Vec<Operation> {
        let to = [None, None, Some(Level::Read), Some(Level::Write(6)), Some(Level::Admin(3))];
        match self.below(10) {
            0..2 => vec![grant(1 + self.byte(6), self.level())],
            2 => vec![grant(0, Level::Write(9))],
            3 => vec![invite(6, 1)],
            4 => vec![limit(author, to[self.below(5)])],
            5 => vec![limit(0, None)],
            _ => vec![limit(1 + self.byte(6), to[self.below(5)])],
        }
    }

    fn act(&mut self, author: u8) -> Act {
        let n = self.byte(30);
        match self.below(20) {
            0..3 => Act::Table(n),
            3 => Act::Log(n),
            4..6 => Act::Counter(n),
            6 => Act::Set(n),
            7 => Act::Doc(n),
            8 => Act::Tally,
            9 => Act::Votes,
            10..12 => Act::Many(n),
            12 => Act::Both(self.operations(author), n),
            _ => Act::Settings(self.operations(author)),
        }
    }

    pub(crate) fn parents(&mut self, world: &World) -> Vec<EntryId> {
        match self.below(10) {
            0..2 => world.tips(),
            2..6 => {
                let near = &world.ids[world.ids.len().saturating_sub(8)..];
                (0..=self.below(2)).map(|_| *self.pick(near)).collect()
            }
            _ => (0..=self.below(3)).map(|_| *self.pick(&world.ids)).collect(),
        }
    }
}

fn grown(chance: &mut Chance) -> World {
    let first = vec![
        grant(2, Level::Admin(1)),
        grant(3, Level::Admin(2)),
        grant(4, Level::Write(5)),
        grant(5, Level::Admin(3)),
        invite(6, 2),
    ];
    let mut world = World::new(first);
    for _ in 0..20 + chance.below(30) {
        let author = 1 + chance.byte(6);
        let (parents, act) = (chance.parents(&world), chance.act(author));
        world.add(&parents, author, &act);
    }
    world
}

/// Gives entries to a new site in a random order, parents first, in random batches.
pub(crate) fn deliver(world: &World, only: &BTreeSet<EntryId>, chance: &mut Chance) -> Site {
    let mut site = Site::new();
    let mut left: Vec<&Verified> =
        world.pool.iter().filter(|one| only.contains(&id(one))).collect();
    let mut there = BTreeSet::new();
    let mut is_indexed = false;
    while !left.is_empty() {
        let mut batch = Vec::new();
        for _ in 0..=chance.below(6) {
            let is_ready = |one: &&&Verified| {
                world.parents[&id(one)].iter().all(|parent| there.contains(parent))
            };
            let ready: Vec<EntryId> = left.iter().filter(is_ready).map(|one| id(one)).collect();
            if ready.is_empty() {
                break;
            }
            let next = *chance.pick(&ready);
            let place = left.iter().position(|one| id(one) == next).unwrap();
            there.insert(next);
            batch.push(left.remove(place).clone());
        }
        site.ingest(world.id, batch);
        if !is_indexed && chance.below(3) == 0 {
            site.declare_index(world.id);
            is_indexed = true;
        }
        if chance.below(4) == 0 {
            site.restart();
        }
        if chance.below(6) == 0 {
            there = site.prune(world.id);
            let is_needed = |one: &&Verified| only.contains(&id(one)) && !there.contains(&id(one));
            left = world.pool.iter().filter(is_needed).collect();
        }
    }
    if !is_indexed {
        site.declare_index(world.id);
    }
    site
}

fn id(one: &Verified) -> EntryId {
    one.clone().into_parcel().entry.id()
}

fn same(world: &World, site: &Site, expected: &Site, what: &str) {
    let id = world.id;
    assert_eq!(site.needed(id), expected.needed(id), "{what}: who is visible");
    assert_eq!(site.tips(id), expected.tips(id), "{what}: tips");
    assert_eq!(site.head(id).needed, expected.head(id).needed, "{what}: how many are needed");
    assert_eq!(site.buckets(id), expected.buckets(id), "{what}: what they sum up to");
    assert_eq!(site.index(id), expected.index(id), "{what}: index");
    for area in ["state", "buried", "dangling", "history"] {
        assert_eq!(site.listed(area, id), expected.listed(area, id), "{what}: rows of {area}");
    }
    assert_eq!(site.digest(id), expected.digest(id), "{what}: digest");
}

fn check(seed: u64) {
    let mut chance = Chance(seed);
    let world = grown(&mut chance);
    let needed: BTreeSet<EntryId> = world.site.needed(world.id).into_keys().collect();
    let all: BTreeSet<EntryId> = world.ids.iter().copied().collect();
    // The oracle gets what is needed alone, in one order and one by one.
    let mut oracle = Site::new();
    for one in world.pool.iter().filter(|one| needed.contains(&id(one))) {
        oracle.ingest(world.id, vec![one.clone()]);
    }
    oracle.declare_index(world.id);
    oracle.assert_sound(world.id);
    same(&world, &world.site, &oracle, "where it was made");
    world.site.assert_sound(world.id);
    for (only, what) in [(&all, "first"), (&all, "second"), (&needed, "the needed alone")] {
        let site = deliver(&world, only, &mut chance);
        same(&world, &site, &oracle, what);
        site.assert_sound(world.id);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_is_needed_decides_what_is_there_in_any_order(seed in any::<u64>()) {
        check(seed);
    }
}

#[test]
fn random_graphs_hide_and_show() {
    let (mut hidden, mut shown_again, mut needed) = (0, 0, 0);

    for seed in 0..20 {
        let mut chance = Chance(seed);
        let world = grown(&mut chance);
        hidden += world.hidden().len();
        needed += world.site.needed(world.id).values().filter(|visible| !**visible).count();
        shown_again += usize::try_from(world.appeared).unwrap();
    }
    assert!(hidden > 40 && needed > 20 && shown_again > 0, "{hidden} {needed} {shown_again}");
}
