//! Rows to be applied at once.
//!
//! Invariant: of two changes to one row the later counts.

use std::collections::BTreeMap;

use crate::space::Space;
use crate::staged_key::StagedKey;

/// Keys with what is put at them, or `None` where a row is removed.
pub(crate) type Rows = BTreeMap<StagedKey, Option<Vec<u8>>>;

/// Rows to put and keys to remove, in spaces and in key order.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    spaces: BTreeMap<Space, Rows>,
}

impl Batch {
    /// Puts a row.
    pub fn put(&mut self, space: Space, key: impl AsRef<[u8]>, value: impl Into<Vec<u8>>) {
        let key = StagedKey::new(key.as_ref());
        self.spaces.entry(space).or_default().insert(key, Some(value.into()));
    }

    /// Removes a row, if it is there.
    pub fn remove(&mut self, space: Space, key: impl AsRef<[u8]>) {
        self.spaces.entry(space).or_default().insert(StagedKey::new(key.as_ref()), None);
    }

    /// Returns whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.spaces.values().all(BTreeMap::is_empty)
    }

    /// Returns how many rows are put or removed.
    pub fn len(&self) -> usize {
        self.spaces.values().map(BTreeMap::len).sum()
    }

    /// Returns the sum of the lengths of all keys and values, in bytes.
    pub fn bytes(&self) -> usize {
        let row = |(key, value): (&StagedKey, &Option<Vec<u8>>)| {
            key.as_slice().len() + value.as_ref().map_or(0, Vec::len)
        };
        self.spaces.values().flatten().map(row).sum()
    }

    /// Iterates over the spaces, each with its rows in key order; `None` removes.
    #[allow(clippy::type_complexity)]
    pub fn spaces(
        &self,
    ) -> impl Iterator<Item = (Space, impl Iterator<Item = (&[u8], Option<&[u8]>)>)> {
        self.spaces.iter().map(|(space, rows)| {
            (*space, rows.iter().map(|(key, value)| (key.as_slice(), value.as_deref())))
        })
    }

    pub(crate) fn rows(&self, space: Space) -> Option<&Rows> {
        self.spaces.get(&space).filter(|rows| !rows.is_empty())
    }

    pub(crate) fn staged(&self, space: Space, key: &[u8]) -> Option<&Option<Vec<u8>>> {
        self.spaces.get(&space)?.get(key)
    }
}
