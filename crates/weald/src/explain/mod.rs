//! Why something does not stand: entries that were refused, entries that are hidden, and what a key
//! may not do; in words for people.
//!
//! Invariant: nothing is decided here; the reasons are those of the door.

mod explanation;
mod refusals;

pub use explanation::{Explanation, Reason};
pub(crate) use refusals::Refusals;
pub use refusals::{REFUSALS_KEPT, RefusedEntry};

use weald_auth::{Action, AuthRefusal, Operation, Subject};
use weald_dag::{EntryId, Graph, PublicKey, Refusal, StoreError, Stored};

use crate::clock::wall_millis;
use crate::database::{Database, DatabaseError};
use crate::history::Names;
use crate::rows::Rows;
use crate::settings::judge_now;

impl Database {
    /// Tells why an entry that is here is hidden; `None` if it is visible.
    ///
    /// # Errors
    /// [`DatabaseError::UnknownEntry`] for one that is not here, or [`DatabaseError::Store`].
    pub fn why_hidden(&self, entry: &EntryId) -> Result<Option<Explanation>, DatabaseError> {
        let rows = self.core().rows()?;
        let graph = Graph::new(&rows, self.number());
        let number = graph.number(entry)?.ok_or(DatabaseError::UnknownEntry { entry: *entry })?;
        Ok(self.explain_hidden(&rows, &graph.stored(number)?, &self.names(&rows)?)?)
    }

    pub(crate) fn explain_hidden(
        &self,
        rows: &Rows,
        stored: &Stored,
        names: &Names,
    ) -> Result<Option<Explanation>, StoreError> {
        let (entry, author) = (stored.parcel.entry.id(), stored.parcel.entry.author());
        let authority = self.settings().authority()?;
        let refusal = weald_engine::why_hidden(rows, self.number(), &authority, &entry)?;
        let Some(refusal) = refusal else { return Ok(None) };
        self.explain(rows, Some(entry), author, Reason::Hidden(refusal), names).map(Some)
    }

    /// Tells why an entry that a peer sent was refused; `None` if none was, or it was too long ago:
    /// the last [`REFUSALS_KEPT`] of a database are remembered until the instance is closed.
    ///
    /// # Errors
    /// [`DatabaseError::Store`].
    pub fn why_refused(&self, entry: &EntryId) -> Result<Option<Explanation>, DatabaseError> {
        let Some(refused) = self.core().refusals.of(&self.id(), entry) else { return Ok(None) };
        let rows = self.core().rows()?;
        let mut reason = refused.reason.clone();
        // What descends from a refused entry is refused for that one's reason.
        let mut at = *entry;
        if let Refusal::Descends { ancestor } = &refused.reason
            && let Some(first) = self.core().refusals.of(&self.id(), ancestor)
        {
            (at, reason) = (*ancestor, first.reason);
        }
        let reason = Reason::Refused { at, reason };
        let names = self.names(&rows)?;
        Ok(Some(self.explain(&rows, Some(*entry), refused.author, reason, &names)?))
    }

    /// Returns the entries that were refused last, the oldest first: at most [`REFUSALS_KEPT`], and
    /// none from before the instance was opened.
    pub fn refusals(&self) -> Vec<RefusedEntry> {
        self.core().refusals.all(&self.id())
    }

    /// Tells why a key may not do something now; `None` if it may.
    ///
    /// # Errors
    /// [`DatabaseError::Store`].
    pub fn why_not(
        &self,
        key: &PublicKey,
        action: Action,
    ) -> Result<Option<Explanation>, DatabaseError> {
        let authority = self.settings().authority()?;
        let now_millis = wall_millis();
        let own = [Operation::Limit { subject: Subject::Key(*key), to: None }];
        let set = [Operation::Set { key: String::new(), value: String::new() }];
        let operations: Option<&[Operation]> = match action {
            // Whoever holds anything may limit itself, and may read.
            Action::Read => Some(&own),
            Action::Write => None,
            Action::Administer => Some(&set),
        };
        let Err(refusal) = judge_now(&authority, *key, operations, now_millis) else {
            return Ok(None);
        };
        let rows = self.core().rows()?;
        let names = self.names(&rows)?;
        Ok(Some(self.explain(&rows, None, *key, Reason::Hidden(refusal), &names)?))
    }

    fn explain(
        &self,
        rows: &Rows,
        entry: Option<EntryId>,
        author: PublicKey,
        reason: Reason,
        names: &Names,
    ) -> Result<Explanation, StoreError> {
        let graph = Graph::new(rows, self.number());
        let by = match &reason {
            Reason::Hidden(
                AuthRefusal::Limited { by, .. } | AuthRefusal::GrantHidden { by, .. },
            ) => graph.number(by)?,
            _ => None,
        };
        let by = by.map(|number| graph.entry(number)).transpose()?.map(|entry| entry.author());
        Ok(Explanation { entry, author, reason, by, names: names.clone() })
    }
}
