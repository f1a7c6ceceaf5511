//! A replica on a store in memory, with an index and a store of an own type.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use weald_auth::Operation;
use weald_crdt::{
    ApplyError, Area, Change, ChangeKind, EntryStamp, StoreType, Touched, ViewError, ViewMut, Void,
    operations,
};
use weald_dag::{
    DatabaseId, Domain, Durability, EntryId, Graph, Head, KeyRange, MemoryStore, Number, Order,
    Overlay, SecretKey, Signature, Snapshot, Space, Standing, Store, StoreError, Sums, Verified,
    Visit,
};
use weald_engine::{
    Commit, CommitError, Engine, Folded, Founding, IndexDeclaration, IndexShape, Ingested,
    StoreTypes, held, state_digest, verify,
};

pub(crate) const NOW: u64 = 1_800_000_000_000;

pub(crate) fn sign(ids: &[(Arc<SecretKey>, EntryId)]) -> Vec<Signature> {
    ids.iter().map(|(key, id)| key.sign(Domain::Entry, id.as_bytes())).collect()
}

pub(crate) fn key(seed: u8) -> Arc<SecretKey> {
    Arc::new(SecretKey::from_seed(&[seed; 32]))
}

/// Counts the sections given to it; it cannot fold a part again.
struct Tally;

impl StoreType for Tally {
    fn name(&self) -> &'static str {
        "tally"
    }

    fn check(&self, payload: &[u8]) -> Result<(), Void> {
        operations(payload, "tally", 1).map(drop)
    }

    fn apply(
        &self,
        payload: &[u8],
        _entry: &EntryStamp,
        view: &mut dyn ViewMut,
        changes: &mut Vec<Change>,
    ) -> Result<(), ApplyError> {
        self.check(payload)?;
        let before = view.get(Area::State, b"n")?.map_or(0, |row| row[0]);
        let kind = if before == 0 { ChangeKind::Created } else { ChangeKind::Updated };
        view.put(Area::State, b"n", vec![before + 1]);
        changes.push(Change { key: b"n".to_vec(), kind, conflict: None });
        Ok(())
    }
}

/// Counts the sections given to it, and can fold its row again.
struct Votes;

impl Votes {
    fn count(view: &mut dyn ViewMut, with: &BTreeSet<[u8; 32]>) -> Result<Vec<Change>, ViewError> {
        let (mut known, all) = (with.clone(), Bound::Unbounded);
        view.range(Area::History, all, all, false, &mut |key, _| {
            known.extend(<[u8; 32]>::try_from(key));
            ControlFlow::Continue(())
        })?;
        let mut count = 0;
        for entry in known {
            if view.applied(&entry)?.is_some() {
                count += 1;
                view.put(Area::History, &entry, Vec::new());
            } else {
                view.remove(Area::History, &entry);
            }
        }
        Self::set(view, count)
    }

    fn set(view: &mut dyn ViewMut, count: u8) -> Result<Vec<Change>, ViewError> {
        let before = view.get(Area::State, b"v")?.map_or(0, |row| row[0]);
        let kind = match (before, count) {
            (same, again) if same == again => return Ok(Vec::new()),
            (0, _) => ChangeKind::Created,
            (_, 0) => ChangeKind::Removed,
            _ => ChangeKind::Updated,
        };
        match count {
            0 => view.remove(Area::State, b"v"),
            count => view.put(Area::State, b"v", vec![count]),
        }
        Ok(vec![Change { key: b"v".to_vec(), kind, conflict: None }])
    }
}

