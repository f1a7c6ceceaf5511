//! What single entries made of a text: what it said before and after, in the order of stamps.
//!
//! Invariant: each begins with what the one before it left; the last leaves what is there now.

use std::collections::BTreeMap;

use weald_crdt::View;

use super::guard::Broken;
use super::replica::{Replica, ReplicaError};
use super::rows;
use super::update::Id;

/// The last operations of a version.
type Seen = Vec<Id>;

/// What entries made of one text.
pub(crate) struct TextSteps {
    replica: Replica,
    /// What was there before an entry and after it.
    versions: BTreeMap<[u8; 32], (Seen, Seen)>,
    /// The version that was read last.
    last: Option<(Seen, String)>,
    bytes: usize,
}

impl TextSteps {
    /// Reads the history of a text from its rows, at the cost of all of it.
    pub(crate) fn load(view: &dyn View) -> Result<Self, ReplicaError> {
        let replica = Replica::of_state(view)?;
        let mut all = rows::read_all(view).map_err(ReplicaError::from)?;
        all.sort_by(|a, b| (a.time, rows::entry_of(&a.key)).cmp(&(b.time, rows::entry_of(&b.key))));
        let (mut versions, mut seen, mut bytes) = (BTreeMap::new(), Seen::new(), 0);
        for stored in &all {
            let update = &stored.update;
            let Some(last) = update.end().checked_sub(1) else { continue };
            if update.end() > replica.document.end_of(update.peer) {
                continue;
            }
            let before = seen.clone();
            seen.retain(|id| !update.deps.contains(id));
            seen.push(Id { peer: update.peer, counter: last });
            seen.sort_unstable();
            bytes += usize::try_from(update.length()).unwrap_or(usize::MAX).saturating_mul(64);
            if let (true, Ok(entry)) = (stored.is_visible, rows::entry_of(&stored.key).try_into()) {
                versions.insert(entry, (before, seen.clone()));
            }
        }
        Ok(Self { replica, versions, last: None, bytes })
    }

    /// Returns about how much memory it takes.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns what the text said before an entry, if anything was ever written then, and after it;
    /// `None` for an entry that wrote nothing to it.
    pub(crate) fn of_entry(
        &mut self,
        entry: &[u8; 32],
    ) -> Result<Option<(Option<String>, String)>, ReplicaError> {
        let Some((before, after)) = self.versions.get(entry).cloned() else { return Ok(None) };
        // Those next to each other share a version: the one that was read last comes first.
        if self.last.as_ref().is_some_and(|(seen, _)| *seen == after) {
            let is = self.at(after)?;
            return Ok(Some((self.before(before)?, is)));
        }
        let was = self.before(before)?;
        let is = self.at(after)?;
        Ok(Some((was, is)))
    }

    fn before(&mut self, seen: Seen) -> Result<Option<String>, Broken> {
        if seen.is_empty() { Ok(None) } else { self.at(seen).map(Some) }
    }

    fn at(&mut self, seen: Seen) -> Result<String, Broken> {
        if let Some((last, text)) = &self.last
            && *last == seen
        {
            return Ok(text.clone());
        }
        self.replica.document.turn_to(&seen)?;
        self.replica.draw_veil()?;
        let text = self.replica.text().map_err(|_| Broken)?;
        self.last = Some((seen, text.clone()));
        Ok(text)
    }
}
