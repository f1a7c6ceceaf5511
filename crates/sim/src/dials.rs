//! The peers that a site dials, and when it tries again.
//!
//! Invariant: a peer that is dialled is tried again until it answers, ever more rarely up to a bound.

use std::collections::BTreeMap;

use crate::outside::Outside;
use crate::schedule::Event;

/// How long a site waits before it dials again, at first.
const RETRY_MS_MIN: u64 = 250;
/// How long it waits at most.
const RETRY_MS_MAX: u64 = 8_000;

/// The peers that a site dials, each with how often that failed in a row.
#[derive(Debug)]
pub(crate) struct Dials {
    site: usize,
    failures: BTreeMap<usize, u32>,
}

impl Dials {
    /// Starts with nobody to dial.
    pub(crate) const fn new(site: usize) -> Self {
        Self { site, failures: BTreeMap::new() }
    }

    /// Has a peer be dialled from now on.
    pub(crate) fn add(&mut self, peer: usize) {
        self.failures.insert(peer, 0);
    }

    /// Returns the peers that are dialled.
    pub(crate) fn peers(&self) -> impl Iterator<Item = usize> {
        self.failures.keys().copied()
    }

    /// Plans to dial all of them, as if none had failed.
    pub(crate) fn plan_all(&mut self, outside: &mut Outside) {
        for (peer, failures) in &mut self.failures {
            *failures = 0;
            let delay = outside.chance.within(0..=RETRY_MS_MIN);
            outside.schedule.after(delay, Event::Dial { site: self.site, peer: *peer });
        }
    }

    /// Plans to dial a peer again, if it is one of them.
    pub(crate) fn retry(&mut self, peer: usize, outside: &mut Outside) {
        let Some(failures) = self.failures.get_mut(&peer) else { return };
        let wait = (RETRY_MS_MIN << (*failures).min(16)).min(RETRY_MS_MAX);
        *failures += 1;
        let delay = wait + outside.chance.within(0..=wait / 4);
        outside.schedule.after(delay, Event::Dial { site: self.site, peer });
    }

    /// Takes note that a peer has synced.
    pub(crate) fn succeeded(&mut self, peer: usize) {
        if let Some(failures) = self.failures.get_mut(&peer) {
            *failures = 0;
        }
    }
}
