//! A set of values: a row for each member, which is its key. A member added while it is removed
//! elsewhere stays.

mod draft;
mod operation;
mod read;

pub use draft::SetDraft;
pub use read::{VisitMember, contains, count, members};

use crate::fold::{Layout, RowOperation, Slot, Slots, Slotted};
use crate::limits::MAX_COMPONENT_BYTES;
use crate::section::Void;
use crate::value::{Value, ValueError};

const VERSION: u64 = 1;

/// Merges sets.
#[derive(Clone, Copy, Debug, Default)]
pub struct SetType;

impl SetType {
    /// The name that payloads begin with.
    pub const NAME: &'static str = "set";
}

/// Returns the canonical bytes of a member, which are the key of its row.
///
/// # Errors
/// [`ValueError`] for a value that cannot be stored, or one of more than
/// [`MAX_COMPONENT_BYTES`] bytes.
pub fn encode_member(member: &Value) -> Result<Vec<u8>, ValueError> {
    let key = member.encode()?;
    if key.len() > MAX_COMPONENT_BYTES {
        return Err(ValueError::MemberTooLong { length: key.len() });
    }
    Ok(key)
}

/// The members as the fold knows them: the main slot says whether one is there.
pub(crate) struct SetLayout;

impl Layout for SetLayout {
    // A member that is there again is the same member.
    const SHOWS_MAIN: bool = false;

    fn decode<'a>(&self, payload: &'a [u8], own: [u8; 32]) -> Result<Vec<RowOperation<'a>>, Void> {
        let operations = operation::decode(payload, own)?;
        Ok(operations.into_iter().map(operation::Operation::on_row).collect())
    }

    fn unpack(&self, _key: &[u8], row: &[u8]) -> Option<Slots> {
        Some(Slots { main: Slot::unpack(row)?, ..Slots::default() })
    }

    fn pack(&self, _key: &[u8], slots: &Slots) -> Vec<u8> {
        let mut row = Vec::new();
        slots.main.pack(&mut row);
        row
    }
}

impl Slotted for SetType {
    type Rows = SetLayout;
    const ROWS: SetLayout = SetLayout;
    const TYPE_NAME: &'static str = Self::NAME;

    fn shown(key: &[u8], _row: &[u8]) -> Option<Value> {
        Value::decode(key).ok()
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::draw;
