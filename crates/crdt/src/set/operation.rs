//! The operations on a set as they travel: `[0, member, names]` adds and `[1, member, names]`
//! removes. The canonical bytes of a member are limited as keys are.

use std::borrow::Cow;

use super::{SetType, VERSION};
use crate::fold::{Effect, RowOperation, SlotId};
use crate::limits::{MAX_COMPONENT_BYTES, MAX_NESTING};
use crate::malformed::Malformed;
use crate::section::{SectionReader, SectionWriter, Void};
use crate::stamp::Dot;

const ADD: u64 = 0;
const REMOVE: u64 = 1;
const FIELDS: usize = 3;
/// An operation touches its member and nothing else.
const SLOTS: usize = 1;

/// One operation on a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operation<'a> {
    pub(super) member: &'a [u8],
    pub(super) names: Vec<Dot>,
    pub(super) is_added: bool,
}

impl<'a> Operation<'a> {
    /// Returns what the operation does to the member's row.
    pub(super) fn on_row(self) -> RowOperation<'a> {
        let effect = if self.is_added { Effect::Set(&[]) } else { Effect::Remove };
        let touches = vec![(SlotId::Main, effect)];
        RowOperation { row: Cow::Borrowed(self.member), names: self.names, touches }
    }

    pub(super) fn encode(&self, section: &mut SectionWriter) {
        section.push(|out| {
            out.array(FIELDS);
            out.unsigned(if self.is_added { ADD } else { REMOVE });
            out.raw(self.member);
            out.names(&self.names, SLOTS);
        });
    }
}

/// Decodes a payload of the entry `own`, and checks every rule of the type.
pub(super) fn decode(payload: &[u8], own: [u8; 32]) -> Result<Vec<Operation<'_>>, Void> {
    let mut section = SectionReader::open(payload, SetType::NAME, VERSION, own)?;
    let mut operations = Vec::with_capacity(section.count());
    for index in (0..).take(section.count()) {
        let length = section.reader.array()?;
        let kind = section.reader.unsigned()?;
        let member = section.reader.raw_value(MAX_NESTING)?;
        if member.len() > MAX_COMPONENT_BYTES {
            return Err(Malformed::TooLong.into());
        }
        let names = section.names(index)?;
        section.touch(SLOTS)?;
        if length != FIELDS || kind > REMOVE {
            return Err(Malformed::Expected { what: "an operation on a set" }.into());
        }
        operations.push(Operation { member, names, is_added: kind == ADD });
    }
    section.reader.finish()?;
    Ok(operations)
}