impl StoreType for Votes {
    fn name(&self) -> &'static str {
        "votes"
    }

    fn check(&self, payload: &[u8]) -> Result<(), Void> {
        operations(payload, "votes", 1).map(drop)
    }

    fn apply(
        &self,
        payload: &[u8],
        entry: &EntryStamp,
        view: &mut dyn ViewMut,
        changes: &mut Vec<Change>,
    ) -> Result<(), ApplyError> {
        self.check(payload)?;
        let before = view.get(Area::State, b"v")?.map_or(0, |row| row[0]);
        view.put(Area::History, &entry.entry, Vec::new());
        changes.extend(Self::set(view, before + 1)?);
        Ok(())
    }

    fn touched(&self, payload: &[u8], _entry: &EntryStamp) -> Result<Touched, Void> {
        self.check(payload)?;
        Ok(Touched::Rows([b"v".to_vec()].into()))
    }

    fn refold(
        &self,
        _rows: &BTreeSet<Vec<u8>>,
        with: &BTreeSet<[u8; 32]>,
        view: &mut dyn ViewMut,
        changes: &mut Vec<Change>,
    ) -> Result<(), ViewError> {
        changes.extend(Self::count(view, with)?);
        Ok(())
    }
}

pub(crate) fn types() -> StoreTypes {
    StoreTypes::built_in().with(Arc::new(Tally)).with(Arc::new(Votes))
}

/// A snapshot that counts the rows that are read.
struct Counted {
    base: Arc<dyn Snapshot>,
    reads: AtomicU64,
}

impl Snapshot for Counted {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.base.get(space, key)
    }

    fn range(
        &self,
        space: Space,
        range: KeyRange,
        order: Order,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        self.base.range(space, range, order, &mut |key, value| {
            self.reads.fetch_add(1, Ordering::Relaxed);
            visit(key, value)
        })
    }
}

