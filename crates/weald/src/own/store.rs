//! Reading the rows of a store of an app's own type.
//!
//! Invariant: a view shows one moment, however long it is kept.

use std::fmt;
use std::ops::Bound;

use weald_crdt::{Applied, Area, View, ViewError, VisitRow};
use weald_engine::{StorePlace, StoreView};

use crate::error::ReadError;
use crate::rows::Rows;
use crate::store_ref::StoreRef;

/// Reads a store of an app's own type. Cloning is cheap.
#[derive(Clone)]
pub struct OwnStore {
    store: StoreRef,
}

impl fmt::Debug for OwnStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnStore").field("name", &self.store.name).finish_non_exhaustive()
    }
}

impl OwnStore {
    pub(crate) const fn new(store: StoreRef) -> Self {
        Self { store }
    }

    /// Returns the rows as they are now. A view that is kept for long keeps the disk from using
    /// freed pages again.
    ///
    /// # Errors
    /// [`ReadError`] when the rows cannot be had.
    pub fn view(&self) -> Result<OwnView, ReadError> {
        Ok(OwnView { rows: self.store.rows()?, place: self.store.place().clone() })
    }
}

/// The rows of a store of an app's own type at one moment.
#[derive(Clone)]
pub struct OwnView {
    rows: Rows,
    place: StorePlace,
}

impl fmt::Debug for OwnView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnView").finish_non_exhaustive()
    }
}

impl OwnView {
    fn store(&self) -> StoreView<'_, Rows> {
        StoreView::new(&self.rows, self.place.clone())
    }
}

impl View for OwnView {
    fn get(&self, area: Area, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        self.store().get(area, key)
    }

    fn range(
        &self,
        area: Area,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        reverse: bool,
        visit: &mut VisitRow<'_>,
    ) -> Result<(), ViewError> {
        self.store().range(area, from, to, reverse, visit)
    }

    fn applied(&self, entry: &[u8; 32]) -> Result<Option<Applied>, ViewError> {
        self.store().applied(entry)
    }
}
