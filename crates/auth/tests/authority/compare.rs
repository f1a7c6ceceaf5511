//! One random graph, compared with the oracle in every way: the door, one pass and any start of the
//! naive rules, orders of delivery, batches, restarts, and replicas that drop what nobody needs.

use crate::graph::Graph;
use crate::oracle::{Oracle, Outcome};
use crate::random::{self, Rng};
use crate::replica::{Replica, Standing};

/// How much was compared.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Compared {
    pub(crate) entries: usize,
    pub(crate) hidden: usize,
    pub(crate) moved: usize,
}

/// How much is done with one graph.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) entries_max: usize,
    /// How many verdicts of the door are compared.
    pub(crate) doors: usize,
}

/// Grows the graph of a seed and compares everything.
///
/// # Panics
/// Where the crate differs from the oracle; the message names the seed.
pub(crate) fn compare(seed: u64, effort: Effort) -> Compared {
    let mut rng = Rng::new(seed);
    let size = 4 + rng.below(effort.entries_max - 3);
    let (mut graph, first) = random::grow(&mut rng, size);
    doors(&mut rng, &mut graph, &first, effort.doors, seed);
    let oracle = Oracle::new(&graph);
    let truth = oracle.truth();
    let starts = any_start(&mut rng, &graph, &truth);
    let everything = oracle.everything();
    assert_eq!(oracle.settle(everything, starts).as_ref(), Some(&truth), "seed {seed}: from all");
    let needed = oracle.needed(&truth);
    let of_needed = oracle.settle(needed, oracle.nothing());
    assert_eq!(of_needed.as_ref(), Some(&truth), "seed {seed}: what is needed");
    agrees(&graph, &oracle, &truth, &first, seed);
    let mut compared = Compared {
        entries: truth.len(),
        hidden: truth.iter().filter(|rank| rank.is_none()).count(),
        moved: 0,
    };
    for drops in [false, true] {
        compared.moved += deliver(&mut rng, &graph, &oracle, &truth, drops, seed);
    }
    compared
}

/// Compares verdicts of the door on more entries, and takes them out again.
fn doors(rng: &mut Rng, graph: &mut Graph, first: &Replica, doors: usize, seed: u64) {
    for _ in 0..doors {
        let place = random::propose(rng, graph);
        let verdict = first.clone().receive(graph, place);
        let expected = Oracle::new(graph).admits(place);
        assert_eq!(verdict.clone().ok(), expected, "seed {seed}: door of {verdict:?}");
        graph.entries.pop();
    }
    let place = rng.below(graph.entries.len());
    assert!(Oracle::new(graph).admits(place).is_some(), "seed {seed}: door of entry {place}");
}

/// Everything counts, under ranks that are right or made up.
fn any_start(rng: &mut Rng, graph: &Graph, truth: &Outcome) -> Outcome {
    let made_up = |rng: &mut Rng, place: usize| {
        let entry = &graph.entries[place];
        let (generation, priority) = (entry.generation, rng.one(&[0, 1, 2, 5]));
        weald_auth::Rank { priority, generation, entry: entry.id, index: 0 }
    };
    let start = truth.iter().enumerate();
    start.map(|(place, rank)| Some(rank.unwrap_or_else(|| made_up(rng, place)))).collect()
}

/// Checks that a replica shows what the oracle shows; what it has dropped is not visible.
fn agrees(graph: &Graph, oracle: &Oracle<'_>, truth: &Outcome, replica: &Replica, seed: u64) {
    for (place, rank) in truth.iter().enumerate() {
        let is_data = graph.entries[place].operations.is_none();
        let expected = match rank {
            Some(rank) if is_data => Standing::Data(*rank),
            Some(_) => Standing::Settings,
            None => Standing::Hidden,
        };
        let stands = match replica.origins.get(&place) {
            Some(_) => replica.standing(graph, &oracle.pasts, place),
            None => Standing::Hidden,
        };
        assert_eq!(stands, expected, "seed {seed}: entry {place} of {graph:#?}");
    }
}

