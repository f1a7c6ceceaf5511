//! Editing a text in a transaction.
//!
//! Invariant: reads inside see the edits made so far; an edit that fails changes nothing.

use std::fmt;
use std::ops::Range;

use serde::Serialize;
use weald_crdt::{Value, ValueError};

use super::cursor::{Side, TextCursor};
use super::draft::TextDraft;
use super::error::TextError;
use super::shown::TextSpan;
use crate::error::WriteError;
use crate::transaction::Transaction;

/// Edits a text in a transaction, and reads what it will be.
///
/// Positions and lengths count unicode scalar values (`char`s), not bytes. All edits of a
/// transaction on one text take at most [`weald_crdt::MAX_PAYLOAD_BYTES`] together.
pub struct TextMut<'tx> {
    transaction: &'tx mut Transaction,
    name: String,
}

impl fmt::Debug for TextMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextMut").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<'tx> TextMut<'tx> {
    pub(crate) const fn new(transaction: &'tx mut Transaction, name: String) -> Self {
        Self { transaction, name }
    }

    /// Inserts characters at a position; none is allowed and does nothing.
    ///
    /// # Errors
    /// [`TextError::OutOfRange`] for a position past the end, [`TextError::TooLarge`] for more than
    /// fits in a transaction.
    pub fn insert(&mut self, position: usize, text: &str) -> Result<(), WriteError> {
        Ok(self.draft()?.insert(position, text)?)
    }

    /// Inserts characters at the end.
    ///
    /// # Errors
    /// [`TextError::TooLarge`] for more than fits in a transaction.
    pub fn push(&mut self, text: &str) -> Result<(), WriteError> {
        let end = self.len()?;
        self.insert(end, text)
    }

    /// Deletes the characters of a range; an empty one is allowed and does nothing.
    ///
    /// # Errors
    /// [`TextError::OutOfRange`] or [`TextError::Backwards`] for a range that is not in the text.
    pub fn delete(&mut self, range: Range<usize>) -> Result<(), WriteError> {
        Ok(self.draft()?.delete(&range)?)
    }

    /// Deletes the characters of a range and inserts others there, both or neither.
    ///
    /// # Errors
    /// As for [`TextMut::delete`] and [`TextMut::insert`].
    pub fn splice(&mut self, range: Range<usize>, text: &str) -> Result<(), WriteError> {
        Ok(self.draft()?.splice(&range, text)?)
    }

    /// Marks the characters of a range: bold, a link, a comment. What is typed at its end later is
    /// marked as well, but for the keys `link` and `comment`. The value is a boolean, an integer that fits an `i64`, a float or a text.
    ///
    /// # Errors
    /// [`TextError::MarkKey`] or [`TextError::MarkValue`] for a key or value that cannot be stored,
    /// [`TextError::EmptyRange`] or an error of the range.
    pub fn mark<V: Serialize + ?Sized>(
        &mut self,
        range: Range<usize>,
        key: &str,
        value: &V,
    ) -> Result<(), WriteError> {
        let value = match Value::from_serde(value) {
            Err(ValueError::NotANumber) => Value::F64(f64::NAN),
            other => other?,
        };
        if value == Value::Null {
            return Err(TextError::MarkValue { found: value.kind() }.into());
        }
        Ok(self.draft()?.mark(&range, key, &value)?)
    }

    /// Takes a mark away from the characters of a range.
    ///
    /// # Errors
    /// As for [`TextMut::mark`].
    pub fn unmark(&mut self, range: Range<usize>, key: &str) -> Result<(), WriteError> {
        Ok(self.draft()?.mark(&range, key, &Value::Null)?)
    }

    /// Returns the text as the transaction sees it.
    ///
    /// # Errors
    /// [`WriteError`] when it cannot be read.
    pub fn read(&mut self) -> Result<String, WriteError> {
        Ok(self.draft()?.replica.text()?)
    }

    /// Returns the number of characters (unicode scalar values).
    ///
    /// # Errors
    /// [`WriteError`] when it cannot be read.
    pub fn len(&mut self) -> Result<usize, WriteError> {
        Ok(self.draft()?.replica.len()?)
    }

    /// Returns whether there are no characters.
    ///
    /// # Errors
    /// [`WriteError`] when it cannot be read.
    pub fn is_empty(&mut self) -> Result<bool, WriteError> {
        Ok(self.len()? == 0)
    }

    /// Returns the text in stretches of equal marks.
    ///
    /// # Errors
    /// [`WriteError`] when it cannot be read.
    pub fn rich(&mut self) -> Result<Vec<TextSpan>, WriteError> {
        Ok(self.draft()?.replica.spans()?)
    }

    /// Returns a cursor, which is of use once the transaction is committed if it stands at what
    /// was inserted in it.
    ///
    /// # Errors
    /// [`TextError::OutOfRange`] for a position past the end.
    pub fn cursor(&mut self, position: usize, side: Side) -> Result<TextCursor, WriteError> {
        Ok(self.draft()?.replica.cursor(position, side)?)
    }

    /// Returns where a cursor is now.
    ///
    /// # Errors
    /// [`TextError::UnknownCursor`] for a character that was never here.
    pub fn position(&mut self, cursor: &TextCursor) -> Result<usize, WriteError> {
        Ok(self.draft()?.replica.position(cursor)?)
    }

    /// Puts a stretch with its marks in the place of all that there is from a position on.
    pub(crate) fn write_stretch(
        &mut self,
        position: usize,
        spans: &[TextSpan],
    ) -> Result<(), WriteError> {
        Ok(self.draft()?.write_stretch(position, spans)?)
    }

    fn draft(&mut self) -> Result<&mut TextDraft, WriteError> {
        self.transaction.text_draft(&self.name)
    }
}

impl Transaction {
    /// Opens a text for editing.
    ///
    /// # Errors
    /// [`WriteError::Name`] for a name that cannot be used, or is in use for another type.
    pub fn text(&mut self, name: &str) -> Result<TextMut<'_>, WriteError> {
        self.check(name, super::TextType::NAME)?;
        Ok(TextMut::new(self, name.to_owned()))
    }

    pub(super) fn text_draft(&mut self, name: &str) -> Result<&mut TextDraft, WriteError> {
        if !self.texts.contains(name) {
            let view = self.view(name, super::TextType::NAME)?;
            let replica = self.core.texts.take(self.database, name, &view);
            let replica = replica.map_err(crate::error::ReadError::from)?;
            self.texts.add(name, TextDraft::begin(replica, &self.key.public())?);
        }
        self.texts.get(name).ok_or_else(|| TextError::Damaged.into())
    }
}
