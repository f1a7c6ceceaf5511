//! Sections of an app's own store types: each operation is a value, strictly coded.
//!
//! Invariant: equal operations have equal bytes, and a payload that was not written by
//! [`OwnDraft`] or the like does not decode.

use crate::draft::DraftError;
use crate::limits::MAX_NESTING;
use crate::malformed::Malformed;
use crate::section::{SectionReader, SectionWriter, Void};
use crate::value::Value;

/// Collects the operations of a transaction on one store of an app's own type.
///
/// ```
/// use weald_crdt::{OwnDraft, Value, operations};
///
/// let mut draft = OwnDraft::new("votes", 1);
/// draft.push(&Value::from("yes"))?;
/// assert_eq!(operations(&draft.encode(), "votes", 1)?, [Value::from("yes")]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct OwnDraft {
    type_name: &'static str,
    version: u64,
    section: SectionWriter,
}

impl OwnDraft {
    /// Starts without operations, for a version of a type.
    pub fn new(type_name: &'static str, version: u64) -> Self {
        Self { type_name, version, section: SectionWriter::default() }
    }

    /// Returns the name of the type.
    pub const fn type_name(&self) -> &'static str {
        self.type_name
    }

    /// Adds an operation, and returns its index in the section.
    ///
    /// # Errors
    /// [`DraftError`] for a value that cannot be stored, or a section over its limits; the draft is
    /// as it was then.
    pub fn push(&mut self, operation: &Value) -> Result<u32, DraftError> {
        let mut encoded = Vec::new();
        operation.encode_into(&mut encoded, MAX_NESTING)?;
        let (index, mark) = (self.section.next_index(), self.section.mark());
        self.section.push(|out| out.raw(&encoded));
        if let Err(limit) = self.section.check() {
            self.section.reset(mark);
            return Err(limit.into());
        }
        Ok(index)
    }

    /// Returns whether there is no operation.
    pub fn is_empty(&self) -> bool {
        self.section.count() == 0
    }

    /// Returns the payload of the section.
    pub fn encode(&self) -> Vec<u8> {
        self.section.encode(self.type_name, self.version)
    }
}

/// Returns the operations of a section of an app's own type, in order; the index of each, with the
/// entry, gives its stamp.
///
/// # Errors
/// [`Void`] if the payload is of another type or version, or does not decode.
pub fn operations(payload: &[u8], type_name: &str, version: u64) -> Result<Vec<Value>, Void> {
    let mut section = SectionReader::open(payload, type_name, version, [0; 32])?;
    if section.id_count() > 0 {
        return Err(Malformed::Expected { what: "no list of entry ids" }.into());
    }
    let mut operations = Vec::with_capacity(section.count());
    for _ in 0..section.count() {
        operations.push(Value::decode(section.reader.raw_value(MAX_NESTING)?)?);
    }
    section.reader.finish()?;
    Ok(operations)
}
