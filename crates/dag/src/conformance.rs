//! What every store must do: laws of the storage seam, as checks over any implementation.
//!
//! Invariant: nothing here depends on how a store works; a store that passes may be used anywhere.
//! The checks panic when a law is broken: call them from a test.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use crate::batch::Batch;
use crate::overlay::Overlay;
use crate::seam::{Durability, Snapshot, Store};
use crate::space::{KeyRange, Order, Space};

const ROWS: Space = Space::new("rows", 1);
const OTHER_NAME: Space = Space::new("row", 1);
const OTHER_DATABASE: Space = Space::new("rows", 2);
const OWN: Space = Space::new("rows", 0);
const MISSING: Space = Space::new("missing", 7);
const ORDERS: [Order; 2] = [Order::Ascending, Order::Descending];

type Row = (Vec<u8>, Vec<u8>);

/// Checks every law of the seam over stores without rows that `make` makes.
///
/// # Panics
/// When a law is broken.
pub fn store_conformance(make: impl Fn() -> Arc<dyn Store>) {
    gets_what_was_put(&*make());
    reads_nothing_where_nothing_is(&*make());
    visits_every_kind_of_range(&*make());
    stops_when_told(&*make());
    keeps_spaces_apart(&*make());
    keeps_snapshots_still(&*make());
    applies_batches_whole(make());
    keeps_long_rows(&*make());
    reads_inside_a_visit(&*make());
    for seed in 0..8 {
        agrees_with_a_model(&*make(), seed);
    }
}

fn apply(store: &dyn Store, fill: impl FnOnce(&mut Batch)) {
    let mut batch = Batch::default();
    fill(&mut batch);
    store.apply(batch, Durability::Immediate).unwrap();
}

fn rows(of: &dyn Snapshot, space: Space, range: KeyRange, order: Order) -> Vec<Row> {
    let mut found = Vec::new();
    of.range(space, range, order, &mut |key, value| {
        found.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    })
    .unwrap();
    found
}

fn all(of: &dyn Snapshot, space: Space) -> Vec<Row> {
    rows(of, space, KeyRange::all(), Order::Ascending)
}

fn gets_what_was_put(store: &dyn Store) {
    apply(store, |batch| {
        batch.put(ROWS, *b"a", *b"1");
        batch.put(ROWS, *b"empty", *b"");
        batch.put(ROWS, *b"", *b"the empty key");
        batch.put(ROWS, [0, 255, 0], [255, 0]);
    });
    let now = store.snapshot().unwrap();
    assert_eq!(now.get(ROWS, b"a").unwrap().as_deref(), Some(b"1".as_slice()));
    assert_eq!(now.get(ROWS, b"empty").unwrap().as_deref(), Some(b"".as_slice()));
    assert_eq!(now.get(ROWS, b"").unwrap().as_deref(), Some(b"the empty key".as_slice()));
    assert_eq!(now.get(ROWS, &[0, 255, 0]).unwrap(), Some(vec![255, 0]));
    assert_eq!(now.get(ROWS, b"b").unwrap(), None);
    apply(store, |batch| {
        batch.put(ROWS, *b"a", *b"2");
        batch.remove(ROWS, *b"empty");
        batch.remove(ROWS, *b"never there");
    });
    let now = store.snapshot().unwrap();
    assert_eq!(now.get(ROWS, b"a").unwrap().as_deref(), Some(b"2".as_slice()));
    assert_eq!(now.get(ROWS, b"empty").unwrap(), None);
    let mut batch = Batch::default();
    batch.put(ROWS, *b"eventual", *b"seen at once");
    store.apply(batch, Durability::Eventual).unwrap();
    assert!(store.snapshot().unwrap().get(ROWS, b"eventual").unwrap().is_some());
}

fn reads_nothing_where_nothing_is(store: &dyn Store) {
    let before = store.snapshot().unwrap();
    assert_eq!(before.get(MISSING, b"key").unwrap(), None);
    assert!(all(&*before, MISSING).is_empty());
    store.apply(Batch::default(), Durability::Immediate).unwrap();
    apply(store, |batch| batch.remove(MISSING, *b"key"));
    apply(store, |batch| batch.put(MISSING, *b"key", *b"value"));
    apply(store, |batch| batch.remove(MISSING, *b"key"));
    for order in ORDERS {
        let now = store.snapshot().unwrap();
        assert!(rows(&*now, MISSING, KeyRange::all(), order).is_empty());
    }
}

