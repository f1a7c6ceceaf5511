//! Sections that only a later build understands.

use std::sync::Arc;

use weald_auth::Level;
use weald_engine::{Engine, StorePlace, StoreTypes, StoreView};

use crate::site::{NOW, Site, anyone, creator, forked_history, made, rows_in, said};

#[test]
fn a_type_that_a_later_build_knows_is_folded_then() {
    let (a, _, id) = forked_history(6);
    let all = a.all(id);
    let only: Arc<dyn weald_crdt::StoreType> = Arc::new(weald_crdt::LogType);
    let mut b = Site::new();
    b.engine = Engine::new(StoreTypes::new([only]));
    // What came first is known late, what came last at once: dots of either wait for the other.
    let half = all.len() / 2;
    let early = b.ingest(id, all[..half].to_vec(), NOW);
    let unknown: Vec<_> = early.folded.iter().flat_map(|folded| &folded.unknown).collect();
    assert!(!unknown.is_empty() && unknown.iter().all(|section| section.store == "table"));
    assert!(early.folded.iter().all(|folded| folded.voids.is_empty()));
    let number = b.number(id);
    assert_eq!(rows_in(&b, "unfolded", number), unknown.len());
    b.engine = Engine::new(StoreTypes::built_in());
    b.ingest(id, all[half..].to_vec(), NOW);
    assert_eq!(rows_in(&b, "unfolded", number), 0);
    assert_eq!(a.digest(id), b.digest(id));
    b.assert_sound(id);

    // Without anything new, when it is asked for.
    let mut c = Site::new();
    c.engine = Engine::new(StoreTypes::new([]));
    c.ingest(id, all, NOW);
    assert_ne!(a.digest(id), c.digest(id));
    c.engine = Engine::new(StoreTypes::built_in());
    let mut rows = c.rows();
    assert!(c.engine.catch_up(&mut rows).unwrap() > 0);
    c.apply(rows);
    assert_eq!(a.digest(id), c.digest(id));
}

#[test]
fn a_section_of_a_newer_version_waits_and_is_not_applied() {
    let mut a = Site::new();
    let id = a.found(vec![creator(), anyone(Level::Write(10))]);
    let mut newer = said("from the future");
    assert_eq!(newer[..6], [0x84, 0x63, b'l', b'o', b'g', 1]);
    newer[5] = 2;
    let newer = made(&[id.root()], 5, 1, "chat", &newer);
    let (entry, junk) = (newer.entry.id(), made(&[id.root()], 6, 1, "chat", b"junk"));
    let folded = a.ingest(id, vec![newer, junk], NOW).folded;
    assert_eq!((folded[0].unknown.len(), folded[0].voids.len()), (1, 0));
    assert_eq!((folded[1].unknown.len(), folded[1].voids.len()), (0, 1));
    let rows = a.rows();
    let view = StoreView::new(&rows, StorePlace::new(a.number(id), "chat", "log"));
    assert!(weald_crdt::View::applied(&view, entry.as_bytes()).unwrap().is_none());
    a.engine.forget();
    a.push(id, 1, "x").unwrap();
    assert_eq!(rows_in(&a, "unfolded", a.number(id)), 1);
    a.assert_sound(id);
}
