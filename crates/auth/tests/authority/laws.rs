//! Laws over random graphs: every replica gives the oracle's verdicts, whatever order entries come
//! in, however often it restarts, and whatever else it knows.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use weald_auth::{EpochId, Level, Operation, RestoreError, SettingsIndex, Subject};
use weald_dag::EntryId;

use crate::graph::{Graph, KEYS};
use crate::oracle;
use crate::replica::Replica;

fn level() -> impl Strategy<Value = Level> {
    let priority = prop::sample::select(vec![0_u32, 0, 1, 2, 2, 5]);
    (0..6_u8, priority).prop_map(|(kind, priority)| match kind {
        0..3 => Level::Admin(priority),
        3..5 => Level::Write(priority),
        _ => Level::Read,
    })
}

fn operation() -> impl Strategy<Value = Operation> {
    let subject = prop_oneof![
        5 => (0..6_usize).prop_map(|key| Subject::Key(KEYS[key])),
        1 => Just(Subject::Anyone),
    ];
    let expires = prop_oneof![4 => Just(None), 1 => (0..40_u64).prop_map(Some)];
    let grant = (subject, level(), expires).prop_map(|(subject, level, expires)| {
        Operation::Grant { subject, level, name: None, expires }
    });
    let set = (0..3_u8, 0..3_u8)
        .prop_map(|(key, value)| Operation::Set { key: key.to_string(), value: value.to_string() });
    prop_oneof![6 => grant, 1 => set]
}

type Raw = (Vec<usize>, usize, u64, Option<Vec<Operation>>, u8);

fn raw() -> impl Strategy<Value = Raw> {
    let operations = prop::collection::vec(operation(), 0..3);
    let operations = prop_oneof![1 => Just(None), 2 => operations.prop_map(Some)];
    (prop::collection::vec(0..64_usize, 1..4), 0..7_usize, 1..4_u64, operations, 0..4_u8)
}

fn graph() -> impl Strategy<Value = Graph> {
    prop::collection::vec(raw(), 1..24).prop_map(|all| {
        let (subject, name, expires) = (Subject::Key(KEYS[0]), None, None);
        let creator = Operation::Grant { subject, level: Level::Admin(0), name, expires };
        let mut graph = Graph::new(vec![creator]);
        for (picks, author, step, operations, grind) in all {
            // Parents are near and most of them stand, so that what is refused does not swallow
            // everything that comes later.
            let verdicts = oracle::verdicts(&graph);
            let stands = |place: &usize| verdicts[*place].is_some() || grind == 0 && step == 1;
            let near: Vec<usize> = (0..verdicts.len()).rev().filter(stands).take(5).collect();
            let parents: BTreeSet<usize> =
                picks.iter().map(|pick| near[pick % near.len()]).collect();
            let parents: Vec<usize> = parents.into_iter().collect();
            graph.add(&parents, author % 6, step, operations, grind);
        }
        graph
    })
}

/// Delivers a graph in an order that `picks` choose, parents first, and compares every verdict.
fn deliver(graph: &Graph, picks: &[usize], restart_every: usize) -> Replica {
    let expected = oracle::verdicts(graph);
    let mut replica = Replica::default();
    let mut left: BTreeSet<usize> = (0..graph.entries.len()).collect();
    for step in 0.. {
        let known = |place: &usize| replica.origins.contains_key(place);
        let ready: Vec<usize> = left
            .iter()
            .copied()
            .filter(|place| graph.entries[*place].parents.iter().all(known))
            .collect();
        let Some(pick) = picks.get(step % picks.len()).filter(|_| !ready.is_empty()) else {
            break;
        };
        let place = ready[pick % ready.len()];
        left.remove(&place);
        let verdict = replica.receive(graph, place);
        assert_eq!(verdict.clone().ok(), expected[place], "entry {place}: {verdict:?}");
        if step % restart_every == restart_every - 1 {
            replica.restart();
        }
    }
    // What never became ready descends from something refused.
    assert!(left.iter().all(|place| expected[*place].is_none()));
    replica
}

