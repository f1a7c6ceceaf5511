//! The payload of a section: `[type, version, [entry ids], [operations]]` in strict CBOR. An
//! operation names others as pairs of (place in the list of ids from 1, or 0 for its own entry;
//! index of the operation).

use std::collections::BTreeMap;

use thiserror::Error;

use crate::cbor::{
    ARRAY, BYTES, Reader, UNSIGNED, put_bytes, put_head, put_length, put_signed, put_text,
};
use crate::limits::{
    MAX_NAMED_SLOTS, MAX_NAMES, MAX_OPERATIONS, MAX_PAYLOAD_BYTES, MAX_TYPE_NAME_BYTES,
};
use crate::malformed::Malformed;
use crate::stamp::{Dot, EntryStamp};

/// The type that a sealed section names: what it holds is a section of another type, for those who
/// have the key. No store type has this name.
pub const SEALED_TYPE: &str = "sealed";

/// Says why a section adds nothing to the state, on any replica.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Void {
    /// The payload is too long.
    #[error("the payload has {length} bytes, more than {MAX_PAYLOAD_BYTES}; split the transaction")]
    TooLarge {
        /// The length in bytes.
        length: usize,
    },
    /// The name of the type is empty or too long.
    #[error(
        "the name of the type has {length} bytes; name it with 1 to {MAX_TYPE_NAME_BYTES} bytes"
    )]
    TypeName {
        /// The length in bytes.
        length: usize,
    },
    /// The payload holds too many operations.
    #[error(
        "the section has {count} operations, more than {MAX_OPERATIONS}; split the transaction"
    )]
    TooManyOperations {
        /// The number of operations.
        count: usize,
    },
    /// An operation names too many others.
    #[error("an operation names {count} others, more than {MAX_NAMES}; split the operation")]
    TooManyNames {
        /// The number of names.
        count: usize,
    },
    /// The operations name too much: names times slots touched, summed up.
    #[error(
        "the operations name {count} versions, more than {MAX_NAMED_SLOTS}; split the transaction"
    )]
    TooManyNamedSlots {
        /// The sum over the operations of names times slots touched.
        count: usize,
    },
    /// A name points past the list of entry ids, or past the greatest index of an operation.
    #[error("a name points past the list of entry ids or operations")]
    UnknownName,
    /// The section is of another store type.
    #[error("the section is of the type {found:?}; apply it to a store of that type")]
    WrongType {
        /// The type that the payload names.
        found: String,
    },
    /// The section is of a version of its type that is not known here.
    #[error("the section is of version {found} of its type; update the program")]
    UnknownVersion {
        /// The version that the payload names.
        found: u64,
    },
    /// An operation breaks a rule of its type.
    #[error("the operation {index} breaks a rule of its type: {reason}; leave it out")]
    Operation {
        /// The place of the operation in the section.
        index: u32,
        /// The rule.
        reason: String,
    },
    /// The payload does not decode.
    #[error("the section does not decode: {0}")]
    Malformed(#[from] Malformed),
}

/// Returns the name of the store type a payload is for.
///
/// # Errors
/// [`Void`] if the payload is too long, does not begin as a section does, or names a type of no
/// or more than [`MAX_TYPE_NAME_BYTES`] bytes.
pub fn section_type(payload: &[u8]) -> Result<&str, Void> {
    if payload.len() > MAX_PAYLOAD_BYTES {
        return Err(Void::TooLarge { length: payload.len() });
    }
    let mut reader = Reader::new(payload);
    expect_fields(&mut reader, 4)?;
    let name = reader.text()?;
    if name.is_empty() || name.len() > MAX_TYPE_NAME_BYTES {
        return Err(Void::TypeName { length: name.len() });
    }
    Ok(name)
}

/// Reads an array head and checks its number of items.
pub(crate) fn expect_fields(reader: &mut Reader<'_>, count: usize) -> Result<(), Malformed> {
    if reader.array()? == count {
        Ok(())
    } else {
        Err(Malformed::Expected { what: "another number of fields" })
    }
}

/// Reads the operations of a payload, one after the other.
pub(crate) struct SectionReader<'a> {
    pub(crate) reader: Reader<'a>,
    own: [u8; 32],
    ids: Vec<[u8; 32]>,
    count: usize,
    /// How many names the operation has that was read last, void ones included.
    named: usize,
    named_slots: usize,
}

