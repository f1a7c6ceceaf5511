//! What all readers share: a version with its value, and what can go wrong.

use thiserror::Error;

use crate::malformed::Malformed;
use crate::stamp::Stamp;
use crate::value::Value;
use crate::view::{RowError, ViewError};

/// Holds one version of a field, leaf or item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Which operation wrote it; the entry tells the author.
    pub stamp: Stamp,
    /// What it wrote.
    pub value: Value,
}

/// Says why a read failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The rows could not be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// A row is damaged.
    #[error(transparent)]
    Row(#[from] RowError),
    /// The key or path cannot be used.
    #[error("the key or path cannot be used: {0}")]
    Key(#[from] Malformed),
}
