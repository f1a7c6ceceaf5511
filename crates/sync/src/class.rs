//! What became of a tip that a peer announced.
//!
//! Invariant: a round ends only when each tip announced at its start has a class.

use serde::{Deserialize, Serialize};

/// What became of an announced tip at the side that heard of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Class {
    /// It is stored.
    Held,
    /// It would be hidden and nothing visible descends from it.
    Unwanted,
    /// Its time, or that of an ancestor, lies too far ahead.
    HeldBack,
    /// It is refused for good.
    Refused,
    /// It, or an ancestor, has a newer format.
    NewerVersion,
    /// Who announced it may not or does not send it.
    Withheld,
    /// It did not come.
    Missing,
}

/// How many tips of one side there are of each class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Stored at the other side.
    pub held: u64,
    /// Not wanted there, because hidden.
    pub unwanted: u64,
    /// Held back there, because of their time.
    pub held_back: u64,
    /// Refused there.
    pub refused: u64,
    /// Of a newer format than the other side reads.
    pub newer_version: u64,
    /// Not sent, because the other side may not read.
    pub withheld: u64,
    /// Announced and never come.
    pub missing: u64,
}

impl Tally {
    pub(crate) const fn add(&mut self, class: Class) {
        let count = match class {
            Class::Held => &mut self.held,
            Class::Unwanted => &mut self.unwanted,
            Class::HeldBack => &mut self.held_back,
            Class::Refused => &mut self.refused,
            Class::NewerVersion => &mut self.newer_version,
            Class::Withheld => &mut self.withheld,
            Class::Missing => &mut self.missing,
        };
        *count += 1;
    }

    /// Returns how many tips may still come; what is refused or not wanted never will.
    pub(crate) const fn lacking(&self) -> u64 {
        self.missing + self.withheld + self.held_back + self.newer_version
    }
}

/// What became of the tips of both sides in a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Classes {
    /// The peer's tips, as classed here.
    pub theirs: Tally,
    /// Our tips, as classed by the peer.
    pub ours: Tally,
}
