//! An instance as small as it can be: a store, the engine, and an actor that is told of every commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use weald_auth::{Level, Operation, Subject};
use weald_crdt::{LogDraft, MemoryView, Value};
use weald_dag::{
    DatabaseId, Domain, Durability, EntryId, Graph, MemoryStore, Number, Overlay, Parcel,
    PublicKey, SecretKey, Signature, Snapshot, Standing, Store, StoreError, Verdict, Verified,
};
use weald_engine::{
    Commit, Engine, Founding, StoreTypes, all_held, held, load_authority, state_digest, taken_from,
};
use weald_sync::{LocalDatabase, Reads};
use weald_transports::{
    ActorHandle, ActorOptions, BoxFuture, CommitFeed, Events, Host, HostError, PeerRecord,
    SyncEvent, spawn,
};

/// How long a test waits for what must happen.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) const NOW: u64 = 1_800_000_000_000;

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(done) => done,
        Err(_) => panic!("{what} took over {} s", DEADLINE.as_secs()),
    }
}

/// What survives a restart.
pub(crate) struct Site {
    pub(crate) key: Arc<SecretKey>,
    store: Arc<dyn Store>,
    engine: Mutex<Engine>,
    peers: Mutex<Vec<PeerRecord>>,
    notes: Mutex<BTreeMap<PublicKey, Vec<u8>>>,
    /// The clock on the wall.
    pub(crate) now: AtomicU64,
    /// How often records of peers were saved.
    pub(crate) saved: AtomicU64,
    feed: Mutex<Option<CommitFeed>>,
    changed: tokio::sync::watch::Sender<u64>,
    /// How many more batches are taken before the host fails; `u64::MAX` for all.
    pub(crate) batches_left: AtomicU64,
    /// How many entries came from peers.
    pub(crate) received: AtomicU64,
    /// How many of them were held already.
    pub(crate) duplicates: AtomicU64,
}

fn sign(ids: &[(Arc<SecretKey>, EntryId)]) -> Vec<Signature> {
    ids.iter().map(|(key, id)| key.sign(Domain::Entry, id.as_bytes())).collect()
}

impl Site {
    pub(crate) fn new(seed: u8) -> Arc<Self> {
        Self::over(seed, Arc::new(MemoryStore::new()))
    }

    pub(crate) fn over(seed: u8, store: Arc<dyn Store>) -> Arc<Self> {
        Self::with([seed; 32], store)
    }

    /// Makes one of many: their keys come from longer seeds.
    pub(crate) fn of(seed: [u8; 32]) -> Arc<Self> {
        Self::with(seed, Arc::new(MemoryStore::new()))
    }

