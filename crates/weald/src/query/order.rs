//! The order in which a query gives rows, and the part of that order that it asks for.
//!
//! Invariant: every row has one position in an order, and positions sort as the rows do.

use weald_crdt::Malformed;
use weald_dag::KeyRange;
use weald_engine::{IndexError, IndexRange};

use super::found::Found;
use super::index::find;
use crate::error::ReadError;
use crate::rows::Rows;
use crate::store_ref::StoreRef;

/// Orders rows: [`ByKey`], or [`ByIndex`].
#[allow(private_bounds)]
pub trait QueryOrder: Part {}

impl<O: Part> QueryOrder for O {}

/// Finds the part of an order that is asked for.
pub(crate) trait Part: Clone {
    fn find(&self, rows: &Rows, store: &StoreRef, type_name: &str) -> Result<Found, ReadError>;
}

/// The order of keys: of a table that of its rows, of a log that of the stamps.
#[derive(Clone, Debug)]
pub struct ByKey(pub(super) Result<KeyRange, Malformed>);

/// The order of an index, and of keys where its values are equal.
#[derive(Clone, Debug)]
pub struct ByIndex {
    pub(super) name: String,
    pub(super) range: IndexRange,
}

impl Part for ByKey {
    fn find(&self, _: &Rows, _: &StoreRef, _: &str) -> Result<Found, ReadError> {
        let keys = self.0.clone().map_err(weald_crdt::ReadError::from)?;
        Ok(Found::Keys(keys))
    }
}

impl Part for ByIndex {
    fn find(&self, rows: &Rows, store: &StoreRef, type_name: &str) -> Result<Found, ReadError> {
        let definition = find(rows, store, type_name, &self.name)?;
        if !self.range.fits(&definition) {
            return Err(IndexError::Values { name: self.name.clone() }.into());
        }
        Ok(Found::Index(Box::new(definition), self.range.clone()))
    }
}
