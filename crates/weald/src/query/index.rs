//! Declaring the indexes of a store, and seeing how far they are.
//!
//! Invariant: an index belongs to this device alone; it is never sent, and peers may have others.

use std::fmt;
use std::ops::{Bound, ControlFlow};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use weald_crdt::{Area, Path, View};
use weald_engine::{
    IndexDeclaration, IndexDefinition, IndexError, IndexScan, IndexShape, index_definition,
    index_definitions, store_error,
};

use super::duplicates::Duplicates;
use crate::core::lost;
use crate::desk::{Declare, Discard, Job};
use crate::reply::reply;
use crate::rows::Rows;
use crate::store_ref::StoreRef;

/// Which fields an index orders by.
///
/// A field is named by the map keys that lead to it: `["age"]`, or `["address", "city"]`. A row that
/// lacks one of the fields is not in the index, unless it is declared [`Index::including_missing`];
/// one that holds a list or a map there is never.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index(IndexShape);

impl Index {
    /// Orders by a field.
    pub fn on(field: impl Into<Path>) -> Self {
        Self(IndexShape { fields: vec![field.into()], is_unique: false, includes_missing: false })
    }

    /// Orders rows with equal values so far by one more field, up to
    /// [`INDEX_FIELDS_MAX`](crate::INDEX_FIELDS_MAX).
    #[must_use]
    pub fn and(mut self, field: impl Into<Path>) -> Self {
        self.0.fields.push(field.into());
        self
    }

    /// Says that no two rows should have the same values. Not so by default.
    ///
    /// Nothing is refused: two devices may write the same value without knowing of each other. Rows
    /// that have it in common are told by [`StoreIndex::duplicates`].
    #[must_use]
    pub fn unique(mut self) -> Self {
        self.0.is_unique = true;
        self
    }

    /// Takes in rows that lack a field, too, before all that have it. Not so by default.
    #[must_use]
    pub fn including_missing(mut self) -> Self {
        self.0.includes_missing = true;
        self
    }
}

/// The indexes of one store on this device.
#[derive(Clone)]
pub struct Indexes {
    store: StoreRef,
    type_name: &'static str,
}

impl fmt::Debug for Indexes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Indexes").field("store", &self.store.name).finish_non_exhaustive()
    }
}

impl Indexes {
    pub(crate) const fn new(store: StoreRef, type_name: &'static str) -> Self {
        Self { store, type_name }
    }

    /// Declares an index, and returns it. When it is there already, with the same fields and
    /// options, nothing is done, so an app may declare its indexes at every start.
    ///
    /// Rows that are there already are taken in step by step while commits go on, also after a
    /// restart; queries give the right answer meanwhile, by reading all rows.
    ///
    /// # Errors
    /// [`IndexError::Differs`] when the name is in use for other fields or options,
    /// [`IndexError::Field`] for a field that cannot be, and others for limits.
    pub fn declare(&self, name: &str, index: Index) -> Result<StoreIndex, IndexError> {
        if self.store.place().is_sealed() {
            return Err(IndexError::Sealed { store: self.store.name.to_string() });
        }
        let declaration = IndexDeclaration {
            store: self.store.name.to_string(),
            type_name: self.type_name.to_owned(),
            name: name.to_owned(),
            shape: index.0,
        };
        let (answer, reply) = reply();
        let database = self.store.database;
        let declare = Declare { database, declaration, answer };
        self.store.core.submit(Job::Declare(Box::new(declare)))?;
        let definition = reply.wait().unwrap_or_else(|| Err(lost().into()))?;
        Ok(StoreIndex::new(self.store.clone(), definition))
    }

    /// Returns an index by its name.
    ///
    /// # Errors
    /// [`IndexError::Unknown`] when the store has no such index on this device.
    pub fn get(&self, name: &str) -> Result<StoreIndex, IndexError> {
        let rows = self.store.core.rows()?;
        let definition = find(&rows, &self.store, self.type_name, name)?;
        Ok(StoreIndex::new(self.store.clone(), definition))
    }

    /// Lists the indexes of the store, by name.
    ///
    /// # Errors
    /// [`IndexError::Store`] when the rows cannot be read.
    pub fn list(&self) -> Result<Vec<StoreIndex>, IndexError> {
        let all = index_definitions(&self.store.core.rows()?, self.store.database)?;
        let of_store = all
            .into_iter()
            .filter(|index| index.store == *self.store.name && index.type_name == self.type_name);
        Ok(of_store.map(|index| StoreIndex::new(self.store.clone(), index)).collect())
    }

    /// Drops an index, and returns whether there was one. Queries that name it fail from now on.
    ///
    /// # Errors
    /// [`IndexError::Store`] when the rows cannot be written.
    pub fn drop(&self, name: &str) -> Result<bool, IndexError> {
        let (answer, reply) = reply();
        let store = (self.store.name.to_string(), self.type_name);
        let name = name.to_owned();
        let discard = Discard { database: self.store.database, store, name, answer };
        self.store.core.submit(Job::Discard(Box::new(discard)))?;
        reply.wait().unwrap_or_else(|| Err(lost().into()))
    }
}

