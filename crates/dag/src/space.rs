//! Names of rows: spaces, and ranges of keys within one.
//!
//! Invariant: keys are ordered as bytes are.

use std::ops::Bound;

/// A named ordered map of byte rows. Rows of different spaces never share a key range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Space {
    name: &'static str,
    database: u32,
}

impl Space {
    /// Names the space `name` of the database with this local number; 0 is the store's own.
    pub const fn new(name: &'static str, database: u32) -> Self {
        Self { name, database }
    }

    /// Returns the kind of rows kept here.
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// Returns the local number of the database, 0 for rows of the store itself.
    pub const fn database(self) -> u32 {
        self.database
    }
}

/// In which order a range is visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// From the smallest key to the greatest.
    Ascending,
    /// From the greatest key to the smallest.
    Descending,
}

/// A range of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// Where the range starts.
    pub from: Bound<Vec<u8>>,
    /// Where the range ends.
    pub to: Bound<Vec<u8>>,
}

impl KeyRange {
    /// Covers every key of a space.
    pub const fn all() -> Self {
        Self { from: Bound::Unbounded, to: Bound::Unbounded }
    }

    /// Covers the keys that start with `prefix`.
    pub fn prefix(prefix: &[u8]) -> Self {
        Self { from: Bound::Included(prefix.to_vec()), to: after_prefix(prefix) }
    }

    /// Covers the keys from `from` on, without an end.
    pub fn from(from: &[u8]) -> Self {
        Self { from: Bound::Included(from.to_vec()), to: Bound::Unbounded }
    }

    /// Covers the keys from `from` on and before `to`.
    pub fn between(from: &[u8], to: &[u8]) -> Self {
        Self { from: Bound::Included(from.to_vec()), to: Bound::Excluded(to.to_vec()) }
    }

    /// Returns whether no key can lie in the range; an ordered map may panic when asked for it.
    pub fn is_empty(&self) -> bool {
        match (&self.from, &self.to) {
            (Bound::Included(a), Bound::Included(b)) => a > b,
            (Bound::Included(a) | Bound::Excluded(a), Bound::Excluded(b))
            | (Bound::Excluded(a), Bound::Included(b)) => a >= b,
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        }
    }

    /// Returns whether `key` lies in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        let after = match &self.from {
            Bound::Included(a) => key >= a.as_slice(),
            Bound::Excluded(a) => key > a.as_slice(),
            Bound::Unbounded => true,
        };
        let before = match &self.to {
            Bound::Included(b) => key <= b.as_slice(),
            Bound::Excluded(b) => key < b.as_slice(),
            Bound::Unbounded => true,
        };
        after && before
    }
}

/// Returns the first bound after every key that starts with `prefix`.
fn after_prefix(prefix: &[u8]) -> Bound<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Bound::Excluded(end);
        }
    }
    Bound::Unbounded
}

pub(crate) fn as_slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    match bound {
        Bound::Included(key) => Bound::Included(key.as_slice()),
        Bound::Excluded(key) => Bound::Excluded(key.as_slice()),
        Bound::Unbounded => Bound::Unbounded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_ends_before_the_next_prefix() {
        assert_eq!(KeyRange::prefix(&[1, 255]).to, Bound::Excluded(vec![2]));
        assert_eq!(KeyRange::prefix(&[255]).to, Bound::Unbounded);
        assert!(KeyRange::prefix(b"ab").contains(b"ab\xff\xff"));
        assert!(!KeyRange::prefix(b"ab").contains(b"ac"));
        assert!(KeyRange::between(b"b", b"b").is_empty());
    }
}
