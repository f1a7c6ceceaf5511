//! Sealed sections: they wait without a key, and fold to the same rows whenever it comes.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use weald_auth::{Level, Operation, Subject, encode_operations};
use weald_crdt::{Area, Key, OwnDraft, SEALED_TYPE, TableDraft, Value, View, operations};
use weald_dag::{DatabaseId, KeyRange, Order, PublicKey, Snapshot};
use weald_engine::{
    Commit, CommitError, Engine, Opened, Secrets, StorePlace, StoreTypes, StoreView, has_locked,
    is_sealed, past, rest_key, row_steps, sealed_rows, sealed_stores, space_of, stores,
};

use crate::site::{NOW, Site, anyone, creator, key, made};

/// Opens what [`seal`] gave while it is unlocked.
#[derive(Default)]
struct Lock(AtomicBool);

impl Secrets for Lock {
    fn open(&self, _: u32, _: &str, _: &PublicKey, payload: &[u8]) -> Opened {
        if !self.0.load(Ordering::SeqCst) {
            return Opened::Locked;
        }
        match operations(payload, SEALED_TYPE, 1).as_deref() {
            Ok([Value::Bytes(section)]) => Opened::Section(section.clone()),
            _ => Opened::Void("not one of ours".into()),
        }
    }
}

fn seal(section: Vec<u8>) -> Vec<u8> {
    let mut draft = OwnDraft::new(SEALED_TYPE, 1);
    draft.push(&Value::Bytes(section)).unwrap();
    draft.encode()
}

fn site() -> (Site, Arc<Lock>, Arc<dyn Secrets>) {
    let (mut site, lock) = (Site::new(), Arc::new(Lock::default()));
    let secrets: Arc<dyn Secrets> = Arc::<Lock>::clone(&lock);
    site.engine = Engine::new(StoreTypes::built_in().with_secrets(Arc::clone(&secrets)));
    (site, lock, secrets)
}

fn put(site: &mut Site, id: DatabaseId, secrets: &Arc<dyn Secrets>, row: &str, n: i64) {
    let number = site.number(id);
    let mut rows = site.rows();
    let place = StorePlace::sealed(number, "safe", "table", secrets);
    let mut view = weald_engine::StoreViewMut::new(&mut rows, place);
    let mut draft = TableDraft::new();
    draft.put(&mut view, &Key::from(row), &Value::from([("n", n)])).unwrap();
    let sections = vec![("safe".to_owned(), seal(draft.encode()))];
    let commit = Commit { database: number, key: key(1), sections, required: Vec::new() };
    site.commit(vec![commit]).pop().unwrap().unwrap();
}

/// The rows of the sealed store in every area.
fn state(site: &Site, id: DatabaseId, secrets: &Arc<dyn Secrets>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (rows, number, mut found) = (site.rows(), site.number(id), Vec::new());
    let prefix = StorePlace::sealed(number, "safe", "table", secrets).key(&[]);
    for area in [Area::State, Area::Buried, Area::Dangling, Area::History] {
        let (space, range) = (space_of(area, number), KeyRange::prefix(&prefix));
        rows.range(space, range, Order::Ascending, &mut |key, value| {
            found.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        })
        .unwrap();
    }
    found
}

fn unlock(site: &mut Site, id: DatabaseId, rest: [u8; 16]) -> usize {
    let at = (site.number(id), "safe");
    let mut rows = site.rows();
    site.engine.prepare_unlock(&mut rows, at, rest).unwrap();
    site.apply(rows);
    let mut rows = site.rows();
    let changes = site.engine.unlock(&mut rows, at).unwrap();
    site.apply(rows);
    changes.len()
}

