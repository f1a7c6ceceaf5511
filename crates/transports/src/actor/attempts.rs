//! How often it went well of late.
//!
//! Invariant: only the last [`ATTEMPTS_KEPT`] count, so it costs the same however often was tried.

/// How many attempts a success rate looks back.
pub const ATTEMPTS_KEPT: u8 = 100;

const MASK: u128 = (1 << ATTEMPTS_KEPT) - 1;

/// The outcomes of the last attempts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Attempts {
    /// One bit each, set where it went well; the last one is the lowest.
    well: u128,
    count: u8,
}

impl Attempts {
    /// Puts outcomes together as they were kept; more than are looked at are left out.
    pub(crate) fn from_parts(well: u128, count: u8) -> Self {
        let count = count.min(ATTEMPTS_KEPT);
        Self { well: well & ((1 << count) - 1), count }
    }

    /// Returns the outcomes as they are kept: one bit each, and how many there are.
    pub(crate) const fn parts(self) -> (u128, u8) {
        (self.well, self.count)
    }

    /// Takes note of an attempt.
    pub(crate) fn note(&mut self, went_well: bool) {
        self.well = ((self.well << 1) | u128::from(went_well)) & MASK;
        self.count = self.count.saturating_add(1).min(ATTEMPTS_KEPT);
    }

    /// Returns which part of the attempts went well, from 0 to 1; `None` before the first.
    pub(crate) fn rate(self) -> Option<f64> {
        (self.count > 0).then(|| f64::from(self.well.count_ones()) / f64::from(self.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p52_the_last_hundred_attempts_make_the_success_rate() {
        let mut attempts = Attempts::default();
        assert_eq!(attempts.rate(), None);
        attempts.note(false);
        assert_eq!(attempts.rate(), Some(0.0));
        attempts.note(true);
        assert_eq!(attempts.rate(), Some(0.5));
        (0..200).for_each(|_| attempts.note(true));
        assert_eq!(attempts.rate(), Some(1.0));
        (0..25).for_each(|_| attempts.note(false));
        assert_eq!(attempts.rate(), Some(0.75));
        let (well, count) = attempts.parts();
        assert_eq!(Attempts::from_parts(well, count), attempts);
        assert_eq!(Attempts::from_parts(u128::MAX, 255).rate(), Some(1.0));
    }
}
