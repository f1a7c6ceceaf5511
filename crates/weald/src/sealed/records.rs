//! What the log `_keys` of a database says of its sealed stores: how each is sealed, the locks that
//! passwords open, and keys wrapped for readers.
//!
//! Invariant: records are only added, so nobody can make a sealed store look like one in the clear;
//! a record that this build does not understand is passed over.

use std::collections::BTreeMap;

use weald_cipher::{EpochId, READER_WRAP_LEN};
use weald_crdt::{LogDraft, MemoryView, Value};
use weald_dag::PublicKey;
use weald_engine::CommitError;

/// The log that keeps the records.
pub(crate) const KEYS: &str = "_keys";
/// How many wrapped keys one record holds, so that it stays well below what a section may be.
pub(super) const WRAPS_PER_RECORD: usize = 1_024;

const STORE: &str = "store";
const TYPE: &str = "type";
const KEYING: &str = "keying";
const LOCK: &str = "lock";
const FOLLOWS: &str = "follows";
const EPOCH: &str = "epoch";
const WRAPS: &str = "wraps";
const MADE: &str = "made";

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
    /// The key of an epoch, for some readers; its author has `made` it, or was given it.
    Wraps { epoch: EpochId, made: bool, wraps: Vec<(PublicKey, Wrap)> },
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
            Self::Wraps { epoch, made, wraps } => {
                put(EPOCH, Value::Bytes(epoch.as_bytes().to_vec()));
                if *made {
                    put(MADE, Value::Bool(true));
                }
                let pair = |(reader, wrap): &(PublicKey, Wrap)| {
                    Value::Bytes([reader.as_bytes().as_slice(), wrap].concat())
                };
                put(WRAPS, Value::List(wraps.iter().map(pair).collect()));
            }
        }
        Value::Map(fields)
    }

    pub(super) fn of_value(value: &Value) -> Option<(&str, Self)> {
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
            let made = value.get(MADE).and_then(Value::as_bool).unwrap_or(false);
            let wraps = wraps.collect::<Option<_>>()?;
            return Some((store, Self::Wraps { epoch, made, wraps }));
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

/// Returns the name of a lock.
pub(super) fn lock_id(lock: &[u8]) -> [u8; 32] {
    blake3::derive_key("weald 2026 sealed store lock id v1", lock)
}
