//! What the peer announced, and what of it is held here.
//!
//! Invariant: a tip has the class that holds when the round ends, not when it began.

use weald_dag::{Graph, Number, StoreError};

use crate::class::{Class, Tally};
use crate::ids::{Bits, Ids};
use crate::incoming::Incoming;
use crate::limits::REASONS_MAX;
use crate::message::{Announce, Unheld};
use crate::recalled::are_apart;

/// What the peer announced, and what of it is held here.
#[derive(Debug)]
pub(crate) struct Theirs {
    pub(crate) announce: Announce,
    /// The number of each announced tip that was held here when it was announced.
    pub(crate) tips: Vec<Option<Number>>,
    near: Vec<Option<Number>>,
}

impl Theirs {
    pub(crate) fn read(announce: Announce, graph: Option<&Graph<'_>>) -> Result<Self, StoreError> {
        let find = |ids: &Ids| match graph {
            Some(graph) => ids.0.iter().map(|id| graph.number(id)).collect(),
            None => Ok(vec![None; ids.0.len()]),
        };
        let (tips, near) = (find(&announce.tips)?, find(&announce.near)?);
        Ok(Self { announce, tips, near })
    }

    /// Returns whether the peer has said of all that it holds which it is.
    pub(crate) const fn says_all(&self) -> bool {
        !self.announce.silent && self.announce.paged.is_none()
    }

    /// Returns whether everything that the peer holds was held here when it was announced.
    pub(crate) fn all_known(&self) -> bool {
        self.says_all() && self.tips.iter().all(Option::is_some)
    }

    /// Returns whether everything that the peer holds is held here now.
    pub(crate) fn all_held(&self, graph: Option<&Graph<'_>>) -> Result<bool, StoreError> {
        if !self.says_all() {
            return Ok(false);
        }
        // The newest are last, and most likely to be lacking.
        for id in self.announce.tips.0.iter().rev() {
            let held = match graph {
                Some(graph) => graph.number(id)?.is_some(),
                None => false,
            };
            if !held {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns which of the announced tips, and which of the entries near them, are held here.
    pub(crate) fn answers(&self) -> (Bits, Bits) {
        let bits = |held: &[Option<Number>]| held.iter().map(Option::is_some).collect();
        (bits(&self.tips), bits(&self.near))
    }

    /// Returns the entries that the peer has announced and that were held here then.
    pub(crate) fn common(&self) -> impl Iterator<Item = Number> {
        self.tips.iter().chain(&self.near).flatten().copied()
    }

    /// Returns whether nothing is held by both but what the peer remembers as common, and before it.
    pub(crate) fn are_apart(&self) -> bool {
        are_apart(self.announce.common, self.near.iter().map(Option::is_some))
    }

    /// Classes the tips; returns the tally, and each that is not held here.
    pub(crate) fn classify(
        &self,
        graph: Option<&Graph<'_>>,
        incoming: &mut Incoming,
    ) -> Result<(Tally, Vec<Unheld>), StoreError> {
        let mut tally = Tally::default();
        let mut unheld = Vec::new();
        if self.announce.silent {
            tally.add(Class::Withheld);
        }
        for (index, id) in (0u32..).zip(&self.announce.tips.0) {
            let held = match graph {
                Some(graph) => graph.number(id)?.is_some(),
                None => false,
            };
            if held {
                tally.add(Class::Held);
                continue;
            }
            let why = incoming.why_not_held(id);
            let withheld = self.announce.withheld && why.class == Class::Missing;
            let class = if withheld { Class::Withheld } else { why.class };
            tally.add(class);
            if class == why.class && class != Class::Missing {
                // What waited for its parents waits no longer, and has the same class in later rounds.
                incoming.remember(*id, why.clone());
            }
            let reason = why.reason.filter(|_| unheld.len() < REASONS_MAX);
            unheld.push(Unheld { index, class, reason });
        }
        Ok((tally, unheld))
    }
}
