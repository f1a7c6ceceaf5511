//! What a peer is known to hold: some entries and all before them.
//!
//! Invariant: whatever an entry of the frontier reaches, the peer holds, was sent, or has declined.

use std::collections::BTreeSet;

use weald_dag::Number;

/// The entries up to which a peer is known to hold the graph.
#[derive(Debug, Default)]
pub(crate) struct Frontier(BTreeSet<Number>);

impl Frontier {
    /// Adds an entry whose ancestors the peer holds; its parents need no longer be listed.
    pub(crate) fn advance(&mut self, number: Number, parents: &[Number]) {
        for parent in parents {
            self.0.remove(parent);
        }
        self.0.insert(number);
    }

    pub(crate) fn extend(&mut self, numbers: impl IntoIterator<Item = Number>) {
        self.0.extend(numbers);
    }

    pub(crate) fn replace(&mut self, numbers: impl IntoIterator<Item = Number>) {
        self.0 = numbers.into_iter().collect();
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Number> {
        self.0.iter().copied()
    }
}
