//! Graphs of proposed entries. Invariant: parents come before their children.

use std::sync::LazyLock;

use weald_auth::{Claim, Operation};
use weald_dag::{EntryId, PublicKey, SecretKey, Time};

/// The keys of authors; the first is the creator's.
pub(crate) static KEYS: LazyLock<Vec<PublicKey>> =
    LazyLock::new(|| (0..8).map(|seed| SecretKey::from_seed(&[seed; 32]).public()).collect());

/// An entry that somebody proposes; whether it is accepted is the question.
#[derive(Clone, Debug)]
pub(crate) struct Proposed {
    pub(crate) id: EntryId,
    pub(crate) parents: Vec<usize>,
    pub(crate) author: PublicKey,
    pub(crate) generation: u64,
    pub(crate) time: Time,
    pub(crate) writes_data: bool,
    pub(crate) operations: Option<Vec<Operation>>,
}

impl Proposed {
    pub(crate) fn claim(&self) -> Claim<'_> {
        Claim {
            id: self.id,
            author: self.author,
            generation: self.generation,
            time: self.time,
            writes_data: self.writes_data,
            operations: self.operations.as_deref(),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    pub(crate) entries: Vec<Proposed>,
}

impl Graph {
    /// Starts a graph whose root says `operations`, by the first key.
    pub(crate) fn new(operations: Vec<Operation>) -> Self {
        let mut graph = Self::default();
        graph.add(&[], 0, 1, Some(operations), 0);
        graph
    }

    /// Adds an entry `step` milliseconds after its latest parent. `grind` comes first in its id.
    pub(crate) fn add(
        &mut self,
        parents: &[usize],
        author: usize,
        step: u64,
        operations: Option<Vec<Operation>>,
        grind: u8,
    ) -> usize {
        let place = self.entries.len();
        let mut id = [0; 32];
        id[0] = grind;
        id[24..].copy_from_slice(&(place as u64 + 1).to_be_bytes());
        let above = |entry: &Proposed| (entry.generation + 1, entry.time.millis());
        let before = parents.iter().map(|parent| above(&self.entries[*parent]));
        let (generation, millis) = before.fold((0, 0), |a, b| (a.0.max(b.0), a.1.max(b.1)));
        self.entries.push(Proposed {
            id: EntryId::from_bytes(id),
            parents: parents.to_vec(),
            author: KEYS[author],
            generation,
            time: Time::from_millis(millis + step),
            writes_data: operations.is_none(),
            operations,
        });
        place
    }

    /// Returns for each entry what is strictly before it, as bits; of graphs of at most 64 entries.
    pub(crate) fn pasts(&self) -> Vec<u64> {
        assert!(self.entries.len() <= 64);
        let mut pasts: Vec<u64> = Vec::new();
        for entry in &self.entries {
            let above = entry.parents.iter().map(|parent| pasts[*parent] | 1 << parent);
            pasts.push(above.fold(0, |a, b| a | b));
        }
        pasts
    }
}