/// Every bound on, between and beyond the keys `b`, `d`, `f`, in both directions.
fn visits_every_kind_of_range(store: &dyn Store) {
    let keys = [b"b", b"d", b"f"];
    apply(store, |batch| keys.iter().for_each(|key| batch.put(ROWS, **key, **key)));
    let now = store.snapshot().unwrap();
    let mut bounds = vec![Bound::Unbounded];
    for edge in b"abcdefg" {
        bounds.push(Bound::Included(vec![*edge]));
        bounds.push(Bound::Excluded(vec![*edge]));
    }
    for from in &bounds {
        for to in &bounds {
            let range = KeyRange { from: from.clone(), to: to.clone() };
            let mut expected: Vec<Row> = keys
                .iter()
                .filter(|key| range.contains(**key))
                .map(|key| (key.to_vec(), key.to_vec()))
                .collect();
            for order in ORDERS {
                assert_eq!(rows(&*now, ROWS, range.clone(), order), expected, "{range:?}");
                expected.reverse();
            }
        }
    }
    apply(store, |batch| {
        for key in [&b"p"[..], b"p\x00", b"p\xff\xff", b"q", b"\xff", b"\xff\xff\x01"] {
            batch.put(ROWS, key, *b"v");
        }
    });
    let now = store.snapshot().unwrap();
    let prefixed = |prefix: &[u8]| rows(&*now, ROWS, KeyRange::prefix(prefix), ORDERS[1]).len();
    assert_eq!((prefixed(b"p"), prefixed(b"\xff"), prefixed(b""), prefixed(b"x")), (3, 2, 9, 0));
}

