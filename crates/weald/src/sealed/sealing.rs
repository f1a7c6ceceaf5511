//! Sealing on the writer thread: what is committed to sealed stores, and new keys when readers go.
//!
//! Invariant: with what is staged, a section is sealed under a key that present readers alone were
//! given, by one of them; if there is no such key a new one is made in the same entry.

use std::collections::BTreeSet;
use std::sync::Arc;

use weald_auth::{Action, Subject};
use weald_cipher::{
    Binding, CipherError, EpochKey, RowCipher, seal_section, unwrap_as_reader, wrap_for_reader,
};
use weald_dag::{DatabaseId, Overlay, PublicKey, SecretKey, StoreError};
use weald_engine::{
    Commit, CommitError, Engine, Unlocked, all_held, is_sealed, note_sealed, rest_key, seal_over,
};
use zeroize::Zeroizing;

use super::known::{self, Records, SealRecords};
use super::records::{self, KEYS, Keying, Record, WRAPS_PER_RECORD, Wrap};
use super::vault::{OpenStore, Vault, key_of};
use crate::clock::wall_millis;
use crate::entropy;

/// Draws a key for a new epoch.
pub(super) fn new_key() -> Result<EpochKey, StoreError> {
    let mut bytes = Zeroizing::new([0; 32]);
    entropy::fill(bytes.as_mut_slice())?;
    Ok(EpochKey::new(*bytes))
}

pub(super) fn not_sealed(store: &str, error: &CipherError) -> CommitError {
    CommitError::Void { store: store.to_owned(), reason: error.to_string() }
}

/// Returns whether a commit writes to a sealed store.
pub(crate) fn concerns(rows: &Overlay, commit: &Commit) -> Result<bool, StoreError> {
    for (store, _) in &commit.sections {
        if !store.starts_with('_') && is_sealed(rows, commit.database, store)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Seals the sections of a commit on sealed stores, and adds keys that readers lack.
pub(crate) fn seal(
    vault: &Vault,
    engine: &mut Engine,
    rows: &Overlay,
    commit: &mut Commit,
) -> Result<(), CommitError> {
    let (number, author) = (commit.database, commit.key.public());
    let mut added = Vec::new();
    for (store, payload) in &mut commit.sections {
        if store.starts_with('_') || !is_sealed(rows, number, store)? {
            continue;
        }
        let locked = || CommitError::Locked { store: store.clone() };
        let (id, keying, ring) = vault.ring(number, store).ok_or_else(locked)?;
        let key = match keying {
            Keying::Password => ring.last().cloned().ok_or_else(locked)?,
            Keying::Readers => {
                let records = known(vault, engine, rows, number)?;
                let of_store = records.get(store).ok_or_else(locked)?;
                let readers = readers(engine, rows, number)?;
                let keys = keys_for(&id, store, of_store, &ring, &readers)?;
                vault.extend(number, store, vec![keys.write.clone()]);
                added.extend(keys.records.into_iter().map(|record| (store.clone(), record)));
                keys.write
            }
        };
        let binding = Binding { database: id.as_bytes(), store, author: author.as_bytes() };
        let sealed = seal_section(&key, entropy::bytes()?, &binding, payload);
        *payload = sealed.map_err(|error| not_sealed(store, &error))?;
    }
    if !added.is_empty() {
        // The next commit of this group is to find what this one adds.
        vault.forget_records(number);
    }
    add_records(commit, &added)
}

fn add_records(commit: &mut Commit, added: &[(String, Record)]) -> Result<(), CommitError> {
    if added.is_empty() {
        return Ok(());
    }
    let records: Vec<_> = added.iter().map(|(store, record)| (store.as_str(), record)).collect();
    let section = (KEYS.to_owned(), records::section(&records)?);
    let at = commit.sections.partition_point(|(store, _)| store.as_str() < KEYS);
    commit.sections.insert(at, section);
    Ok(())
}

/// Returns what `_keys` says, staged rows included.
fn known(
    vault: &Vault,
    engine: &mut Engine,
    rows: &Overlay,
    number: u32,
) -> Result<Arc<Records>, StoreError> {
    if let Some(known) = vault.records(number) {
        return Ok(known);
    }
    let authority = engine.authority(rows, number)?.unwrap_or_default();
    let read = Arc::new(known::read(rows, number, &authority)?);
    vault.keep_records(number, Arc::clone(&read));
    Ok(read)
}

/// Returns the keys that may read a database by grants of their own.
pub(super) fn readers(
    engine: &mut Engine,
    rows: &Overlay,
    number: u32,
) -> Result<BTreeSet<PublicKey>, StoreError> {
    let authority = engine.authority(rows, number)?.unwrap_or_default();
    Ok(readers_of(&authority))
}

pub(super) fn readers_of(authority: &weald_auth::Authority) -> BTreeSet<PublicKey> {
    let members = authority.current().at(wall_millis()).members().into_iter();
    let readers = members.filter(|member| member.level.allows(Action::Read));
    let keys = readers.filter_map(|member| match member.subject {
        Subject::Key(key) => Some(key),
        Subject::Anyone => None,
    });
    keys.collect()
}

/// The key to write with, and what is to be written so that all readers have all keys.
struct Keys {
    write: EpochKey,
    records: Vec<Record>,
}

fn keys_for(
    id: &DatabaseId,
    store: &str,
    of_store: &SealRecords,
    ring: &[EpochKey],
    readers: &BTreeSet<PublicKey>,
) -> Result<Keys, CommitError> {
    let mut records = Vec::new();
    let write = match write_key(of_store, ring, readers) {
        Some(key) => key.clone(),
        None => {
            let key = new_key()?;
            records.extend(wraps(id, store, (&key, true), readers.iter())?);
            key
        }
    };
    records.extend(lacking(id, store, of_store, ring, readers)?);
    Ok(Keys { write, records })
}

/// Returns the latest key that was given to nobody who may not read any more, if it is here.
fn write_key<'a>(
    of_store: &SealRecords,
    ring: &'a [EpochKey],
    readers: &BTreeSet<PublicKey>,
) -> Option<&'a EpochKey> {
    let sound = of_store.epochs.iter().rev().find(|epoch| epoch.is_for(readers))?;
    key_of(ring, sound.id)
}

