//! Counters: a row for each key. Increments made apart all count; a reset takes away those that it
//! has seen, directly or through later ones, and no other.

mod draft;
mod operation;
mod read;

pub use draft::CounterDraft;
pub use read::{VisitCounter, get, range, sum};

use crate::fold::{Layout, RowOperation, Slot, Slots, Slotted};
use crate::section::Void;
use crate::value::Value;

const VERSION: u64 = 1;

/// Merges counters.
#[derive(Clone, Copy, Debug, Default)]
pub struct CounterType;

impl CounterType {
    /// The name that payloads begin with.
    pub const NAME: &'static str = "counter";
}

/// The counters as the fold knows them: the main slot counts.
pub(crate) struct CounterLayout;

impl Layout for CounterLayout {
    const SHOWS_MAIN: bool = true;

    fn decode<'a>(&self, payload: &'a [u8], own: [u8; 32]) -> Result<Vec<RowOperation<'a>>, Void> {
        let operations = operation::decode(payload, own)?;
        Ok(operations.into_iter().map(operation::Operation::on_row).collect())
    }

    fn unpack(&self, _key: &[u8], row: &[u8]) -> Option<Slots> {
        Some(Slots { main: Slot::unpack_counter(row)?, ..Slots::default() })
    }

    fn pack(&self, _key: &[u8], slots: &Slots) -> Vec<u8> {
        let mut row = Vec::new();
        slots.main.pack(&mut row);
        row
    }
}

impl Slotted for CounterType {
    type Rows = CounterLayout;
    const ROWS: CounterLayout = CounterLayout;
    const TYPE_NAME: &'static str = Self::NAME;

    fn shown(_key: &[u8], row: &[u8]) -> Option<Value> {
        read::sum(row).map(Value::from_wide)
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::draw;
