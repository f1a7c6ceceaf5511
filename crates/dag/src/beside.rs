//! Walks from several entries at once: what is in the past of which of them, and what is beside them.
//!
//! Invariant: a walk visits by descending numbers, so that all children of an entry come before it,
//! and stops where the answer cannot change any more.

use std::collections::BTreeMap;

use crate::graph::Graph;
use crate::row::Number;
use crate::seam::StoreError;

/// How many entries one walk can tell apart.
pub const WALKED_AT_ONCE: usize = u64::BITS as usize;

/// Which of the entries that a walk is about reach an entry; each reaches itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReachedBy(u64);

impl ReachedBy {
    /// Returns whether that at `place` reaches it.
    pub const fn has(self, place: usize) -> bool {
        place < WALKED_AT_ONCE && self.0 >> place & 1 == 1
    }

    const fn all(count: usize) -> Self {
        if count < WALKED_AT_ONCE { Self((1 << count) - 1) } else { Self(u64::MAX) }
    }
}

impl Graph<'_> {
    /// Returns the entries that some of `of` do not reach, with which of them do, by number. `ends`
    /// must reach every stored entry. Of `of` those count that are among the first
    /// [`WALKED_AT_ONCE`].
    ///
    /// With every entry, all that descend from it are among them. The cost is what is found and
    /// what came after the first of it, not history.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn beside(
        &self,
        ends: &[Number],
        of: &[Number],
    ) -> Result<BTreeMap<Number, ReachedBy>, StoreError> {
        let whole = ReachedBy::all(of.len());
        let mut walk = Walk { open: BTreeMap::new(), whole, partly: 0 };
        ends.iter().for_each(|end| walk.reach(*end, ReachedBy(0)));
        for (place, number) in of.iter().take(WALKED_AT_ONCE).enumerate() {
            walk.reach(*number, ReachedBy(1 << place));
        }
        let mut found = BTreeMap::new();
        while walk.partly > 0 {
            let Some((number, reached)) = walk.next() else { break };
            if reached != whole {
                found.insert(number, reached);
            }
            self.local(number)?.parents.iter().for_each(|parent| walk.reach(*parent, reached));
        }
        Ok(found)
    }

    /// Returns which of `from` reach each of `targets`; of `from` those count that are among the
    /// first [`WALKED_AT_ONCE`]. The cost is what came after the first target.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn reached(
        &self,
        from: &[Number],
        targets: &[Number],
    ) -> Result<BTreeMap<Number, ReachedBy>, StoreError> {
        let mut found: BTreeMap<_, _> =
            targets.iter().map(|target| (*target, ReachedBy(0))).collect();
        let Some(least) = found.keys().next().copied() else { return Ok(found) };
        let mut walk = Walk { open: BTreeMap::new(), whole: ReachedBy(0), partly: 0 };
        for (place, number) in from.iter().take(WALKED_AT_ONCE).enumerate() {
            walk.reach(*number, ReachedBy(1 << place));
        }
        while let Some((number, reached)) = walk.next().filter(|(number, _)| *number >= least) {
            if let Some(target) = found.get_mut(&number) {
                *target = reached;
            }
            if number > least {
                self.local(number)?.parents.iter().for_each(|parent| walk.reach(*parent, reached));
            }
        }
        Ok(found)
    }
}

/// Entries that are still to be visited, with what reaches them.
struct Walk {
    open: BTreeMap<Number, ReachedBy>,
    whole: ReachedBy,
    /// How many of those open are not reached by all.
    partly: usize,
}

impl Walk {
    fn reach(&mut self, number: Number, by: ReachedBy) {
        let known = self.open.get(&number).copied();
        let now = ReachedBy(known.unwrap_or_default().0 | by.0);
        self.partly -= usize::from(known.is_some_and(|known| known != self.whole));
        self.partly += usize::from(now != self.whole);
        self.open.insert(number, now);
    }

    fn next(&mut self) -> Option<(Number, ReachedBy)> {
        let (number, reached) = self.open.pop_last()?;
        self.partly -= usize::from(reached != self.whole);
        Some((number, reached))
    }
}
