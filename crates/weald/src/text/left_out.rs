//! Updates that are stored and not in the document: they wait for what has not come, share counters
//! with another one, or are not what an editor makes.
//!
//! Invariant: what comes and unsettles none of them changes nothing about which updates are taken.

use std::ops::Range;

use super::update::{Id, Update};

/// One such update.
#[derive(Clone, Debug, PartialEq, Eq)]
struct LeftOut {
    peer: u64,
    counters: Range<u32>,
    /// What it follows.
    follows: Vec<Id>,
}

/// The updates of a text that are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AllLeftOut(Vec<LeftOut>);

impl AllLeftOut {
    pub(super) fn add(&mut self, update: &Update) {
        let own = update.start.checked_sub(1).map(|counter| Id { peer: update.peer, counter });
        let follows = update.deps.iter().copied().chain(own).collect();
        let counters = update.start..update.end();
        self.0.push(LeftOut { peer: update.peer, counters, follows });
    }

    /// Returns whether it must be decided anew which updates are taken when this one comes: it shares
    /// counters with one that is left out, or such a one waits for it.
    pub(super) fn is_unsettled_by(&self, update: &Update) -> bool {
        let (start, end) = (update.start, update.end());
        self.0.iter().any(|one| {
            let shares =
                one.peer == update.peer && one.counters.start < end && start < one.counters.end;
            let waits = |id: &Id| id.peer == update.peer && (start..end).contains(&id.counter);
            shares || one.follows.iter().any(waits)
        })
    }

    /// Returns the form that rests, in words of eight bytes behind their number.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut words = Vec::new();
        for LeftOut { peer, counters, follows } in &self.0 {
            words.extend([*peer, counters.start.into(), counters.end.into(), follows.len() as u64]);
            words.extend(follows.iter().flat_map(|id| [id.peer, id.counter.into()]));
        }
        let count = words.len() as u64;
        std::iter::once(count).chain(words).flat_map(u64::to_be_bytes).collect()
    }

    /// Takes what [`AllLeftOut::encode`] gives, and returns what follows it.
    pub(super) fn take(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (count, rest) = word(bytes)?;
        let length = usize::try_from(count).ok()?.checked_mul(8)?;
        let (mut words, rest) = rest.split_at_checked(length)?;
        let mut all = Vec::new();
        while !words.is_empty() {
            let mut next = || {
                let (found, rest) = word(words)?;
                words = rest;
                Some(found)
            };
            let (peer, start, end) = (next()?, counter(next()?)?, counter(next()?)?);
            let mut follows = Vec::new();
            for _ in 0..next()? {
                follows.push(Id { peer: next()?, counter: counter(next()?)? });
            }
            all.push(LeftOut { peer, counters: start..end, follows });
        }
        Some((Self(all), rest))
    }
}

fn word(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (word, rest) = bytes.split_first_chunk()?;
    Some((u64::from_be_bytes(*word), rest))
}

fn counter(word: u64) -> Option<u32> {
    u32::try_from(word).ok()
}
