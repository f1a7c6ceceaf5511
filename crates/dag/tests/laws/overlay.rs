//! Reading an overlay gives what reading the store gives after its batch.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use proptest::prelude::*;
use weald_dag::{Batch, Durability, KeyRange, MemoryStore, Order, Overlay, Snapshot, Space, Store};

const ROWS: Space = Space::new("rows", 1);
const OTHER: Space = Space::new("other", 1);

type Change = (bool, Vec<u8>, Option<u8>);

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(vec![0, 1, 7, 255]), 0..3)
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    prop::collection::vec((prop::bool::weighted(0.8), key(), any::<Option<u8>>()), 0..24)
}

fn bound() -> impl Strategy<Value = Bound<Vec<u8>>> {
    prop_oneof![
        Just(Bound::Unbounded),
        key().prop_map(Bound::Included),
        key().prop_map(Bound::Excluded),
    ]
}

fn stage(overlay: &mut Overlay, changes: &[Change]) {
    for (here, key, value) in changes {
        let space = if *here { ROWS } else { OTHER };
        match value {
            Some(value) => overlay.put(space, key.as_slice(), [*value]),
            None => overlay.remove(space, key.as_slice()),
        }
    }
}

/// Reads at most `most` rows of a range.
fn rows(of: &dyn Snapshot, range: &KeyRange, order: Order, most: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    of.range(ROWS, range.clone(), order, &mut |key, value| {
        found.push((key.to_vec(), value.to_vec()));
        if found.len() >= most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn an_overlay_reads_like_the_store_after_its_batch(
        base in changes(),
        staged in changes(),
        above in changes(),
        bounds in prop::collection::vec((bound(), bound(), 1..9_usize), 1..6),
        keys in prop::collection::vec(key(), 1..8),
    ) {
        let store = MemoryStore::new();
        let mut overlay = Overlay::new(store.snapshot().unwrap());
        stage(&mut overlay, &base);
        store.apply(overlay.into_batch(), Durability::Immediate).unwrap();

        let mut lower = Overlay::new(store.snapshot().unwrap());
        stage(&mut lower, &staged);
        let lower_batch: Batch = lower.batch().clone();
        let mut upper = Overlay::new(Arc::new(lower));
        stage(&mut upper, &above);
        store.apply(lower_batch, Durability::Immediate).unwrap();
        store.apply(upper.batch().clone(), Durability::Immediate).unwrap();

        let after = store.snapshot().unwrap();
        for key in keys {
            prop_assert_eq!(upper.get(ROWS, &key).unwrap(), after.get(ROWS, &key).unwrap());
        }
        for (from, to, most) in bounds {
            let range = KeyRange { from, to };
            for order in [Order::Ascending, Order::Descending] {
                let (read, expected) =
                    (rows(&upper, &range, order, most), rows(&*after, &range, order, most));
                prop_assert_eq!(read, expected, "{:?} {:?}", range, order);
            }
        }
    }
}