impl<'a> SectionReader<'a> {
    /// Opens the payload of a section that belongs to the entry `own`.
    pub(crate) fn open(
        payload: &'a [u8],
        kind: &str,
        version: u64,
        own: [u8; 32],
    ) -> Result<Self, Void> {
        let found = section_type(payload)?;
        if found != kind {
            return Err(Void::WrongType { found: found.to_owned() });
        }
        let mut reader = Reader::new(payload);
        expect_fields(&mut reader, 4)?;
        reader.text()?;
        let found = reader.unsigned()?;
        if found != version {
            return Err(Void::UnknownVersion { found });
        }
        let mut ids = Vec::new();
        for _ in 0..reader.array()? {
            let id = reader.bytes()?.try_into();
            ids.push(id.map_err(|_| Malformed::Expected { what: "an entry id of 32 bytes" })?);
        }
        let count = reader.array()?;
        if count > MAX_OPERATIONS {
            return Err(Void::TooManyOperations { count });
        }
        Ok(Self { reader, own, ids, count, named: 0, named_slots: 0 })
    }

    /// Returns the number of operations.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Returns the number of entry ids that operations may name.
    pub(crate) fn id_count(&self) -> usize {
        self.ids.len()
    }

    /// Reads the names of the operation with this index. A name of an operation of the own entry
    /// that does not come before is void, and so is one of an id that no entry has; both are left
    /// out.
    pub(crate) fn names(&mut self, index: u32) -> Result<Vec<Dot>, Void> {
        let length = self.reader.array()?;
        if !length.is_multiple_of(2) {
            return Err(Malformed::Expected { what: "pairs of names" }.into());
        }
        let count = length / 2;
        if count > MAX_NAMES {
            return Err(Void::TooManyNames { count });
        }
        self.named = count;
        let mut names = Vec::with_capacity(count);
        for _ in 0..count {
            let (place, name) = self.place_and_dot()?;
            // No entry has the id of the provisional one; only a transaction's own rows know it.
            if place > 0 && name.is_provisional() {
                continue;
            }
            if name.entry != self.own || name.index < index {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Reads the identity of an operation that the one with this index builds on: `[place, index]`.
    /// One of the own entry comes before it.
    pub(crate) fn dot(&mut self, index: u32) -> Result<Dot, Void> {
        expect_fields(&mut self.reader, 2)?;
        let (place, dot) = self.place_and_dot()?;
        let is_known = if place == 0 { dot.index < index } else { !dot.is_provisional() };
        if is_known { Ok(dot) } else { Err(Void::UnknownName) }
    }

    fn place_and_dot(&mut self) -> Result<(usize, Dot), Void> {
        let (place, index) = (self.reader.unsigned()?, self.reader.unsigned()?);
        let index = u32::try_from(index).map_err(|_| Void::UnknownName)?;
        let place = usize::try_from(place).map_err(|_| Void::UnknownName)?;
        let entry = match place.checked_sub(1) {
            None => self.own,
            Some(place) => *self.ids.get(place).ok_or(Void::UnknownName)?,
        };
        Ok((place, Dot { entry, index }))
    }

    /// Counts the slots that the operation touches whose names were read last.
    pub(crate) fn touch(&mut self, slots: usize) -> Result<(), Void> {
        self.named_slots = self.named_slots.saturating_add(self.named.saturating_mul(slots));
        check_named_slots(self.named_slots)
    }
}

fn check_named_slots(count: usize) -> Result<(), Void> {
    if count > MAX_NAMED_SLOTS { Err(Void::TooManyNamedSlots { count }) } else { Ok(()) }
}

/// Collects the operations of a transaction on one store.
#[derive(Clone, Debug, Default)]
pub(crate) struct SectionWriter {
    ids: Vec<[u8; 32]>,
    places: BTreeMap<[u8; 32], u64>,
    operations: Vec<u8>,
    count: usize,
    named_slots: usize,
}

/// The state of a [`SectionWriter`] to return to.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    ids: usize,
    length: usize,
    count: usize,
    named_slots: usize,
}

/// Bytes of a payload beside ids and operations: heads, type name and version.
const FRAME_BYTES: usize = 64;
/// Bytes of an entry id in the list.
const ID_BYTES: usize = 34;

impl SectionWriter {
    /// Returns the number of operations.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Returns the index that the next operation gets.
    pub(crate) fn next_index(&self) -> u32 {
        u32::try_from(self.count).unwrap_or(u32::MAX)
    }

    /// Appends an operation, written by `write` behind everything before.
    pub(crate) fn push(&mut self, write: impl FnOnce(&mut OperationWriter<'_>)) {
        self.count += 1;
        write(&mut OperationWriter { section: self });
    }

    /// Remembers where the section stands.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            ids: self.ids.len(),
            length: self.operations.len(),
            count: self.count,
            named_slots: self.named_slots,
        }
    }

    /// Takes everything back that was pushed since the mark.
    pub(crate) fn reset(&mut self, mark: Mark) {
        for id in self.ids.drain(mark.ids..) {
            self.places.remove(&id);
        }
        self.operations.truncate(mark.length);
        self.count = mark.count;
        self.named_slots = mark.named_slots;
    }

    /// Checks the limits of a section.
    pub(crate) fn check(&self) -> Result<(), Void> {
        if self.count > MAX_OPERATIONS {
            return Err(Void::TooManyOperations { count: self.count });
        }
        check_named_slots(self.named_slots)?;
        let length = FRAME_BYTES + self.ids.len() * ID_BYTES + self.operations.len();
        if length > MAX_PAYLOAD_BYTES { Err(Void::TooLarge { length }) } else { Ok(()) }
    }

    /// Returns the payload.
    pub(crate) fn encode(&self, kind: &str, version: u64) -> Vec<u8> {
        let mut out =
            Vec::with_capacity(FRAME_BYTES + self.ids.len() * ID_BYTES + self.operations.len());
        put_length(&mut out, ARRAY, 4);
        put_text(&mut out, kind);
        put_head(&mut out, UNSIGNED, version);
        put_length(&mut out, ARRAY, self.ids.len());
        for id in &self.ids {
            put_length(&mut out, BYTES, id.len());
            out.extend_from_slice(id);
        }
        put_length(&mut out, ARRAY, self.count);
        out.extend_from_slice(&self.operations);
        out
    }
}

/// Writes the parts of one operation.
pub(crate) struct OperationWriter<'a> {
    section: &'a mut SectionWriter,
}

