//! Laws over random graphs: every replica shows what the oracle shows, whatever order entries come
//! in, however often it restarts, and whatever else it knows; and every rule is needed for it.

use std::collections::{BTreeMap, BTreeSet};

use weald_auth::{Authority, EpochId, Operation, RestoreError, SettingsIndex};

use crate::compare::{Effort, compare};
use crate::graph::Graph;
use crate::oracle::{Mutant, Oracle};
use crate::random::{Rng, grow, propose};
use crate::replica::{Replica, Standing};

const EFFORT: Effort = Effort { entries_max: 18, doors: 2 };

fn compares(seeds: std::ops::Range<u64>) {
    let (mut entries, mut hidden, mut moved) = (0, 0, 0);
    for seed in seeds {
        let compared = compare(seed, EFFORT);
        entries += compared.entries;
        hidden += compared.hidden;
        moved += compared.moved;
    }
    // The graphs are worth comparing: much is hidden in them, and often by what comes late.
    assert!(hidden * 12 > entries && moved * 12 > entries, "{hidden} {moved} of {entries}");
}

#[test]
fn every_replica_shows_what_the_oracle_shows_1() {
    compares(0..2500);
}

#[test]
fn every_replica_shows_what_the_oracle_shows_2() {
    compares(2500..5000);
}

#[test]
fn every_replica_shows_what_the_oracle_shows_3() {
    compares(5000..7500);
}

#[test]
fn every_replica_shows_what_the_oracle_shows_4() {
    compares(7500..10_000);
}

#[test]
fn in_larger_graphs_too() {
    for seed in 0..40 {
        compare(1_000_000_000 + seed, Effort { entries_max: 60, doors: 1 });
    }
}

#[test]
fn each_rule_is_needed_for_what_is_shown() {
    let mut unnoticed: Vec<Mutant> = Mutant::ALL.to_vec();
    for seed in 0..20_000 {
        if unnoticed.is_empty() {
            return;
        }
        let mut rng = Rng::new(seed);
        let (mut graph, _) = grow(&mut rng, 14);
        let truth = Oracle::new(&graph).truth();
        unnoticed.retain(|mutant| {
            let broken = Oracle::broken(&graph, *mutant);
            broken.settle(broken.everything(), broken.nothing()).as_ref() == Some(&truth)
        });
        // Some rules show at the door only: no graph holds what breaks them.
        let place = propose(&mut rng, &mut graph);
        let verdict = Oracle::new(&graph).admits(place);
        unnoticed.retain(|mutant| Oracle::broken(&graph, *mutant).admits(place) == verdict);
    }
    assert_eq!(unnoticed, []);
}

#[test]
fn an_entry_changes_nothing_of_equal_or_stronger_rank_and_nothing_at_all_if_it_is_hidden() {
    for seed in 0..2000 {
        let mut rng = Rng::new(seed);
        let (mut graph, first) = grow(&mut rng, 14);
        let before = Oracle::new(&graph).truth();
        for _ in 0..4 {
            let place = propose(&mut rng, &mut graph);
            if first.clone().receive(&graph, place).is_ok() {
                let after = Oracle::new(&graph).truth();
                let author = |place: usize| graph.entries[place].author;
                for (other, (old, new)) in before.iter().zip(&after).enumerate() {
                    // Of the same rank is only what it takes from its author: by a limit on itself, or
                    // by an earlier use of an invite.
                    let reached = match after[place] {
                        Some(attack) => old.is_none_or(|old| {
                            attack < old || attack == old && author(other) == author(place)
                        }),
                        None => false,
                    };
                    assert!(old == new || reached, "seed {seed}: {old:?} {new:?} of {graph:#?}");
                }
            }
            graph.entries.pop();
        }
    }
}

#[test]
fn a_verdict_of_the_door_is_a_function_of_ancestors_alone() {
    for seed in 0..1000 {
        let mut rng = Rng::new(seed);
        let (mut graph, first) = grow(&mut rng, 16);
        let place = propose(&mut rng, &mut graph);
        let whole = first.clone().receive(&graph, place);
        let past = past_of(&graph, place);
        let mut replica = Replica::default();
        let last = past.entries.len() - 1;
        (0..last).for_each(|place| assert!(replica.receive(&past, place).is_ok()));
        // A refusal may name a stronger reason, never another verdict.
        assert_eq!(replica.receive(&past, last).ok(), whole.ok(), "seed {seed}: {graph:#?}");
    }
}

#[test]
fn what_is_kept_up_entry_by_entry_is_what_a_new_start_gives() {
    for seed in 0..400 {
        let mut rng = Rng::new(seed);
        let (graph, _) = grow(&mut rng, 16);
        let oracle = Oracle::new(&graph);
        let mut replica = Replica::default();
        let mut among = 0_u64;
        for place in 0..graph.entries.len() {
            replica.receive(&graph, place).unwrap();
            among |= 1 << place;
            let truth = oracle.settle(among, oracle.nothing()).unwrap();
            for (other, rank) in truth.iter().enumerate().take(place + 1) {
                let stands = replica.standing(&graph, &oracle.pasts, other);
                assert_eq!(stands == Standing::Hidden, rank.is_none(), "seed {seed}: {graph:#?}");
            }
        }
    }
}

#[test]
fn clones_that_part_do_not_mix_up_what_they_know() {
    for seed in 0..600 {
        let mut rng = Rng::new(seed);
        let (graph, first) = grow(&mut rng, 12);
        let mut both = [(graph.clone(), first.clone()), (graph, first)];
        for _ in 0..10 {
            let (graph, replica) = &mut both[rng.below(2)];
            let place = propose(&mut rng, graph);
            let mut fresh = replica.clone();
            fresh.restart();
            let verdict = replica.receive(graph, place);
            assert_eq!(verdict, fresh.receive(graph, place), "seed {seed}: {graph:#?}");
            if verdict.is_err() {
                graph.entries.pop();
            }
        }
    }
}

