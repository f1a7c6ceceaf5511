//! What time it is in one call into a session, and by how much what is told to several peers is put off.
//!
//! Invariant: pauses follow from the seed of the session alone, so no two ends of a mesh draw the same.

use weald_dag::Randomness;

use crate::effort::Effort;
use crate::limits::{RELAY_MAX_MS, RELAY_MIN_MS};

/// The time of a call, and the chance and the effort of a session.
pub(crate) struct Pace {
    now: u64,
    randomness: Randomness,
    effort: Effort,
}

impl Pace {
    /// Starts from secret bytes of this session alone.
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self { now: 0, randomness: Randomness::from_seed(seed), effort: Effort::default() }
    }

    /// Takes note of the time of a call in milliseconds.
    pub(crate) fn set(&mut self, now: u64) {
        self.now = now;
        self.effort.rest(now);
    }

    /// Returns how much may still be gone over for the peer.
    pub(crate) const fn effort(&mut self) -> &mut Effort {
        &mut self.effort
    }

    /// Returns the time of the call in milliseconds.
    pub(crate) const fn now(&self) -> u64 {
        self.now
    }

    /// Draws when something that came from another peer is announced.
    pub(crate) fn relay_at(&mut self) -> u64 {
        let drawn = u64::from(u16::from_le_bytes(self.randomness.bytes()));
        let pause = RELAY_MIN_MS + drawn % (RELAY_MAX_MS - RELAY_MIN_MS + 1);
        self.now.saturating_add(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_stay_in_their_bounds_and_differ() {
        let mut pace = Pace::new([3; 32]);
        pace.set(1_000);
        let drawn: Vec<u64> = (0..200).map(|_| pace.relay_at() - pace.now()).collect();
        assert!(drawn.iter().all(|pause| (RELAY_MIN_MS..=RELAY_MAX_MS).contains(pause)));
        let distinct: std::collections::BTreeSet<&u64> = drawn.iter().collect();
        assert!(distinct.len() > 40, "{distinct:?}");
    }
}
