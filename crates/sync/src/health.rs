//! Whether the peer is still there: a ping where a link has long been silent, and how long its answer took.
//!
//! Invariant: at most one ping is under way; a link on which anything comes is never given up here.

use crate::close::{CloseReason, PeerFault};

/// Watches over one open link. Times are milliseconds of the session's clock.
#[derive(Debug)]
pub(crate) struct Health {
    /// How long a link may be silent before the peer is asked; `None` never asks.
    every: Option<u64>,
    /// When a frame last came.
    heard: u64,
    /// How many pings were sent.
    pings: u64,
    /// When the ping that is under way was sent.
    asked: Option<u64>,
    round_trip: Option<u64>,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    Ping(u64),
    Silent,
}

impl Health {
    pub(crate) const fn new(every: Option<u64>, now: u64) -> Self {
        Self { every, heard: now, pings: 0, asked: None, round_trip: None }
    }

    /// Asks at once, so that the round-trip time is known from the start.
    pub(crate) const fn first(&mut self, now: u64) -> Option<u64> {
        match self.every {
            Some(_) => Some(self.ask(now)),
            None => None,
        }
    }

    const fn ask(&mut self, now: u64) -> u64 {
        self.asked = Some(now);
        self.pings += 1;
        self.pings
    }

    /// Takes note of a frame.
    pub(crate) const fn heard(&mut self, now: u64) {
        self.heard = now;
    }

    /// Takes the answer to a ping.
    pub(crate) fn answered(&mut self, ping: u64, now: u64) -> Result<(), CloseReason> {
        let Some(asked) = self.asked.take_if(|_| ping == self.pings) else {
            return Err(PeerFault::Unexpected { what: "an answer to no ping" }.into());
        };
        self.round_trip = Some(now.saturating_sub(asked));
        Ok(())
    }

    /// Returns how long the last ping took there and back.
    pub(crate) const fn round_trip(&self) -> Option<u64> {
        self.round_trip
    }

    /// Returns when something is due.
    pub(crate) fn deadline(&self) -> Option<u64> {
        let every = self.every?;
        Some(match self.asked {
            // Half as long again: the answer is a few bytes.
            Some(asked) => asked.max(self.heard).saturating_add(every / 2),
            None => self.heard.saturating_add(every),
        })
    }

    /// Returns what is due now.
    pub(crate) fn due(&mut self, now: u64) -> Due {
        match self.deadline() {
            Some(deadline) if deadline <= now && self.asked.is_some() => Due::Silent,
            Some(deadline) if deadline <= now => Due::Ping(self.ask(now)),
            _ => Due::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_link_is_asked_once_and_given_up_when_nothing_comes() {
        let mut health = Health::new(Some(60), 0);
        assert_eq!((health.due(59), health.due(60)), (Due::Nothing, Due::Ping(1)));
        assert_eq!((health.due(89), health.due(90)), (Due::Nothing, Due::Silent));
        health.heard(85);
        assert_eq!(health.due(90), Due::Nothing, "whatever comes counts");
        health.answered(1, 88).unwrap();
        assert_eq!((health.round_trip(), health.deadline()), (Some(28), Some(145)));
        assert!(health.answered(1, 89).is_err());
        assert_eq!(Health::new(None, 0).deadline(), None);
    }
}
