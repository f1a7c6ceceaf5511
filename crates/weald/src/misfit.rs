//! What is stored and is not of the type that an app reads it as.
//!
//! Invariant: it names the store and the row, and the rows beside it are read all the same.

use serde::de::DeserializeOwned;
use thiserror::Error;
use weald_crdt::{Value, ValueError};

use crate::conflict::RowKey;

/// Tells that a row is not of the type it was read as.
///
/// The row is there and whole: read it as a [`Value`], or with a type that fits it. Other rows are
/// not hidden by it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "the row {key:?} of the store '{store}' does not fit its type; read it as a Value, or change the type or the row: {source}"
)]
#[non_exhaustive]
pub struct Misfit {
    /// The store.
    pub store: String,
    /// The row.
    pub key: RowKey,
    /// What does not fit.
    #[source]
    pub source: ValueError,
}

impl Misfit {
    /// Turns a stored value into a `T`.
    pub(crate) fn check<T: DeserializeOwned>(
        value: &Value,
        store: &str,
        key: impl FnOnce() -> RowKey,
    ) -> Result<T, Box<Self>> {
        Self::of(value.to_serde(), store, key)
    }

    /// Tells of which row it is that does not fit.
    pub(crate) fn of<T>(
        outcome: Result<T, ValueError>,
        store: &str,
        key: impl FnOnce() -> RowKey,
    ) -> Result<T, Box<Self>> {
        outcome.map_err(|source| Box::new(Self { store: store.to_owned(), key: key(), source }))
    }
}
