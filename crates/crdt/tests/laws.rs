//! The laws of store types, for the types that come with the crate.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use weald_crdt::laws::{stamped, store_type_laws};
use weald_crdt::{
    EntryStamp, Key, LogDraft, LogType, MemoryView, StoreType, TableDraft, TableType, Value,
};

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn logs_keep_the_laws(sections in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..4), 0..6), garbage in any::<bool>()) {
        let mut payloads: Vec<Vec<u8>> = sections.iter().map(|items| {
            let mut draft = LogDraft::new();
            for item in items {
                draft.append(&mut MemoryView::new(), &Value::from(*item)).unwrap();
            }
            draft.encode()
        }).collect();
        if garbage {
            payloads.push(vec![0xff]);
        }
        store_type_laws(|| LogType, &stamped(payloads));
    }

    /// Each section is written by one who has seen some of those before.
    #[test]
    fn tables_keep_the_laws(sections in proptest::collection::vec((any::<u8>(), 0..2_u8, 0..4_u8), 0..7)) {
        let mut entries = stamped(sections.iter().map(|_| Vec::new()));
        for (place, (seen, row, kind)) in sections.iter().enumerate() {
            let mut overlay = MemoryView::new();
            for (earlier, (stamp, payload)) in entries.iter().enumerate().take(place) {
                if seen >> (earlier % 8) & 1 == 1 {
                    TableType.apply(payload, stamp, &mut overlay, &mut Vec::new()).unwrap();
                    overlay.mark_applied(*stamp, payload);
                }
            }
            entries[place].1 = write(&mut overlay, *row, *kind);
        }
        store_type_laws(|| TableType, &entries);
    }
}

fn write(overlay: &mut MemoryView, row: u8, kind: u8) -> Vec<u8> {
    let (mut draft, key) = (TableDraft::new(), Key::Integer(row.into()));
    if kind == 0 {
        draft.delete(overlay, &key).unwrap();
    } else {
        draft.put(overlay, &key, &Value::from([(format!("f{kind}"), kind)])).unwrap();
    }
    draft.encode()
}

#[test]
#[should_panic(expected = "the order of the sections shows")]
fn a_type_that_keeps_the_first_section_is_found_out() {
    struct First;
    impl StoreType for First {
        fn name(&self) -> &'static str {
            "first"
        }
        fn check(&self, _: &[u8]) -> Result<(), weald_crdt::Void> {
            Ok(())
        }
        fn apply(
            &self,
            payload: &[u8],
            _: &EntryStamp,
            view: &mut dyn weald_crdt::ViewMut,
            changes: &mut Vec<weald_crdt::Change>,
        ) -> Result<(), weald_crdt::ApplyError> {
            if view.get(weald_crdt::Area::State, b"k")?.is_none() {
                view.put(weald_crdt::Area::State, b"k", payload.to_vec());
                let (key, kind) = (b"k".to_vec(), weald_crdt::ChangeKind::Created);
                changes.push(weald_crdt::Change { key, kind, conflict: None });
            }
            Ok(())
        }
    }
    store_type_laws(|| First, &stamped([vec![1], vec![2], vec![3]]));
}
