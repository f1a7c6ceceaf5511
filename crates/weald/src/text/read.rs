//! Reading a text.
//!
//! Invariant: each read sees what is committed by then; a text that was never written is empty.

use std::fmt;

use super::cursor::{Side, TextCursor};
use super::error::TextError;
use super::replica::{Replica, ReplicaError};
use super::shown::TextSpan;
use crate::error::ReadError;
use crate::store_ref::StoreRef;

/// Reads a text. Cloning is cheap; each read sees what is committed by then.
///
/// Positions and lengths count unicode scalar values (`char`s), not bytes.
#[derive(Clone)]
pub struct Text {
    store: StoreRef,
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Text").field("name", &self.store.name).finish_non_exhaustive()
    }
}

impl Text {
    pub(crate) const fn new(store: StoreRef) -> Self {
        Self { store }
    }

    /// Returns the whole text, without marks.
    ///
    /// # Errors
    /// [`ReadError`] when a row cannot be read.
    pub fn read(&self) -> Result<String, ReadError> {
        self.with(Replica::text)
    }

    /// Returns the number of characters (unicode scalar values).
    ///
    /// # Errors
    /// [`ReadError`] when a row cannot be read.
    pub fn len(&self) -> Result<usize, ReadError> {
        self.with(Replica::len)
    }

    /// Returns whether there are no characters.
    ///
    /// # Errors
    /// [`ReadError`] when a row cannot be read.
    pub fn is_empty(&self) -> Result<bool, ReadError> {
        Ok(self.len()? == 0)
    }

    /// Returns the text in stretches of equal marks.
    ///
    /// # Errors
    /// [`ReadError`] when a row cannot be read.
    pub fn rich(&self) -> Result<Vec<TextSpan>, ReadError> {
        self.with(Replica::spans)
    }

    /// Returns a cursor that stays at its place while the text is edited around it.
    ///
    /// # Errors
    /// [`TextError::OutOfRange`] for a position past the end.
    pub fn cursor(&self, position: usize, side: Side) -> Result<TextCursor, ReadError> {
        self.with(|replica| replica.cursor(position, side))
    }

    /// Returns where a cursor is now. One whose character was deleted is where that was.
    ///
    /// # Errors
    /// [`TextError::UnknownCursor`] for a character that was never here.
    pub fn position(&self, cursor: &TextCursor) -> Result<usize, ReadError> {
        self.with(|replica| replica.position(cursor))
    }

    fn with<T>(&self, read: impl FnOnce(&Replica) -> Result<T, TextError>) -> Result<T, ReadError> {
        let StoreRef { core, database, name, .. } = &self.store;
        let rows = self.store.rows()?;
        let view = self.store.view(&rows);
        if self.store.is_past() {
            // Those in memory are of now.
            return Ok(read(&Replica::load(&view)?)?);
        }
        let replica = core.texts.take(*database, name, &view)?;
        let found = read(&replica);
        if !matches!(found, Err(TextError::Damaged)) {
            core.texts.put(*database, name, replica);
        }
        Ok(found?)
    }
}

impl From<ReplicaError> for ReadError {
    fn from(error: ReplicaError) -> Self {
        match error {
            ReplicaError::View(error) => Self::Rows(error.into()),
            ReplicaError::Broken(broken) => Self::Text(broken.into()),
        }
    }
}
