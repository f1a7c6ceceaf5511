//! Symbols of a set: from as many of them as the difference of two sets is large, give or take a
//! half, either side learns that difference, however large the sets are.
//!
//! The algorithm is the rateless invertible Bloom lookup table of Lei Yang, Yossi Gilad and Mohammad
//! Alizadeh, "Practical Rateless Set Reconciliation", SIGCOMM 2024: a stream of sums, in which the
//! sum at place `i` is over one of `1 + i / 2` elements. Take the sums of one's own set from those
//! of the peer's, and what both hold is gone; a sum over one element tells it, and takes it
//! out of all others.
//!
//! Invariant: what a peer sends costs memory and time in proportion to its bytes, and
//! [`SYMBOLS_MAX`] bounds both; symbols that no set has end in an error or decode to nothing.

mod coder;
mod decoder;
mod mapping;
#[cfg(test)]
mod tests;
mod wire;

use thiserror::Error;

pub(crate) use coder::Coder;
pub(crate) use decoder::{Decoded, Decoder};
#[cfg(test)]
pub(crate) use wire::SYMBOL_BYTES_MIN;
pub(crate) use wire::{SYMBOL_BYTES_MAX, decode, encode};

/// Greatest number of symbols of one set; enough for a difference of about 90,000.
pub(crate) const SYMBOLS_MAX: usize = 1 << 17;

/// The sum over some elements of a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Symbol {
    /// The short ids, by exclusive or.
    pub(crate) sum: u64,
    /// Their checks, by exclusive or.
    pub(crate) check: u64,
    /// How many they are.
    pub(crate) count: i64,
}

/// What is wrong with symbols.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum SymbolError {
    /// They are more than a set may have.
    #[error("{found} symbols, the limit is {SYMBOLS_MAX}")]
    TooMany {
        /// How many there are.
        found: usize,
    },
    /// They are not for the same places.
    #[error("{theirs} symbols of the peer do not match {ours} of this side")]
    Unequal {
        /// How many the peer has sent.
        theirs: usize,
        /// How many this side has made.
        ours: usize,
    },
    /// They give an element twice, or more elements than symbols: no set has such symbols.
    #[error("the symbols are those of no set")]
    Forged,
    /// The bytes are no symbols, or not in the one form that they have.
    #[error("the bytes are no symbols in their shortest form")]
    Undecodable,
}

impl Symbol {
    /// Puts an element in, or takes out one that is in already.
    pub(crate) const fn add(&mut self, short: u64, check: u64, count: i64) {
        self.sum ^= short;
        self.check ^= check;
        // Only a forged count wraps.
        self.count = self.count.wrapping_add(count);
    }

    /// Returns whether it is over nothing.
    pub(crate) const fn is_empty(&self) -> bool {
        self.sum == 0 && self.check == 0 && self.count == 0
    }
}