#[test]
fn old_parents_gain_nothing() {
    let mut escapes_at_the_door = 0;
    for seed in 0..4000 {
        let mut rng = Rng::new(seed);
        let (mut graph, first) = grow(&mut rng, 14);
        let (key, old) = (rng.below(4), rng.below(graph.entries.len()));
        let everything: Vec<usize> = (0..graph.entries.len()).collect();
        let honest = graph.add(&everything, key, 1, None, 0);
        let refused = first.clone().receive(&graph, honest).is_err();
        let time = graph.entries[honest].time;
        graph.entries.pop();
        let sneaky = graph.add(&[old], key, 1, None, 0);
        graph.entries[sneaky].time = time;
        let mut replica = first.clone();
        if replica.receive(&graph, sneaky).is_ok() && refused {
            escapes_at_the_door += 1;
            let stands = replica.standing(&graph, &graph.pasts(), sneaky);
            assert_eq!(stands, Standing::Hidden, "seed {seed}: {graph:#?}");
        }
    }
    assert!(escapes_at_the_door > 50, "{escapes_at_the_door}");
}

#[test]
fn epochs_are_equal_exactly_if_the_settings_before_are() {
    for seed in 0..600 {
        let (graph, replica) = grow(&mut Rng::new(seed), 18);
        let pasts = graph.pasts();
        let settings: Vec<usize> =
            (0..pasts.len()).filter(|place| graph.entries[*place].operations.is_some()).collect();
        let mut named: BTreeMap<u64, EpochId> = BTreeMap::new();
        let mask = settings.iter().fold(0, |all, place| all | 1_u64 << place);
        for (place, origin) in &replica.origins {
            let before = pasts[*place] & mask;
            assert_eq!(*named.entry(before).or_insert(origin.epoch), origin.epoch);
            let tips: BTreeSet<usize> = replica
                .authority
                .epoch_tips(origin.epoch)
                .iter()
                .map(|tip| replica.place_of(*tip))
                .collect();
            let known = |tip: &usize| before >> tip & 1 == 1;
            let covered = |tip: usize| {
                settings.iter().any(|above| known(above) && pasts[*above] >> tip & 1 == 1)
            };
            let expected = settings.iter().copied().filter(|tip| known(tip) && !covered(*tip));
            assert_eq!(tips, expected.collect(), "seed {seed}: {graph:#?}");
            for other in &settings {
                let index = replica.origins[other].settings.unwrap();
                let expected = known(other) || other == place;
                assert_eq!(replica.authority.knows(*origin, index), expected);
            }
        }
        let distinct: BTreeSet<EpochId> = named.values().copied().collect();
        assert_eq!(distinct.len(), named.len());
        let newest = replica.authority.settings_tips().iter().map(|tip| replica.place_of(*tip));
        let covered = |tip: usize| settings.iter().any(|above| pasts[*above] >> tip & 1 == 1);
        let expected = settings.iter().copied().filter(|tip| !covered(*tip));
        assert_eq!(newest.collect::<BTreeSet<_>>(), expected.collect());
    }
}

#[test]
fn damaged_rows_are_refused_or_make_some_authority() {
    for seed in 0..1500 {
        let mut rng = Rng::new(seed);
        let (_, replica) = grow(&mut rng, 16);
        let (mut entries, mut epochs) = replica.kept();
        let (entry, epoch) = (rng.below(entries.len()), rng.below(epochs.len()));
        epochs[epoch].push(SettingsIndex(rng.below(32) as u64));
        entries[entry].0 = EpochId(rng.below(32) as u64);
        drop(Authority::restore(entries, epochs));
    }
}

#[test]
fn rows_that_name_what_is_not_before_them_are_refused() {
    let mut graph = Graph::new(vec![]);
    graph.entries[0].operations = Some(vec![Operation::Set { key: "k".into(), value: "v".into() }]);
    let mut replica = Replica::default();
    replica.receive(&graph, 0).unwrap();
    let (entries, epochs) = replica.kept();
    let restore = Authority::restore;
    assert!(restore(entries.clone(), epochs.clone()).is_ok());
    let later = vec![vec![], vec![SettingsIndex(1)]];
    assert_eq!(restore(entries.clone(), later).unwrap_err(), RestoreError::Epoch(1));
    let twice = vec![vec![], vec![SettingsIndex(0)], vec![SettingsIndex(0)]];
    assert_eq!(restore(entries.clone(), twice).unwrap_err(), RestoreError::Epoch(2));
    let first = vec![vec![SettingsIndex(0)]];
    assert_eq!(restore(entries.clone(), first).unwrap_err(), RestoreError::FirstEpoch);
    let mut unknown = entries;
    unknown[0].0 = EpochId(1);
    let expected = RestoreError::Entry { index: 0, epoch: 1 };
    assert_eq!(restore(unknown, epochs).unwrap_err(), expected);
}

/// The part of a graph that is before an entry, and the entry.
fn past_of(graph: &Graph, place: usize) -> Graph {
    let pasts = graph.pasts();
    let kept = |other: &usize| *other == place || pasts[place] >> other & 1 == 1;
    let kept: Vec<usize> = (0..=place).filter(kept).collect();
    let renumbered: BTreeMap<usize, usize> =
        kept.iter().enumerate().map(|(new, old)| (*old, new)).collect();
    let mut past = Graph::default();
    for old in kept {
        let mut entry = graph.entries[old].clone();
        entry.parents.iter_mut().for_each(|parent| *parent = renumbered[parent]);
        past.entries.push(entry);
    }
    past
}
