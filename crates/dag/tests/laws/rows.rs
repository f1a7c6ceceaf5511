//! Rows of entries: what is appended is read back, and a damaged row is an error.

use std::ops::ControlFlow;

use proptest::prelude::*;
use weald_dag::{
    Graph, Head, INLINE_PAYLOAD_MAX, Local, MemoryStore, Number, Overlay, Parcel, Signature,
    Snapshot, Space, Standing, Store, StoreError, Stored, Sums, Time, append, index,
};

use crate::make::{fields, number, root, signed};

const DATABASE: u32 = 1;

fn snapshot() -> Overlay {
    Overlay::new(MemoryStore::new().snapshot().unwrap())
}

/// A number and what is known of its entry: all other numbers in it are before it.
fn local() -> impl Strategy<Value = (Number, Local)> {
    let standing =
        prop::sample::select(vec![Standing::Visible, Standing::HiddenNeeded, Standing::Hidden]);
    let before = || prop::collection::btree_set(number(), 0..4);
    (number(), standing, number(), number(), before(), any::<bool>(), before(), number()).prop_map(
        |(number, standing, generation, epoch, parents, has_head, tips, clock)| {
            let earlier = |of: std::collections::BTreeSet<u64>| {
                let modulus = number.saturating_add(1);
                let all: std::collections::BTreeSet<u64> =
                    of.into_iter().map(|other| other % modulus).collect();
                all.into_iter().map(Number).collect::<Vec<_>>()
            };
            let (mut parents, tips) = (earlier(parents), earlier(tips));
            parents.retain(|parent| parent.0 < number);
            let clock = Time::from_raw(clock);
            let open = Sums { count: epoch, sum: generation };
            let head = Head { tips, clock, needed: number, generation, open };
            let head = has_head.then_some(head);
            (Number(number), Local { standing, generation, epoch, parents, head })
        },
    )
}

