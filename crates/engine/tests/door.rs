//! The door as a whole: equal entries give equal state, whatever the order, batches and restarts.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeSet;
use std::sync::Arc;

use weald_auth::{Level, Operation, Subject, encode_operations};
use weald_crdt::{Key, LogDraft, MemoryView, TableDraft, Value};
use weald_dag::{
    DatabaseId, Domain, Durability, EntryId, Fault, Fields, Graph, MemoryStore, Number, Overlay,
    Parcel, Randomness, Refusal, SecretKey, Section, Signature, Store, Time, Verdict, Verified,
    verify,
};
use weald_engine::{
    Commit, CommitError, Engine, Founding, Ingested, Required, StorePlace, StoreTypes, StoreView,
    held, state_digest, verify as verify_database,
};

const NOW: u64 = 1_800_000_000_000;

fn sign(ids: &[(Arc<SecretKey>, EntryId)]) -> Vec<Signature> {
    ids.iter().map(|(key, id)| key.sign(Domain::Entry, id.as_bytes())).collect()
}

fn key(seed: u8) -> Arc<SecretKey> {
    Arc::new(SecretKey::from_seed(&[seed; 32]))
}

struct Site {
    store: Arc<dyn Store>,
    engine: Engine,
}

impl Site {
    fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        Self { store, engine: Engine::new(StoreTypes::built_in()) }
    }

    fn apply(&mut self, mut rows: Overlay) {
        self.engine.finish(&mut rows);
        self.store.apply(rows.into_batch(), Durability::Immediate).unwrap();
    }

    fn rows(&self) -> Overlay {
        Overlay::new(self.store.snapshot().unwrap())
    }

    fn found(&mut self, operations: Vec<Operation>) -> DatabaseId {
        let mut rows = self.rows();
        let founding = Founding { key: key(1), nonce: [3; 16], operations, system: false };
        let (held, folded) = self.engine.found(&mut rows, founding, NOW, &sign).unwrap();
        self.apply(rows);
        assert_eq!(held.id.root(), folded.id);
        held.id
    }

    fn number(&self, id: DatabaseId) -> u32 {
        held(&*self.store.snapshot().unwrap(), &id).unwrap().unwrap().number
    }

    fn commit(&mut self, commits: Vec<Commit>) -> Vec<Result<EntryId, CommitError>> {
        let mut rows = self.rows();
        let done = self.engine.commit(&mut rows, commits, NOW, &sign).unwrap();
        self.apply(rows);
        done.into_iter().map(|folded| folded.map(|folded| folded.id)).collect()
    }

    fn push(&mut self, id: DatabaseId, author: u8, text: &str) -> Result<EntryId, CommitError> {
        let commit = message(self.number(id), author, text);
        self.commit(vec![commit]).pop().unwrap()
    }

    fn ingest(&mut self, id: DatabaseId, parcels: Vec<Parcel>, wall: u64) -> Ingested {
        let verified = verify(parcels, [9; 32]).into_iter().map(Result::unwrap).collect();
        let mut rows = self.rows();
        let ingested = self.engine.ingest(&mut rows, id, verified, wall).unwrap();
        self.apply(rows);
        ingested
    }

    fn all(&self, id: DatabaseId) -> Vec<Parcel> {
        let snapshot = self.store.snapshot().unwrap();
        let graph = Graph::new(&*snapshot, self.number(id));
        let newest = graph.head().unwrap().unwrap().0;
        (0..=newest.0).map(|n| graph.stored(Number(n)).unwrap().parcel).collect()
    }

    fn digest(&self, id: DatabaseId) -> [u8; 32] {
        state_digest(&*self.store.snapshot().unwrap(), self.number(id)).unwrap()
    }

    fn tips(&self, id: DatabaseId) -> BTreeSet<EntryId> {
        let snapshot = self.store.snapshot().unwrap();
        let graph = Graph::new(&*snapshot, self.number(id));
        let (_, head) = graph.head().unwrap().unwrap();
        graph.ids(&head.tips).unwrap().into_iter().collect()
    }

    fn assert_sound(&self, id: DatabaseId) {
        let snapshot = self.store.snapshot().unwrap();
        let held = held(&*snapshot, &id).unwrap().unwrap();
        let scratch: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let types = StoreTypes::built_in();
        let findings = verify_database(&*snapshot, held, &types, &scratch, [1; 32]).unwrap();
        assert!(findings.is_sound(), "{:?}", findings.listed);
    }
}

