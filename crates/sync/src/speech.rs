//! How much presence goes over one link, either way.
//!
//! Invariant: what comes beyond it is dropped unread, and counted; it ends no session.

use crate::allowance::Allowance;
use crate::limits::{PRESENCE_BURST_SECONDS, PRESENCE_HEARD_PER_SECOND, PRESENCE_PER_SECOND};

/// What may be said and heard on one link.
#[derive(Debug)]
pub(crate) struct Speech {
    said: Allowance,
    heard: Allowance,
    /// How many messages of the peer were dropped.
    dropped: u64,
}

impl Speech {
    pub(crate) const fn new() -> Self {
        let burst = PRESENCE_BURST_SECONDS * PRESENCE_HEARD_PER_SECOND;
        Self {
            said: Allowance::new(PRESENCE_PER_SECOND, 1_000 / PRESENCE_PER_SECOND),
            heard: Allowance::new(burst, 1_000 / PRESENCE_HEARD_PER_SECOND),
            dropped: 0,
        }
    }

    /// Returns from when on something may be said.
    pub(crate) const fn from(&self) -> u64 {
        self.said.from()
    }

    /// Counts a message that is to be said; returns whether it may be.
    pub(crate) fn says(&mut self, now: u64) -> bool {
        self.said.take(now)
    }

    /// Counts a message that came; returns whether it is looked at.
    pub(crate) fn hears(&mut self, now: u64) -> bool {
        self.heard.take(now)
    }

    /// Counts a message of the peer that is not listened to.
    pub(crate) const fn drop(&mut self) {
        self.dropped += 1;
    }

    /// Returns how many messages of the peer were dropped.
    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }
}
