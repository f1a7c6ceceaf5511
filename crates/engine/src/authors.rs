//! The greatest sequence number of each author, to number one's own entries and notice a key that
//! is used in two places.
//!
//! Invariant: rows are written when a stretch of entries is full, and what came after is read from
//! the entries themselves; so a commit writes no row for this.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use weald_dag::{Graph, KeyRange, Number, Order, Overlay, PublicKey, Snapshot, Space, StoreError};

/// After how many entries the rows are written again.
const STRETCH: u64 = 1024;

pub(crate) const fn authors(database: u32) -> Space {
    Space::new("authors", database)
}

/// The key of the row that says up to which number the others hold; no author is so short.
pub(crate) const COVERED: &[u8] = b"";

/// Decodes the row of one author: who it is, and its greatest sequence number.
pub(crate) fn decode(key: &[u8], value: &[u8]) -> Option<(PublicKey, u64)> {
    let author = PublicKey::from_bytes(key.try_into().ok()?).ok()?;
    Some((author, u64::from_be_bytes(value.try_into().ok()?)))
}

fn damaged() -> StoreError {
    StoreError::Corrupt { what: "a row of the authors of a database".into() }
}

/// The greatest sequence number of each author of one database.
#[derive(Debug, Default)]
pub(crate) struct Authors {
    last: BTreeMap<PublicKey, u64>,
    changed: BTreeSet<PublicKey>,
    covered: u64,
}

impl Authors {
    /// Reads the rows, then the entries after those that they cover.
    pub(crate) fn load(rows: &dyn Snapshot, database: u32) -> Result<Self, StoreError> {
        let covered = Self::covered(rows, database)?;
        let mut loaded = Self { covered, ..Self::default() };
        let mut sound = true;
        rows.range(authors(database), KeyRange::all(), Order::Ascending, &mut |key, value| {
            if key != COVERED {
                match decode(key, value) {
                    Some((author, last)) => drop(loaded.last.insert(author, last)),
                    None => sound = false,
                }
            }
            ControlFlow::Continue(())
        })?;
        if !sound {
            return Err(damaged());
        }
        // A stretch at most is not covered, and its payloads are not read.
        let graph = Graph::new(rows, database);
        for number in graph.numbers_from(Number(loaded.covered))? {
            let entry = graph.entry(number)?;
            loaded.note(entry.author(), entry.seq());
        }
        Ok(loaded)
    }

    /// Returns the number before which all entries are in the rows.
    pub(crate) fn covered(rows: &dyn Snapshot, database: u32) -> Result<u64, StoreError> {
        let Some(row) = rows.get(authors(database), COVERED)? else { return Ok(0) };
        row.as_slice().try_into().map(u64::from_be_bytes).map_err(|_| damaged())
    }

    /// Returns the sequence number of the author's next entry.
    pub(crate) fn next(&self, author: &PublicKey) -> u64 {
        self.last.get(author).map_or(0, |last| last.saturating_add(1))
    }

    /// Takes note of an entry, and returns whether its number was used before, as far as this
    /// replica can tell: only the greatest number of each author is kept, so of entries that come
    /// out of order (which only siblings can) an honest one may be reported too.
    pub(crate) fn note(&mut self, author: PublicKey, seq: u64) -> bool {
        let forked = self.last.get(&author).is_some_and(|last| seq <= *last);
        if !forked {
            self.last.insert(author, seq);
            self.changed.insert(author);
        }
        forked
    }

    /// Stages the rows when a stretch before `next` is full.
    pub(crate) fn save(&mut self, rows: &mut Overlay, database: u32, next: Number) {
        if next.0 < self.covered + STRETCH {
            return;
        }
        for author in std::mem::take(&mut self.changed) {
            let last = self.last.get(&author).copied().unwrap_or(0);
            rows.put(authors(database), author.as_bytes().as_slice(), last.to_be_bytes());
        }
        rows.put(authors(database), COVERED, next.0.to_be_bytes());
        self.covered = next.0;
    }
}