impl OperationWriter<'_> {
    pub(crate) fn array(&mut self, length: usize) {
        put_length(&mut self.section.operations, ARRAY, length);
    }

    pub(crate) fn map(&mut self, length: usize) {
        put_length(&mut self.section.operations, crate::cbor::MAP, length);
    }

    pub(crate) fn unsigned(&mut self, number: u64) {
        put_head(&mut self.section.operations, UNSIGNED, number);
    }

    pub(crate) fn signed(&mut self, number: i64) {
        put_signed(&mut self.section.operations, number);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        put_bytes(&mut self.section.operations, bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        put_text(&mut self.section.operations, text);
    }

    /// Appends a value that is encoded already.
    pub(crate) fn raw(&mut self, value: &[u8]) {
        self.section.operations.extend_from_slice(value);
    }

    /// Appends the names of an operation that touches this number of slots.
    pub(crate) fn names(&mut self, names: &[Dot], slots: usize) {
        self.section.named_slots += names.len() * slots;
        self.array(names.len() * 2);
        for dot in names {
            let place = self.place(dot.entry);
            self.unsigned(place);
            self.unsigned(u64::from(dot.index));
        }
    }

    /// Appends the identity of an operation, as `[place, index]`.
    pub(crate) fn dot(&mut self, dot: &Dot) {
        self.array(2);
        let place = self.place(dot.entry);
        self.unsigned(place);
        self.unsigned(u64::from(dot.index));
    }

    /// Returns 0 for the own entry, else the place in the list of ids from 1.
    fn place(&mut self, entry: [u8; 32]) -> u64 {
        if entry == EntryStamp::PROVISIONAL.entry {
            return 0;
        }
        if let Some(place) = self.section.places.get(&entry) {
            return *place;
        }
        self.section.ids.push(entry);
        let place = self.section.ids.len() as u64;
        self.section.places.insert(entry, place);
        place
    }
}
