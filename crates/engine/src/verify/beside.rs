//! What rests beside the entries: ids, long payloads, authors, settings, and what waits for a type.
//!
//! Invariant: each of these rows follows from the entries, and there is no other.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use weald_dag::{
    INLINE_PAYLOAD_MAX, KeyRange, Order, PublicKey, Snapshot, Space, StoreError, Stored,
};

use crate::authors;
use crate::settings;
use crate::unfolded::unfolded;

/// What the entries say should be there.
pub(super) struct Beside {
    covered: u64,
    /// How many entries were dropped.
    dropped: u64,
    entries: u64,
    payloads: u64,
    authors: BTreeMap<PublicKey, u64>,
}

impl Beside {
    /// Starts without entries; the rows of authors are said to hold for those before `covered`.
    pub(super) const fn new(covered: u64, dropped: u64) -> Self {
        Self { covered, dropped, entries: 0, payloads: 0, authors: BTreeMap::new() }
    }

    /// Takes note of an entry.
    pub(super) fn note(&mut self, stored: &Stored) {
        self.entries += 1;
        let payloads = stored.parcel.payloads.iter().flatten();
        self.payloads +=
            payloads.filter(|payload| payload.len() > INLINE_PAYLOAD_MAX).count() as u64;
        if stored.number.0 < self.covered {
            let entry = &stored.parcel.entry;
            let last = self.authors.entry(entry.author()).or_default();
            *last = entry.seq().max(*last);
        }
    }

    /// Returns what is wrong with the rows of a database. `scratch` holds it built again.
    pub(super) fn compare(
        &self,
        rows: &dyn Snapshot,
        database: u32,
        scratch: &dyn Snapshot,
        built: u32,
    ) -> Result<Vec<String>, StoreError> {
        let mut problems = Vec::new();
        // Every entry was found under its id and with its payloads, so more rows are too many.
        let counts =
            [("entries", self.entries), ("ids", self.entries), ("payloads", self.payloads)];
        for (name, expected) in counts {
            let found = digest(rows, Space::new(name, database))?.0;
            if found != expected {
                problems.push(format!("there are {found} rows of {name}, not {expected}"));
            }
        }
        for space in [settings::settings, unfolded] {
            let (ours, again) = (space(database), space(built));
            if digest(rows, ours)? != digest(scratch, again)? {
                let name = ours.name();
                problems.push(format!("the rows of {name} are not those that the entries give"));
            }
        }
        if !self.authors_agree(rows, database)? {
            problems.push("the rows of authors are not those that the entries give".into());
        }
        Ok(problems)
    }

    fn authors_agree(&self, rows: &dyn Snapshot, database: u32) -> Result<bool, StoreError> {
        let mut found = BTreeMap::new();
        let mut sound = self.covered <= self.entries + self.dropped;
        let space = authors::authors(database);
        rows.range(space, KeyRange::all(), Order::Ascending, &mut |key, value| {
            if key != authors::COVERED {
                let row = authors::decode(key, value);
                sound &= row.is_some_and(|(author, last)| found.insert(author, last).is_none());
            }
            ControlFlow::Continue(())
        })?;
        if self.dropped == 0 {
            return Ok(sound && found == self.authors);
        }
        // What was dropped may have been the last of its author.
        let covers = |(author, last): (&PublicKey, &u64)| found.get(author) >= Some(last);
        Ok(sound && self.authors.iter().all(covers))
    }
}

/// Returns how many rows a space has, and a hash over them.
pub(super) fn digest(rows: &dyn Snapshot, space: Space) -> Result<(u64, [u8; 32]), StoreError> {
    let mut hasher = blake3::Hasher::new();
    let mut count = 0;
    rows.range(space, KeyRange::all(), Order::Ascending, &mut |key, value| {
        for part in [key, value] {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        count += 1;
        ControlFlow::Continue(())
    })?;
    Ok((count, *hasher.finalize().as_bytes()))
}
