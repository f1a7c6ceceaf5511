//! How long to wait before a peer is dialled again: 2^n times the first pause, bounded, with jitter, for ever.
//!
//! Invariant: no pause is longer than the longest, and there always is another attempt.

use std::time::Duration;

/// How many failures in a row are counted; more double no pause.
const FAILURES_MAX: u32 = 31;

/// Counts failures in a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    first: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) const fn new(first: Duration, max: Duration) -> Self {
        Self { first, max, failures: 0 }
    }

    /// Takes note of a failure; returns the pause before the next attempt.
    ///
    /// `random` spreads it over the upper half, so that many who lost the same peer do not come back at once.
    pub(crate) fn failed(&mut self, random: u64) -> Duration {
        let doubled = 1u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1).min(FAILURES_MAX);
        let pause = self.first.saturating_mul(doubled).min(self.max);
        let half = pause / 2;
        let span = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).saturating_add(1);
        half + Duration::from_micros(random % span)
    }

    /// Goes on where it stood before a restart.
    pub(crate) fn resume(&mut self, failures: u32) {
        self.failures = failures.min(FAILURES_MAX);
    }

    /// Returns how many failures there were in a row, as far as it matters.
    pub(crate) const fn failures(self) -> u32 {
        self.failures
    }

    /// Returns the longest pause.
    pub(crate) const fn max(self) -> Duration {
        self.max
    }

    /// Takes note of a success.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p26_pauses_double_to_a_bound_and_start_again_after_a_success() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, second * 64);
        for random in [0, 1, u64::MAX] {
            backoff.succeeded();
            for n in 0..200u32 {
                let whole = second * (1 << n.min(6));
                let pause = backoff.failed(random);
                assert!(pause >= whole / 2 && pause <= whole, "{n}: {pause:?}");
            }
        }
    }
}
