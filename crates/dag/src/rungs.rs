//! Reads what needed entries sum up to by generation: by that two replicas guess how far up they hold
//! the same.
//!
//! Invariant: what is read follows from the needed entries alone, so replicas that hold the same
//! read the same.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::graph::Graph;
use crate::row::Head;
use crate::seam::StoreError;
use crate::space::{KeyRange, Order};
use crate::sums::{RUNG_GENERATIONS, Sums, ladder};

/// Greatest number of rungs of a ladder.
pub const RUNGS_MAX: usize = 64;
/// Each rung is about this many hundredths as far below the top as the one before.
const RUNG_RATIO: u64 = 135;

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
        self.head()?.map_or_else(|| Ok(BTreeMap::new()), |(_, head)| self.buckets_under(&head))
    }

    fn buckets_under(&self, head: &Head) -> Result<BTreeMap<u64, Sums>, StoreError> {
        let (mut buckets, open) = (BTreeMap::new(), head.generation / RUNG_GENERATIONS);
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
        let head = self.head()?.map(|(_, head)| head).unwrap_or_default();
        self.below_under(&head, generations)
    }

    fn below_under(&self, head: &Head, generations: &[u64]) -> Result<Vec<Sums>, StoreError> {
        let mut order: Vec<(usize, u64)> = generations.iter().copied().enumerate().collect();
        order.sort_unstable_by_key(|(_, generation)| *generation);
        let (mut found, mut sums) = (vec![Sums::default(); generations.len()], Sums::default());
        let mut left = self.buckets_under(head)?.into_iter().peekable();
        for (place, generation) in order {
            let end = generation / RUNG_GENERATIONS * RUNG_GENERATIONS;
            let is_below = |bucket: u64| generation > head.generation || bucket < end;
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
        let head = self.head()?.map(|(_, head)| head).unwrap_or_default();
        let open = head.generation / RUNG_GENERATIONS;
        let (mut generations, mut down) = (Vec::new(), 0_u64);
        while let Some(bucket) = open.checked_sub(down).filter(|bucket| *bucket > 0) {
            if generations.len() == RUNGS_MAX {
                break;
            }
            generations.push(bucket * RUNG_GENERATIONS);
            down = (down + 1).max(down.saturating_mul(RUNG_RATIO) / 100);
        }
        let sums = self.below_under(&head, &generations)?;
        let rungs = generations.into_iter().zip(sums);
        Ok(rungs.map(|(generation, below)| Rung { generation, below }).collect())
    }
}
