//! Virtual time and what is to happen in it.
//!
//! Invariant: time never runs back, and of two events at one millisecond the one planned first comes
//! first.

use std::collections::BTreeMap;

use crate::network::{End, LinkId};

/// Something that will happen.
#[derive(Debug)]
pub(crate) enum Event {
    /// A site tries to reach another.
    Dial { site: usize, peer: usize },
    /// A dialled link reaches the site that was dialled.
    Accept { link: LinkId },
    /// A frame reaches an end of a link.
    Frame { link: LinkId, to: End, bytes: Vec<u8> },
    /// An end of a link learns that it was cut.
    Cut { link: LinkId, end: End },
    /// A session asked to be woken.
    Deadline { site: usize, link: LinkId, at: u64 },
    /// The writer of a site has flushed its group.
    Flushed { site: usize, life: u32 },
    /// A site makes commits, all at once.
    Write { site: usize, count: u64 },
    /// A site takes an entry that somebody made on top of old ones.
    Branch { site: usize },
    /// A site changes who may do what, or tries to.
    Permit { site: usize },
    /// A site drops what is hidden and not needed.
    Prune { site: usize },
    /// A site starts rounds, as it does from time to time.
    Rounds { site: usize },
    /// The liar puts something false among what it holds.
    Lie,
    /// Something goes wrong.
    Fault,
    /// A crashed site comes up.
    Restart { site: usize },
    /// A wire that was down comes up.
    WireUp { a: usize, b: usize },
}

/// What will happen, in order.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    now: u64,
    planned: u64,
    events: BTreeMap<(u64, u64), Event>,
}

impl Schedule {
    /// Returns the virtual time in milliseconds.
    pub(crate) const fn now(&self) -> u64 {
        self.now
    }

    /// Plans an event `delay` milliseconds from now.
    pub(crate) fn after(&mut self, delay: u64, event: Event) {
        self.at(self.now.saturating_add(delay), event);
    }

    /// Plans an event at a time; one that has passed means now.
    pub(crate) fn at(&mut self, time: u64, event: Event) {
        self.planned += 1;
        self.events.insert((time.max(self.now), self.planned), event);
    }

    /// Moves on to the next event up to and including `until`; without one, to `until`.
    pub(crate) fn next(&mut self, until: u64) -> Option<Event> {
        match self.events.first_entry().filter(|entry| entry.key().0 <= until) {
            Some(entry) => {
                self.now = entry.key().0;
                Some(entry.remove())
            }
            None => {
                self.now = self.now.max(until);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_in_the_order_of_planning() {
        let mut schedule = Schedule::default();
        schedule.at(5, Event::Write { site: 1, count: 1 });
        schedule.at(3, Event::Write { site: 2, count: 1 });
        schedule.at(3, Event::Write { site: 3, count: 1 });
        let mut order = Vec::new();
        while let Some(Event::Write { site, .. }) = schedule.next(4) {
            order.push((schedule.now(), site));
        }
        assert_eq!((order, schedule.now()), (vec![(3, 2), (3, 3)], 4));
        assert!(schedule.next(9).is_some());
        assert_eq!(schedule.now(), 5);
    }
}
