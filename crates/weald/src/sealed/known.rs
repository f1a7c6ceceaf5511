//! What the log `_keys` comes to: of each sealed store, how it is sealed and who was given its keys.
//!
//! Invariant: what somebody adds outweighs nothing of somebody's who was granted more; among equals
//! the first counts, but none can make a store for a password one for readers.

use std::collections::{BTreeMap, BTreeSet};

use weald_auth::{Action, Authority};
use weald_cipher::{EpochId, PasswordLock};
use weald_crdt::{LogType, ReadError, log};
use weald_dag::{EntryId, Graph, PublicKey, Snapshot, StoreError};
use weald_engine::{StorePlace, StoreView, store_error};

use super::records::{KEYS, Keying, Record, Wrap, lock_id};
use crate::core::author_of;

/// How many records are read at a time.
const PAGE: usize = 256;
/// How many wrapped keys of one epoch are kept for one reader.
const WRAPS_TRIED_MAX: usize = 16;
/// How many of these are of one author.
const WRAPS_OF_ONE_MAX: usize = 2;

/// How much somebody was granted at most, by a visible grant, whatever was taken since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    Administrator,
    Member,
    Other,
}

impl Weight {
    fn of(authority: &Authority, key: &PublicKey) -> Self {
        match authority.current().strongest_grant(key) {
            Some(level) if level.allows(Action::Administer) => Self::Administrator,
            Some(_) => Self::Member,
            None => Self::Other,
        }
    }
}

/// A lock that a password opens.
pub(super) struct LockRecord {
    pub(super) id: [u8; 32],
    pub(super) lock: PasswordLock,
    /// The locks that it says it follows on, with what proves it.
    pub(super) follows: Vec<([u8; 32], [u8; 32])>,
    pub(super) author: PublicKey,
    weight: Weight,
}

/// What is known of one epoch.
pub(super) struct EpochRecord {
    pub(super) id: EpochId,
    /// Who says to have made it. Who was given it and gave it on does not.
    makers: BTreeSet<PublicKey>,
    /// For each reader, with who wrapped it: anybody can write one that does not open.
    wraps: BTreeMap<PublicKey, Vec<(PublicKey, Wrap)>>,
}

impl EpochRecord {
    /// Returns whether those alone were given its key who are among these, by one of them.
    pub(super) fn is_for(&self, readers: &BTreeSet<PublicKey>) -> bool {
        let given = self.wraps.keys().all(|to| readers.contains(to));
        given && !self.makers.is_empty() && self.makers.is_subset(readers)
    }

    /// Returns whether one of these has wrapped its key for a reader.
    pub(super) fn is_given(&self, to: &PublicKey, by: &BTreeSet<PublicKey>) -> bool {
        let mut wraps = self.wraps.get(to).into_iter().flatten();
        wraps.any(|(author, _)| by.contains(author))
    }

    /// Returns what may be its key, wrapped for a reader.
    pub(super) fn wraps_for(&self, reader: &PublicKey) -> impl Iterator<Item = &Wrap> {
        self.wraps.get(reader).into_iter().flatten().map(|(_, wrap)| wrap)
    }

    fn add(&mut self, author: PublicKey, wraps: Vec<(PublicKey, Wrap)>) {
        for (reader, wrap) in wraps {
            let kept = self.wraps.entry(reader).or_default();
            let of_one = kept.iter().filter(|(known, _)| *known == author).count();
            if kept.len() < WRAPS_TRIED_MAX && of_one < WRAPS_OF_ONE_MAX {
                kept.push((author, wrap));
            }
        }
    }
}

/// What is known of one sealed store.
pub(crate) struct SealRecords {
    pub(crate) type_name: String,
    pub(crate) keying: Keying,
    weight: Weight,
    /// In the order of stamps.
    pub(super) locks: Vec<LockRecord>,
    /// In the order of stamps.
    pub(super) epochs: Vec<EpochRecord>,
}

impl SealRecords {
    /// Returns whether an administrator has sealed it: then it is, whatever else has its name.
    pub(super) fn is_by_administrator(&self) -> bool {
        self.weight == Weight::Administrator
    }

