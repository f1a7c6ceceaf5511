//! What the log `_keys` of a database says of its sealed stores: how each is sealed, the locks that
//! passwords open, and keys wrapped for readers.
//!
//! Invariant: records are only added, so nobody can make a sealed store look like one in the clear;
//! a record that this build does not understand is passed over.

use std::collections::BTreeMap;

use weald_cipher::{EpochId, PasswordLock, READER_WRAP_LEN};
use weald_crdt::{LogDraft, LogType, MemoryView, Value, log};
use weald_dag::{EntryId, Graph, PublicKey, Snapshot, StoreError};
use weald_engine::{CommitError, StorePlace, StoreView, store_error};

use crate::core::author_of;

/// The log that keeps the records.
pub(crate) const KEYS: &str = "_keys";
/// How many records are read at a time.
const PAGE: usize = 256;
/// How many wrapped keys one record holds, so that it stays well below what a section may be.
pub(super) const WRAPS_PER_RECORD: usize = 1_024;

/// How many wrapped keys of one epoch are kept for one reader.
const WRAPS_TRIED_MAX: usize = 8;

const STORE: &str = "store";
const TYPE: &str = "type";
const KEYING: &str = "keying";
const LOCK: &str = "lock";
const FOLLOWS: &str = "follows";
const EPOCH: &str = "epoch";
const WRAPS: &str = "wraps";

/// Who can unlock a sealed store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keying {
    /// Whoever knows its password.
    Password,
    /// Whoever may read the database by a grant to a key of theirs.
    Readers,
}

impl Keying {
    const fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Readers => "readers",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Password, Self::Readers].into_iter().find(|keying| keying.name() == name)
    }
}

/// A key wrapped for a reader.
pub(super) type Wrap = [u8; READER_WRAP_LEN];

/// One record of the log.
pub(super) enum Record {
    /// The store is sealed, and is of this type inside.
    Seal { type_name: String, keying: Keying },
    /// A password opens this lock; the locks that it follows on are named with a proof.
    Lock { lock: Vec<u8>, follows: Vec<([u8; 32], [u8; 32])> },
    /// The key of an epoch, for some readers.
    Wraps { epoch: EpochId, wraps: Vec<(PublicKey, Wrap)> },
}

impl Record {
    fn to_value(&self, store: &str) -> Value {
        let mut fields = BTreeMap::from([(STORE.to_owned(), Value::from(store))]);
        let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
        match self {
            Self::Seal { type_name, keying } => {
                put(TYPE, Value::from(type_name.as_str()));
                put(KEYING, Value::from(keying.name()));
            }
            Self::Lock { lock, follows } => {
                put(LOCK, Value::Bytes(lock.clone()));
                let pair = |(id, proof): &([u8; 32], [u8; 32])| {
                    Value::Bytes([id.as_slice(), proof].concat())
                };
                put(FOLLOWS, Value::List(follows.iter().map(pair).collect()));
            }
            Self::Wraps { epoch, wraps } => {
                put(EPOCH, Value::Bytes(epoch.as_bytes().to_vec()));
                let pair = |(reader, wrap): &(PublicKey, Wrap)| {
                    Value::Bytes([reader.as_bytes().as_slice(), wrap].concat())
                };
                put(WRAPS, Value::List(wraps.iter().map(pair).collect()));
            }
        }
        Value::Map(fields)
    }

    fn of_value(value: &Value) -> Option<(&str, Self)> {
        let text = |name: &str| value.get(name).and_then(Value::as_text);
        let store = text(STORE)?;
        if let Some(Value::Bytes(lock)) = value.get(LOCK) {
            let pairs = value.get(FOLLOWS).and_then(Value::as_list)?.iter();
            let follows = pairs.map(|pair| {
                let Value::Bytes(pair) = pair else { return None };
                let (id, proof) = pair.split_first_chunk()?;
                Some((*id, proof.try_into().ok()?))
            });
            let follows = follows.collect::<Option<_>>()?;
            return Some((store, Self::Lock { lock: lock.clone(), follows }));
        }
        if let Some(Value::Bytes(epoch)) = value.get(EPOCH) {
            let epoch = EpochId::from_bytes(epoch.as_slice().try_into().ok()?);
            let pairs = value.get(WRAPS).and_then(Value::as_list)?.iter();
            let wraps = pairs.map(|pair| {
                let Value::Bytes(pair) = pair else { return None };
                let (reader, wrap) = pair.split_first_chunk()?;
                Some((PublicKey::from_bytes(*reader).ok()?, wrap.try_into().ok()?))
            });
            return Some((store, Self::Wraps { epoch, wraps: wraps.collect::<Option<_>>()? }));
        }
        let (type_name, keying) = (text(TYPE)?.to_owned(), Keying::named(text(KEYING)?)?);
        Some((store, Self::Seal { type_name, keying }))
    }
}