    fn with(seed: [u8; 32], store: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            key: Arc::new(SecretKey::from_seed(&seed)),
            store,
            engine: Mutex::new(Engine::new(StoreTypes::built_in())),
            peers: Mutex::default(),
            notes: Mutex::default(),
            now: AtomicU64::new(NOW),
            saved: AtomicU64::new(0),
            feed: Mutex::default(),
            changed: tokio::sync::watch::Sender::new(0),
            batches_left: AtomicU64::new(u64::MAX),
            received: AtomicU64::new(0),
            duplicates: AtomicU64::new(0),
        })
    }

    fn now(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }

    /// Returns how many rows the notes of peers have.
    pub(crate) fn noted(&self) -> usize {
        self.notes.lock().unwrap().len()
    }

    pub(crate) fn public(&self) -> PublicKey {
        self.key.public()
    }

    /// Starts the actor; dropping the handle stops it.
    pub(crate) fn start(self: &Arc<Self>) -> ActorHandle {
        let retry_first = Duration::from_millis(100);
        self.start_with(ActorOptions { retry_first, ..ActorOptions::default() })
    }

    pub(crate) fn start_with(self: &Arc<Self>, options: ActorOptions) -> ActorHandle {
        let host: Arc<Self> = Arc::clone(self);
        let handle = spawn(host, options).unwrap();
        *self.feed.lock().unwrap() = Some(handle.feed());
        handle
    }

    fn apply(&self, engine: &mut Engine, mut rows: Overlay) {
        engine.finish(&mut rows);
        self.store.apply(rows.into_batch(), Durability::Immediate).unwrap();
    }

    fn tell(&self, database: DatabaseId, numbers: &[Number], origin: Option<PublicKey>) {
        if let Some(feed) = &*self.feed.lock().unwrap() {
            feed.committed(database, numbers, origin);
        }
        self.changed.send_modify(|count| *count += 1);
    }

    /// Makes a database that anyone may write.
    pub(crate) fn found(&self) -> DatabaseId {
        self.found_for(Some(Level::Write(10)))
    }

    pub(crate) fn found_for(&self, anyone: Option<Level>) -> DatabaseId {
        let subject = Subject::Key(self.public());
        let grant = |subject, level| Operation::Grant { subject, level, name: None, expires: None };
        let mut operations = vec![grant(subject, Level::Admin(0))];
        operations.extend(anyone.map(|level| grant(Subject::Anyone, level)));
        self.found_with(operations)
    }

    /// Makes a database with these settings in its root.
    pub(crate) fn found_with(&self, operations: Vec<Operation>) -> DatabaseId {
        let mut engine = self.engine.lock().unwrap();
        let mut rows = Overlay::new(self.store.snapshot().unwrap());
        let founding =
            Founding { key: Arc::clone(&self.key), nonce: rand(), operations, system: false };
        let (held, folded) = engine.found(&mut rows, founding, self.now(), &sign).unwrap();
        self.apply(&mut engine, rows);
        drop(engine);
        self.tell(held.id, &[folded.number], None);
        held.id
    }

    /// Commits entries, each with one message.
    pub(crate) fn push(&self, database: DatabaseId, texts: &[String]) {
        let number = self.number(database);
        let commits = texts.iter().map(|text| {
            let mut draft = LogDraft::new();
            draft.append(&mut MemoryView::new(), &Value::from(text.as_str())).unwrap();
            let sections = vec![("chat".to_owned(), draft.encode())];
            let key = Arc::clone(&self.key);
            Commit { database: number, key, sections, required: Vec::new() }
        });
        let mut engine = self.engine.lock().unwrap();
        let mut rows = Overlay::new(self.store.snapshot().unwrap());
        let made = engine.commit(&mut rows, commits.collect(), self.now(), &sign).unwrap();
        self.apply(&mut engine, rows);
        drop(engine);
        let numbers: Vec<Number> = made.into_iter().map(|made| made.unwrap().number).collect();
        self.tell(database, &numbers, None);
    }

    pub(crate) fn say(&self, database: DatabaseId, text: &str) {
        self.push(database, &[text.to_owned()]);
    }

    pub(crate) fn fill(&self, database: DatabaseId, count: usize) {
        let texts: Vec<String> =
            (0..count).map(|n| format!("message {n} {}", "x".repeat(80))).collect();
        texts.chunks(1000).for_each(|texts| self.push(database, texts));
    }

    fn number(&self, database: DatabaseId) -> u32 {
        held(&*self.store.snapshot().unwrap(), &database).unwrap().unwrap().number
    }

    pub(crate) fn holds(&self, database: DatabaseId) -> bool {
        let held = held(&*self.store.snapshot().unwrap(), &database).unwrap();
        held.is_some_and(|held| held.complete)
    }

    pub(crate) fn count(&self, database: DatabaseId) -> u64 {
        let snapshot = self.store.snapshot().unwrap();
        let Some(held) = held(&*snapshot, &database).unwrap() else { return 0 };
        let head = Graph::new(&*snapshot, held.number).head().unwrap();
        head.map_or(0, |(newest, _)| newest.0 + 1)
    }

    pub(crate) fn tips(&self, database: DatabaseId) -> BTreeSet<EntryId> {
        let snapshot = self.store.snapshot().unwrap();
        let graph = Graph::new(&*snapshot, self.number(database));
        let (_, head) = graph.head().unwrap().unwrap();
        graph.ids(&head.tips).unwrap().into_iter().collect()
    }

    pub(crate) fn digest(&self, database: DatabaseId) -> [u8; 32] {
        state_digest(&*self.store.snapshot().unwrap(), self.number(database)).unwrap()
    }

    /// Commits sections with a key; says why not where it is refused.
    pub(crate) fn commit(
        &self,
        database: DatabaseId,
        key: &Arc<SecretKey>,
        sections: Vec<(String, Vec<u8>)>,
    ) -> Result<EntryId, String> {
        let (database_number, key) = (self.number(database), Arc::clone(key));
        let commit = Commit { database: database_number, key, sections, required: Vec::new() };
        let mut engine = self.engine.lock().unwrap();
        let mut rows = Overlay::new(self.store.snapshot().unwrap());
        let made = engine.commit(&mut rows, vec![commit], self.now(), &sign).unwrap().remove(0);
        self.apply(&mut engine, rows);
        drop(engine);
        let folded = made.map_err(|error| error.to_string())?;
        self.tell(database, &[folded.number], None);
        Ok(folded.id)
    }

    /// Returns an entry as it is sent.
    pub(crate) fn parcel(&self, database: DatabaseId, id: EntryId) -> Parcel {
        let snapshot = self.store.snapshot().unwrap();
        let graph = Graph::new(&*snapshot, self.number(database));
        let number = graph.number(&id).unwrap().unwrap();
        graph.stored(number).unwrap().parcel
    }

    /// Returns whether an entry is visible; `None` where it is not held.
    pub(crate) fn shows(&self, database: DatabaseId, id: EntryId) -> Option<bool> {
        let snapshot = self.store.snapshot().unwrap();
        let graph = Graph::new(&*snapshot, held(&*snapshot, &database).unwrap()?.number);
        let number = graph.number(&id).unwrap()?;
        Some(graph.local(number).unwrap().standing == Standing::Visible)
    }

    /// Returns what a key may do, by what is held here.
    pub(crate) fn level(&self, database: DatabaseId, key: &PublicKey) -> Option<Level> {
        let snapshot = self.store.snapshot().unwrap();
        let authority = load_authority(&*snapshot, self.number(database)).unwrap();
        authority.current().level_of(key)
    }

    /// Waits until this site holds `count` entries.
    pub(crate) async fn reaches(&self, database: DatabaseId, count: u64) {
        let mut changed = self.changed.subscribe();
        within(&format!("reaching {count} entries"), async {
            while self.count(database) < count {
                changed.changed().await.unwrap();
            }
        })
        .await;
    }

    pub(crate) fn assert_equal(&self, other: &Self, database: DatabaseId) {
        assert_eq!(self.count(database), other.count(database), "the counts differ");
        assert_eq!(self.tips(database), other.tips(database), "the tips differ");
        assert_eq!(self.digest(database), other.digest(database), "the states differ");
    }

    pub(crate) fn peer_records(&self) -> Vec<PeerRecord> {
        self.peers.lock().unwrap().clone()
    }
}