    /// Returns the locks in the order in which a password is to be tried on them: at first the newest
    /// of each author, of those who were granted more before the others', then the next of each, so
    /// that nobody hides the right one behind many.
    pub(super) fn locks_to_try(&self) -> Vec<&LockRecord> {
        let mut of_one = BTreeMap::<PublicKey, usize>::new();
        let mut locks: Vec<_> = self
            .locks
            .iter()
            .rev()
            .map(|lock| {
                let turn = of_one.entry(lock.author).or_default();
                *turn += 1;
                (lock.weight, *turn, lock)
            })
            .collect();
        locks.sort_by_key(|(weight, turn, _)| (*turn, *weight));
        locks.into_iter().map(|(_, _, lock)| lock).collect()
    }
}

/// What is known of all sealed stores of a database.
pub(crate) type Records = BTreeMap<String, SealRecords>;

/// A record as it was found.
struct Found {
    store: String,
    record: Record,
    author: PublicKey,
    weight: Weight,
}

/// Reads what the log says.
pub(crate) fn read<S: Snapshot>(
    rows: &S,
    database: u32,
    authority: &Authority,
) -> Result<Records, StoreError> {
    let mut found = all(rows, database, authority)?;
    let mut records = Records::new();
    // What is put in order of weight stays in order of stamps otherwise.
    let mut seals: Vec<_> = found.iter().collect();
    seals.sort_by_key(|found| found.weight);
    seals.into_iter().for_each(|found| seal(&mut records, found));
    found.iter().for_each(|found| begin(&mut records, found));
    found.sort_by_key(|found| found.weight);
    for Found { store, record, author, .. } in found {
        let (Some(known), Record::Wraps { epoch, wraps, .. }) = (records.get_mut(&store), record)
        else {
            continue;
        };
        if let Some(epoch) = known.epochs.iter_mut().find(|known| known.id == epoch) {
            epoch.add(author, wraps);
        }
    }
    Ok(records)
}

fn all<S: Snapshot>(
    rows: &S,
    database: u32,
    authority: &Authority,
) -> Result<Vec<Found>, StoreError> {
    let view = StoreView::new(rows, StorePlace::new(database, KEYS, LogType::NAME));
    let (graph, mut found, mut after) = (Graph::new(rows, database), Vec::new(), None);
    loop {
        let items = log::after(&view, after.as_ref(), PAGE).map_err(damaged)?;
        let Some(last) = items.last() else { return Ok(found) };
        after = Some(last.stamp);
        for item in &items {
            let Some((store, record)) = Record::of_value(&item.value) else { continue };
            let author = author_of(&graph, &EntryId::from_bytes(item.stamp.entry))?;
            let (store, weight) = (store.to_owned(), Weight::of(authority, &author));
            found.push(Found { store, record, author, weight });
        }
    }
}

/// Takes in that a store is sealed.
fn seal(records: &mut Records, found: &Found) {
    let Record::Seal { type_name, keying } = &found.record else { return };
    match records.get_mut(&found.store) {
        // Who does not know the password must not be able to make readers of the others.
        Some(known) if known.weight == found.weight && *keying == Keying::Password => {
            known.keying = Keying::Password;
        }
        Some(_) => {}
        None => {
            let (type_name, weight) = (type_name.clone(), found.weight);
            let (locks, epochs) = (Vec::new(), Vec::new());
            let new = SealRecords { type_name, keying: *keying, weight, locks, epochs };
            records.insert(found.store.clone(), new);
        }
    }
}

/// Takes in a lock, or that there is an epoch.
fn begin(records: &mut Records, found: &Found) {
    let Some(known) = records.get_mut(&found.store) else { return };
    let (author, weight) = (found.author, found.weight);
    match &found.record {
        Record::Lock { lock: bytes, follows } => {
            let Ok(lock) = PasswordLock::from_bytes(bytes) else { return };
            let (id, follows) = (lock_id(bytes), follows.clone());
            known.locks.push(LockRecord { id, lock, follows, author, weight });
        }
        Record::Wraps { epoch, made, .. } => {
            let makers = made.then_some(author);
            match known.epochs.iter_mut().find(|known| known.id == *epoch) {
                Some(known) => known.makers.extend(makers),
                None => {
                    let (makers, wraps) = (makers.into_iter().collect(), BTreeMap::new());
                    known.epochs.push(EpochRecord { id: *epoch, makers, wraps });
                }
            }
        }
        Record::Seal { .. } => {}
    }
}

fn damaged(error: ReadError) -> StoreError {
    match error {
        ReadError::View(error) => store_error(&error),
        error => StoreError::Corrupt { what: format!("a row of the log '{KEYS}': {error}") },
    }
}
