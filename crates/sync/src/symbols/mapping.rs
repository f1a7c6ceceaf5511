//! In which sums an element is: place 0, and from there on by jumps that grow.
//!
//! Invariant: the places follow from the short id alone, by operations that give the same bits on
//! every machine; each is greater than the one before.

use crate::filter::mixed;

/// What is added to the state of the generator for each number drawn.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
/// The odds of the jumps are worked out to so many bits: those that a float holds.
const BITS: u32 = 53;

/// The places of one element, ascending.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mapping {
    state: u64,
    place: u64,
}

impl Mapping {
    /// Starts at place 0, where every element is.
    pub(super) const fn of(short: u64) -> Self {
        Self { state: short, place: 0 }
    }

    /// Returns the place it is at.
    pub(super) const fn place(&self) -> u64 {
        self.place
    }

    /// Goes on to the next place.
    ///
    /// An element is at place `i` with odds `1 / (1 + i / 2)`, so the next place after `i` is beyond
    /// `i + jump` with odds `((i + 1.5) / (i + 1.5 + jump))²`, nearly: of a number between 0 and 1
    /// drawn for these odds follows the jump.
    pub(super) fn go_on(&mut self) {
        self.state = self.state.wrapping_add(STEP);
        // From 1 to 2^53, both exact as floats; so are the scale and, to the last bit, the root.
        let drawn = (mixed(self.state) >> (u64::BITS - BITS)) + 1;
        let odds = drawn as f64 / (1_u64 << BITS) as f64;
        let jump = ((self.place as f64 + 1.5) * (1.0 / odds.sqrt() - 1.0)).ceil();
        self.place = self.place.saturating_add(whole(jump).max(1));
    }
}

/// Returns a float that is whole and not negative as a number.
#[allow(clippy::cast_possible_truncation, reason = "it is whole, and what is too great saturates")]
const fn whole(n: f64) -> u64 {
    n as u64
}
