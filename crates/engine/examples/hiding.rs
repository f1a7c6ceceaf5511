//! How long a revocation takes that hides some of many entries, and what the checks add to taking
//! entries in: `cargo run --release -p weald-engine --example hiding [THOUSANDS]`.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use weald_auth::{Level, Operation, Subject, encode_operations};
use weald_crdt::{Key, MemoryView, TableDraft, Value};
use weald_dag::{
    DatabaseId, Domain, Durability, EntryId, Fields, MemoryStore, Overlay, SecretKey, Section,
    Store, Time, Verified,
};
use weald_engine::{Engine, Founding, Ingested, StoreTypes};

const NOW: u64 = 1_800_000_000_000;
const BATCH: usize = 1_000;
const HIDDEN: u64 = 10_000;

struct Site {
    store: MemoryStore,
    engine: Engine,
    id: DatabaseId,
    keys: [Arc<SecretKey>; 3],
    count: u64,
}

fn grant(key: &SecretKey, level: Level) -> Operation {
    Operation::Grant { subject: Subject::Key(key.public()), level, name: None, expires: None }
}

fn revoke(key: &SecretKey) -> Vec<u8> {
    let limit = Operation::Limit { subject: Subject::Key(key.public()), to: None };
    encode_operations(&[limit]).unwrap()
}

impl Site {
    /// An administrator and two writers.
    fn new() -> Self {
        let keys = [1, 2, 3].map(|seed| Arc::new(SecretKey::from_seed(&[seed; 32])));
        let (store, mut engine) = (MemoryStore::new(), Engine::new(StoreTypes::built_in()));
        let mut rows = Overlay::new(store.snapshot().unwrap());
        let [admin, first, second] = &keys;
        let operations = vec![
            grant(admin, Level::Admin(0)),
            grant(first, Level::Write(1)),
            grant(second, Level::Write(1)),
        ];
        let founding =
            Founding { key: Arc::clone(admin), nonce: [1; 16], operations, system: false };
        let sign = |ids: &[(Arc<SecretKey>, EntryId)]| {
            ids.iter().map(|(key, id)| key.sign(Domain::Entry, id.as_bytes())).collect()
        };
        let (held, _) = engine.found(&mut rows, founding, NOW, &sign).unwrap();
        engine.finish(&mut rows);
        store.apply(rows.into_batch(), Durability::Immediate).unwrap();
        Self { store, engine, id: held.id, keys, count: 0 }
    }

    fn made(&mut self, parent: EntryId, by: usize, store: &str, payload: Vec<u8>) -> Verified {
        self.count += 1;
        let key = Arc::clone(self.keys.get(by).unwrap());
        let fields = Fields {
            parents: vec![parent],
            time: Time::from_millis(NOW + self.count),
            author: key.public(),
            seq: self.count,
            sections: vec![Section::of(store, &payload)],
            nonce: None,
        };
        Verified::sign(fields, vec![payload], &key).unwrap()
    }

    /// Takes a chain of rows, each in an entry of its own; returns its end and how long it took.
    fn chain(&mut self, mut parent: EntryId, by: usize, length: u64) -> (EntryId, Duration) {
        let mut took = Duration::ZERO;
        let mut batch = Vec::with_capacity(BATCH);
        for n in 0..length {
            let mut draft = TableDraft::new();
            let value = Value::from([("text", "as long as a line of a chat may be, or longer")]);
            let row = Key::from(self.count.cast_signed());
            draft.put(&mut MemoryView::new(), &row, &value).unwrap();
            let made = self.made(parent, by, "table", draft.encode());
            parent = made.clone().into_parcel().entry.id();
            batch.push(made);
            if batch.len() == BATCH || n + 1 == length {
                took += self.take(std::mem::take(&mut batch)).1;
            }
        }
        (parent, took)
    }

    fn take(&mut self, batch: Vec<Verified>) -> (Ingested, Duration) {
        let begun = Instant::now();
        let mut rows = Overlay::new(self.store.snapshot().unwrap());
        let taken = self.engine.ingest(&mut rows, self.id, batch, 2 * NOW).unwrap();
        self.engine.finish(&mut rows);
        self.store.apply(rows.into_batch(), Durability::Immediate).unwrap();
        (taken, begun.elapsed())
    }

    fn revoke(&mut self, parent: EntryId, by: usize) {
        let payload = revoke(self.keys.get(by).unwrap());
        let limit = self.made(parent, 0, "_settings", payload);
        let (taken, took) = self.take(vec![limit]);
        let shift = taken.folded.first().and_then(|folded| folded.shift.as_ref());
        let vanished = shift.map_or(0, |shift| shift.vanished);
        println!("    {vanished} entries hidden in {} ms", took.as_millis());
    }
}

fn main() {
    let thousands = std::env::args().nth(1).and_then(|all| all.parse().ok()).unwrap_or(100);
    let all: u64 = thousands * 1_000;
    println!("{all} entries, a revocation beside {HIDDEN} of them, on the newest of the rest:");
    let mut site = Site::new();
    let root = site.id.root();
    let (main, took) = site.chain(root, 1, all - HIDDEN);
    println!("    taken in at {} ns an entry", took.as_nanos() / u128::from(all - HIDDEN));
    site.chain(main, 2, HIDDEN);
    site.revoke(main, 2);
    let (_, took) = site.chain(main, 1, 50_000);
    println!("    after it {} ns an entry", took.as_nanos() / 50_000);
    println!("a revocation of as many that others have written on, made on the root:");
    let mut site = Site::new();
    let (mut end, step) = (site.id.root(), (all - HIDDEN) / 10);
    for _ in 0..10 {
        (end, _) = site.chain(end, 1, step);
        (end, _) = site.chain(end, 2, HIDDEN / 10);
    }
    site.revoke(root, 2);
}
