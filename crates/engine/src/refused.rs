//! The entries of one database that were refused, as long as that is remembered.
//!
//! Invariant: it is bounded; what is forgotten is judged again and refused again.

use std::collections::{BTreeMap, VecDeque};

use weald_dag::{EntryId, Refusal};

/// How many refused entries of one database are remembered.
const REFUSED_MAX: usize = 4_096;

/// Refusals by entry; of too many the oldest is forgotten.
#[derive(Default)]
pub(crate) struct Refused {
    of: BTreeMap<EntryId, Refusal>,
    in_order: VecDeque<EntryId>,
}

impl Refused {
    /// Returns why an entry was refused, if that is remembered.
    pub(crate) fn get(&self, id: &EntryId) -> Option<&Refusal> {
        self.of.get(id)
    }

    /// Remembers a refusal, so that children are refused without asking for it again. That an
    /// ancestor is refused is not worth a place: it follows.
    pub(crate) fn insert(&mut self, id: EntryId, refusal: &Refusal) {
        if matches!(refusal, Refusal::Descends { .. }) || self.of.contains_key(&id) {
            return;
        }
        if self.in_order.len() >= REFUSED_MAX
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.of.remove(&oldest);
        }
        self.of.insert(id, refusal.clone());
        self.in_order.push_back(id);
    }
}