pub(crate) struct Site {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) engine: Engine,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self { store: Arc::new(MemoryStore::new()), engine: Engine::new(types()) }
    }

    pub(crate) fn restart(&mut self) {
        self.engine = Engine::new(types());
    }

    pub(crate) fn rows(&self) -> Overlay {
        Overlay::new(self.store.snapshot().unwrap())
    }

    pub(crate) fn apply(&mut self, mut rows: Overlay) {
        self.engine.finish(&mut rows);
        self.store.apply(rows.into_batch(), Durability::Immediate).unwrap();
    }

    pub(crate) fn found(&mut self, operations: Vec<Operation>) -> DatabaseId {
        let mut rows = self.rows();
        let founding = Founding { key: key(1), nonce: [3; 16], operations, system: false };
        let (held, _) = self.engine.found(&mut rows, founding, NOW, &sign).unwrap();
        self.apply(rows);
        held.id
    }

    pub(crate) fn number(&self, id: DatabaseId) -> u32 {
        held(&*self.store.snapshot().unwrap(), &id).unwrap().unwrap().number
    }

    pub(crate) fn ingest(&mut self, id: DatabaseId, parcels: Vec<Verified>) -> Ingested {
        let mut rows = self.rows();
        let ingested = self.engine.ingest(&mut rows, id, parcels, NOW).unwrap();
        self.engine.complete(&mut rows, id).unwrap();
        self.apply(rows);
        ingested
    }

    /// Drops what nobody needs, and returns what is there still.
    pub(crate) fn prune(&mut self, id: DatabaseId) -> BTreeSet<EntryId> {
        let (number, mut rows) = (self.number(id), self.rows());
        self.engine.prune(&mut rows, number).unwrap();
        self.apply(rows);
        self.standings(id).into_keys().collect()
    }

    /// Takes an entry in, and returns how many rows are read for that.
    pub(crate) fn reads_of(&mut self, id: DatabaseId, one: Verified) -> u64 {
        let counted =
            Arc::new(Counted { base: self.store.snapshot().unwrap(), reads: AtomicU64::new(0) });
        let mut rows = Overlay::new(Arc::<Counted>::clone(&counted));
        let ingested = self.engine.ingest(&mut rows, id, vec![one], NOW).unwrap();
        assert_eq!(ingested.folded.len(), 1);
        self.apply(rows);
        counted.reads.load(Ordering::Relaxed)
    }

    pub(crate) fn commit(&mut self, commits: Vec<Commit>) -> Vec<Result<Folded, CommitError>> {
        let mut rows = self.rows();
        let done = self.engine.commit(&mut rows, commits, NOW, &sign).unwrap();
        self.apply(rows);
        done
    }

    /// Keeps an index of the table.
    pub(crate) fn declare_index(&mut self, id: DatabaseId) {
        let (number, mut rows) = (self.number(id), self.rows());
        let fields = vec![["text"].into()];
        let declaration = IndexDeclaration {
            store: "table".into(),
            type_name: "table".into(),
            name: "by text".into(),
            shape: IndexShape { fields, is_unique: false, includes_missing: true },
        };
        self.engine.declare_index(&mut rows, number, declaration).unwrap();
        while self.engine.index_step(&mut rows, number).unwrap().more {}
        self.apply(rows);
    }

    pub(crate) fn head(&self, id: DatabaseId) -> Head {
        let snapshot = self.store.snapshot().unwrap();
        Graph::new(&*snapshot, self.number(id)).head().unwrap().unwrap().1
    }

    /// Returns what the needed entries sum up to, by the first generation of each bucket.
    pub(crate) fn buckets(&self, id: DatabaseId) -> BTreeMap<u64, Sums> {
        let snapshot = self.store.snapshot().unwrap();
        Graph::new(&*snapshot, self.number(id)).buckets().unwrap()
    }

    pub(crate) fn tips(&self, id: DatabaseId) -> BTreeSet<EntryId> {
        let snapshot = self.store.snapshot().unwrap();
        let graph = Graph::new(&*snapshot, self.number(id));
        graph.ids(&self.head(id).tips).unwrap().into_iter().collect()
    }

    pub(crate) fn standings(&self, id: DatabaseId) -> BTreeMap<EntryId, Standing> {
        let snapshot = self.store.snapshot().unwrap();
        let mut found = BTreeMap::new();
        let graph = Graph::new(&*snapshot, self.number(id));
        graph
            .each_from(Number(0), &mut |stored| {
                found.insert(stored.parcel.entry.id(), stored.local.standing);
                ControlFlow::Continue(())
            })
            .unwrap();
        found
    }

    /// Returns the needed entries and whether each is visible.
    pub(crate) fn needed(&self, id: DatabaseId) -> BTreeMap<EntryId, bool> {
        let standings = self.standings(id).into_iter();
        let needed = standings.filter(|(_, standing)| standing.is_needed());
        needed.map(|(id, standing)| (id, standing == Standing::Visible)).collect()
    }

    pub(crate) fn digest(&self, id: DatabaseId) -> [u8; 32] {
        state_digest(&*self.store.snapshot().unwrap(), self.number(id)).unwrap()
    }

    pub(crate) fn listed(&self, name: &'static str, id: DatabaseId) -> Vec<(Vec<u8>, Vec<u8>)> {
        let (mut rows, snapshot) = (Vec::new(), self.store.snapshot().unwrap());
        let space = Space::new(name, self.number(id));
        snapshot
            .range(space, KeyRange::all(), Order::Ascending, &mut |key, value| {
                rows.push((key.to_vec(), value.to_vec()));
                ControlFlow::Continue(())
            })
            .unwrap();
        rows
    }

    /// Returns the rows of the index.
    pub(crate) fn index(&self, id: DatabaseId) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.listed("indexes", id)
    }

    pub(crate) fn findings(&self, id: DatabaseId) -> Vec<String> {
        let snapshot: Arc<dyn Snapshot> = self.store.snapshot().unwrap();
        let held = held(&*snapshot, &id).unwrap().unwrap();
        let scratch: Arc<dyn Store> = Arc::new(MemoryStore::new());
        verify(&*snapshot, held, &types(), &scratch, [1; 32]).unwrap().listed
    }

    pub(crate) fn assert_sound(&self, id: DatabaseId) {
        assert_eq!(self.findings(id), Vec::<String>::new());
    }
}
