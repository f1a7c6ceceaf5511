//! The entries that may stand otherwise after settings entries have changed what they do: these, and
//! all that are not in the past of every one of them.
//!
//! Invariant: with every candidate its children are candidates, but for a settings entry that is one
//! for its own sake, whose children are beside it and so are candidates too.

use std::collections::BTreeMap;

use weald_auth::SettingsIndex;
use weald_dag::{
    EntryId, Graph, Number, Overlay, PublicKey, ReachedBy, Standing, StoreError, Time,
    WALKED_AT_ONCE,
};

use crate::hidden;
use crate::replica::Replica;

/// An entry that is judged again.
pub(crate) struct Candidate {
    pub(super) id: EntryId,
    pub(super) author: PublicKey,
    pub(super) time: Time,
    pub(super) generation: u64,
    pub(super) epoch: u64,
    pub(super) parents: Vec<Number>,
    pub(super) settings: Option<SettingsIndex>,
    bytes: u64,
    /// How it stood before.
    pub(super) standing: Standing,
    /// Which of the settings entries that have changed it is before; of at most so many as a walk
    /// can tell apart.
    pub(super) reached: ReachedBy,
    /// Whether it is visible now; before it is judged, whether it was.
    pub(super) is_visible: bool,
}

impl Candidate {
    pub(super) fn is_flipped(&self) -> bool {
        self.is_visible != (self.standing == Standing::Visible)
    }
}

/// The entries that are judged again.
#[derive(Default)]
pub(crate) struct Candidates {
    pub(super) of: BTreeMap<Number, Candidate>,
    children: BTreeMap<Number, Vec<Number>>,
    /// The settings entries that have changed what they do, ascending.
    pub(super) moved: Vec<Number>,
}

impl Candidates {
    /// Finds them, for settings entries that have changed what they do.
    pub(super) fn find(
        replica: &Replica,
        rows: &Overlay,
        moved: Vec<Number>,
    ) -> Result<Self, StoreError> {
        let database = replica.held.number;
        let graph = Graph::new(rows, database);
        let mut ends = hidden::ends(rows, database)?;
        ends.extend(replica.tips.keys());
        let mut found: BTreeMap<Number, ReachedBy> =
            moved.iter().map(|number| (*number, ReachedBy::default())).collect();
        for some in moved.chunks(WALKED_AT_ONCE) {
            found.extend(graph.beside(&ends, some)?);
        }
        let mut candidates = Self { moved, ..Self::default() };
        for (number, reached) in found {
            let (local, entry) = graph.placed(number)?;
            for parent in &local.parents {
                candidates.children.entry(*parent).or_default().push(number);
            }
            let candidate = Candidate {
                id: entry.id(),
                author: entry.author(),
                time: entry.time(),
                generation: local.generation,
                epoch: local.epoch,
                settings: replica.settings_index(number),
                bytes: hidden::bytes_of(&entry),
                is_visible: local.standing == Standing::Visible,
                standing: local.standing,
                parents: local.parents,
                reached,
            };
            candidates.of.insert(number, candidate);
        }
        Ok(candidates)
    }

    /// Returns how many bytes a candidate has.
    pub(crate) fn bytes_of(&self, number: Number) -> Option<u64> {
        self.of.get(&number).map(|candidate| candidate.bytes)
    }

    /// Returns what an entry counts by: its generation and its id. It is read if it is no candidate.
    pub(crate) fn summed(
        &self,
        rows: &Overlay,
        database: u32,
        number: Number,
    ) -> Result<(u64, EntryId), StoreError> {
        if let Some(candidate) = self.of.get(&number) {
            return Ok((candidate.generation, candidate.id));
        }
        let (local, entry) = Graph::new(rows, database).placed(number)?;
        Ok((local.generation, entry.id()))
    }

    /// Returns the children of a candidate, ascending.
    pub(crate) fn children_of(&self, number: Number) -> &[Number] {
        self.children.get(&number).map_or(&[], Vec::as_slice)
    }
}