#[test]
fn sections_without_a_key_wait_and_fold_to_the_same_rows_whenever_it_comes() {
    let (mut a, open, secrets) = site();
    open.0.store(true, Ordering::SeqCst);
    let id = a.found(vec![creator(), anyone(Level::Write(10))]);
    for n in 0..12 {
        put(&mut a, id, &secrets, ["ash", "beech", "cedar"][usize::try_from(n).unwrap() % 3], n);
        a.push(id, 1, "in the clear").unwrap();
    }
    let (all, expected) = (a.all(id), state(&a, id, &secrets));
    assert!(!expected.is_empty() && is_sealed(&a.rows(), a.number(id), "safe").unwrap());
    for unlocked_at in [0, 1, 7, 12, all.len()] {
        let (mut b, lock, secrets) = site();
        b.ingest(id, all[..unlocked_at].to_vec(), NOW);
        if unlocked_at > 0 {
            lock.0.store(true, Ordering::SeqCst);
            unlock(&mut b, id, [1; 16]);
        }
        b.engine.forget();
        b.ingest(id, all[unlocked_at..].to_vec(), NOW);
        if unlocked_at == 0 {
            assert!(state(&b, id, &secrets).is_empty());
            assert!(has_locked(&b.rows(), b.number(id), "safe").unwrap());
            lock.0.store(true, Ordering::SeqCst);
            unlock(&mut b, id, [1; 16]);
        }
        assert_eq!(state(&b, id, &secrets), expected, "unlocked at {unlocked_at}");
        assert!(!has_locked(&b.rows(), b.number(id), "safe").unwrap());
        assert_eq!((a.digest(id), a.tips(id)), (b.digest(id), b.tips(id)));
    }
}

#[test]
fn a_replica_without_the_key_agrees_on_all_else_and_is_sound() {
    let (mut a, open, secrets) = site();
    open.0.store(true, Ordering::SeqCst);
    let id = a.found(vec![creator(), anyone(Level::Write(10))]);
    put(&mut a, id, &secrets, "ash", 1);
    a.push(id, 1, "in the clear").unwrap();
    let mut relay = Site::new();
    let folded = relay.ingest(id, a.all(id), NOW).folded;
    assert!(folded.iter().all(|folded| folded.voids.is_empty() && folded.unknown.is_empty()));
    assert_eq!(a.digest(id), relay.digest(id));
    let (rows, number) = (relay.rows(), relay.number(id));
    assert_eq!(sealed_stores(&rows, number).unwrap(), ["safe"]);
    let listed = |site: &Site| stores(&site.rows(), site.number(id)).unwrap();
    assert_eq!((listed(&relay).len(), listed(&a)), (1, listed(&relay)));
    relay.assert_sound(id);
    a.assert_sound(id);
}

#[test]
fn nobody_commits_to_a_locked_store_or_what_does_not_open() {
    let (mut a, lock, _) = site();
    let id = a.found(vec![creator(), anyone(Level::Write(10))]);
    let commit = |payload| {
        let sections = vec![("safe".to_owned(), payload)];
        Commit { database: 1, key: key(1), sections, required: Vec::new() }
    };
    let section = TableDraft::new().encode();
    let refused = a.commit(vec![commit(seal(section.clone()))]).pop().unwrap();
    assert!(matches!(refused, Err(CommitError::Locked { store }) if store == "safe"));
    lock.0.store(true, Ordering::SeqCst);
    for made_up in [seal(seal(section.clone())), seal(vec![1, 2, 3])] {
        let refused = a.commit(vec![commit(made_up)]).pop().unwrap();
        assert!(matches!(refused, Err(CommitError::Void { .. })));
    }
    a.commit(vec![commit(seal(section))]).pop().unwrap().unwrap();
    let _ = id;
}

#[test]
fn rows_that_rest_under_another_key_or_are_stale_are_made_anew() {
    let (mut a, open, secrets) = site();
    open.0.store(true, Ordering::SeqCst);
    let id = a.found(vec![creator(), anyone(Level::Write(10))]);
    for n in 0..4 {
        put(&mut a, id, &secrets, "ash", n);
    }
    let number = a.number(id);
    unlock(&mut a, id, [1; 16]);
    assert_eq!(rest_key(&a.rows(), number, "safe").unwrap(), Some([1; 16]));
    // What rests is kept by whoever seals it; here the rows are in the clear and left as they are.
    let at_rest = |site: &mut Site| {
        let mut rows = site.rows();
        rows.put(sealed_rows(number), [&[4][..], b"safe", &[9]].concat(), b"sealed".as_slice());
        site.apply(rows);
    };
    let kept = |site: &Site| {
        let key = [&[4][..], b"safe", &[9]].concat();
        site.rows().get(sealed_rows(number), &key).unwrap().is_some()
    };
    at_rest(&mut a);
    assert_eq!(unlock(&mut a, id, [1; 16]), 0);
    assert!(kept(&a));
    unlock(&mut a, id, [2; 16]);
    assert!(!kept(&a));
    at_rest(&mut a);
    let mut rows = a.rows();
    a.engine.rebuild(&mut rows, number).unwrap();
    a.apply(rows);
    assert!(kept(&a));
    unlock(&mut a, id, [2; 16]);
    assert!(!kept(&a));
}