fn message(database: u32, author: u8, text: &str) -> Commit {
    let mut draft = LogDraft::new();
    draft.append(&mut MemoryView::new(), &Value::from(text)).unwrap();
    let sections = vec![("chat".to_owned(), draft.encode())];
    Commit { database, key: key(author), sections, required: Vec::new() }
}

fn creator() -> Operation {
    let subject = Subject::Key(key(1).public());
    Operation::Grant { subject, level: Level::Admin(0), name: None, expires: None }
}

fn anyone(level: Level) -> Operation {
    Operation::Grant { subject: Subject::Anyone, level, name: None, expires: None }
}

/// Two sites that write apart and exchange all they have now and then.
fn forked_history(rounds: usize) -> (Site, Site, DatabaseId) {
    let (mut a, mut b) = (Site::new(), Site::new());
    let id = a.found(vec![creator(), anyone(Level::Write(10))]);
    b.ingest(id, a.all(id), NOW);
    let mut rows = b.rows();
    b.engine.complete(&mut rows, id).unwrap();
    b.apply(rows);
    for round in 0..rounds {
        for (site, author) in [(&mut a, 1), (&mut b, 2)] {
            for n in 0..=round % 3 {
                edit_row(site, id, author, &format!("{round}.{n}"));
                site.push(id, author, &format!("{author} says {round}.{n}")).unwrap();
            }
        }
        if round % 2 == 1 {
            let (from_a, from_b) = (a.all(id), b.all(id));
            a.ingest(id, from_b, NOW);
            b.ingest(id, from_a, NOW);
        }
    }
    let (from_a, from_b) = (a.all(id), b.all(id));
    a.ingest(id, from_b, NOW);
    b.ingest(id, from_a, NOW);
    (a, b, id)
}

/// Both sites edit the same few rows, so that versions meet.
fn edit_row(site: &mut Site, id: DatabaseId, author: u8, text: &str) {
    let number = site.number(id);
    let mut rows = site.rows();
    let place = StorePlace::new(number, "table", "table");
    let mut draft = TableDraft::new();
    let row = Key::from(if text.ends_with('0') { "even" } else { "odd" });
    {
        let mut view = weald_engine::StoreViewMut::new(&mut rows, place);
        let value = Value::from([("text", text), ("by", if author == 1 { "a" } else { "b" })]);
        if text.ends_with('2') {
            draft.delete(&mut view, &row).unwrap();
        } else {
            draft.put(&mut view, &row, &value).unwrap();
        }
    }
    if draft.is_empty() {
        return;
    }
    let sections = vec![("table".to_owned(), draft.encode())];
    let commit = Commit { database: number, key: key(author), sections, required: Vec::new() };
    site.commit(vec![commit]).pop().unwrap().unwrap();
}

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
fn a_stranger_is_refused_and_so_is_what_descends_from_it() {
    let (mut a, mut b) = (Site::new(), Site::new());
    let id = a.found(vec![creator(), anyone(Level::Read)]);
    let refused = a.push(id, 7, "no");
    assert!(matches!(refused, Err(CommitError::NotPermitted { .. })), "{refused:?}");
    b.ingest(id, a.all(id), NOW);
    let fields = |parent: EntryId, time: u64, payload: &[u8]| Fields {
        parents: vec![parent],
        time: Time::from_millis(time),
        author: key(7).public(),
        seq: 0,
        sections: vec![Section::of("chat", payload)],
        nonce: None,
    };
    let one =
        Verified::sign(fields(id.root(), NOW + 5, b"x"), vec![b"x".to_vec()], &key(7)).unwrap();
    let two = Verified::sign(fields(one.entry().id(), NOW + 6, b"y"), vec![b"y".to_vec()], &key(1))
        .unwrap();
    let verdicts = b.ingest(id, vec![one.into_parcel(), two.into_parcel()], NOW).verdicts;
    assert!(matches!(verdicts[0].1, Verdict::Refused(Refusal::Authority { .. })));
    assert!(matches!(verdicts[1].1, Verdict::Refused(Refusal::Descends { .. })));
    assert_eq!(b.all(id).len(), 1);
}

