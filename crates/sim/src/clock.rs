//! The wall clock of a site: a little wrong always, and at some sites far off for a while.
//!
//! Invariant: it runs as fast as virtual time, but for the moment at which it is set right.

/// Milliseconds since 1970 at which every world begins.
pub(crate) const EPOCH_MS: u64 = 1_800_000_000_000;

/// How the clock of one site is far off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongClock {
    /// By how many milliseconds it is ahead, or behind where negative.
    pub ahead_ms: i64,
    /// Whether it is set right when the storm ends; one that is far behind must be.
    pub is_mended: bool,
}

impl WrongClock {
    /// Returns how long it may take until what was written by it is believed everywhere.
    pub(crate) fn wait_ms(self) -> u64 {
        u64::try_from(self.ahead_ms).unwrap_or(0)
    }
}

/// The wall clock of a site.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WallClock {
    skew_ms: i64,
    wrong: Option<WrongClock>,
}

impl WallClock {
    /// Makes a clock that is a little wrong.
    pub(crate) const fn skewed(skew_ms: i64) -> Self {
        Self { skew_ms, wrong: None }
    }

    /// Puts the clock far off.
    pub(crate) const fn put_off(&mut self, wrong: WrongClock) {
        self.wrong = Some(wrong);
    }

    /// Sets the clock right, if that is how it ends.
    pub(crate) fn mend(&mut self) {
        self.wrong = self.wrong.filter(|wrong| !wrong.is_mended);
    }

    /// Returns what it shows, in milliseconds since 1970.
    pub(crate) fn read(&self, now: u64) -> u64 {
        let wrong = self.wrong.map_or(0, |wrong| wrong.ahead_ms);
        (EPOCH_MS + now).saturating_add_signed(self.skew_ms.saturating_add(wrong))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_far_off_is_set_right_or_stays() {
        for is_mended in [true, false] {
            let mut clock = WallClock::skewed(5);
            clock.put_off(WrongClock { ahead_ms: 1_000, is_mended });
            assert_eq!(clock.read(10), EPOCH_MS + 1_015);
            clock.mend();
            assert_eq!(clock.read(10), EPOCH_MS + if is_mended { 15 } else { 1_015 });
        }
    }
}
