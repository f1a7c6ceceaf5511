//! How many entries are needed in each bucket of generations, and what they sum up to, as entries come,
//! are hidden and are shown.
//!
//! Invariant: a bucket that is closed, which is every one below that of the greatest generation, rests
//! in a row unless it is empty; the open one rests in the head of the newest entry. So an entry on
//! top of the others costs no row, and one bucket's row once in [`RUNG_GENERATIONS`].

use std::collections::BTreeMap;

use crate::id::EntryId;
use crate::overlay::Overlay;
use crate::row::Head;
use crate::seam::{Snapshot, StoreError};
use crate::sums::{RUNG_GENERATIONS, Sums, ladder};

/// The buckets that a group of entries changes, until they are staged with its head.
#[derive(Clone, Debug)]
pub struct Ladder {
    database: u32,
    /// The bucket that is open in the rows.
    open: u64,
    /// It, and what else was changed.
    buckets: BTreeMap<u64, Sums>,
}

impl Ladder {
    /// Starts from the head of the newest entry, or that of an empty graph.
    pub fn new(database: u32, head: &Head) -> Self {
        let open = head.generation / RUNG_GENERATIONS;
        Self { database, open, buckets: BTreeMap::from([(open, head.open)]) }
    }

    /// Adds an entry that is needed now.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn add(
        &mut self,
        rows: &dyn Snapshot,
        generation: u64,
        id: &EntryId,
    ) -> Result<(), StoreError> {
        self.bucket(rows, generation)?.add(id);
        Ok(())
    }

    /// Takes an entry away that is not needed any more.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn take(
        &mut self,
        rows: &dyn Snapshot,
        generation: u64,
        id: &EntryId,
    ) -> Result<(), StoreError> {
        self.bucket(rows, generation)?.take(id);
        Ok(())
    }

    /// Takes note that the greatest generation of any needed entry may be less now than it was.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn lower(&mut self, rows: &dyn Snapshot, greatest: u64) -> Result<(), StoreError> {
        self.bucket(rows, greatest).map(drop)
    }

    /// Stages the buckets that are closed and were changed. Returns the open one, which the head must
    /// carry, with `greatest`: the greatest generation of any needed entry, of which
    /// [`Self::lower`] was told if it was greater before.
    #[must_use]
    pub fn save(&mut self, rows: &mut Overlay, greatest: u64) -> Sums {
        let (before, open) = (self.open, greatest / RUNG_GENERATIONS);
        self.open = open;
        let space = ladder(self.database);
        let top = self.buckets.remove(&open).unwrap_or_default();
        if open < before {
            rows.remove(space, open.to_be_bytes());
        }
        for (bucket, sums) in std::mem::take(&mut self.buckets) {
            if sums == Sums::default() {
                rows.remove(space, bucket.to_be_bytes());
            } else {
                let mut row = Vec::new();
                sums.encode(&mut row);
                rows.put(space, bucket.to_be_bytes(), row);
            }
        }
        self.buckets.insert(open, top);
        top
    }

    fn bucket(&mut self, rows: &dyn Snapshot, generation: u64) -> Result<&mut Sums, StoreError> {
        let bucket = generation / RUNG_GENERATIONS;
        if !self.buckets.contains_key(&bucket) {
            let row = rows.get(ladder(self.database), &bucket.to_be_bytes())?;
            let sums = row.map_or(Ok(Sums::default()), |row| Sums::of_row(&row));
            let sums = sums.map_err(|error| {
                let database = self.database;
                let what = format!("database number {database}: a row of the ladder: {error}");
                StoreError::Corrupt { what }
            })?;
            self.buckets.insert(bucket, sums);
        }
        Ok(self.buckets.entry(bucket).or_default())
    }
}
