//! How many ids are gone over because one peer has it so: each window of symbols takes a pass over all.
//!
//! Invariant: in any span of time no more is gone over than what was saved up, what the time gives, and
//! one pass.

use crate::limits::{EFFORT_MAX_IDS, EFFORT_SECOND_IDS};

/// How much may still be gone over.
#[derive(Debug)]
pub(crate) struct Effort {
    left: i64,
    /// Until when the time has been counted, in milliseconds.
    at: u64,
}

impl Default for Effort {
    fn default() -> Self {
        Self { left: EFFORT_MAX_IDS, at: 0 }
    }
}

impl Effort {
    /// Takes note of the time in milliseconds.
    pub(crate) fn rest(&mut self, now: u64) {
        let passed = i64::try_from(now.saturating_sub(self.at)).unwrap_or(i64::MAX);
        let more = passed.saturating_mul(EFFORT_SECOND_IDS) / 1_000;
        if more > 0 {
            self.left = self.left.saturating_add(more).min(EFFORT_MAX_IDS);
            self.at = now;
        }
    }

    /// Returns whether nothing is left for now.
    pub(crate) const fn is_spent(&self) -> bool {
        self.left <= 0
    }

    /// Takes note that so many ids were gone over.
    pub(crate) fn spend(&mut self, ids: u64) {
        self.left = self.left.saturating_sub(i64::try_from(ids).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spent_comes_back_with_time_and_no_more_than_that() {
        let mut effort = Effort::default();
        effort.rest(1_000_000);
        let all = u64::try_from(EFFORT_MAX_IDS).unwrap();
        effort.spend(all + 1_000);
        assert!(effort.is_spent());
        (1_000_001..1_000_003).for_each(|now| effort.rest(now));
        assert!(effort.is_spent());
        effort.rest(1_001_000);
        assert!(!effort.is_spent());
        effort.rest(u64::MAX);
        effort.spend(all);
        assert!(effort.is_spent());
    }
}
