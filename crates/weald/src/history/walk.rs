//! Going over the entries of a database from the newest to the oldest, as their stamps order them.
//!
//! Invariant: an entry comes after all that descend from it; the order is the same on every replica
//! that holds the same entries. What is kept is the front of the walk, not what is behind it.

use std::collections::BTreeSet;

use weald_dag::{EntryId, Graph, Number, StoreError, Stored, Time};

/// A walk over the needed entries; parents are always earlier than what descends from them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Walk {
    open: BTreeSet<(Time, EntryId, Number)>,
}

impl Walk {
    /// Starts at the tips as they are now.
    pub(crate) fn from_now(graph: &Graph<'_>) -> Result<Self, StoreError> {
        let tips = graph.head()?.map(|(_, head)| head.tips).unwrap_or_default();
        let mut walk = Self::default();
        tips.into_iter().try_for_each(|tip| walk.open(graph, tip))?;
        Ok(walk)
    }

    fn open(&mut self, graph: &Graph<'_>, number: Number) -> Result<(), StoreError> {
        let entry = graph.entry(number)?;
        self.open.insert((entry.time(), entry.id(), number));
        Ok(())
    }

    /// Returns the next entry, older than those before.
    pub(crate) fn next(&mut self, graph: &Graph<'_>) -> Result<Option<Stored>, StoreError> {
        let Some((_, _, number)) = self.open.pop_last() else { return Ok(None) };
        let stored = graph.stored(number)?;
        for parent in &stored.local.parents {
            self.open(graph, *parent)?;
        }
        Ok(Some(stored))
    }
}
