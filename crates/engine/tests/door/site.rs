//! A replica on a store in memory, and histories to fill it with.

use std::collections::BTreeSet;
use std::sync::Arc;

use weald_auth::{Level, Operation, Subject, encode_operations};
use weald_crdt::{Key, LogDraft, MemoryView, TableDraft, Value};
use weald_dag::{
    DatabaseId, Domain, Durability, EntryId, Fields, Graph, MemoryStore, Number, Overlay, Parcel,
    SecretKey, Section, Signature, Store, Time, Verified, verify,
};
use weald_engine::{
    Commit, CommitError, Engine, Founding, Ingested, StorePlace, StoreTypes, held, state_digest,
    verify as verify_database,
};

pub(crate) const NOW: u64 = 1_800_000_000_000;

pub(crate) fn sign(ids: &[(Arc<SecretKey>, EntryId)]) -> Vec<Signature> {
    ids.iter().map(|(key, id)| key.sign(Domain::Entry, id.as_bytes())).collect()
}

pub(crate) fn key(seed: u8) -> Arc<SecretKey> {
    Arc::new(SecretKey::from_seed(&[seed; 32]))
}

pub(crate) struct Site {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) engine: Engine,
}

impl Site {
    pub(crate) fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        Self { store, engine: Engine::new(StoreTypes::built_in()) }
    }

    pub(crate) fn apply(&mut self, mut rows: Overlay) {
        self.engine.finish(&mut rows);
        self.store.apply(rows.into_batch(), Durability::Immediate).unwrap();
    }

    pub(crate) fn rows(&self) -> Overlay {
        Overlay::new(self.store.snapshot().unwrap())
    }

    pub(crate) fn found(&mut self, operations: Vec<Operation>) -> DatabaseId {
        let mut rows = self.rows();
        let founding = Founding { key: key(1), nonce: [3; 16], operations, system: false };
        let (held, folded) = self.engine.found(&mut rows, founding, NOW, &sign).unwrap();
        self.apply(rows);
        assert_eq!(held.id.root(), folded.id);
        held.id
    }

    pub(crate) fn number(&self, id: DatabaseId) -> u32 {
        held(&*self.store.snapshot().unwrap(), &id).unwrap().unwrap().number
    }

    pub(crate) fn commit(&mut self, commits: Vec<Commit>) -> Vec<Result<EntryId, CommitError>> {
        let mut rows = self.rows();
        let done = self.engine.commit(&mut rows, commits, NOW, &sign).unwrap();
        self.apply(rows);
        done.into_iter().map(|folded| folded.map(|folded| folded.id)).collect()
    }

    pub(crate) fn push(
        &mut self,
        id: DatabaseId,
        author: u8,
        text: &str,
    ) -> Result<EntryId, CommitError> {
        let commit = message(self.number(id), author, text);
        self.commit(vec![commit]).pop().unwrap()
    }

    pub(crate) fn ingest(&mut self, id: DatabaseId, parcels: Vec<Parcel>, wall: u64) -> Ingested {
        let verified = verify(parcels, [9; 32]).into_iter().map(Result::unwrap).collect();
        let mut rows = self.rows();
        let ingested = self.engine.ingest(&mut rows, id, verified, wall).unwrap();
        self.apply(rows);
        ingested
    }

    pub(crate) fn all(&self, id: DatabaseId) -> Vec<Parcel> {
        let snapshot = self.store.snapshot().unwrap();
        let graph = Graph::new(&*snapshot, self.number(id));
        let newest = graph.head().unwrap().unwrap().0;
        (0..=newest.0).map(|n| graph.stored(Number(n)).unwrap().parcel).collect()
    }

    pub(crate) fn digest(&self, id: DatabaseId) -> [u8; 32] {
        state_digest(&*self.store.snapshot().unwrap(), self.number(id)).unwrap()
    }

    pub(crate) fn tips(&self, id: DatabaseId) -> BTreeSet<EntryId> {
        let snapshot = self.store.snapshot().unwrap();
        let graph = Graph::new(&*snapshot, self.number(id));
        let (_, head) = graph.head().unwrap().unwrap();
        graph.ids(&head.tips).unwrap().into_iter().collect()
    }

    pub(crate) fn assert_sound(&self, id: DatabaseId) {
        let snapshot = self.store.snapshot().unwrap();
        let held = held(&*snapshot, &id).unwrap().unwrap();
        let scratch: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let types = StoreTypes::built_in();
        let findings = verify_database(&*snapshot, held, &types, &scratch, [1; 32]).unwrap();
        assert!(findings.is_sound(), "{:?}", findings.listed);
    }
}

pub(crate) fn message(database: u32, author: u8, text: &str) -> Commit {
    let mut draft = LogDraft::new();
    draft.append(&mut MemoryView::new(), &Value::from(text)).unwrap();
    let sections = vec![("chat".to_owned(), draft.encode())];
    Commit { database, key: key(author), sections, required: Vec::new() }
}

pub(crate) fn creator() -> Operation {
    let subject = Subject::Key(key(1).public());
    Operation::Grant { subject, level: Level::Admin(0), name: None, expires: None }
}

pub(crate) fn anyone(level: Level) -> Operation {
    Operation::Grant { subject: Subject::Anyone, level, name: None, expires: None }
}

/// Two sites that write apart and exchange all they have now and then.
pub(crate) fn forked_history(rounds: usize) -> (Site, Site, DatabaseId) {
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
pub(crate) fn edit_row(site: &mut Site, id: DatabaseId, author: u8, text: &str) {
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

/// An entry on top of these parents.
pub(crate) fn made(
    parents: &[EntryId],
    after: u64,
    author: u8,
    store: &str,
    payload: &[u8],
) -> Parcel {
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

pub(crate) fn setting(name: &str) -> Vec<u8> {
    encode_operations(&[Operation::Set { key: name.into(), value: "x".into() }]).unwrap()
}

pub(crate) fn said(text: &str) -> Vec<u8> {
    message(0, 1, text).sections.remove(0).1
}

pub(crate) fn rows_in(site: &Site, name: &'static str, database: u32) -> usize {
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
