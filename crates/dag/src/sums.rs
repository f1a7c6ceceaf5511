//! What a set of entries sums up to: how many there are, and a sum of fingerprints.
//!
//! Invariant: the order in which entries are added and taken away does not matter.

use crate::cbor::CodingError;
use crate::id::EntryId;
use crate::space::Space;
use crate::varint;

/// How many generations are summed up in one bucket.
pub const RUNG_GENERATIONS: u64 = 256;

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

    /// Decodes the row of a closed bucket.
    pub(crate) fn of_row(mut row: &[u8]) -> Result<Self, CodingError> {
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