fn rand() -> [u8; 16] {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

impl Reads for Site {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        self.store.snapshot()
    }

    fn database(&self, id: &DatabaseId) -> Result<Option<LocalDatabase>, StoreError> {
        let held = held(&*self.store.snapshot()?, id)?;
        Ok(held.map(|held| LocalDatabase { number: held.number, complete: held.complete }))
    }

    fn may_read(&self, id: &DatabaseId, keys: &[PublicKey]) -> Result<bool, StoreError> {
        let snapshot = self.store.snapshot()?;
        let Some(held) = held(&*snapshot, id)? else { return Ok(false) };
        Ok(load_authority(&*snapshot, held.number)?.current().at(self.now()).may_read(keys))
    }

    fn known_to(&self, keys: &[PublicKey]) -> Result<Vec<DatabaseId>, StoreError> {
        let all = all_held(&*self.store.snapshot()?)?;
        let complete = all.into_iter().filter(|held| held.complete && !held.system);
        let mut known = Vec::new();
        for held in complete {
            if self.may_read(&held.id, keys)? || self.taken_from(&held.id, keys)?.is_some() {
                known.push(held.id);
            }
        }
        Ok(known)
    }

    fn taken_from(
        &self,
        id: &DatabaseId,
        keys: &[PublicKey],
    ) -> Result<Option<Vec<EntryId>>, StoreError> {
        let snapshot = self.store.snapshot()?;
        let Some(held) = held(&*snapshot, id)? else { return Ok(None) };
        let authority = load_authority(&*snapshot, held.number)?;
        taken_from(&*snapshot, held.number, &authority, keys)
    }

    fn keys_for(&self, _: &DatabaseId, _: &PublicKey) -> Result<Vec<SecretKey>, StoreError> {
        Ok(Vec::new())
    }
}