#[test]
fn a_void_section_adds_nothing_and_is_reported() {
    let mut a = Site::new();
    let id = a.found(vec![creator()]);
    let payload = b"not a section".to_vec();
    let fields = Fields {
        parents: vec![id.root()],
        time: Time::from_millis(NOW + 5),
        author: key(1).public(),
        seq: 1,
        sections: vec![Section::of("chat", &payload)],
        nonce: None,
    };
    let before = a.digest(id);
    let parcel = Verified::sign(fields, vec![payload], &key(1)).unwrap().into_parcel();
    let ingested = a.ingest(id, vec![parcel], NOW);
    assert_eq!(ingested.folded[0].voids[0].store, "chat");
    assert_eq!(a.digest(id), before);
    a.assert_sound(id);
}

/// An entry on top of these parents.
fn made(parents: &[EntryId], after: u64, author: u8, store: &str, payload: &[u8]) -> Parcel {
    let mut parents = parents.to_vec();
    parents.sort_unstable();
    let fields = Fields {
        parents,
        time: Time::from_millis(NOW + after),
        author: key(author).public(),
        seq: after,
        sections: vec![Section::of(store, payload)],
        nonce: None,
    };
    Verified::sign(fields, vec![payload.to_vec()], &key(author)).unwrap().into_parcel()
}

fn setting(name: &str) -> Vec<u8> {
    encode_operations(&[Operation::Set { key: name.into(), value: "x".into() }]).unwrap()
}

fn said(text: &str) -> Vec<u8> {
    message(0, 1, text).sections.remove(0).1
}

#[test]
fn an_entry_without_its_payload_is_the_fault_of_who_sent_it() {
    let mut a = Site::new();
    let id = a.found(vec![creator(), anyone(Level::Write(10))]);
    let settings = made(&[id.root()], 5, 1, "_settings", &setting("name"));
    let chat = made(&[settings.entry.id()], 6, 2, "chat", &said("hello"));
    let mut bare = [settings.clone(), chat.clone()];
    bare.iter_mut().for_each(|parcel| parcel.payloads = vec![None]);
    let mut b = Site::new();
    b.ingest(id, a.all(id), NOW);
    for (_, verdict) in b.ingest(id, bare.to_vec(), NOW).verdicts {
        assert!(matches!(verdict, Verdict::Fault(Fault::Withheld { .. })), "{verdict:?}");
    }
    let verdicts = b.ingest(id, vec![settings.clone(), chat.clone()], NOW).verdicts;
    assert!(verdicts.iter().all(|(_, verdict)| matches!(verdict, Verdict::Stored(_))));
    a.ingest(id, vec![settings, chat], NOW);
    assert_eq!((a.digest(id), a.tips(id)), (b.digest(id), b.tips(id)));
}

#[test]
fn settings_of_a_newer_build_are_kept_out_and_not_refused() {
    let mut a = Site::new();
    let id = a.found(vec![creator(), anyone(Level::Write(10))]);
    let mut version = setting("a");
    version[1] = 2;
    let mut kind = setting("b");
    kind[4] = 23;
    for (after, payload) in [(5, version), (6, kind)] {
        let newer = made(&[id.root()], after, 1, "_settings", &payload);
        let child = made(&[newer.entry.id()], 9, 1, "chat", &said("hello"));
        for _ in 0..2 {
            let verdicts = a.ingest(id, vec![newer.clone(), child.clone()], NOW).verdicts;
            assert!(matches!(verdicts[0].1, Verdict::NewerVersion { .. }), "{verdicts:?}");
            assert_eq!(verdicts[1].1, Verdict::Missing(vec![newer.entry.id()]));
        }
    }
}

