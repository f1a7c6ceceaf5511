//! Every decision of a world is drawn here.
//!
//! Invariant: what is drawn follows from the seed and the order of the draws alone.

use std::ops::RangeInclusive;

use weald_dag::Randomness;

/// Draws the decisions of one world.
pub(crate) struct Chance(Randomness);

impl Chance {
    /// Starts from the seed of a world.
    pub(crate) fn from_seed(seed: u64) -> Self {
        Self(Randomness::from_seed(*blake3::hash(&seed.to_le_bytes()).as_bytes()))
    }

    /// Draws `N` bytes.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        self.0.bytes()
    }

    /// Draws a number of the range, its ends included.
    pub(crate) fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        let width = range.end().saturating_sub(*range.start()).saturating_add(1);
        // The bias of a remainder does not matter here; that it is the same everywhere does.
        range.start() + u64::from_le_bytes(self.0.bytes()) % width.max(1)
    }

    /// Draws an index below `length`; 0 when there is none.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        let last = u64::try_from(length.saturating_sub(1)).unwrap_or(u64::MAX);
        usize::try_from(self.within(0..=last)).unwrap_or(0)
    }

    /// Draws one of the items.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.index(items.len()))
    }

    /// Says yes in `percent` of a hundred cases.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.within(0..=99) < percent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_draw_equal_numbers_within_bounds() {
        let (mut a, mut b) = (Chance::from_seed(7), Chance::from_seed(7));
        for _ in 0..1_000 {
            let drawn = a.within(3..=9);
            assert!((3..=9).contains(&drawn));
            assert_eq!(drawn, b.within(3..=9));
        }
        assert_eq!(a.index(0), 0);
        assert_eq!(a.within(0..=u64::MAX), {
            b.index(0);
            b.within(0..=u64::MAX)
        });
    }
}