impl Host for Site {
    fn device(&self) -> SecretKey {
        SecretKey::clone(&self.key)
    }

    fn name(&self) -> String {
        format!("site {}", self.public().short())
    }

    fn wanted(&self) -> Result<Vec<DatabaseId>, HostError> {
        Ok(all_held(&*self.store.snapshot()?)?.into_iter().map(|held| held.id).collect())
    }

    fn ingest(
        &self,
        from: PublicKey,
        database: DatabaseId,
        parcels: Vec<Verified>,
    ) -> BoxFuture<'static, Result<Vec<(EntryId, Verdict)>, HostError>> {
        let left = self.batches_left.load(Ordering::SeqCst);
        if left == 0 {
            return Box::pin(std::future::ready(Err(HostError::Closed)));
        }
        if left != u64::MAX {
            self.batches_left.fetch_sub(1, Ordering::SeqCst);
        }
        let mut engine = self.engine.lock().unwrap();
        let mut rows = Overlay::new(self.store.snapshot().unwrap());
        let done = engine.ingest(&mut rows, database, parcels, self.now()).unwrap();
        self.apply(&mut engine, rows);
        drop(engine);
        let again = done.verdicts.iter().filter(|(_, v)| matches!(v, Verdict::Duplicate(_)));
        self.received.fetch_add(done.verdicts.len() as u64, Ordering::SeqCst);
        self.duplicates.fetch_add(again.count() as u64, Ordering::SeqCst);
        let numbers: Vec<Number> = done.folded.iter().map(|folded| folded.number).collect();
        if !numbers.is_empty() {
            self.tell(database, &numbers, Some(from));
        }
        Box::pin(std::future::ready(Ok(done.verdicts)))
    }

    fn complete(&self, database: DatabaseId) -> BoxFuture<'static, Result<(), HostError>> {
        let mut engine = self.engine.lock().unwrap();
        let mut rows = Overlay::new(self.store.snapshot().unwrap());
        engine.complete(&mut rows, database).unwrap();
        self.apply(&mut engine, rows);
        drop(engine);
        self.changed.send_modify(|count| *count += 1);
        Box::pin(std::future::ready(Ok(())))
    }

    fn peers(&self) -> Result<Vec<PeerRecord>, HostError> {
        Ok(self.peer_records())
    }

    fn save_peer(&self, record: PeerRecord) -> BoxFuture<'static, Result<(), HostError>> {
        self.saved.fetch_add(1, Ordering::SeqCst);
        let mut peers = self.peers.lock().unwrap();
        peers.retain(|peer| peer.key != record.key);
        peers.push(record);
        Box::pin(std::future::ready(Ok(())))
    }

    fn remembered(&self) -> Result<Vec<(PublicKey, Vec<u8>)>, HostError> {
        Ok(self.notes.lock().unwrap().clone().into_iter().collect())
    }

    fn remember(
        &self,
        notes: Vec<(PublicKey, Vec<u8>)>,
    ) -> BoxFuture<'static, Result<(), HostError>> {
        self.notes.lock().unwrap().extend(notes);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Waits for an event that fits.
pub(crate) async fn event<T>(
    what: &str,
    events: &mut Events,
    fits: impl Fn(&SyncEvent) -> Option<T>,
) -> T {
    within(what, async {
        loop {
            let event = events.next().await.expect("the actor runs");
            if let Some(found) = fits(&event) {
                return found;
            }
        }
    })
    .await
}
