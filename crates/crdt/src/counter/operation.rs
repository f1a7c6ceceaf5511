//! The operations on counters as they travel: `[0, key, names, amount]` adds and `[1, key, names]`
//! resets. Keys are byte strings in the order-preserving encoding.

use std::borrow::Cow;

use super::{CounterType, VERSION};
use crate::fold::{Effect, RowOperation, SlotId};
use crate::key::Key;
use crate::malformed::Malformed;
use crate::section::{SectionReader, SectionWriter, Void};
use crate::stamp::Dot;

const ADD: u64 = 0;
const RESET: u64 = 1;
/// An operation touches its counter and nothing else.
const SLOTS: usize = 1;

/// One operation on a counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operation<'a> {
    pub(super) key: &'a [u8],
    pub(super) names: Vec<Dot>,
    /// What is added, or `None` to reset.
    pub(super) amount: Option<i64>,
}

impl<'a> Operation<'a> {
    /// Returns what the operation does to the counter's row.
    pub(super) fn on_row(self) -> RowOperation<'a> {
        let effect = self.amount.map_or(Effect::Reset, Effect::Add);
        let touches = vec![(SlotId::Main, effect)];
        RowOperation { row: Cow::Borrowed(self.key), names: self.names, touches }
    }

    pub(super) fn encode(&self, section: &mut SectionWriter) {
        section.push(|out| {
            out.array(if self.amount.is_some() { 4 } else { 3 });
            out.unsigned(if self.amount.is_some() { ADD } else { RESET });
            out.bytes(self.key);
            out.names(&self.names, SLOTS);
            if let Some(amount) = self.amount {
                out.signed(amount);
            }
        });
    }
}

/// Decodes a payload of the entry `own`, and checks every rule of the type.
pub(super) fn decode(payload: &[u8], own: [u8; 32]) -> Result<Vec<Operation<'_>>, Void> {
    let mut section = SectionReader::open(payload, CounterType::NAME, VERSION, own)?;
    let mut operations = Vec::with_capacity(section.count());
    for index in (0..).take(section.count()) {
        let length = section.reader.array()?;
        let kind = section.reader.unsigned()?;
        let key = section.reader.bytes()?;
        Key::decode(key)?;
        let names = section.names(index)?;
        section.touch(SLOTS)?;
        let amount = match (kind, length) {
            (ADD, 4) => Some(section.reader.signed()?),
            (RESET, 3) => None,
            _ => return Err(Malformed::Expected { what: "an operation on a counter" }.into()),
        };
        operations.push(Operation { key, names, amount });
    }
    section.reader.finish()?;
    Ok(operations)
}