/// Wraps each key for those readers whom no reader has given it yet.
fn lacking(
    id: &DatabaseId,
    store: &str,
    of_store: &SealRecords,
    ring: &[EpochKey],
    readers: &BTreeSet<PublicKey>,
) -> Result<Vec<Record>, CommitError> {
    let mut records = Vec::new();
    for key in ring {
        let known = of_store.epochs.iter().find(|epoch| epoch.id == key.id());
        let lacks = |to: &&PublicKey| known.is_none_or(|known| !known.is_given(to, readers));
        records.extend(wraps(id, store, (key, false), readers.iter().filter(lacks))?);
    }
    Ok(records)
}

/// Wraps a key for readers: one that is made just now, or not.
pub(super) fn wraps<'a>(
    id: &DatabaseId,
    store: &str,
    (key, made): (&EpochKey, bool),
    readers: impl Iterator<Item = &'a PublicKey>,
) -> Result<Vec<Record>, CommitError> {
    let mut wraps: Vec<(PublicKey, Wrap)> = Vec::new();
    for reader in readers {
        let at = (id.as_bytes(), store);
        match wrap_for_reader(key, entropy::bytes()?, reader.as_bytes(), at) {
            Ok(wrap) => wraps.push((*reader, wrap)),
            // Bytes that are no key can be granted something, and read nothing.
            Err(CipherError::UnusableKey) => {}
            Err(error) => return Err(not_sealed(store, &error)),
        }
    }
    let epoch = key.id();
    let record = |wraps: &[_]| Record::Wraps { epoch, made, wraps: wraps.to_vec() };
    Ok(wraps.chunks(WRAPS_PER_RECORD).map(record).collect())
}

