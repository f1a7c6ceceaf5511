//! The operations of a transaction on the counters of a store.

use super::operation::Operation;
use super::{CounterLayout, CounterType, VERSION};
use crate::draft::DraftError;
use crate::fold::{self, Section};
use crate::key::Key;
use crate::names::{chunks, name_what_fits, newest};
use crate::section::SectionWriter;
use crate::stamp::{Dot, EntryStamp, Stamp};
use crate::view::ViewMut;

/// Collects what a transaction does to counters.
#[derive(Clone, Debug, Default)]
pub struct CounterDraft {
    section: SectionWriter,
}

impl CounterDraft {
    /// Starts without operations.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds to a counter; a counter that was never added to starts at zero.
    ///
    /// # Errors
    /// [`DraftError`] for a key that cannot be used, or a section over its limits.
    pub fn add(
        &mut self,
        view: &mut dyn ViewMut,
        key: &Key,
        amount: i64,
    ) -> Result<(), DraftError> {
        let key = key.encode()?;
        let heads = fold::load(&CounterLayout, &*view, &key)?.slots.main.stamps();
        self.stage(view, &heads, |oldest| {
            let names = newest(&heads, oldest);
            vec![Operation { key: &key, names, amount: Some(amount) }]
        })
    }

    /// Takes away from a counter all that was seen of it, and returns whether there was anything;
    /// what is added elsewhere at the same time stays.
    ///
    /// # Errors
    /// [`DraftError`] for a key that cannot be used, or a section over its limits.
    pub fn reset(&mut self, view: &mut dyn ViewMut, key: &Key) -> Result<bool, DraftError> {
        let key = key.encode()?;
        let slot = fold::load(&CounterLayout, &*view, &key)?.slots.main;
        if !slot.is_live() {
            return Ok(false);
        }
        let heads = slot.stamps();
        self.stage(view, &heads, |oldest| {
            let since = heads.iter().filter(|head| *head >= oldest);
            let named: Vec<Dot> = since.map(Stamp::dot).collect();
            let named = chunks(&named).into_iter();
            named.map(|names| Operation { key: &key, names, amount: None }).collect()
        })?;
        Ok(true)
    }

    /// Returns whether there is no operation.
    pub fn is_empty(&self) -> bool {
        self.section.count() == 0
    }

    /// Returns the payload of the section.
    pub fn encode(&self) -> Vec<u8> {
        self.section.encode(CounterType::NAME, VERSION)
    }

    /// Records the operations that name the heads since a stamp, and applies them to the
    /// transaction's rows, or does neither.
    fn stage<'a>(
        &mut self,
        view: &mut dyn ViewMut,
        heads: &[Stamp],
        operations: impl Fn(&Stamp) -> Vec<Operation<'a>>,
    ) -> Result<(), DraftError> {
        let alone = self.is_empty();
        name_what_fits(
            || heads.iter().copied().collect(),
            alone,
            |oldest| self.write(view, operations(oldest)),
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
            Ok(fold::apply(&CounterLayout, &own, first, &rows, view, &mut Vec::new(), None)?)
        });
        if staged.is_err() {
            self.section.reset(mark);
        }
        staged
    }
}