/// Finds the index of a store.
pub(super) fn find(
    rows: &Rows,
    store: &StoreRef,
    type_name: &str,
    name: &str,
) -> Result<IndexDefinition, IndexError> {
    if store.place().is_sealed() {
        return Err(IndexError::Sealed { store: store.name.to_string() });
    }
    let found = index_definition(rows, store.database, (&store.name, type_name), name)?;
    let (store, name) = (store.name.to_string(), name.to_owned());
    found.ok_or(IndexError::Unknown { store, name })
}

/// An index of a store on this device. Cloning is cheap.
#[derive(Clone)]
pub struct StoreIndex {
    pub(super) store: StoreRef,
    pub(super) definition: IndexDefinition,
    total: Arc<OnceLock<u64>>,
}

impl fmt::Debug for StoreIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let IndexDefinition { store, name, shape, .. } = &self.definition;
        let mut index = f.debug_struct("StoreIndex");
        index.field("store", store).field("name", name).field("shape", shape);
        index.finish_non_exhaustive()
    }
}

/// How far an index is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexProgress {
    /// How many rows were looked at.
    pub done: u64,
    /// How many rows there were when this handle was first asked, or more if more were looked at.
    pub total: u64,
    /// Whether the index tells of every row, so that queries use it.
    pub is_ready: bool,
}

impl StoreIndex {
    fn new(store: StoreRef, definition: IndexDefinition) -> Self {
        Self { store, definition, total: Arc::default() }
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.definition.name
    }

    /// Returns the fields it orders by.
    pub fn fields(&self) -> &[Path] {
        &self.definition.shape.fields
    }

    /// Returns whether no two rows should have the same values.
    pub fn is_unique(&self) -> bool {
        self.definition.shape.is_unique
    }

    /// Returns how far it is built. The first call on a handle counts the rows of the store while it
    /// is not ready.
    ///
    /// # Errors
    /// [`IndexError::Unknown`] when it was dropped, or [`IndexError::Store`].
    pub fn progress(&self) -> Result<IndexProgress, IndexError> {
        let rows = self.store.core.rows()?;
        let found = self.current(&rows)?;
        let (done, is_ready) = (found.built, found.is_ready());
        if is_ready {
            return Ok(IndexProgress { done, total: done, is_ready });
        }
        let total = match self.total.get() {
            Some(total) => *total,
            None => *self.total.get_or_init(|| self.count_rows(&rows).unwrap_or_default()),
        };
        Ok(IndexProgress { done, total: total.max(done), is_ready })
    }

    /// Waits until it is ready; returns whether it was in time. One that is longer than the system's
    /// clock can tell, such as [`Duration::MAX`], is for ever.
    ///
    /// # Errors
    /// [`IndexError::Unknown`] when it was dropped, [`IndexError::Store`] when building stopped,
    /// for a disk that is full say; declaring it again goes on.
    pub fn wait_ready(&self, timeout: Duration) -> Result<bool, IndexError> {
        let deadline = Instant::now().checked_add(timeout);
        let board = &self.store.core.index_board;
        loop {
            let seen = board.changes();
            if self.current(&self.store.core.rows()?)?.is_ready() {
                return Ok(true);
            }
            if let Some(error) = board.failure(self.store.database) {
                return Err(error.into());
            }
            if !board.wait(seen, deadline) {
                return Ok(false);
            }
        }
    }

    /// Counts the rows that no query by this index gives because they hold a list, a map or a
    /// decimal with an exponent over [`INDEX_EXPONENT_MAX`](crate::INDEX_EXPONENT_MAX) in one of its
    /// fields. Those of which the building has not come to yet are not counted.
    ///
    /// # Errors
    /// [`IndexError::Unknown`] when it was dropped, or [`IndexError::Store`].
    pub fn left_out(&self) -> Result<u64, IndexError> {
        let rows = self.store.core.rows()?;
        let definition = self.current(&rows)?;
        Ok(self.scan(&rows, &definition).left_out()?)
    }

    /// Iterates over values that several rows have in common, in the order of the index. A value
    /// that is missing or null is nobody's double.
    ///
    /// # Errors
    /// [`IndexError::NotUnique`] for an index that was not declared [`Index::unique`].
    pub fn duplicates(&self) -> Result<Duplicates, IndexError> {
        if !self.is_unique() {
            return Err(IndexError::NotUnique { name: self.name().to_owned() });
        }
        Ok(Duplicates::new(self.clone()))
    }

    /// Returns the index as the rows have it. One that was declared anew under its name is another.
    pub(super) fn current(&self, rows: &Rows) -> Result<IndexDefinition, IndexError> {
        let IndexDefinition { store, type_name, name, .. } = &self.definition;
        let found = find(rows, &self.store, type_name, name)?;
        let unknown = || IndexError::Unknown { store: store.clone(), name: name.clone() };
        if found.number() == self.definition.number() { Ok(found) } else { Err(unknown()) }
    }

    pub(super) fn scan<'a>(
        &'a self,
        rows: &'a Rows,
        definition: &'a IndexDefinition,
    ) -> IndexScan<'a> {
        let (database, types) = (self.store.database, &self.store.core.types);
        IndexScan { rows, database, types, definition }
    }

    fn count_rows(&self, rows: &Rows) -> Result<u64, IndexError> {
        let (mut count, all) = (0, Bound::Unbounded);
        let counted = self.store.view(rows).range(Area::State, all, all, false, &mut |_, _| {
            count += 1;
            ControlFlow::Continue(())
        });
        counted.map_err(|error| store_error(&error))?;
        Ok(count)
    }
}