/// Makes the commit that gives readers the keys that they lack, and where there is none for them
/// alone and `anew` says so, a new one; `None` if there is nothing to do, or nobody here who may.
pub(crate) fn share(
    vault: &Vault,
    engine: &mut Engine,
    rows: &Overlay,
    (number, anew): (u32, bool),
) -> Result<Option<Commit>, CommitError> {
    let stores = vault.open_for_readers(number);
    if stores.is_empty() {
        return Ok(None);
    }
    let authority = engine.authority(rows, number)?.unwrap_or_default();
    let current = authority.current().at(wall_millis());
    let (readers, known) = (readers_of(&authority), known(vault, engine, rows, number)?);
    let may = |key: &Arc<SecretKey>| {
        readers.contains(&key.public()) && current.permits(&key.public(), Action::Write)
    };
    let Some(key) = vault.readers(number).into_iter().find(may) else { return Ok(None) };
    let mut added = Vec::new();
    for store in stores {
        let ring = vault.ring(number, &store);
        let Some(((id, _, ring), of_store)) = ring.zip(known.get(&store)) else { continue };
        let records = if anew {
            let keys = keys_for(&id, &store, of_store, &ring, &readers)?;
            vault.extend(number, &store, vec![keys.write]);
            keys.records
        } else {
            lacking(&id, &store, of_store, &ring, &readers)?
        };
        added.extend(records.into_iter().map(|record| (store.clone(), record)));
    }
    let mut commit = Commit { database: number, key, sections: Vec::new(), required: Vec::new() };
    add_records(&mut commit, &added)?;
    Ok((!commit.sections.is_empty()).then_some(commit))
}

/// `_keys` has changed: notes which stores are sealed, and unlocks for readers what is new to them.
pub(crate) fn refresh(
    vault: &Vault,
    engine: &mut Engine,
    rows: &mut Overlay,
    number: u32,
) -> Result<Option<(DatabaseId, Vec<Unlocked>)>, StoreError> {
    let authority = engine.authority(rows, number)?.unwrap_or_default();
    let records = Arc::new(known::read(rows, number, &authority)?);
    vault.keep_records(number, Arc::clone(&records));
    let held = all_held(rows)?.into_iter().find(|held| held.number == number);
    let Some(id) = held.map(|held| held.id) else { return Ok(None) };
    let (keys, mut unlocked) = (vault.readers(number), Vec::new());
    for (store, of_store) in &*records {
        if of_store.is_by_administrator() {
            seal_over(rows, number, store)?;
        } else {
            note_sealed(rows, number, store)?;
        }
        if of_store.keying != Keying::Readers || vault.is_locked_by_hand(number, store) {
            continue;
        }
        let ring = ring_of(&id, store, of_store, &keys);
        if vault.is_open(number, store) {
            if vault.extend(number, store, ring) {
                unlocked.extend(engine.unlock(rows, (number, store))?);
            }
            continue;
        }
        // What was unlocked before has rows that the next handle makes ready.
        if let (Some(first), None) = (ring.first(), rest_key(rows, number, store)?)
            && is_sealed(rows, number, store)?
        {
            let cipher = Arc::new(RowCipher::new(first, id.as_bytes(), store));
            engine.prepare_unlock(rows, (number, store), *cipher.epoch().as_bytes())?;
            let inner = (of_store.type_name.clone(), Keying::Readers);
            vault.insert(number, store, OpenStore::new(id, inner, ring, cipher));
            unlocked.extend(engine.unlock(rows, (number, store))?);
        }
    }
    Ok(Some((id, unlocked)))
}

/// Returns the keys of a store that are wrapped for any of these keys, the oldest first.
pub(super) fn ring_of(
    id: &DatabaseId,
    store: &str,
    of_store: &SealRecords,
    keys: &[Arc<SecretKey>],
) -> Vec<EpochKey> {
    let at = (id.as_bytes(), store);
    let ring = of_store.epochs.iter().filter_map(|epoch| {
        keys.iter().find_map(|key| {
            let reader = key.public();
            let mut wraps = epoch.wraps_for(&reader);
            wraps.find_map(|wrap| unwrap_as_reader(&key.to_seed(), epoch.id, at, wrap).ok())
        })
    });
    ring.collect()
}
