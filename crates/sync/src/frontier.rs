//! What a peer is known to hold: some entries and all before them.
//!
//! Invariant: whatever an entry of the frontier reaches, the peer holds, was sent, or has declined.

use std::collections::BTreeSet;

use weald_dag::Number;

use crate::class::{Class, Tally};
use crate::close::PeerFault;
use crate::held::Held;
use crate::limits::DECLINED_MAX;
use crate::message::Unheld;

/// The entries up to which a peer is known to hold the graph.
#[derive(Debug, Default)]
pub(crate) struct Frontier {
    held: BTreeSet<Number>,
    /// Our tips that the peer has said it does not keep: they are not offered again.
    declined: BTreeSet<Number>,
    /// Our tips that the peer hides and does not keep, until it sees them otherwise.
    unwanted: BTreeSet<Number>,
}

impl Frontier {
    /// Adds an entry whose ancestors the peer holds; its parents need no longer be listed.
    pub(crate) fn advance(&mut self, number: Number, parents: &[Number]) {
        for parent in parents {
            self.held.remove(parent);
        }
        self.held.insert(number);
    }

    /// Adds entries that the peer holds.
    pub(crate) fn extend(&mut self, numbers: impl IntoIterator<Item = Number>) {
        self.held.extend(numbers);
    }

    /// Takes back what was only sent: it did not stay there, and what was hidden may be shown now. What
    /// was declined for good stays declined.
    pub(crate) fn forget(&mut self) {
        self.held.clear();
        self.unwanted.clear();
    }

    /// Learns from the peer's classes of our tips at the end of a round; returns their tally.
    pub(crate) fn learn(&mut self, ours: &Held, unheld: &[Unheld]) -> Result<Tally, PeerFault> {
        let page = ours.page_numbers();
        let mut held: BTreeSet<Number> = page.iter().copied().collect();
        let mut tally = Tally::default();
        let mut certain = page.len() == ours.tips.len();
        for item in unheld {
            let index = usize::try_from(item.index).unwrap_or(usize::MAX);
            let Some(number) = page.get(index).filter(|number| held.remove(number)) else {
                return Err(PeerFault::Garbled { what: "classes of our tips" });
            };
            tally.add(item.class);
            match item.class {
                // What is held back for its time is offered again in the next round.
                Class::Held | Class::Missing | Class::Withheld | Class::HeldBack => certain = false,
                Class::Unwanted if self.unwanted.len() < DECLINED_MAX => {
                    self.unwanted.insert(*number);
                }
                _ if self.declined.len() < DECLINED_MAX => drop(self.declined.insert(*number)),
                _ => {}
            }
        }
        tally.held += held.len() as u64;
        if certain {
            // Whatever was listed before lies below the tips: the list becomes short again.
            self.held = held;
        } else {
            self.held.extend(held);
        }
        Ok(tally)
    }

    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    /// Returns the newest entries that the peer holds for certain or was sent, at most `limit`.
    pub(crate) fn newest_held(&self, limit: usize) -> impl Iterator<Item = Number> {
        self.held.iter().rev().take(limit).copied()
    }

    /// Returns the entries that the peer holds for certain or was sent, unless they are more than `limit`.
    pub(crate) fn held_at_most(&self, limit: usize) -> Option<Vec<Number>> {
        (self.held.len() <= limit).then(|| self.held.iter().copied().collect())
    }

    /// Returns what need not be sent, with all before it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Number> {
        self.held.iter().chain(&self.declined).chain(&self.unwanted).copied()
    }
}
