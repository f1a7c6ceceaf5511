//! Walks over the graph by descending numbers: no walk goes further than the difference it finds.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::Graph;
use crate::row::Number;
use crate::seam::StoreError;

const OURS: u8 = 1;
const THEIRS: u8 = 2;

impl Graph<'_> {
    /// Returns the entries that `ours` reach and `theirs` do not, ascending; both reach themselves.
    ///
    /// Walks down from the greatest number and stops when all that is left is reached by both, so
    /// the cost is the size of the difference, on either side, not of history.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn difference(
        &self,
        ours: &[Number],
        theirs: &[Number],
    ) -> Result<Vec<Number>, StoreError> {
        self.above(ours, theirs, 0)
    }

    /// Returns the entries of at least a generation that `ours` reach and `theirs` do not, ascending;
    /// both reach themselves.
    ///
    /// It goes on as [`Self::difference`] does, but not beyond entries of lesser generations: those
    /// before them are of lesser ones still.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn above(
        &self,
        ours: &[Number],
        theirs: &[Number],
        generation: u64,
    ) -> Result<Vec<Number>, StoreError> {
        let mut open: BTreeMap<Number, u8> = BTreeMap::new();
        theirs.iter().for_each(|number| *open.entry(*number).or_default() |= THEIRS);
        ours.iter().for_each(|number| *open.entry(*number).or_default() |= OURS);
        let mut only_ours = open.values().filter(|side| **side == OURS).count();
        let mut found = Vec::new();
        while only_ours > 0 {
            let Some((number, side)) = open.pop_last() else {
                break;
            };
            only_ours -= usize::from(side == OURS);
            let local = self.local(number)?;
            if local.generation < generation {
                continue;
            }
            if side == OURS {
                found.push(number);
            }
            for parent in local.parents {
                let known = open.entry(parent).or_default();
                let before = *known;
                *known |= side;
                match (before == OURS, *known == OURS) {
                    (false, true) => only_ours += 1,
                    (true, false) => only_ours -= 1,
                    _ => {}
                }
            }
        }
        found.reverse();
        Ok(found)
    }

    /// Returns `from` and everything before it, ascending.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn ancestors(&self, from: &[Number]) -> Result<Vec<Number>, StoreError> {
        self.difference(from, &[])
    }

    /// Returns whether `ancestor` is `number` or before it.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn reaches(&self, number: Number, ancestor: Number) -> Result<bool, StoreError> {
        let mut open = BTreeSet::from([number]);
        while let Some(next) = open.pop_last() {
            if next == ancestor {
                return Ok(true);
            }
            if next < ancestor {
                return Ok(false);
            }
            open.extend(self.local(next)?.parents);
        }
        Ok(false)
    }

    /// Returns those of `numbers` that no other of them reaches, ascending.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn maximal(&self, numbers: &[Number]) -> Result<Vec<Number>, StoreError> {
        let mut candidates: BTreeSet<Number> = numbers.iter().copied().collect();
        let Some(least) = candidates.first().copied() else {
            return Ok(Vec::new());
        };
        let mut open = candidates.clone();
        while let Some(next) = open.pop_last().filter(|next| *next > least) {
            for parent in self.local(next)?.parents {
                candidates.remove(&parent);
                open.insert(parent);
            }
        }
        Ok(candidates.into_iter().collect())
    }
}