fn parcel() -> impl Strategy<Value = Parcel> {
    let length = prop_oneof![
        0..10_usize,
        INLINE_PAYLOAD_MAX - 1..INLINE_PAYLOAD_MAX + 2,
        Just(INLINE_PAYLOAD_MAX * 5),
    ];
    let payload = prop::option::of(length.prop_map(|length| vec![length as u8; length]));
    let payloads = prop::collection::vec(payload, 5);
    (fields(), prop::collection::vec(any::<u8>(), 64), payloads).prop_map(
        |(fields, signature, payloads)| {
            let entry = weald_dag::Entry::encode(fields).unwrap();
            let payloads = payloads.into_iter().take(entry.sections().len()).collect();
            let signature = Signature::from_bytes(signature.try_into().unwrap());
            Parcel { entry, signature, payloads }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_is_appended_is_read_back((number, local) in local(), parcel in parcel()) {
        let mut rows = snapshot();
        let id = parcel.entry.id();
        append(&mut rows, DATABASE, number, &local, &parcel);
        index(&mut rows, DATABASE, &id, number);
        let graph = Graph::new(&rows, DATABASE);
        prop_assert_eq!(graph.number(&id).unwrap(), Some(number));
        prop_assert_eq!(graph.local(number).unwrap(), local.clone());
        prop_assert_eq!(&graph.entry(number).unwrap(), &parcel.entry);
        let known = graph.known(&id).unwrap().unwrap();
        prop_assert_eq!((known.number, known.generation), (number, local.generation));
        prop_assert_eq!((known.epoch, known.standing), (local.epoch, local.standing));
        prop_assert_eq!(known.time, parcel.entry.time());
        let expected = Stored { number, local: local.clone(), parcel };
        prop_assert_eq!(&graph.stored(number).unwrap(), &expected);
        let mut seen = Vec::new();
        graph.each_from(Number(0), &mut |stored| { seen.push(stored); ControlFlow::Continue(()) }).unwrap();
        prop_assert_eq!(seen, vec![expected]);
        match local.head {
            Some(head) => prop_assert_eq!(graph.head().unwrap(), Some((number, head))),
            None => prop_assert!(graph.head().is_err()),
        }
        // Another database in the same rows sees nothing of it.
        prop_assert_eq!(Graph::new(&rows, DATABASE + 1).number(&id).unwrap(), None);
    }

    #[test]
    fn a_damaged_row_never_panics(
        (number, local) in local(),
        parcel in parcel(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut rows = snapshot();
        append(&mut rows, DATABASE, number, &local, &parcel);
        let space = Space::new("entries", DATABASE);
        let mut bytes = rows.get(space, &number.key()).unwrap().unwrap();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        rows.put(space, number.key(), bytes);
        let graph = Graph::new(&rows, DATABASE);
        drop((graph.local(number), graph.entry(number), graph.stored(number), graph.head()));
        if cut {
            let corrupt = matches!(graph.stored(number), Err(StoreError::Corrupt { .. }));
            prop_assert!(corrupt, "a row that ends early is damage");
        }
    }
}

#[test]
fn a_long_payload_that_is_gone_is_damage() {
    let parcel = signed(root(), vec![vec![1; INLINE_PAYLOAD_MAX + 1]]).into_parcel();
    let standing = Standing::Visible;
    let local = Local { standing, generation: 0, epoch: 0, parents: Vec::new(), head: None };
    let mut rows = snapshot();
    append(&mut rows, DATABASE, Number(0), &local, &parcel);
    let payloads = Space::new("payloads", DATABASE);
    let keys: Vec<Vec<u8>> = rows
        .batch()
        .spaces()
        .filter(|(space, _)| *space == payloads)
        .flat_map(|(_, rows)| rows.map(|(key, _)| key.to_vec()).collect::<Vec<_>>())
        .collect();
    assert_eq!(keys.len(), 1);
    rows.remove(payloads, keys[0].clone());
    let graph = Graph::new(&rows, DATABASE);
    assert!(matches!(graph.stored(Number(0)), Err(StoreError::Corrupt { .. })));
    assert_eq!(graph.entry(Number(0)).unwrap(), parcel.entry);
}

#[test]
fn an_empty_graph_has_no_head() {
    let rows = snapshot();
    assert_eq!(Graph::new(&rows, DATABASE).head().unwrap(), None);
}

#[test]
fn an_entry_that_is_its_own_parent_is_damage_and_no_walk_hangs_on_it() {
    let parcel = signed(root(), Vec::new()).into_parcel();
    let standing = Standing::Visible;
    let parents = vec![Number(3)];
    let local = Local { standing, generation: 1, epoch: 0, parents, head: None };
    let mut rows = snapshot();
    append(&mut rows, DATABASE, Number(4), &local, &parcel);
    let space = Space::new("entries", DATABASE);
    let mut bytes = rows.get(space, &Number(4).key()).unwrap().unwrap();
    assert_eq!(bytes[3..5], [1, 1], "one parent, one back");
    bytes[4] = 0;
    rows.put(space, Number(4).key(), bytes);
    let graph = Graph::new(&rows, DATABASE);
    assert!(matches!(graph.reaches(Number(4), Number(0)), Err(StoreError::Corrupt { .. })));
    assert!(matches!(graph.ancestors(&[Number(4)]), Err(StoreError::Corrupt { .. })));
}

fn wide(tips: u64, number: u64) -> Local {
    let tips = (0..tips).map(Number).collect();
    let open = Sums { count: number, sum: u64::MAX };
    let clock = Time::from_millis(1);
    let head = Some(Head { tips, clock, needed: number, generation: 1, open });
    let standing = Standing::Visible;
    Local { standing, generation: 1, epoch: 0, parents: vec![Number(0)], head }
}

#[test]
fn a_head_of_any_number_of_tips_is_read_back_and_leaves_one_row() {
    let parcel = signed(root(), Vec::new()).into_parcel();
    let mut rows = snapshot();
    let graph_head = |rows: &Overlay| Graph::new(rows, DATABASE).head();
    for (number, tips) in [(70, 63), (71, 64), (72, 65), (3_000_000, (1 << 20) + 1)] {
        let local = wide(tips, number);
        append(&mut rows, DATABASE, Number(number), &local, &parcel);
        let (newest, head) = graph_head(&rows).unwrap().unwrap();
        assert_eq!((newest, Some(&head)), (Number(number), local.head.as_ref()));
        let row = rows.get(Space::new("entries", DATABASE), &Number(number).key()).unwrap();
        assert!(row.unwrap().len() < 400 + parcel.bytes());
    }
    let mut tips = 0;
    let space = Space::new("tips", DATABASE);
    let all = weald_dag::KeyRange::all();
    rows.range(space, all, weald_dag::Order::Ascending, &mut |_, _| {
        tips += 1;
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(tips, 1);
    // Tips of another head, and none at all, are damage.
    append(&mut rows, DATABASE, Number(4_000_000), &wide(65, 9), &parcel);
    append(&mut rows, DATABASE, Number(3_999_999), &wide(66, 9), &parcel);
    assert!(matches!(graph_head(&rows), Err(StoreError::Corrupt { .. })));
    rows.remove(space, []);
    assert!(matches!(graph_head(&rows), Err(StoreError::Corrupt { .. })));
}
