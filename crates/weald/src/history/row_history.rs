//! The changes of one row of a table, and of one document as a whole.
//!
//! Invariant: it tells of what was there when it was asked for, and each revision begins where the
//! one before it ended.

use std::collections::VecDeque;
use std::fmt;

use weald_crdt::{Area, DocType, MemoryView, Path, TableType, View, ViewMut, doc};
use weald_dag::{Graph, Number, StoreError};
use weald_engine::{RowValues, store_error, store_steps};

use super::entries::names;
use super::revision::{Names, Origin, Revision};
use super::steps::{RowPlace, Steps, kind};
use crate::conflict::RowKey;
use crate::doc::Doc;
use crate::error::ReadError;
use crate::key::IntoKey;
use crate::rows::Rows;
use crate::store_ref::StoreRef;
use crate::table::Table;
use crate::watch::ChangeKind;

impl<T> Table<T> {
    /// Iterates over the changes of the row with a key, the newest first.
    ///
    /// The cost is that of the row's own changes. The iterator holds a snapshot: take what you
    /// show, and drop it.
    ///
    /// # Errors
    /// [`ReadError`] when the key cannot be used or rows cannot be read.
    pub fn history(&self, key: impl IntoKey) -> Result<RowHistory, ReadError> {
        let store = self.store();
        let key = key.into_key().encode().map_err(weald_crdt::ReadError::from)?;
        let (rows, store_name) = (store.rows()?, store.name.to_string());
        let place = RowPlace { store: store_name, type_name: TableType::NAME.into(), key };
        let steps = Steps::new(&rows, store.database, &store.core.types).of_row(&place)?;
        let changes = steps.iter().map(|step| Change {
            number: step.number,
            rows: vec![(place.key.clone(), step.values.clone())],
        });
        let changes = changes.collect();
        RowHistory::new(store, rows, Subject::Row(place), changes)
    }
}

impl Doc {
    /// Iterates over the changes of the document as a whole, the newest first.
    ///
    /// Asking for it costs the document's changes, and each revision the document: for one leaf
    /// of a large document, filter [`crate::Database::history_of`]. The iterator holds a snapshot.
    ///
    /// # Errors
    /// [`ReadError`] when rows cannot be read.
    pub fn history(&self) -> Result<RowHistory, ReadError> {
        let store = self.store();
        let rows = store.rows()?;
        let steps =
            store_steps(&rows, store.database, &store.core.types, (&store.name, DocType::NAME))?;
        let changes = steps.into_iter().map(|step| Change { number: step.number, rows: step.rows });
        let changes = changes.collect();
        let mut now = MemoryView::new();
        copy_leaves(store, &rows, &mut now)?;
        RowHistory::new(store, rows, Subject::Doc(now), changes)
    }
}

/// Copies the rows of a document that reading it needs.
fn copy_leaves(store: &StoreRef, rows: &Rows, copy: &mut MemoryView) -> Result<(), StoreError> {
    let view = store.view(rows);
    for area in [Area::State, Area::Buried] {
        let all = std::ops::Bound::Unbounded;
        let copied = view.range(area, all, all, false, &mut |key, row| {
            copy.put(area, key, row.to_vec());
            std::ops::ControlFlow::Continue(())
        });
        copied.map_err(|error| store_error(&error))?;
    }
    Ok(())
}

/// What one entry did to the rows that are told of.
struct Change {
    number: Number,
    rows: Vec<(Vec<u8>, RowValues)>,
}

/// What is told of.
enum Subject {
    Row(RowPlace),
    /// A document, as it was after the change that comes next.
    Doc(MemoryView),
}

/// Iterates over the changes of one row, or of one document.
pub struct RowHistory {
    store: StoreRef,
    rows: Rows,
    names: Names,
    subject: Subject,
    changes: VecDeque<Change>,
    oldest_first: bool,
}

impl fmt::Debug for RowHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowHistory").field("left", &self.changes.len()).finish_non_exhaustive()
    }
}

impl RowHistory {
    fn new(
        store: &StoreRef,
        rows: Rows,
        subject: Subject,
        changes: VecDeque<Change>,
    ) -> Result<Self, ReadError> {
        let names = names(&store.core, store.database, &rows)?;
        let store = store.clone();
        Ok(Self { store, rows, names, subject, changes, oldest_first: false })
    }

    /// Goes from the oldest of the changes that are left to the newest. From the newest by default.
    #[must_use]
    pub fn reverse(mut self) -> Self {
        self.oldest_first = !self.oldest_first;
        if let Subject::Doc(view) = &mut self.subject {
            let ordered: Box<dyn Iterator<Item = &Change>> = match self.oldest_first {
                true => Box::new(self.changes.iter().rev()),
                false => Box::new(self.changes.iter()),
            };
            for change in ordered {
                turn(view, change, self.oldest_first);
            }
        }
        self
    }

    fn revision(&mut self, change: &Change) -> Result<Option<Revision>, ReadError> {
        let (key, kind, values) = match &mut self.subject {
            Subject::Row(place) => {
                let types = &self.store.core.types;
                let values = change.rows.first().map(|(_, values)| values);
                let show = |row: Option<&Vec<u8>>| place.show(types, row.map(Vec::as_slice));
                let before = show(values.and_then(|values| values.before.as_ref()));
                let after = show(values.and_then(|values| values.after.as_ref()));
                (place.named(), kind(before.as_ref(), after.as_ref()), (before, after))
            }
            Subject::Doc(view) => {
                let here = doc::to_value(view)?;
                turn(view, change, !self.oldest_first);
                let there = doc::to_value(view)?;
                let kind = (here != there).then_some(ChangeKind::Updated);
                let values = if self.oldest_first { (here, there) } else { (there, here) };
                (RowKey::Doc(Path::root()), kind, (Some(values.0), Some(values.1)))
            }
        };
        let Some(kind) = kind else { return Ok(None) };
        let stored = Graph::new(&self.rows, self.store.database).stored(change.number)?;
        let origin = Origin::of(&stored, &self.names);
        Ok(Some(origin.revision(self.store.name.to_string(), key, kind, values)))
    }
}

/// Makes a document's rows what they were before a change, or after it.
///
/// A row that is gone is kept buried, as the place of an element is looked for there too.
fn turn(view: &mut MemoryView, change: &Change, back: bool) {
    for (key, values) in &change.rows {
        let (to, from) = match back {
            true => (&values.before, &values.after),
            false => (&values.after, &values.before),
        };
        match (to, from) {
            (Some(row), _) => view.put(Area::State, key, row.clone()),
            (None, from) => {
                view.remove(Area::State, key);
                if let Some(row) = from {
                    view.put(Area::Buried, key, row.clone());
                }
            }
        }
    }
}

impl Iterator for RowHistory {
    type Item = Result<Revision, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let next = match self.oldest_first {
                true => self.changes.pop_front(),
                false => self.changes.pop_back(),
            };
            match self.revision(&next?) {
                Ok(Some(revision)) => return Some(Ok(revision)),
                Ok(None) => {}
                Err(error) => {
                    self.changes.clear();
                    return Some(Err(error));
                }
            }
        }
    }
}
