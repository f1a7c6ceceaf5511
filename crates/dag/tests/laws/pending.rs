//! Parcels that wait: counted in bytes, given back once, all dropped on overflow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use proptest::prelude::*;
use weald_dag::{
    EntryId, PENDING_PARCEL_BYTES, PENDING_PARENT_BYTES, PENDING_SECTION_BYTES, Parcel, Pending,
    PendingOverflow, Time,
};

use crate::make::{child, signed};

const COUNT: usize = 8;

fn id(n: usize) -> EntryId {
    EntryId::from_bytes([n as u8; 32])
}

/// Parcels of several sizes, each with two parents that nobody has.
static PARCELS: LazyLock<Vec<Parcel>> = LazyLock::new(|| {
    let parents = |n: usize| vec![id(n % 3), id(3 + n % 2)];
    let parcel = |n| signed(child(parents(n), Time::from_millis(1)), vec![vec![n as u8; 100 * n]]);
    (0..COUNT).map(|n| parcel(n).into_parcel()).collect()
});

/// What a parcel of the list counts as: its bytes and what memory keeps beside them.
fn weight(parcel: &Parcel) -> usize {
    let parents = parcel.entry.parents().len() * PENDING_PARENT_BYTES;
    let sections = parcel.entry.sections().len() * PENDING_SECTION_BYTES;
    parcel.bytes() + PENDING_PARCEL_BYTES + parents + sections
}

fn insert(pending: &mut Pending, n: usize) -> Result<(), PendingOverflow> {
    let parcel = PARCELS[n].clone();
    let missing = parcel.entry.parents().to_vec();
    pending.insert(parcel, &missing)
}

#[derive(Clone, Debug)]
enum Step {
    Insert(usize),
    Stored(usize),
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn it_holds_what_a_plain_list_would(
        steps in prop::collection::vec(
            prop_oneof![2 => (0..COUNT).prop_map(Step::Insert), 1 => (0..5_usize).prop_map(Step::Stored)],
            0..40,
        ),
        limit in 2000..20_000_usize,
    ) {
        let mut pending = Pending::new(limit);
        let mut model: BTreeMap<EntryId, Parcel> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Insert(n) => {
                    let parcel = &PARCELS[n];
                    model.insert(parcel.entry.id(), parcel.clone());
                    let fits = model.values().map(weight).sum::<usize>() <= limit;
                    if !fits {
                        model.clear();
                    }
                    prop_assert_eq!(insert(&mut pending, n).is_ok(), fits);
                }
                Step::Stored(n) => {
                    let waits = |parcel: &Parcel| parcel.entry.parents().contains(&id(n));
                    let expected: BTreeSet<EntryId> =
                        model.values().filter(|p| waits(p)).map(|p| p.entry.id()).collect();
                    model.retain(|_, parcel| !waits(parcel));
                    let taken = pending.take_children(&id(n));
                    prop_assert_eq!(taken.len(), expected.len());
                    prop_assert!(taken.iter().all(|parcel| expected.contains(&parcel.entry.id())));
                }
            }
            prop_assert_eq!(pending.bytes(), model.values().map(weight).sum::<usize>());
            prop_assert_eq!((pending.len(), pending.is_empty()), (model.len(), model.is_empty()));
            prop_assert!(model.keys().all(|id| pending.contains(id)));
            let missing: BTreeSet<EntryId> = pending.missing().collect();
            let expected: BTreeSet<EntryId> =
                model.values().flat_map(|parcel| parcel.entry.parents()).copied().collect();
            prop_assert_eq!(missing, expected);
        }
    }
}

#[test]
fn exactly_the_limit_fits_and_one_byte_less_drops_all() {
    let limit = weight(&PARCELS[1]) + weight(&PARCELS[2]);
    let mut pending = Pending::new(limit);
    insert(&mut pending, 1).unwrap();
    insert(&mut pending, 2).unwrap();
    assert_eq!(pending.bytes(), limit);
    insert(&mut pending, 2).unwrap();
    assert_eq!(pending.bytes(), limit);

    let mut pending = Pending::new(limit - 1);
    insert(&mut pending, 1).unwrap();
    assert_eq!(insert(&mut pending, 2), Err(PendingOverflow { limit: limit - 1 }));
    assert!(pending.is_empty() && pending.bytes() == 0 && pending.missing().next().is_none());
    assert!(pending.take_children(&id(1)).is_empty());
    insert(&mut pending, 2).unwrap();
    assert_eq!(pending.len(), 1);
}

#[test]
fn a_parent_that_waits_itself_is_not_missing() {
    let mut pending = Pending::new(usize::MAX);
    let parent = &PARCELS[0];
    let orphan = signed(child(vec![parent.entry.id()], Time::from_millis(2)), Vec::new());
    pending.insert(orphan.parcel().clone(), &[parent.entry.id()]).unwrap();
    assert_eq!(pending.missing().collect::<Vec<_>>(), [parent.entry.id()]);
    insert(&mut pending, 0).unwrap();
    assert_eq!(pending.missing().collect::<Vec<_>>(), parent.entry.parents());
    let back = pending.take_children(&parent.entry.parents()[0]);
    assert_eq!(back, std::slice::from_ref(parent));
    let back = pending.take_children(&parent.entry.id());
    assert_eq!(back, [orphan.into_parcel()]);
    assert!(pending.is_empty());
}
