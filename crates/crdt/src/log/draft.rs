//! The appends of a transaction to one log.

use super::{LogType, VERSION, key};
use crate::draft::DraftError;
use crate::limits::MAX_NESTING;
use crate::section::SectionWriter;
use crate::stamp::{EntryStamp, Stamp};
use crate::value::Value;
use crate::view::{Area, ViewMut};

/// Collects the items that a transaction appends.
#[derive(Clone, Debug, Default)]
pub struct LogDraft {
    section: SectionWriter,
}

impl LogDraft {
    /// Starts without items.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends an item, and returns its provisional stamp; the index stays, time and entry come
    /// with the commit.
    ///
    /// # Errors
    /// [`DraftError`] for a value that cannot be stored, or a section over its limits.
    pub fn append(&mut self, view: &mut dyn ViewMut, value: &Value) -> Result<Stamp, DraftError> {
        let mut encoded = Vec::new();
        value.encode_into(&mut encoded, MAX_NESTING)?;
        let stamp = EntryStamp::PROVISIONAL.at(self.section.next_index());
        let mark = self.section.mark();
        self.section.push(|out| out.raw(&encoded));
        if let Err(limit) = self.section.check() {
            self.section.reset(mark);
            return Err(limit.into());
        }
        view.put(Area::State, &key(&stamp), encoded);
        Ok(stamp)
    }

    /// Returns whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.section.count() == 0
    }

    /// Returns the payload of the section.
    pub fn encode(&self) -> Vec<u8> {
        self.section.encode(LogType::NAME, VERSION)
    }
}