/// Returns the section of the log that adds these records.
pub(super) fn section(records: &[(&str, &Record)]) -> Result<Vec<u8>, CommitError> {
    let (mut draft, mut view) = (LogDraft::new(), MemoryView::new());
    for (store, record) in records {
        let appended = draft.append(&mut view, &record.to_value(store));
        appended.map_err(|error| CommitError::Void {
            store: KEYS.to_owned(),
            reason: error.to_string(),
        })?;
    }
    Ok(draft.encode())
}

/// A lock that a password opens.
pub(super) struct LockRecord {
    pub(super) id: [u8; 32],
    pub(super) lock: PasswordLock,
    /// The locks that it says it follows on, with what proves it.
    pub(super) follows: Vec<([u8; 32], [u8; 32])>,
}

/// What is known of one epoch.
pub(super) struct EpochRecord {
    pub(super) id: EpochId,
    /// Who made it.
    pub(super) maker: PublicKey,
    /// For each reader; several, for anybody can write one that does not open.
    pub(super) wraps: BTreeMap<PublicKey, Vec<Wrap>>,
}

/// What is known of one sealed store.
pub(crate) struct SealRecords {
    pub(crate) type_name: String,
    pub(crate) keying: Keying,
    /// In the order of stamps.
    pub(super) locks: Vec<LockRecord>,
    /// In the order of stamps.
    pub(super) epochs: Vec<EpochRecord>,
}

/// What is known of all sealed stores of a database.
pub(crate) type Records = BTreeMap<String, SealRecords>;

/// Returns the name of a lock.
pub(super) fn lock_id(lock: &[u8]) -> [u8; 32] {
    blake3::derive_key("weald 2026 sealed store lock id v1", lock)
}

/// Reads what the log says.
pub(crate) fn read<S: Snapshot>(rows: &S, database: u32) -> Result<Records, StoreError> {
    let view = StoreView::new(rows, StorePlace::new(database, KEYS, LogType::NAME));
    let (mut records, mut rest, mut after) = (Records::new(), Vec::new(), None);
    loop {
        let items = log::after(&view, after.as_ref(), PAGE).map_err(damaged)?;
        let Some(last) = items.last() else { break };
        after = Some(last.stamp);
        for item in &items {
            match Record::of_value(&item.value) {
                Some((store, Record::Seal { type_name, keying })) => {
                    seal(&mut records, store, type_name, keying);
                }
                Some((store, record)) => rest.push((store.to_owned(), record, item.stamp.entry)),
                None => {}
            }
        }
    }
    for (store, record, entry) in rest {
        let Some(known) = records.get_mut(&store) else { continue };
        match record {
            Record::Lock { lock: bytes, follows } => {
                let Ok(lock) = PasswordLock::from_bytes(&bytes) else { continue };
                known.locks.push(LockRecord { id: lock_id(&bytes), lock, follows });
            }
            Record::Wraps { epoch, wraps } => {
                let at = known.epochs.iter().position(|known| known.id == epoch);
                if at.is_none() {
                    let graph = Graph::new(rows, database);
                    let maker = author_of(&graph, &EntryId::from_bytes(entry))?;
                    known.epochs.push(EpochRecord { id: epoch, maker, wraps: BTreeMap::new() });
                }
                let at = at.unwrap_or(known.epochs.len() - 1);
                let Some(epoch) = known.epochs.get_mut(at) else { continue };
                for (reader, wrap) in wraps {
                    let wraps = epoch.wraps.entry(reader).or_default();
                    if wraps.len() < WRAPS_TRIED_MAX {
                        wraps.push(wrap);
                    }
                }
            }
            Record::Seal { .. } => {}
        }
    }
    Ok(records)
}

fn seal(records: &mut Records, store: &str, type_name: String, keying: Keying) {
    match records.get_mut(store) {
        // Who does not know the password must not be able to make readers of the others.
        Some(known) if keying == Keying::Password && known.keying == Keying::Readers => {
            known.keying = Keying::Password;
        }
        Some(_) => {}
        None => {
            let new = SealRecords { type_name, keying, locks: Vec::new(), epochs: Vec::new() };
            records.insert(store.to_owned(), new);
        }
    }
}

fn damaged(error: weald_crdt::ReadError) -> StoreError {
    match error {
        weald_crdt::ReadError::View(error) => store_error(&error),
        error => StoreError::Corrupt { what: format!("a row of the log '{KEYS}': {error}") },
    }
}