/// Delivers a graph in some order to a replica that restarts, and may drop what nobody needs, which
/// comes again later or never. Returns how often an entry moved others.
fn deliver(
    rng: &mut Rng,
    graph: &Graph,
    oracle: &Oracle<'_>,
    truth: &Outcome,
    drops: bool,
    seed: u64,
) -> usize {
    let mut replica = Replica::default();
    let mut open: Vec<usize> = (0..graph.entries.len()).collect();
    let (mut moved, mut dropping) = (0, if drops { 3 } else { 0 });
    let checks_moves = rng.chance(25);
    while !open.is_empty() {
        let known = |place: &usize| replica.origins.contains_key(place);
        let ready = open.iter().filter(|place| graph.entries[**place].parents.iter().all(known));
        let ready: Vec<usize> = ready.copied().collect();
        let place = rng.one(&ready);
        open.retain(|other| *other != place);
        let before = checks_moves.then(|| standings(graph, oracle, &replica));
        replica.receive(graph, place).expect("it passed the door of the first replica");
        if let Some(before) = before {
            moves_are_complete(graph, oracle, &replica, &before, place, seed);
        }
        moved += usize::from(replica.last.as_ref().is_some_and(|last| !last.moved.is_empty()));
        if rng.chance(8) {
            replica.restart();
        }
        if dropping > 0 && rng.chance(12) {
            dropping -= 1;
            let dropped = drop_unneeded(graph, oracle, &mut replica);
            // What comes never again is not waited for, nor what is above it.
            open.extend(dropped);
            open.sort_unstable();
        }
    }
    if drops {
        drop_unneeded(graph, oracle, &mut replica);
    }
    replica.restart();
    agrees(graph, oracle, truth, &replica, seed);
    moved
}

type Standings = Vec<Option<Standing>>;

fn standings(graph: &Graph, oracle: &Oracle<'_>, replica: &Replica) -> Standings {
    let stands = |place| replica.standing(graph, &oracle.pasts, place);
    let known = |place: &usize| replica.origins.contains_key(place);
    (0..graph.entries.len()).map(|place| known(&place).then(|| stands(place))).collect()
}

/// Checks that nothing stands otherwise than before but what moved and what is beside or after it.
fn moves_are_complete(
    graph: &Graph,
    oracle: &Oracle<'_>,
    replica: &Replica,
    before: &Standings,
    newest: usize,
    seed: u64,
) {
    let after = standings(graph, oracle, replica);
    let moved = replica.last.iter().flat_map(|last| &last.moved);
    let moved: Vec<usize> = moved.map(|index| replica.place_of(*index)).collect();
    for (place, stood) in before.iter().enumerate() {
        let named = moved.contains(&place);
        let in_all = moved.iter().all(|moved| oracle.pasts[*moved] >> place & 1 == 1);
        let told = named || !in_all;
        let same = stood.is_none() || *stood == after[place];
        assert!(same || told, "seed {seed}: {newest} moved {moved:?}, not {place}, of {graph:#?}");
    }
}

/// Takes a replica apart and builds it again without what is neither visible nor below anything
/// visible; returns what was dropped.
fn drop_unneeded(graph: &Graph, oracle: &Oracle<'_>, replica: &mut Replica) -> Vec<usize> {
    let stands = |place: &usize| replica.standing(graph, &oracle.pasts, *place);
    let visible = replica.origins.keys().filter(|place| stands(place) != Standing::Hidden);
    let needed = visible.fold(0, |all, place| all | oracle.pasts[*place] | 1_u64 << place);
    let mut left = Replica::default();
    let mut dropped = Vec::new();
    for place in replica.origins.keys() {
        if needed >> place & 1 == 0 {
            dropped.push(*place);
        } else {
            left.receive(graph, *place).expect("it was let in before");
        }
    }
    *replica = left;
    dropped
}
