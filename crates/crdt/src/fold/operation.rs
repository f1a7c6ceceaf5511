//! What every store made of slots says of its operations and rows, so that there is one fold.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::slot::Slot;
use crate::section::Void;
use crate::stamp::{Dot, Stamp};

/// Names a slot of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SlotId<'a> {
    /// The slot that says whether the row is there: existence, the value of a leaf, a counter.
    Main,
    /// A further slot: a field of a table.
    Field(&'a str),
}

impl SlotId<'_> {
    /// Returns the slot as dangling names know it.
    pub(super) fn encode(self) -> Vec<u8> {
        match self {
            Self::Main => vec![0],
            Self::Field(field) => [&[1], field.as_bytes()].concat(),
        }
    }
}

/// What an operation does to a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect<'a> {
    /// Writes a version into a register: its encoded value.
    Set(&'a [u8]),
    /// Removes what it names from a register.
    Remove,
    /// Adds to a counter. What it names it follows, and does not replace.
    Add(i64),
    /// Takes away from a counter what it reaches.
    Reset,
}

impl Effect<'_> {
    /// Returns what the head of such an operation holds.
    pub(super) fn value(self) -> Option<Vec<u8>> {
        match self {
            Self::Set(value) => Some(value.to_vec()),
            Self::Add(_) => Some(Vec::new()),
            Self::Remove | Self::Reset => None,
        }
    }
}

/// One operation on the slots of one row; its index is its place in the section.
#[derive(Clone, Debug)]
pub(crate) struct RowOperation<'a> {
    /// The key of the row.
    pub(crate) row: Cow<'a, [u8]>,
    /// The operations that it has seen.
    pub(crate) names: Vec<Dot>,
    /// What it does to each slot; a slot occurs once.
    pub(crate) touches: Vec<(SlotId<'a>, Effect<'a>)>,
}

/// The slots of a row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slots {
    pub(crate) main: Slot,
    pub(crate) fields: BTreeMap<String, Slot>,
}

impl Slots {
    pub(crate) fn is_live(&self) -> bool {
        self.main.is_live()
    }

    /// Returns whether nothing is left to remember.
    pub(crate) fn is_empty(&self) -> bool {
        self.all().all(|slot| slot.heads().is_empty())
    }

    /// Returns every slot, the main one first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Slot> {
        std::iter::once(&self.main).chain(self.fields.values())
    }

    /// Calls `change` with a slot, which comes into being if there is none.
    pub(super) fn change<R>(&mut self, id: SlotId<'_>, change: impl FnOnce(&mut Slot) -> R) -> R {
        let SlotId::Field(field) = id else { return change(&mut self.main) };
        match self.fields.get_mut(field) {
            Some(slot) => change(slot),
            None => change(self.fields.entry(field.to_owned()).or_default()),
        }
    }
}

/// How the rows of a store type rest, and what its sections say.
pub(crate) trait Layout {
    /// Returns whether a change of the main slot alone changes what readers see.
    const SHOWS_MAIN: bool;

    /// Decodes the operations of a section of the entry `own`, and checks every rule of the type.
    fn decode<'a>(&self, payload: &'a [u8], own: [u8; 32]) -> Result<Vec<RowOperation<'a>>, Void>;

    /// Takes the slots of a row, or `None` if it is damaged.
    fn unpack(&self, key: &[u8], row: &[u8]) -> Option<Slots>;

    /// Returns the row of these slots.
    fn pack(&self, key: &[u8], slots: &Slots) -> Vec<u8>;

    /// Returns the row that one operation makes where nothing was, by setting these slots.
    fn pack_new(&self, key: &[u8], stamp: Stamp, touches: &[(SlotId<'_>, Effect<'_>)]) -> Vec<u8> {
        let mut slots = Slots::default();
        for (slot, effect) in touches {
            slots.change(*slot, |slot| slot.push(stamp, effect.value()));
        }
        self.pack(key, &slots)
    }
}
