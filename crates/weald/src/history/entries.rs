//! The changes of a database or of one of its stores, entry by entry.
//!
//! Invariant: it tells of what was there when it was asked for; what comes later does not show.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use weald_dag::{Graph, Number, Standing, StoreError, Stored};

use super::revision::{Names, Origin, Revision};
use super::steps::{Found, Steps, kind};
use super::walk::Walk;
use crate::core::Core;
use crate::database::Database;
use crate::error::ReadError;
use crate::rows::Rows;
use crate::store_ref::check_name;

/// How many entries an iteration over history looks at together.
pub const HISTORY_PAGE_ENTRIES: usize = 64;

impl Database {
    /// Iterates over every change of every row, the newest first, a page of entries at a time.
    ///
    /// Rows are table rows, log items, leaves of documents and what other types call so. Entries
    /// come in the order of their stamps, which is the same on every replica, and only those that
    /// are visible now. The iterator holds a snapshot: take what you show, and drop it. It keeps up to
    /// [`HISTORY_KEPT_BYTES`](crate::HISTORY_KEPT_BYTES) of what rows said.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn history(&self) -> Result<History, StoreError> {
        History::new(self, None)
    }

    /// Iterates over every change of the rows of one store, as [`Database::history`] does.
    ///
    /// # Errors
    /// [`ReadError::Name`] for a name that cannot be used, or [`ReadError::Store`].
    pub fn history_of(&self, store: &str) -> Result<History, ReadError> {
        check_name(store)?;
        Ok(History::new(self, Some(store.to_owned()))?)
    }

    pub(crate) fn names(&self, rows: &Rows) -> Result<Names, StoreError> {
        names(self.core(), self.number(), rows)
    }
}

/// Returns what people call the authors of a database.
pub(crate) fn names(core: &Core, database: u32, rows: &Rows) -> Result<Names, StoreError> {
    let held = weald_engine::all_held(rows)?.into_iter().find(|held| held.number == database);
    Ok(Names::of(held.map(|held| core.authority(&held)).transpose()?))
}

/// Iterates over changes; see [`Database::history`].
pub struct History {
    core: Arc<Core>,
    database: u32,
    rows: Rows,
    names: Names,
    store: Option<String>,
    order: Order,
    found: VecDeque<Revision>,
    steps: Found,
    ended: bool,
}

/// Which entry comes next.
enum Order {
    NewestFirst(Walk),
    OldestFirst(std::vec::IntoIter<Number>),
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History").field("store", &self.store).finish_non_exhaustive()
    }
}

impl History {
    fn new(database: &Database, store: Option<String>) -> Result<Self, StoreError> {
        let rows = database.core().rows()?;
        let names = database.names(&rows)?;
        let number = database.number();
        let walk = Walk::from_now(&Graph::new(&rows, number))?;
        Ok(Self {
            core: Arc::clone(database.core()),
            database: number,
            rows,
            names,
            store,
            order: Order::NewestFirst(walk),
            found: VecDeque::new(),
            steps: Found::default(),
            ended: false,
        })
    }

    /// Goes from the oldest change to the newest, from the start. It visits all entries to find
    /// their order, and keeps 8 bytes for each. From the newest by default.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn reverse(mut self) -> Result<Self, StoreError> {
        let graph = Graph::new(&self.rows, self.database);
        let mut walk = Walk::from_now(&graph)?;
        let mut numbers = Vec::new();
        while let Some(stored) = walk.next(&graph)? {
            numbers.push(stored.number);
        }
        numbers.reverse();
        self.order = Order::OldestFirst(numbers.into_iter());
        self.found.clear();
        self.ended = false;
        Ok(self)
    }

    fn next_entry(&mut self) -> Result<Option<Stored>, StoreError> {
        let graph = Graph::new(&self.rows, self.database);
        match &mut self.order {
            Order::NewestFirst(walk) => walk.next(&graph),
            Order::OldestFirst(numbers) => {
                numbers.next().map(|number| graph.stored(number)).transpose()
            }
        }
    }

    /// Finds what the next entries changed; ends when there are no more.
    fn next_page(&mut self) -> Result<(), ReadError> {
        let mut entries = Vec::with_capacity(HISTORY_PAGE_ENTRIES);
        while entries.len() < HISTORY_PAGE_ENTRIES {
            match self.next_entry()? {
                Some(stored) if stored.local.standing == Standing::Visible => entries.push(stored),
                Some(_) => {}
                None => {
                    self.ended = true;
                    break;
                }
            }
        }
        let newest_first = matches!(self.order, Order::NewestFirst(_));
        let found = std::mem::take(&mut self.steps);
        let mut steps = Steps::going_on(&self.rows, self.database, &self.core.types, found);
        for stored in &entries {
            let origin = Origin::of(stored, &self.names);
            let wants = |store: &str, _: &str| self.store.as_deref().is_none_or(|one| one == store);
            let mut changed = steps.of_entry(stored, &wants)?;
            if newest_first {
                changed.reverse();
            }
            for (place, values) in changed {
                let before = place.show(&self.core.types, values.before.as_deref());
                let after = place.show(&self.core.types, values.after.as_deref());
                let Some(kind) = kind(before.as_ref(), after.as_ref()) else { continue };
                let (key, store) = (place.named(), place.store);
                self.found.push_back(origin.clone().revision(store, key, kind, (before, after)));
            }
        }
        self.steps = steps.into_found();
        Ok(())
    }
}

impl Iterator for History {
    type Item = Result<Revision, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.found.is_empty() && !self.ended {
            if let Err(error) = self.next_page() {
                self.ended = true;
                return Some(Err(error));
            }
        }
        self.found.pop_front().map(Ok)
    }
}