#[test]
fn the_past_and_the_steps_of_a_row_tell_what_was_sealed_while_it_is_unlocked() {
    let (mut a, lock, secrets) = site();
    lock.0.store(true, Ordering::SeqCst);
    let id = a.found(vec![creator(), anyone(Level::Write(10))]);
    for n in 0..3 {
        put(&mut a, id, &secrets, "ash", n);
    }
    let (number, types) = (a.number(id), StoreTypes::built_in().with_secrets(Arc::clone(&secrets)));
    let place = StorePlace::sealed(number, "safe", "table", &secrets);
    for newest in 1..=3u64 {
        let snapshot = a.store.snapshot().unwrap();
        let rows = past(snapshot, number, &types, &[weald_dag::Number(newest)]).unwrap();
        let view = StoreView::new(&rows, place.clone());
        let row = weald_crdt::table::get(&view, &Key::from("ash")).unwrap().unwrap();
        assert_eq!(row.value.get("n"), Some(&Value::from(newest as i64 - 1)));
    }
    let row = Key::from("ash").encode().unwrap();
    let steps = |rows: &dyn Fn() -> weald_dag::Overlay| {
        row_steps(&rows(), number, &types, ("safe", "table"), &row).unwrap().len()
    };
    assert_eq!(steps(&|| a.rows()), 3);
    lock.0.store(false, Ordering::SeqCst);
    assert_eq!(steps(&|| a.rows()), 0);
    assert!(StoreView::new(&a.rows(), place).get(Area::State, &row).unwrap().is_some());
}

#[test]
fn what_is_hidden_or_shown_while_a_store_is_locked_is_so_when_it_is_unlocked() {
    let (mut a, open, secrets) = site();
    open.0.store(true, Ordering::SeqCst);
    let id = a.found(vec![creator(), anyone(Level::Write(10))]);
    put(&mut a, id, &secrets, "ash", 1);
    let before: Vec<_> = a.tips(id).into_iter().collect();
    let sealed = |site: &Site, row: &str, n: i64| {
        let (number, mut rows) = (site.number(id), site.rows());
        let place = StorePlace::sealed(number, "safe", "table", &secrets);
        let mut view = weald_engine::StoreViewMut::new(&mut rows, place);
        let mut draft = TableDraft::new();
        draft.put(&mut view, &Key::from(row), &Value::from([("n", n)])).unwrap();
        seal(draft.encode())
    };
    let second = made(&before, 10, 2, "safe", &sealed(&a, "ash", 2));
    a.ingest(id, vec![second.clone()], NOW);
    let third = made(&[second.entry.id()], 11, 1, "safe", &sealed(&a, "beech", 3));
    a.ingest(id, vec![third], NOW);
    let shown = a.all(id);
    let limit = Operation::Limit { subject: Subject::Key(key(2).public()), to: None };
    let limit = made(&before, 20, 1, "_settings", &encode_operations(&[limit]).unwrap());
    a.ingest(id, vec![limit.clone()], NOW);
    let back = made(&[second.entry.id()], 21, 2, "safe", &sealed(&a, "cedar", 4));
    a.ingest(id, vec![back.clone()], NOW);
    a.assert_sound(id);
    let expected = state(&a, id, &secrets);
    // One that was never unlocked; one that was when the limit came; one that was locked again.
    for (first, again) in [(false, false), (true, true), (true, false)] {
        let (mut b, lock, secrets) = site();
        b.ingest(id, shown.clone(), NOW);
        if first {
            lock.0.store(true, Ordering::SeqCst);
            unlock(&mut b, id, [1; 16]);
        }
        lock.0.store(again, Ordering::SeqCst);
        b.engine.forget();
        b.ingest(id, vec![limit.clone(), back.clone()], NOW);
        lock.0.store(true, Ordering::SeqCst);
        unlock(&mut b, id, [1; 16]);
        assert_eq!(state(&b, id, &secrets), expected, "{first} {again}");
        assert!(!has_locked(&b.rows(), b.number(id), "safe").unwrap());
        b.assert_sound(id);
    }
}
