//! Walks against plain sets over random graphs.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use weald_dag::{
    Graph, Local, MemoryStore, Number, Overlay, Parcel, Space, Standing, Store, append,
};

use crate::make::{root, signed};

const DATABASE: u32 = 3;

/// Walks read numbers only, so one parcel does for every row.
static PARCEL: LazyLock<Parcel> = LazyLock::new(|| signed(root(), Vec::new()).into_parcel());

/// The parents of each entry, by number.
type Parents = Vec<BTreeSet<u64>>;

fn parents() -> impl Strategy<Value = Parents> {
    let near = prop::collection::vec(0..6_usize, 1..4);
    let far = prop::collection::vec(any::<prop::sample::Index>(), 1..3);
    let picks = prop_oneof![3 => near.prop_map(Ok), 1 => far.prop_map(Err)];
    prop::collection::vec(picks, 0..40).prop_map(|all| {
        let mut parents = vec![BTreeSet::new()];
        for picks in all {
            let count = parents.len();
            parents.push(match picks {
                Ok(near) => near.iter().map(|back| (count - 1 - back % count) as u64).collect(),
                Err(far) => far.iter().map(|index| index.index(count) as u64).collect(),
            });
        }
        parents
    })
}

fn stored(parents: &Parents) -> Overlay {
    let mut rows = Overlay::new(MemoryStore::new().snapshot().unwrap());
    for ((number, generation), parents) in (0..).zip(generations(parents)).zip(parents) {
        let local = Local {
            standing: Standing::Visible,
            generation,
            epoch: 0,
            parents: parents.iter().copied().map(Number).collect(),
            head: None,
        };
        append(&mut rows, DATABASE, Number(number), &local, &PARCEL);
    }
    rows
}

fn generations(parents: &Parents) -> Vec<u64> {
    let mut found: Vec<u64> = Vec::new();
    for parents in parents {
        found.push(parents.iter().map(|parent| found[*parent as usize] + 1).max().unwrap_or(0));
    }
    found
}

/// What `from` reach, themselves included.
fn reached(parents: &Parents, from: &[Number]) -> BTreeSet<Number> {
    let mut found = BTreeSet::new();
    let mut open = from.to_vec();
    while let Some(number) = open.pop() {
        if found.insert(number) {
            open.extend(parents[number.0 as usize].iter().copied().map(Number));
        }
    }
    found
}

fn numbers(picks: &[prop::sample::Index], parents: &Parents) -> Vec<Number> {
    picks.iter().map(|index| Number(index.index(parents.len()) as u64)).collect()
}

fn picks() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_is_beside_several_is_what_some_of_them_do_not_reach(
        parents in parents(),
        of in picks(),
    ) {
        let rows = stored(&parents);
        let graph = Graph::new(&rows, DATABASE);
        let all: Vec<Number> = (0..parents.len() as u64).map(Number).collect();
        let ends = graph.maximal(&all).unwrap();
        let of = numbers(&of, &parents);
        let pasts: Vec<_> = of.iter().map(|number| reached(&parents, &[*number])).collect();
        let beside = graph.beside(&ends, &of).unwrap();
        for number in &all {
            let expected = pasts.iter().any(|past| !past.contains(number));
            prop_assert_eq!(beside.contains_key(number), expected);
            let Some(by) = beside.get(number) else { continue };
            for (place, past) in pasts.iter().enumerate() {
                prop_assert_eq!(by.has(place), past.contains(number));
            }
        }
    }

    #[test]
    fn who_reaches_targets_is_told_of_each(
        parents in parents(),
        from in picks(),
        targets in picks(),
    ) {
        let rows = stored(&parents);
        let (from, targets) = (numbers(&from, &parents), numbers(&targets, &parents));
        let found = Graph::new(&rows, DATABASE).reached(&from, &targets).unwrap();
        prop_assert!(found.keys().eq(targets.iter().collect::<BTreeSet<_>>()));
        for (target, by) in found {
            for (place, one) in from.iter().enumerate() {
                prop_assert_eq!(by.has(place), reached(&parents, &[*one]).contains(&target));
            }
        }
    }

    #[test]
    fn walks_find_what_plain_sets_find(parents in parents(), ours in picks(), theirs in picks()) {
        let rows = stored(&parents);
        let graph = Graph::new(&rows, DATABASE);
        let (ours, theirs) = (numbers(&ours, &parents), numbers(&theirs, &parents));
        let (reach_ours, reach_theirs) = (reached(&parents, &ours), reached(&parents, &theirs));

        let ascending = |set: BTreeSet<Number>| set.into_iter().collect::<Vec<_>>();
        let expected = ascending(&reach_ours - &reach_theirs);
        prop_assert_eq!(graph.difference(&ours, &theirs).unwrap(), expected);
        prop_assert_eq!(graph.ancestors(&ours).unwrap(), ascending(reach_ours));

        for from in &ours {
            for to in &theirs {
                let expected = reached(&parents, &[*from]).contains(to);
                prop_assert_eq!(graph.reaches(*from, *to).unwrap(), expected);
            }
        }
        let below = |number: &Number| {
            ours.iter().any(|other| other != number && reached(&parents, &[*other]).contains(number))
        };
        let expected = ours.iter().copied().filter(|number| !below(number)).collect();
        prop_assert_eq!(graph.maximal(&ours).unwrap(), ascending(expected));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() })]

    #[test]
    fn above_a_generation_is_the_part_of_the_difference_that_is_not_below(
        parents in parents(),
        ours in picks(),
        theirs in picks(),
        generation in 0_u64..12,
    ) {
        let rows = stored(&parents);
        let graph = Graph::new(&rows, DATABASE);
        let (ours, theirs) = (numbers(&ours, &parents), numbers(&theirs, &parents));
        let generations = generations(&parents);
        let only_ours = &reached(&parents, &ours) - &reached(&parents, &theirs);
        let expected: Vec<Number> = only_ours
            .into_iter()
            .filter(|number| generations[number.0 as usize] >= generation)
            .collect();
        prop_assert_eq!(graph.above(&ours, &theirs, generation).unwrap(), expected);
    }
}

#[test]
fn what_is_below_the_generation_is_not_walked_into() {
    // Entry 2 is missing, so a walk that reads it fails.
    let parents: Parents = [&[][..], &[0], &[1], &[2], &[3], &[4]]
        .map(|parents| parents.iter().copied().collect())
        .into();
    let mut rows = stored(&parents);
    rows.remove(Space::new("entries", DATABASE), Number(2).key());
    let graph = Graph::new(&rows, DATABASE);
    let above = graph.above(&[Number(5)], &[], 4).unwrap();
    assert_eq!(above, [Number(4), Number(5)]);
    assert!(graph.above(&[Number(5)], &[], 2).is_err());
}

#[test]
fn a_missing_row_is_damage_and_not_the_end() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let rows = store.snapshot().unwrap();
    let graph = Graph::new(&*rows, DATABASE);
    assert!(graph.difference(&[Number(1)], &[]).is_err());
    assert!(graph.reaches(Number(1), Number(0)).is_err());
    assert!(graph.maximal(&[Number(0), Number(1)]).is_err());
    assert_eq!(graph.difference(&[], &[]).unwrap(), []);
}