fn stops_when_told(store: &dyn Store) {
    apply(store, |batch| (0..100_u8).for_each(|key| batch.put(ROWS, [key], [key])));
    let now = store.snapshot().unwrap();
    for (order, expected) in [(Order::Ascending, [0, 1, 2]), (Order::Descending, [99, 98, 97])] {
        let mut seen = Vec::new();
        now.range(ROWS, KeyRange::all(), order, &mut |key, _| {
            seen.extend_from_slice(key);
            if seen.len() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
        assert_eq!(seen, expected);
    }
}

fn keeps_spaces_apart(store: &dyn Store) {
    let spaces = [ROWS, OTHER_NAME, OTHER_DATABASE, OWN];
    apply(store, |batch| {
        for (value, space) in (0_u8..).zip(spaces) {
            batch.put(space, *b"key", [value]);
        }
    });
    apply(store, |batch| batch.remove(OTHER_NAME, *b"key"));
    let now = store.snapshot().unwrap();
    let found: Vec<_> = spaces.iter().map(|space| now.get(*space, b"key").unwrap()).collect();
    assert_eq!(found, [Some(vec![0]), None, Some(vec![2]), Some(vec![3])]);
    let databases = 10..200_u32;
    apply(store, |batch| {
        for number in databases.clone() {
            batch.put(Space::new("rows", number), *b"number", number.to_be_bytes());
        }
    });
    let now = store.snapshot().unwrap();
    for number in databases {
        let found = all(&*now, Space::new("rows", number));
        assert_eq!(found, [(b"number".to_vec(), number.to_be_bytes().to_vec())]);
    }
}

fn keeps_snapshots_still(store: &dyn Store) {
    let empty = store.snapshot().unwrap();
    let mut kept = vec![(empty, 0_u8)];
    for count in 1..20_u8 {
        apply(store, |batch| {
            batch.put(ROWS, [count], [count]);
            batch.put(ROWS, *b"last", [count]);
        });
        kept.push((store.snapshot().unwrap(), count));
    }
    apply(store, |batch| (1..20_u8).for_each(|key| batch.remove(ROWS, [key])));
    for (snapshot, count) in kept {
        let expected = if count == 0 { 0 } else { usize::from(count) + 1 };
        assert_eq!(all(&*snapshot, ROWS).len(), expected);
        let last = snapshot.get(ROWS, b"last").unwrap();
        assert_eq!(last, (count > 0).then(|| vec![count]));
    }
    assert_eq!(all(&*store.snapshot().unwrap(), ROWS).len(), 1);
}

/// Readers beside a writer see each batch whole: the same number in two spaces.
fn applies_batches_whole(store: Arc<dyn Store>) {
    let rounds = 50_u8;
    let writer = {
        let store = Arc::clone(&store);
        std::thread::spawn(move || {
            for round in 1..=rounds {
                apply(&*store, |batch| {
                    batch.put(ROWS, *b"round", [round]);
                    batch.put(OTHER_DATABASE, *b"round", [round]);
                });
            }
        })
    };
    let mut last = None;
    while last != Some(vec![rounds]) {
        let ended = writer.is_finished();
        let now = store.snapshot().unwrap();
        let one = now.get(ROWS, b"round").unwrap();
        assert_eq!(one, now.get(OTHER_DATABASE, b"round").unwrap());
        assert!(one >= last, "a later snapshot shows earlier rows");
        assert!(!ended || one == Some(vec![rounds]), "the last batch is not seen");
        last = one;
    }
    writer.join().unwrap();
}

fn keeps_long_rows(store: &dyn Store) {
    let key = vec![7; 2_000];
    let value: Vec<u8> = (0..1_000_000_u32).map(|at| at.to_be_bytes()[3]).collect();
    apply(store, |batch| batch.put(ROWS, key.clone(), value.clone()));
    assert_eq!(all(&*store.snapshot().unwrap(), ROWS), [(key, value)]);
}

fn reads_inside_a_visit(store: &dyn Store) {
    apply(store, |batch| (0..10_u8).for_each(|key| batch.put(ROWS, [key], [key])));
    let now = store.snapshot().unwrap();
    let mut met = 0;
    now.range(ROWS, KeyRange::all(), Order::Ascending, &mut |key, value| {
        assert_eq!(now.get(ROWS, key).unwrap().as_deref(), Some(value));
        assert_eq!(now.get(Space::new("rows", 90 + met), key).unwrap(), None);
        apply(store, |batch| batch.put(OTHER_NAME, key, value));
        met += 1;
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!((met, all(&*store.snapshot().unwrap(), OTHER_NAME).len()), (10, 10));
}

/// Random batches: the overlay before, the store after and a plain map agree on every read.
fn agrees_with_a_model(store: &dyn Store, seed: u64) {
    let mut random = SplitMix(seed);
    let mut model: BTreeMap<(Space, Vec<u8>), Vec<u8>> = BTreeMap::new();
    for _ in 0..25 {
        let before = store.snapshot().unwrap();
        let before_rows = all(&*before, ROWS);
        let mut overlay = Overlay::new(Arc::clone(&before));
        for _ in 0..random.below(30) {
            let space = if random.below(4) == 0 { OTHER_DATABASE } else { ROWS };
            let key = random.key();
            if random.below(3) == 0 {
                overlay.remove(space, key.clone());
                model.remove(&(space, key));
            } else {
                let value = vec![random.byte(); random.below(40)];
                overlay.put(space, key.clone(), value.clone());
                model.insert((space, key), value);
            }
        }
        agrees(&overlay, &model, &mut random);
        assert_eq!(all(&*before, ROWS), before_rows, "staging changed the snapshot");
        store.apply(overlay.into_batch(), Durability::Immediate).unwrap();
        agrees(&*store.snapshot().unwrap(), &model, &mut random);
        assert_eq!(all(&*before, ROWS), before_rows, "applying changed the snapshot");
    }
}

fn agrees(
    found: &dyn Snapshot,
    model: &BTreeMap<(Space, Vec<u8>), Vec<u8>>,
    random: &mut SplitMix,
) {
    for space in [ROWS, OTHER_DATABASE, MISSING] {
        for _ in 0..6 {
            let range = KeyRange { from: random.bound(), to: random.bound() };
            let mut expected: Vec<Row> = model
                .iter()
                .filter(|((at, key), _)| *at == space && range.contains(key))
                .map(|((_, key), value)| (key.clone(), value.clone()))
                .collect();
            for order in ORDERS {
                assert_eq!(rows(found, space, range.clone(), order), expected, "{range:?}");
                expected.reverse();
            }
            let key = random.key();
            let expected = model.get(&(space, key.clone())).cloned();
            assert_eq!(found.get(space, &key).unwrap(), expected);
        }
    }
}

/// The generator of Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    /// A short key from a small alphabet, so that keys meet and prefix each other.
    fn key(&mut self) -> Vec<u8> {
        (0..self.below(4)).map(|_| [0, 1, b'a', 255][self.below(4)]).collect()
    }

    fn bound(&mut self) -> Bound<Vec<u8>> {
        match self.below(5) {
            0 => Bound::Unbounded,
            1 | 2 => Bound::Excluded(self.key()),
            _ => Bound::Included(self.key()),
        }
    }
}
