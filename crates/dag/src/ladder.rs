//! How many entries are needed in each bucket of generations, and the sum of their fingerprints: by that
//! two replicas guess how far up they hold the same.
//!
//! Invariant: a bucket that is closed, which is every one below that of the greatest generation, rests
//! in a row unless it is empty; the open one rests in the head of the newest entry. So an entry on
//! top of the others costs no row, and one bucket's row once in [`RUNG_GENERATIONS`].

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::cbor::CodingError;
use crate::graph::Graph;
use crate::id::EntryId;
use crate::overlay::Overlay;
use crate::row::Head;
use crate::seam::{Snapshot, StoreError};
use crate::space::{KeyRange, Order, Space};
use crate::varint;

/// How many generations are summed up in one bucket.
pub const RUNG_GENERATIONS: u64 = 256;
/// Greatest number of rungs of a ladder.
pub const RUNGS_MAX: usize = 64;
/// Each rung is about this many hundredths as far below the top as the one before.
const RUNG_RATIO: u64 = 135;

/// Bucket → count and sum.
pub(crate) const fn ladder(database: u32) -> Space {
    Space::new("ladder", database)
}

/// The needed entries of some generations: how many there are, and the wrapping sum of their
/// fingerprints, the first eight bytes of each id.
///
/// A hint only: whoever makes entries can try ids until sums are equal that should not be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many entries.
    pub count: u64,
    /// The sum of their fingerprints.
    pub sum: u64,
}

impl Sums {
    /// Adds an entry.
    pub fn add(&mut self, id: &EntryId) {
        self.join(Self { count: 1, sum: fingerprint(id) });
    }

    /// Takes an entry away that was added.
    pub fn take(&mut self, id: &EntryId) {
        self.count = self.count.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(fingerprint(id));
    }

    /// Adds the entries of others.
    pub const fn join(&mut self, other: Self) {
        self.count = self.count.wrapping_add(other.count);
        self.sum = self.sum.wrapping_add(other.sum);
    }

    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        varint::put(out, self.count);
        out.extend_from_slice(&self.sum.to_be_bytes());
    }

    pub(crate) fn decode(bytes: &mut &[u8]) -> Result<Self, CodingError> {
        let count = varint::take(bytes)?;
        Ok(Self { count, sum: u64::from_be_bytes(varint::take_array(bytes)?) })
    }

    fn of_row(mut row: &[u8]) -> Result<Self, CodingError> {
        let sums = Self::decode(&mut row)?;
        match (row.len(), sums.count) {
            (0, 0) => {
                Err(CodingError::Unexpected { at: 0, expected: "a bucket that is not empty" })
            }
            (0, _) => Ok(sums),
            (extra, _) => Err(CodingError::Trailing { extra }),
        }
    }
}

fn fingerprint(id: &EntryId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *id.as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// One step of a ladder: all needed entries below a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// The generation below which they are.
    pub generation: u64,
    /// What they sum up to.
    pub below: Sums,
}

impl Graph<'_> {
    /// Returns the sums of the needed entries in each bucket that is not empty, by the first
    /// generation of the bucket.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when a row is damaged, or is of a bucket that should have none.
    pub fn buckets(&self) -> Result<BTreeMap<u64, Sums>, StoreError> {
        let mut buckets = BTreeMap::new();
        let Some((_, head)) = self.head()? else { return Ok(buckets) };
        let open = head.generation / RUNG_GENERATIONS;
        let mut wrong = None;
        let space = ladder(self.database());
        self.rows().range(space, KeyRange::all(), Order::Ascending, &mut |key, row| {
            let bucket = key.try_into().map(u64::from_be_bytes).ok();
            let bucket = bucket.filter(|bucket| *bucket < open);
            match (bucket, Sums::of_row(row)) {
                (Some(bucket), Ok(sums)) => {
                    buckets.insert(bucket * RUNG_GENERATIONS, sums);
                    ControlFlow::Continue(())
                }
                (_, row) => {
                    wrong = Some(row.err());
                    ControlFlow::Break(())
                }
            }
        })?;
        if let Some(error) = wrong {
            let what =
                error.map_or_else(|| "a bucket that is not closed".into(), |e| e.to_string());
            return Err(self.damaged(format!("a row of the ladder: {what}")));
        }
        if head.open != Sums::default() {
            buckets.insert(open * RUNG_GENERATIONS, head.open);
        }
        Ok(buckets)
    }

    /// Returns, for each of some generations, the sums of all needed entries of lesser generations.
    ///
    /// A generation counts as the first of its bucket, but one over the greatest of any needed entry
    /// stands above all of them. It takes one scan of the buckets, of which there is one for
    /// [`RUNG_GENERATIONS`].
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn below(&self, generations: &[u64]) -> Result<Vec<Sums>, StoreError> {
        let greatest = self.head()?.map_or(0, |(_, head)| head.generation);
        let buckets = self.buckets()?;
        let mut order: Vec<(usize, u64)> = generations.iter().copied().enumerate().collect();
        order.sort_unstable_by_key(|(_, generation)| *generation);
        let (mut found, mut sums) = (vec![Sums::default(); generations.len()], Sums::default());
        let mut left = buckets.into_iter().peekable();
        for (place, generation) in order {
            let end = generation / RUNG_GENERATIONS * RUNG_GENERATIONS;
            let is_below = |bucket: u64| generation > greatest || bucket < end;
            while let Some((_, more)) = left.next_if(|(bucket, _)| is_below(*bucket)) {
                sums.join(more);
            }
            if let Some(found) = found.get_mut(place) {
                *found = sums;
            }
        }
        Ok(found)
    }

    /// Returns the ladder: rungs from the first generation of the open bucket downwards, ever further
    /// apart, at most [`RUNGS_MAX`]. What the open bucket holds is on no rung; there is none where it
    /// is the only one.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn ladder(&self) -> Result<Vec<Rung>, StoreError> {
        let open = self.head()?.map_or(0, |(_, head)| head.generation) / RUNG_GENERATIONS;
        let (mut generations, mut down) = (Vec::new(), 0_u64);
        while let Some(bucket) = open.checked_sub(down).filter(|bucket| *bucket > 0) {
            if generations.len() == RUNGS_MAX {
                break;
            }
            generations.push(bucket * RUNG_GENERATIONS);
            down = (down + 1).max(down.saturating_mul(RUNG_RATIO) / 100);
        }
        let sums = self.below(&generations)?;
        let rungs = generations.into_iter().zip(sums);
        Ok(rungs.map(|(generation, below)| Rung { generation, below }).collect())
    }
}

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
