//! The operations of a transaction on one store. Each is recorded with the names of what it saw,
//! and applied to the transaction's own rows, so that reads inside see it; one that fails leaves
//! no trace in either.

use thiserror::Error;

use crate::counter::{CounterDraft, CounterType};
use crate::doc::{DocDraft, DocType};
use crate::log::{LogDraft, LogType};
use crate::malformed::Malformed;
use crate::path::Path;
use crate::section::Void;
use crate::set::{SetDraft, SetType};
use crate::store_type::ApplyError;
use crate::table::{TableDraft, TableType};
use crate::value::ValueError;
use crate::view::{RowError, ViewError};

/// Collects the operations on one store of a built-in type.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SectionDraft {
    /// On a log.
    Log(LogDraft),
    /// On a table.
    Table(TableDraft),
    /// On a document.
    Doc(DocDraft),
    /// On counters.
    Counter(CounterDraft),
    /// On a set.
    Set(SetDraft),
}

impl SectionDraft {
    /// Starts a section without operations, or returns `None` if no built-in type has this name.
    pub fn new(type_name: &str) -> Option<Self> {
        match type_name {
            LogType::NAME => Some(Self::Log(LogDraft::new())),
            TableType::NAME => Some(Self::Table(TableDraft::new())),
            DocType::NAME => Some(Self::Doc(DocDraft::new())),
            CounterType::NAME => Some(Self::Counter(CounterDraft::new())),
            SetType::NAME => Some(Self::Set(SetDraft::new())),
            _ => None,
        }
    }

    /// Returns the name of the store type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Log(_) => LogType::NAME,
            Self::Table(_) => TableType::NAME,
            Self::Doc(_) => DocType::NAME,
            Self::Counter(_) => CounterType::NAME,
            Self::Set(_) => SetType::NAME,
        }
    }

    /// Returns whether there is no operation.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Log(draft) => draft.is_empty(),
            Self::Table(draft) => draft.is_empty(),
            Self::Doc(draft) => draft.is_empty(),
            Self::Counter(draft) => draft.is_empty(),
            Self::Set(draft) => draft.is_empty(),
        }
    }

    /// Returns the payload of the section.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Log(draft) => draft.encode(),
            Self::Table(draft) => draft.encode(),
            Self::Doc(draft) => draft.encode(),
            Self::Counter(draft) => draft.encode(),
            Self::Set(draft) => draft.encode(),
        }
    }
}

/// Says why an operation was not taken; the transaction is as it was before.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DraftError {
    /// The value cannot be stored.
    #[error("the value cannot be stored: {0}")]
    Value(#[from] ValueError),
    /// The key or path cannot be used.
    #[error("the key or path cannot be used: {0}")]
    Key(#[from] Malformed),
    /// The section would pass one of its limits.
    #[error("the operation does not fit in the transaction: {0}")]
    Limit(#[from] Void),
    /// A row of a table, or a whole document, must be a map.
    #[error("expected a map or struct, found {found}; wrap the value in one")]
    NotAMap {
        /// What was given.
        found: &'static str,
    },
    /// The row to edit is not there.
    #[error("there is no row with this key; put one instead of editing it")]
    NoRow,
    /// There is no deleted row to bring back.
    #[error("there is no deleted row with this key to restore; put one")]
    NoDeletedRow,
    /// The path leads through something that is not a map.
    #[error("the path leads through the value at {at}, which is not a map; set a map there first")]
    ThroughScalar {
        /// Where the other value is.
        at: Path,
    },
    /// The path leads on by a key from a list, or by an element from a map; or an operation on lists
    /// or counters is for something else.
    #[error("expected {expected} at {at}, found {found}; remove it first, or use another path")]
    WrongKind {
        /// Where it is.
        at: Path,
        /// What the operation needs.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// A list has no element with this index.
    #[error("there is no place {index} in a list of {length}; use an index within it")]
    OutOfRange {
        /// What was asked for.
        index: usize,
        /// How many elements the list has.
        length: usize,
    },
    /// The element is not in its list any more.
    #[error("the element {at} is not in its list any more; look for it again")]
    NoElement {
        /// The path to the element.
        at: Path,
    },
    /// The whole document cannot be removed.
    #[error("the whole document cannot be removed; set it to an empty map")]
    Root,
    /// A row could not be read.
    #[error(transparent)]
    View(#[from] ViewError),
}

impl From<RowError> for DraftError {
    fn from(error: RowError) -> Self {
        Self::View(ViewError::new(error))
    }
}

impl From<ApplyError> for DraftError {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Void(void) => Self::Limit(void),
            ApplyError::View(view) => Self::View(view),
        }
    }
}
