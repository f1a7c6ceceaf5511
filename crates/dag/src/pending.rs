//! Parcels whose parents have not come: they belong to one session, and the memory that they take
//! is counted in bytes.
//!
//! Invariant: the bytes counted never exceed the limit; on overflow everything is dropped, so that the
//! session's round starts again from the tips.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::id::EntryId;
use crate::parcel::Parcel;

/// How many bytes of memory one session may have waiting, unless it says otherwise.
pub const PENDING_MAX_BYTES: usize = 16 << 20;
/// What a waiting parcel takes in memory beside its bytes: the entry's fields, its place by id, and
/// the room that allocations leave unused.
pub const PENDING_PARCEL_BYTES: usize = 1_024;
/// What each parent of a waiting parcel takes: its id in the fields and in what is missing, and a
/// place in the index of those who wait for it.
pub const PENDING_PARENT_BYTES: usize = 640;
/// What each section of a waiting parcel takes beside its payload: its fields, decoded.
pub const PENDING_SECTION_BYTES: usize = 256;

/// More would wait than is allowed; what waited was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("more than {limit} bytes wait for parents; start the round again from the tips")]
pub struct PendingOverflow {
    /// The limit in bytes.
    pub limit: usize,
}

/// Returns what a parcel takes in memory while it waits for `missing` parents, about and not less.
fn weight(parcel: &Parcel, missing: usize) -> usize {
    let parents = parcel.entry.parents().len().max(missing);
    let sections = parcel.entry.sections().len();
    // The body is kept in bytes and in fields.
    parcel.bytes()
        + PENDING_PARCEL_BYTES
        + parents * PENDING_PARENT_BYTES
        + sections * PENDING_SECTION_BYTES
}

#[derive(Debug)]
struct Waiting {
    parcel: Parcel,
    missing: Vec<EntryId>,
}

/// Parcels that wait for parents.
#[derive(Debug)]
pub struct Pending {
    limit: usize,
    bytes: usize,
    parcels: BTreeMap<EntryId, Waiting>,
    waiting: BTreeMap<EntryId, BTreeSet<EntryId>>,
}

impl Pending {
    /// Holds at most `limit` bytes, counted as memory.
    pub const fn new(limit: usize) -> Self {
        Self { limit, bytes: 0, parcels: BTreeMap::new(), waiting: BTreeMap::new() }
    }

    /// Keeps a parcel until one of `missing` is stored; it is then to be judged again.
    ///
    /// # Errors
    /// [`PendingOverflow`], after which nothing waits any more.
    pub fn insert(&mut self, parcel: Parcel, missing: &[EntryId]) -> Result<(), PendingOverflow> {
        let id = parcel.entry.id();
        if self.parcels.contains_key(&id) {
            return Ok(());
        }
        self.bytes += weight(&parcel, missing.len());
        if self.bytes > self.limit {
            *self = Self::new(self.limit);
            return Err(PendingOverflow { limit: self.limit });
        }
        for parent in missing {
            self.waiting.entry(*parent).or_default().insert(id);
        }
        self.parcels.insert(id, Waiting { parcel, missing: missing.to_vec() });
        Ok(())
    }

    /// Gives back the parcels that waited for `stored`; they may still miss others.
    pub fn take_children(&mut self, stored: &EntryId) -> Vec<Parcel> {
        let Some(children) = self.waiting.remove(stored) else {
            return Vec::new();
        };
        let mut ready = Vec::with_capacity(children.len());
        for id in children {
            let Some(Waiting { parcel, missing }) = self.parcels.remove(&id) else {
                continue;
            };
            self.bytes -= weight(&parcel, missing.len());
            for parent in missing.iter().filter(|parent| *parent != stored) {
                self.forget(parent, &id);
            }
            ready.push(parcel);
        }
        ready
    }

    fn forget(&mut self, parent: &EntryId, child: &EntryId) {
        if let Some(waiting) = self.waiting.get_mut(parent) {
            waiting.remove(child);
            if waiting.is_empty() {
                self.waiting.remove(parent);
            }
        }
    }

    /// Returns the parents that are waited for and do not wait themselves.
    pub fn missing(&self) -> impl Iterator<Item = EntryId> {
        self.waiting.keys().filter(|id| !self.parcels.contains_key(id)).copied()
    }

    /// Returns whether the entry waits here.
    pub fn contains(&self, id: &EntryId) -> bool {
        self.parcels.contains_key(id)
    }

    /// Returns how many parcels wait.
    pub fn len(&self) -> usize {
        self.parcels.len()
    }

    /// Returns whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    /// Returns how many bytes of memory what waits is counted as.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}