#[test]
fn an_entry_from_the_future_waits_and_a_key_in_two_places_is_noticed() {
    let mut a = Site::new();
    let id = a.found(vec![creator()]);
    let fields = |time, seq| Fields {
        parents: vec![id.root()],
        time: Time::from_millis(time),
        author: key(1).public(),
        seq,
        sections: Vec::new(),
        nonce: None,
    };
    let late =
        Verified::sign(fields(NOW + 3_600_000, 1), Vec::new(), &key(1)).unwrap().into_parcel();
    let held_back = a.ingest(id, vec![late.clone()], NOW);
    assert!(matches!(held_back.verdicts[0].1, Verdict::HeldBack { .. }));
    let stored = a.ingest(id, vec![late], NOW + 3_600_000);
    assert!(matches!(stored.verdicts[0].1, Verdict::Stored(_)));
    assert!(!stored.folded[0].author_forked);
    let again = Verified::sign(fields(NOW + 1, 1), Vec::new(), &key(1)).unwrap().into_parcel();
    assert!(a.ingest(id, vec![again], NOW + 3_600_000).folded[0].author_forked);
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
fn damage_is_found() {
    let (a, _, id) = forked_history(4);
    let number = a.number(id);
    let snapshot = a.store.snapshot().unwrap();
    let space = weald_dag::Space::new("state", number);
    let mut row = None;
    let all = weald_dag::KeyRange::all();
    snapshot
        .range(space, all, weald_dag::Order::Ascending, &mut |key, value| {
            row = Some((key.to_vec(), value.to_vec()));
            std::ops::ControlFlow::Break(())
        })
        .unwrap();
    let (row_key, mut value) = row.unwrap();
    *value.last_mut().unwrap() ^= 1;
    let mut batch = weald_dag::Batch::default();
    batch.put(space, row_key, value);
    a.store.apply(batch, Durability::Immediate).unwrap();
    let snapshot = a.store.snapshot().unwrap();
    let held = held(&*snapshot, &id).unwrap().unwrap();
    let scratch: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let findings =
        verify_database(&*snapshot, held, &StoreTypes::built_in(), &scratch, [1; 32]).unwrap();
    assert!(findings.listed.iter().any(|problem| problem.contains("state")), "{findings:?}");
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
    let stamp = weald_crdt::EntryStamp { time: 1, entry: *other.as_bytes(), author: [0; 32] };
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

fn rows_in(site: &Site, name: &'static str, database: u32) -> usize {
    let mut count = 0;
    let space = weald_dag::Space::new(name, database);
    let (all, order) = (weald_dag::KeyRange::all(), weald_dag::Order::Ascending);
    let snapshot = site.store.snapshot().unwrap();
    snapshot
        .range(space, all, order, &mut |_, _| {
            count += 1;
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    count
}

#[test]
fn refused_entries_leave_no_authority_epochs() {
    let mut a = Site::new();
    let id = a.found(vec![creator(), anyone(Level::Read)]);
    let settings: Vec<Parcel> =
        (0..6).map(|n| made(&[id.root()], 5 + n, 1, "_settings", &setting("k"))).collect();
    let tips: Vec<EntryId> = settings.iter().map(|parcel| parcel.entry.id()).collect();
    a.ingest(id, settings, NOW);
    let strangers = (1..1_u32 << 6).map(|mask| {
        let parents: Vec<EntryId> =
            (0..6).filter(|bit| mask >> bit & 1 == 1).map(|bit| tips[bit as usize]).collect();
        made(&parents, 100, 7, "chat", &said("no"))
    });
    for (_, verdict) in a.ingest(id, strangers.collect(), NOW).verdicts {
        assert!(matches!(verdict, Verdict::Refused(Refusal::Authority { .. })));
    }
    a.push(id, 1, "x").unwrap();
    let (number, epochs) = (a.number(id), 2);
    assert_eq!(rows_in(&a, "epochs", number), epochs, "after the root, and after all six");
    a.assert_sound(id);
}

#[test]
fn of_too_many_refusals_the_oldest_is_forgotten_and_a_chain_is_refused_at_once() {
    let mut a = Site::new();
    let id = a.found(vec![creator(), anyone(Level::Read)]);
    let first = made(&[id.root()], 4, 7, "chat", &said("no"));
    let strangers: Vec<Parcel> =
        (0..4096).map(|n| made(&[id.root()], 5 + n, 7, "chat", &said("no"))).collect();
    let last = strangers[4095].entry.id();
    a.ingest(id, vec![first.clone()], NOW);
    a.ingest(id, strangers, NOW);
    let child = made(&[last], 9_000, 1, "chat", &said("x"));
    let grandchild = made(&[child.entry.id()], 9_001, 1, "chat", &said("y"));
    let verdicts = a.ingest(id, vec![child, grandchild], NOW).verdicts;
    for (_, verdict) in verdicts {
        assert!(matches!(verdict, Verdict::Refused(Refusal::Descends { .. })), "{verdict:?}");
    }
    let orphan = made(&[first.entry.id()], 9_000, 1, "chat", &said("x"));
    let verdicts = a.ingest(id, vec![orphan], NOW).verdicts;
    assert_eq!(verdicts[0].1, Verdict::Missing(vec![first.entry.id()]));
}

#[test]
fn what_does_not_found_a_database_leaves_no_trace() {
    let mut a = Site::new();
    let id = a.found(vec![creator()]);
    let mut fails = |nonce: u8, operations: Vec<Operation>, sign: &weald_engine::Sign<'_>| {
        let mut rows = a.rows();
        let founding = Founding { key: key(1), nonce: [nonce; 16], operations, system: false };
        let error = a.engine.found(&mut rows, founding, NOW, sign).unwrap_err();
        assert!(rows.batch().is_empty(), "{error}");
        error
    };
    assert!(matches!(fails(3, vec![creator()], &sign), CommitError::AlreadyHeld));
    assert!(matches!(fails(4, vec![], &sign), CommitError::NoAdministrator));
    let open = anyone(Level::Write(1));
    assert!(matches!(fails(4, vec![open], &sign), CommitError::NoAdministrator));
    let everybody = vec![creator(), anyone(Level::Admin(0))];
    assert!(matches!(fails(4, everybody, &sign), CommitError::NotPermitted { .. }));
    assert!(matches!(fails(4, vec![creator()], &|_| Vec::new()), CommitError::Store(_)));
    assert_eq!(a.all(id).len(), 1);
    a.push(id, 1, "still there").unwrap();

    // From elsewhere: a root that cannot be used, and one of another database.
    let mut b = Site::new();
    let fields = Fields {
        parents: Vec::new(),
        time: Time::from_millis(NOW),
        author: key(1).public(),
        seq: 0,
        sections: vec![Section::of("_settings", b"junk")],
        nonce: Some([1; 16]),
    };
    let root = Verified::sign(fields, vec![b"junk".to_vec()], &key(1)).unwrap().into_parcel();
    let verdicts = b.ingest(root.entry.id().into(), vec![root.clone()], NOW).verdicts;
    assert!(matches!(verdicts[0].1, Verdict::Refused(Refusal::Settings { .. })));
    let verdicts = b.ingest(id, vec![root], NOW).verdicts;
    assert_eq!(verdicts[0].1, Verdict::Refused(weald_dag::GraphRefusal::ForeignRoot.into()));
    assert!(weald_engine::all_held(&*b.store.snapshot().unwrap()).unwrap().is_empty());
}

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
    assert!(!weald_crdt::View::is_applied(&view, entry.as_bytes()).unwrap());
    a.engine.forget();
    a.push(id, 1, "x").unwrap();
    assert_eq!(rows_in(&a, "unfolded", a.number(id)), 1);
    a.assert_sound(id);
}

type Damage = Box<dyn Fn(&[(Vec<u8>, Vec<u8>)]) -> (Vec<u8>, Option<Vec<u8>>)>;

fn listed(site: &Site, space: weald_dag::Space) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (all, order) = (weald_dag::KeyRange::all(), weald_dag::Order::Ascending);
    let mut rows = Vec::new();
    let snapshot = site.store.snapshot().unwrap();
    snapshot
        .range(space, all, order, &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    rows
}

/// Settings, epochs, long payloads, names that wait, two branches.
fn of_everything() -> (Site, DatabaseId) {
    let (mut a, _, id) = forked_history(3);
    let number = a.number(id);
    for n in 0..3 {
        let sections = vec![("_settings".to_owned(), setting("k"))];
        a.commit(vec![Commit { database: number, key: key(1), sections, required: Vec::new() }]);
        a.push(id, 2, &format!("{n} {}", "long".repeat(500))).unwrap();
    }
    a.push(id, 2, "last").unwrap();
    (a, id)
}

fn findings(site: &Site, id: DatabaseId) -> Vec<String> {
    let snapshot = site.store.snapshot().unwrap();
    let held = held(&*snapshot, &id).unwrap().unwrap();
    let scratch: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let types = StoreTypes::built_in();
    verify_database(&*snapshot, held, &types, &scratch, [1; 32]).unwrap().listed
}

fn flip(row: usize, byte: usize) -> Damage {
    Box::new(move |rows| {
        let (key, mut value) = rows[row].clone();
        value[byte] ^= 1;
        (key, Some(value))
    })
}

fn lose(from_end: usize) -> Damage {
    Box::new(move |rows| (rows[rows.len() - 1 - from_end].0.clone(), None))
}

fn add(key: &'static [u8], value: &'static [u8]) -> Damage {
    Box::new(move |_| (key.to_vec(), Some(value.to_vec())))
}

#[test]
fn damage_of_every_kind_of_row_is_a_finding() {
    let author: &'static [u8] = Box::leak(Box::new(*key(1).public().as_bytes()));
    let damages: Vec<(&str, &'static str, Damage)> = vec![
        ("standing", "entries", flip(3, 0)),
        ("unknown flags", "entries", {
            Box::new(|rows| {
                let (key, mut value) = rows[3].clone();
                value[0] |= 0x80;
                (key, Some(value))
            })
        }),
        ("generation", "entries", flip(3, 1)),
        ("epoch", "entries", flip(3, 2)),
        ("parents", "entries", flip(6, 4)),
        ("signature", "entries", flip(3, 30)),
        ("newest entry lost", "entries", lose(0)),
        ("an entry lost", "entries", lose(4)),
        ("short key", "entries", add(&[0, 0], &[1])),
        ("last key", "entries", add(&[255; 8], &[1])),
        ("number", "ids", flip(2, 7)),
        ("id lost", "ids", lose(1)),
        ("id of nothing", "ids", add(&[9; 32], &[0, 0, 0, 0, 0, 0, 0, 3])),
        ("payload", "payloads", flip(0, 100)),
        ("payload lost", "payloads", lose(0)),
        ("payload of nothing", "payloads", add(&[0, 0, 0, 0, 0, 0, 0, 3, 9], &[1])),
        ("state", "state", flip(0, 0)),
        ("more state", "state", add(b"\x04chat\x03log\x01", &[1])),
        ("more buried", "buried", add(b"\x04chat\x03log\x01", &[1])),
        ("more waiting names", "dangling", add(b"\x04chat\x03log\x01", &[1])),
        ("settings elsewhere", "settings", flip(1, 7)),
        ("settings lost", "settings", lose(1)),
        ("last settings lost", "settings", lose(0)),
        ("epoch of others", "epochs", flip(1, 7)),
        ("epoch lost", "epochs", lose(1)),
        ("last epoch lost", "epochs", lose(0)),
        ("author", "authors", add(author, &[0, 0, 0, 0, 0, 0, 99, 99])),
        ("covered", "authors", add(&[], &[0, 0, 0, 0, 0, 0, 99, 99])),
        ("covered, short", "authors", add(&[], &[1])),
        ("waits for a type", "unfolded", add(&[0, 0, 0, 0, 0, 0, 0, 1, 0], &[])),
    ];
    let (site, id) = of_everything();
    assert_eq!(findings(&site, id), Vec::<String>::new());
    for (what, name, damage) in damages {
        let (site, id) = of_everything();
        let space = weald_dag::Space::new(name, site.number(id));
        let (key, value) = damage(&listed(&site, space));
        let mut batch = weald_dag::Batch::default();
        match value {
            Some(value) => batch.put(space, key, value),
            None => batch.remove(space, key),
        }
        site.store.apply(batch, Durability::Immediate).unwrap();
        assert_ne!(findings(&site, id), Vec::<String>::new(), "{what}");
    }
}

#[test]
fn a_rebuild_mends_the_state() {
    let (mut site, id) = of_everything();
    let (number, whole) = (site.number(id), site.digest(id));
    for name in ["state", "buried", "dangling"] {
        let space = weald_dag::Space::new(name, number);
        let mut batch = weald_dag::Batch::default();
        batch.put(space, *b"\x04chat\x03log\x01", [1]);
        if let Some((key, _)) = listed(&site, space).first() {
            batch.put(space, key.clone(), [9]);
        }
        site.store.apply(batch, Durability::Immediate).unwrap();
    }
    assert_ne!(site.digest(id), whole);
    let mut rows = site.rows();
    // In one group with an entry before and after it.
    let groups = [message(number, 1, "before"), message(number, 1, "after")];
    for commit in groups {
        site.engine.commit(&mut rows, vec![commit], NOW, &sign).unwrap()[0].as_ref().unwrap();
        assert!(site.engine.rebuild(&mut rows, number).unwrap() > 0);
    }
    site.apply(rows);
    site.assert_sound(id);
}
