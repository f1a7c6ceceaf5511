//! How often something may be done: so many at once, and one more after each pause.
//!
//! Invariant: in any stretch of time no more is allowed than the burst and what the pauses add to it.

/// How often something may be done, by a clock in milliseconds that never goes back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    /// How long after each, so that a burst grows by one.
    pause: u64,
    /// By how much `used_up` may be ahead of the clock.
    ahead: u64,
    /// When all that was done would be paid for by pauses.
    used_up: u64,
}

impl Allowance {
    pub(crate) const fn new(burst: u64, pause: u64) -> Self {
        Self { pause, ahead: burst.saturating_sub(1).saturating_mul(pause), used_up: 0 }
    }

    /// Returns from when on one is allowed.
    pub(crate) const fn from(&self) -> u64 {
        self.used_up.saturating_sub(self.ahead)
    }

    /// Takes one, if it is allowed now.
    pub(crate) fn take(&mut self, now: u64) -> bool {
        if now < self.from() {
            return false;
        }
        self.used_up = self.used_up.max(now).saturating_add(self.pause);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_and_then_one_after_each_pause() {
        let mut allowance = Allowance::new(3, 10);
        let taken = |allowance: &mut Allowance, now| (0..9).filter(|_| allowance.take(now)).count();
        assert_eq!(taken(&mut allowance, 100), 3);
        assert_eq!((allowance.from(), taken(&mut allowance, 109)), (110, 0));
        assert_eq!(taken(&mut allowance, 110), 1);
        assert_eq!(taken(&mut allowance, 145), 3);
        assert_eq!(taken(&mut allowance, 1_000_000), 3, "what is not used does not add up");
    }
}
