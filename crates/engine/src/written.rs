//! Which entries each author has written, but for settings: kept in memory from when it is worth to know.
//!
//! Invariant: every stored entry without settings is listed; what was dropped may be listed still, for
//! no number is given twice.

use std::collections::BTreeMap;

use weald_dag::{Graph, Number, PublicKey, Snapshot, Standing, StoreError};

/// The entries of each author, ascending.
#[derive(Debug, Default)]
pub(crate) struct Written(BTreeMap<PublicKey, Vec<Number>>);

impl Written {
    /// Reads it from all entries; `is_settings` says which are left out.
    pub(crate) fn load(
        rows: &dyn Snapshot,
        database: u32,
        is_settings: impl Fn(Number) -> bool,
    ) -> Result<Self, StoreError> {
        let (graph, mut written) = (Graph::new(rows, database), Self::default());
        for number in graph.numbers_from(Number(0))? {
            if !is_settings(number) {
                written.note(graph.entry(number)?.author(), number);
            }
        }
        Ok(written)
    }

    /// Takes note of the newest entry.
    pub(crate) fn note(&mut self, author: PublicKey, number: Number) {
        self.0.entry(author).or_default().push(number);
    }

    /// Returns whether any entry of these authors is visible.
    pub(crate) fn shows(
        &self,
        rows: &dyn Snapshot,
        database: u32,
        authors: &[PublicKey],
    ) -> Result<bool, StoreError> {
        let graph = Graph::new(rows, database);
        for number in authors.iter().filter_map(|author| self.0.get(author)).flatten() {
            if graph.standing_if_stored(*number)? == Some(Standing::Visible) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
