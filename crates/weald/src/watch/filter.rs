//! What a watch wants to be told.
//!
//! Invariant: a filter only leaves out; it never changes or reorders.

use std::collections::BTreeSet;

use super::Event;
use crate::conflict::RowKey;
use crate::key::IntoKey;

/// How many events wait in the queue of a watch, unless its filter says otherwise.
pub const WATCH_QUEUE_EVENTS: usize = 1_024;

/// Chooses what a watch delivers.
///
/// ```
/// use weald::Filter;
/// let filter = Filter::all().store("messages").store("people");
/// # let _ = filter;
/// ```
#[derive(Clone, Debug)]
pub struct Filter {
    stores: BTreeSet<String>,
    row: Option<RowKey>,
    pub(super) queue_events: usize,
}

impl Default for Filter {
    fn default() -> Self {
        Self::all()
    }
}

impl Filter {
    /// Wants everything that happens in the database.
    pub const fn all() -> Self {
        Self { stores: BTreeSet::new(), row: None, queue_events: WATCH_QUEUE_EVENTS }
    }

    /// Wants changes and conflicts of this store, and of others named so, alone. All by default.
    #[must_use]
    pub fn store(mut self, name: impl Into<String>) -> Self {
        self.stores.insert(name.into());
        self
    }

    /// Wants changes and conflicts of the table row with this key alone. All by default.
    #[must_use]
    pub fn row(mut self, key: impl IntoKey) -> Self {
        self.row = Some(RowKey::Table(key.into_key()));
        self
    }

    /// Sets how many events may wait, at least 1; [`WATCH_QUEUE_EVENTS`] by default.
    #[must_use]
    pub fn queue(mut self, events: usize) -> Self {
        self.queue_events = events.max(1);
        self
    }

    pub(super) fn admits(&self, event: &Event) -> bool {
        let row = match event {
            Event::Changed { store, key, .. } => Some((store, key)),
            Event::Conflict { conflict, .. } => Some((&conflict.store, &conflict.key)),
            _ => None,
        };
        match row {
            Some((store, key)) => {
                (self.stores.is_empty() || self.stores.contains(store))
                    && self.row.as_ref().is_none_or(|wanted| wanted == key)
            }
            None => self.stores.is_empty() && self.row.is_none(),
        }
    }
}
