//! The operations of a transaction on one set.

use super::operation::Operation;
use super::{SetLayout, SetType, VERSION, encode_member};
use crate::draft::DraftError;
use crate::fold::{self, Section, Slot};
use crate::names::{chunks, name_what_fits};
use crate::section::SectionWriter;
use crate::stamp::{Dot, EntryStamp, Stamp};
use crate::value::Value;
use crate::view::ViewMut;

/// Collects what a transaction does to a set.
#[derive(Clone, Debug, Default)]
pub struct SetDraft {
    section: SectionWriter,
}

impl SetDraft {
    /// Starts without operations.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a member, and returns whether it was not there. One that is there is added again, so that
    /// it stays if somebody else removes it at the same time.
    ///
    /// # Errors
    /// [`DraftError`] for a member that cannot be stored, or a section over its limits.
    pub fn add(&mut self, view: &mut dyn ViewMut, member: &Value) -> Result<bool, DraftError> {
        let member = encode_member(member)?;
        let slot = load(view, &member)?;
        self.stage(view, &member, &slot.stamps(), true)?;
        Ok(!slot.is_live())
    }

    /// Removes a member, and returns whether it was there; otherwise there is no operation.
    ///
    /// # Errors
    /// [`DraftError`] for a member that cannot be stored, or a section over its limits.
    pub fn remove(&mut self, view: &mut dyn ViewMut, member: &Value) -> Result<bool, DraftError> {
        let member = encode_member(member)?;
        let slot = load(view, &member)?;
        if slot.is_live() {
            self.stage(view, &member, &slot.stamps(), false)?;
        }
        Ok(slot.is_live())
    }

    /// Returns whether there is no operation.
    pub fn is_empty(&self) -> bool {
        self.section.count() == 0
    }

    /// Returns the payload of the section.
    pub fn encode(&self) -> Vec<u8> {
        self.section.encode(SetType::NAME, VERSION)
    }

    /// Records operations on a member that name its heads, and applies them to the transaction's
    /// rows, or does neither. The last one adds, if any does.
    fn stage(
        &mut self,
        view: &mut dyn ViewMut,
        member: &[u8],
        heads: &[Stamp],
        is_added: bool,
    ) -> Result<(), DraftError> {
        let alone = self.is_empty();
        name_what_fits(
            || heads.iter().copied().collect(),
            alone,
            |oldest| {
                let since = heads.iter().filter(|head| *head >= oldest);
                let named: Vec<Dot> = since.map(Stamp::dot).collect();
                let named = chunks(&named).into_iter();
                let mut operations: Vec<_> =
                    named.map(|names| Operation { member, names, is_added: false }).collect();
                if let Some(last) = operations.last_mut() {
                    last.is_added = is_added;
                }
                self.write(view, operations)
            },
        )
    }

    fn write(
        &mut self,
        view: &mut dyn ViewMut,
        operations: Vec<Operation<'_>>,
    ) -> Result<(), DraftError> {
        let (mark, first) = (self.section.mark(), self.section.next_index());
        operations.iter().for_each(|operation| operation.encode(&mut self.section));
        let staged = self.section.check().map_err(DraftError::from).and_then(|()| {
            let payload = || self.encode();
            let own = Section { entry: &EntryStamp::PROVISIONAL, payload: &payload };
            let rows: Vec<_> = operations.into_iter().map(Operation::on_row).collect();
            Ok(fold::apply(&SetLayout, &own, first, &rows, view, &mut Vec::new(), None)?)
        });
        if staged.is_err() {
            self.section.reset(mark);
        }
        staged
    }
}

fn load(view: &dyn ViewMut, member: &[u8]) -> Result<Slot, DraftError> {
    Ok(fold::load(&SetLayout, view, member)?.slots.main)
}
