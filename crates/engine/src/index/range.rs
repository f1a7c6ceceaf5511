//! Which part of an index is asked for.
//!
//! Invariant: what lies between the bounds of keys holds all that is asked for, and what was only
//! cut alike is left out by a look at the whole values.

use std::ops::Bound;

use weald_crdt::Value;
use weald_dag::KeyRange;

use super::coding::{self, Width};
use super::definition::{IndexDefinition, field};

/// Rows with given values in the first fields, and values of the next one in a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexRange {
    /// What the first fields are equal to.
    pub equal: Vec<Value>,
    /// What the next field is at least. Without it, but with an end, the range begins with the
    /// smallest value of the kind of the end.
    pub from: Bound<Value>,
    /// What the next field is at most. Without it, but with a start, the range ends with the
    /// greatest value of the kind of the start.
    pub to: Bound<Value>,
    /// What the next field, a text, begins with.
    pub start: Option<String>,
}

impl Default for IndexRange {
    /// Asks for all rows.
    fn default() -> Self {
        Self { equal: Vec::new(), from: Bound::Unbounded, to: Bound::Unbounded, start: None }
    }
}

impl IndexRange {
    /// Returns whether the index can be asked for it: no more values than fields, all of kinds that
    /// have an order.
    pub fn fits(&self, definition: &IndexDefinition) -> bool {
        let next =
            self.start.is_some() || self.from != Bound::Unbounded || self.to != Bound::Unbounded;
        let asked = self.equal.len() + usize::from(next);
        asked <= definition.shape.fields.len() && self.bounds(Width::Key).is_some()
    }

    /// Returns the range of values in the keys of an index.
    pub(super) fn keys(&self) -> Option<KeyRange> {
        self.bounds(Width::Key)
    }

    /// Returns whether a row whose values were cut is asked for.
    pub(super) fn holds(&self, definition: &IndexDefinition, row: &Value) -> bool {
        let mut whole = Vec::new();
        for path in &definition.shape.fields {
            if coding::put(&mut whole, field(row, path), Width::Whole).is_none() {
                return false;
            }
        }
        self.bounds(Width::Whole).is_some_and(|range| range.contains(&whole))
    }

    fn bounds(&self, width: Width) -> Option<KeyRange> {
        let mut front = Vec::new();
        for value in &self.equal {
            coding::put(&mut front, Some(value), width)?;
        }
        if let Some(start) = &self.start {
            coding::put_text_start(&mut front, start, width);
            return Some(KeyRange::prefix(&front));
        }
        let mut range = KeyRange::prefix(&front);
        match one(&front, &self.from, width)? {
            Some((same, true)) => range.from = same.from,
            Some((same, false)) => range.from = after(same.to),
            // An open end is the end of the kind of the other end.
            None => {
                if let Some((first, _)) = kind(&self.to) {
                    range.from = with_tag(&front, first).from;
                }
            }
        }
        match one(&front, &self.to, width)? {
            Some((same, true)) => range.to = same.to,
            Some((same, false)) => range.to = before(same.from),
            None => {
                if let Some((_, last)) = kind(&self.from) {
                    range.to = with_tag(&front, last).to;
                }
            }
        }
        Some(range)
    }
}

/// Returns the keys that begin with the value of a bound, and whether they belong to the range; one
/// that was cut does, for what only begins like it is left out later.
#[allow(clippy::option_option)]
fn one(front: &[u8], bound: &Bound<Value>, width: Width) -> Option<Option<(KeyRange, bool)>> {
    let (Bound::Included(value) | Bound::Excluded(value)) = bound else { return Some(None) };
    let mut key = front.to_vec();
    let is_cut = coding::put(&mut key, Some(value), width)?;
    Some(Some((KeyRange::prefix(&key), matches!(bound, Bound::Included(_)) || is_cut)))
}

fn kind(bound: &Bound<Value>) -> Option<(u8, u8)> {
    match bound {
        Bound::Included(value) | Bound::Excluded(value) => coding::tags_of_kind(value),
        Bound::Unbounded => None,
    }
}

fn with_tag(front: &[u8], tag: u8) -> KeyRange {
    KeyRange::prefix(&[front, &[tag]].concat())
}

/// Turns the end of one range into the start of the next.
fn after(end: Bound<Vec<u8>>) -> Bound<Vec<u8>> {
    match end {
        Bound::Excluded(key) => Bound::Included(key),
        other => other,
    }
}

/// Turns the start of one range into the end of the one before.
fn before(start: Bound<Vec<u8>>) -> Bound<Vec<u8>> {
    match start {
        Bound::Included(key) => Bound::Excluded(key),
        other => other,
    }
}