/// The part of a graph that is before an entry, and the entry.
fn past_of(graph: &Graph, place: usize) -> Graph {
    let mut kept = graph.ancestors(place);
    kept.push(place);
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

fn id_of(graph: &Graph, place: usize) -> EntryId {
    graph.entries[place].id
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_order_of_delivery_gives_the_verdicts_of_the_oracle(
        graph in graph(),
        first in prop::collection::vec(0..64_usize, 1..16),
        second in prop::collection::vec(0..64_usize, 1..16),
        restart_every in 1..8_usize,
    ) {
        let first = deliver(&graph, &first, restart_every);
        let second = deliver(&graph, &second, usize::MAX);
        prop_assert_eq!(first.origins.len(), second.origins.len());
        let (a, b) = (first.authority.current(), second.authority.current());
        prop_assert_eq!(a.members(), b.members());
        prop_assert!(a.settings().eq(b.settings()));
    }

    #[test]
    fn a_verdict_is_a_function_of_ancestors_alone(graph in graph(), place in 0..64_usize) {
        let place = place % graph.entries.len();
        let past = past_of(&graph, place);
        let whole = oracle::verdicts(&graph)[place];
        prop_assert_eq!(oracle::verdicts(&past).last().copied().flatten(), whole);
        deliver(&past, &[0], usize::MAX);
    }

    #[test]
    fn epochs_are_equal_exactly_if_the_settings_before_are(
        graph in graph(),
        picks in prop::collection::vec(0..64_usize, 1..16),
    ) {
        let replica = deliver(&graph, &picks, usize::MAX);
        let ids: BTreeMap<SettingsIndex, EntryId> = replica
            .origins
            .iter()
            .filter_map(|(place, origin)| Some((origin.settings?, id_of(&graph, *place))))
            .collect();
        let mut named: BTreeMap<BTreeSet<EntryId>, EpochId> = BTreeMap::new();
        let stored: BTreeSet<usize> = replica.origins.keys().copied().collect();
        let named_tips: Vec<EntryId> =
            replica.authority.settings_tips().iter().map(|tip| ids[tip]).collect();
        let newest = oracle::newest_settings(&graph, &stored);
        prop_assert_eq!(named_tips.len(), newest.len());
        prop_assert!(newest.iter().all(|place| named_tips.contains(&id_of(&graph, *place))));
        for (place, origin) in &replica.origins {
            for (settings, id) in &ids {
                let mut known = graph.ancestors(*place);
                known.push(*place);
                let expected = known.iter().any(|place| id_of(&graph, *place) == *id);
                prop_assert_eq!(replica.authority.knows(*origin, *settings), expected);
            }
            let tips: BTreeSet<EntryId> =
                replica.authority.epoch_tips(origin.epoch).iter().map(|tip| ids[tip]).collect();
            let expected = oracle::settings_tips(&graph, *place);
            prop_assert_eq!(&tips, &expected.iter().map(|tip| id_of(&graph, *tip)).collect());
            prop_assert_eq!(*named.entry(tips).or_insert(origin.epoch), origin.epoch);
        }
    }

    #[test]
    fn damaged_rows_are_refused_or_make_some_authority(
        graph in graph(),
        epoch in 0..32_usize,
        tip in 0..32_u64,
        entry in 0..32_usize,
        named in 0..32_u64,
    ) {
        let (mut entries, mut epochs) = deliver(&graph, &[0], usize::MAX).kept();
        let (entry, epoch) = (entry % entries.len(), epoch % epochs.len());
        epochs[epoch].push(SettingsIndex(tip));
        entries[entry].0 = EpochId(named);
        drop(weald_auth::Authority::restore(entries, epochs));
    }
}

#[test]
fn rows_that_name_what_is_not_before_them_are_refused() {
    let mut graph = Graph::new(vec![]);
    graph.entries[0].operations = Some(vec![Operation::Set { key: "k".into(), value: "v".into() }]);
    let (entries, epochs) = deliver(&graph, &[0], usize::MAX).kept();
    let restore = weald_auth::Authority::restore;
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
