//! Equal entries give equal state, whatever the order, batches and restarts.

use std::collections::BTreeSet;

use weald_auth::Level;
use weald_crdt::{Key, MemoryView, TableDraft, Value};
use weald_dag::{EntryId, Fields, Parcel, Randomness, Section, Time, Verdict, Verified};
use weald_engine::{CommitError, Required, StorePlace, StoreView};

use crate::site::{NOW, Site, anyone, creator, edit_row, forked_history, key, message};

#[test]
fn replicas_that_hold_the_same_entries_have_the_same_state_and_tips() {
    let (a, b, id) = forked_history(9);
    assert_eq!(a.all(id).len(), b.all(id).len());
    assert_eq!(a.tips(id), b.tips(id));
    assert_eq!(a.digest(id), b.digest(id));
    a.assert_sound(id);
    b.assert_sound(id);
}

#[test]
fn order_batches_and_restarts_do_not_show() {
    let (a, _, id) = forked_history(9);
    let parcels = a.all(id);
    for seed in 0..20 {
        let mut random = Randomness::from_seed([seed; 32]);
        let mut site = Site::new();
        let mut waiting: Vec<Parcel> = parcels.clone();
        while !waiting.is_empty() {
            // A random batch of what is left; what misses a parent stays.
            let pick = |random: &mut Randomness| u32::from_le_bytes(random.bytes()) as usize;
            let size = 1 + pick(&mut random) % 8;
            let mut batch = Vec::new();
            for _ in 0..size.min(waiting.len()) {
                let place = pick(&mut random) % waiting.len();
                batch.push(waiting.swap_remove(place));
            }
            let ingested = site.ingest(id, batch.clone(), NOW);
            for (parcel, (_, verdict)) in batch.into_iter().zip(ingested.verdicts) {
                match verdict {
                    Verdict::Stored(_) => {}
                    Verdict::Missing(_) => waiting.push(parcel),
                    other => panic!("{other:?}"),
                }
            }
            if size % 3 == 0 {
                site.engine.forget();
            }
        }
        assert_eq!(site.tips(id), a.tips(id), "seed {seed}");
        assert_eq!(site.digest(id), a.digest(id), "seed {seed}");
        site.assert_sound(id);
    }
}

#[test]
fn local_commits_form_a_chain_also_within_a_group() {
    let mut a = Site::new();
    let id = a.found(vec![creator()]);
    let number = a.number(id);
    let group = (0..50).map(|n| message(number, 1, &n.to_string())).collect();
    let made: Vec<EntryId> = a.commit(group).into_iter().map(Result::unwrap).collect();
    assert_eq!(a.tips(id), BTreeSet::from([made[49]]));
    let all = a.all(id);
    assert!(all[1..].windows(2).all(|pair| pair[1].entry.parents() == [pair[0].entry.id()]));
    assert!(all.iter().enumerate().all(|(n, parcel)| parcel.entry.seq() == n as u64));
    a.assert_sound(id);
}

#[test]
fn a_row_that_was_required_to_stay_fails_the_commit_when_it_changed() {
    let mut a = Site::new();
    let id = a.found(vec![creator()]);
    edit_row(&mut a, id, 1, "0.0");
    let number = a.number(id);
    let key_bytes = {
        let snapshot = a.rows();
        let view = StoreView::new(&snapshot, StorePlace::new(number, "table", "table"));
        let mut found = None;
        let all = std::ops::Bound::Unbounded;
        weald_crdt::View::range(
            &view,
            weald_crdt::Area::State,
            all,
            all,
            false,
            &mut |key, row| {
                found = Some((key.to_vec(), row.to_vec()));
                std::ops::ControlFlow::Break(())
            },
        )
        .unwrap();
        found.unwrap()
    };
    let require = |row: Option<Vec<u8>>| Required {
        store: "table".into(),
        type_name: "table".into(),
        key: key_bytes.0.clone(),
        row,
    };
    let mut commit = message(number, 1, "first");
    commit.required = vec![require(Some(key_bytes.1.clone()))];
    assert!(a.commit(vec![commit.clone()])[0].is_ok());
    commit.required = vec![require(None)];
    assert!(matches!(a.commit(vec![commit])[0], Err(CommitError::Changed { .. })));
}

/// An operation that names an entry which wrote to another store only: the name is void for ever,
/// whether the entry came before or after it.
#[test]
fn a_name_of_an_entry_that_never_wrote_to_the_store_leaves_the_same_rows_in_any_order() {
    let mut a = Site::new();
    let id = a.found(vec![creator(), anyone(Level::Write(10))]);
    let other = a.push(id, 1, "in another store").unwrap();
    // A provisional view in which the row's head is that entry.
    let mut view = MemoryView::new();
    let mut first = TableDraft::new();
    first.put(&mut view, &Key::from("row"), &Value::from([("text", "one")])).unwrap();
    let mut state = MemoryView::new();
    let stamp = weald_crdt::EntryStamp::visible(1, *other.as_bytes(), [0; 32]);
    let apply = weald_crdt::StoreType::apply;
    apply(&weald_crdt::TableType, &first.encode(), &stamp, &mut state, &mut Vec::new()).unwrap();
    let mut forged = TableDraft::new();
    forged.put(&mut state, &Key::from("row"), &Value::from([("text", "two")])).unwrap();
    let payload = forged.encode();
    let fields = Fields {
        parents: vec![id.root()],
        time: Time::from_millis(NOW + 5),
        author: key(2).public(),
        seq: 0,
        sections: vec![Section::of("table", &payload)],
        nonce: None,
    };
    let forged = Verified::sign(fields, vec![payload], &key(2)).unwrap().into_parcel();
    let all = a.all(id);
    let (mut before, mut after) = (Site::new(), Site::new());
    before.ingest(id, vec![all[0].clone(), forged.clone(), all[1].clone()], NOW);
    after.ingest(id, vec![all[0].clone(), all[1].clone(), forged], NOW);
    assert_eq!(before.digest(id), after.digest(id));
    before.assert_sound(id);
}
