//! The operations of a transaction on one table.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::layout::TableLayout;
use super::operation::{Action, FIELD_NESTING, Operation};
use super::plan::{self, FieldPlan, RowPlan};
use super::{TableType, VERSION, row};
use crate::draft::DraftError;
use crate::fold::{self, Cell, Section, Slot, Slots};
use crate::key::Key;
use crate::limits::MAX_COMPONENT_BYTES;
use crate::names::name_what_fits;
use crate::section::SectionWriter;
use crate::stamp::EntryStamp;
use crate::value::{Value, ValueError};
use crate::view::{Area, ViewMut};

/// Collects what a transaction does to the rows of a table.
#[derive(Clone, Debug, Default)]
pub struct TableDraft {
    section: SectionWriter,
    end: End,
}

/// What is known of the end of the table, so that rows behind it need not be looked up.
#[derive(Clone, Debug, Default)]
enum End {
    /// Nothing has been asked yet.
    #[default]
    Unasked,
    /// Rows were there behind the key that was asked for.
    Unknown,
    /// Behind this key there is no row, live or buried.
    After(Vec<u8>),
}

impl TableDraft {
    /// Starts without operations.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a whole row: existence and every field; fields that the row had and the value lacks
    /// are removed.
    ///
    /// # Errors
    /// [`DraftError::NotAMap`] unless the value is a map; other [`DraftError`]s for a key or value
    /// that cannot be stored, or a section over its limits.
    pub fn put(
        &mut self,
        view: &mut dyn ViewMut,
        key: &Key,
        value: &Value,
    ) -> Result<(), DraftError> {
        self.write_whole(view, key, value, |_| true)
    }

    /// Writes a whole row, as [`TableDraft::put`] does, in place of one that exists.
    ///
    /// # Errors
    /// [`DraftError::NoRow`] unless the row exists; other [`DraftError`]s as for [`TableDraft::put`].
    pub fn replace(
        &mut self,
        view: &mut dyn ViewMut,
        key: &Key,
        value: &Value,
    ) -> Result<(), DraftError> {
        self.write_whole(view, key, value, Slots::is_live)
    }

    fn write_whole(
        &mut self,
        view: &mut dyn ViewMut,
        key: &Key,
        value: &Value,
        may: impl Fn(&Slots) -> bool,
    ) -> Result<(), DraftError> {
        let Value::Map(fields) = value else {
            return Err(DraftError::NotAMap { found: value.kind() });
        };
        let key = key.encode()?;
        let values = encode_fields(fields.iter().map(|(field, value)| (field, Some(value))))?;
        if self.is_behind_end(view, &key)? && may(&Slots::default()) {
            return self.write_new(view, &key, &values);
        }
        let row = fold::load(&TableLayout, &*view, &key)?;
        if !may(&row.slots) {
            return Err(DraftError::NoRow);
        }
        let live = row.slots.fields.iter().filter(|(_, slot)| slot.is_live());
        let gone: Vec<String> = live
            .map(|(field, _)| field.clone())
            .filter(|field| !fields.contains_key(field))
            .collect();
        let gone = gone.iter().map(|field| (field.as_str(), None));
        let set = values.iter().map(|(field, value)| (*field, value.as_deref()));
        let fields = set.chain(gone).map(|(field, value)| plan_field(&row.slots, field, value));
        let (existence, fields) = (row.slots.main.stamps(), fields.collect());
        self.write(view, &RowPlan { key: &key, existence, fields }, row)
    }

    /// Sets (`Some`) and removes (`None`) some fields of a row that exists.
    ///
    /// # Errors
    /// [`DraftError::NoRow`] unless the row exists; other [`DraftError`]s as for [`TableDraft::put`].
    pub fn edit(
        &mut self,
        view: &mut dyn ViewMut,
        key: &Key,
        fields: &BTreeMap<String, Option<Value>>,
    ) -> Result<(), DraftError> {
        let key = key.encode()?;
        let values = encode_fields(fields.iter().map(|(field, value)| (field, value.as_ref())))?;
        let row = fold::load(&TableLayout, &*view, &key)?;
        if !row.slots.is_live() {
            return Err(DraftError::NoRow);
        }
        let fields =
            values.iter().map(|(field, value)| plan_field(&row.slots, field, value.as_deref()));
        let (existence, fields) = (row.slots.main.stamps(), fields.collect());
        self.write(view, &RowPlan { key: &key, existence, fields }, row)
    }

    /// Deletes a row, and returns whether there was one; without one there is no operation. A row
    /// with more versions than a section can name stays until another delete names the rest.
    ///
    /// # Errors
    /// [`DraftError`] for a key that cannot be used, or a section over its limits.
    pub fn delete(&mut self, view: &mut dyn ViewMut, key: &Key) -> Result<bool, DraftError> {
        let key = key.encode()?;
        let row = fold::load(&TableLayout, &*view, &key)?;
        if !row.slots.is_live() {
            return Ok(false);
        }
        let existence = row.slots.main.stamps();
        let (alone, mut loaded) = (self.is_empty(), Some(row));
        let heads = || existence.iter().copied().collect();
        name_what_fits(heads, alone, |oldest| {
            self.stage(view, &plan::delete(&key, &existence, oldest), &mut loaded)
        })?;
        Ok(true)
    }

    /// Brings a deleted row back with the fields that it had, and returns whether it was gone; without
    /// that there is no operation.
    ///
    /// # Errors
    /// [`DraftError::NoDeletedRow`] if there is no such row; other [`DraftError`]s for a key that
    /// cannot be used, or a section over its limits.
    pub fn restore(&mut self, view: &mut dyn ViewMut, key: &Key) -> Result<bool, DraftError> {
        let key = key.encode()?;
        let row = fold::load(&TableLayout, &*view, &key)?;
        if row.slots.is_live() {
            return Ok(false);
        }
        if row.slots.is_empty() {
            return Err(DraftError::NoDeletedRow);
        }
        let existence = row.slots.main.stamps();
        self.write(view, &RowPlan { key: &key, existence, fields: Vec::new() }, row)?;
        Ok(true)
    }

    /// Returns whether there is no operation.
    pub fn is_empty(&self) -> bool {
        self.section.count() == 0
    }

    /// Returns the payload of the section.
    pub fn encode(&self) -> Vec<u8> {
        self.section.encode(TableType::NAME, VERSION)
    }

    /// Returns whether the key is behind all rows of the table. Asks for the end from the second
    /// operation on: for one alone, it is quicker to look up its row.
    fn is_behind_end(&mut self, view: &dyn ViewMut, key: &[u8]) -> Result<bool, DraftError> {
        if let (End::Unasked, false) = (&self.end, self.is_empty()) {
            let from = (Bound::Included(key), Bound::Unbounded);
            let free = fold::is_empty(view, Area::State, from)?
                && fold::is_empty(view, Area::Buried, from)?;
            self.end = if free { End::After(key.to_vec()) } else { End::Unknown };
            return Ok(free);
        }
        Ok(matches!(&self.end, End::After(last) if key > last.as_slice()))
    }

    /// Notes that there is a row with this key.
    fn reach(&mut self, key: &[u8]) {
        if let End::After(last) = &mut self.end
            && key > last.as_slice()
        {
            last.clear();
            last.extend_from_slice(key);
        }
    }

    /// Writes a row that is behind all others, so there is nothing to name.
    fn write_new(
        &mut self,
        view: &mut dyn ViewMut,
        key: &[u8],
        values: &EncodedFields<'_>,
    ) -> Result<(), DraftError> {
        self.reach(key);
        let (mark, stamp) =
            (self.section.mark(), EntryStamp::PROVISIONAL.at(self.section.next_index()));
        let set = values.iter().filter_map(|(field, value)| Some((*field, value.as_deref()?)));
        let fields: Vec<_> = set.collect();
        let row = row::pack_new(stamp, fields.iter().copied());
        let action = Action::Write { fields, removed: Vec::new() };
        Operation { key, names: Vec::new(), action }.encode(&mut self.section);
        if let Err(void) = self.section.check() {
            self.section.reset(mark);
            return Err(void.into());
        }
        view.put(Area::State, key, row);
        Ok(())
    }

    fn write(
        &mut self,
        view: &mut dyn ViewMut,
        plan: &RowPlan<'_>,
        row: Cell,
    ) -> Result<(), DraftError> {
        let (alone, mut loaded) = (self.is_empty(), Some(row));
        name_what_fits(
            || plan.heads(),
            alone,
            |oldest| self.stage(view, &plan.operations(oldest), &mut loaded),
        )
    }

    /// Records operations on one row and applies them to the transaction's rows, or does neither;
    /// takes the loaded row as soon as the operations are within the limits.
    fn stage(
        &mut self,
        view: &mut dyn ViewMut,
        operations: &[Operation<'_>],
        loaded: &mut Option<Cell>,
    ) -> Result<(), DraftError> {
        let mark = self.section.mark();
        let first = self.section.next_index();
        operations.iter().for_each(|operation| operation.encode(&mut self.section));
        let staged = self.section.check().map_err(DraftError::from).and_then(|()| {
            let key = operations.first().map(|operation| operation.key);
            key.into_iter().for_each(|key| self.reach(key));
            let loaded = key.zip(loaded.take());
            let (payload, mut changes) = (|| self.encode(), Vec::new());
            let own = Section { entry: &EntryStamp::PROVISIONAL, payload: &payload };
            let rows: Vec<_> = operations.iter().cloned().map(Operation::on_row).collect();
            Ok(fold::apply(&TableLayout, &own, first, &rows, view, &mut changes, loaded)?)
        });
        if staged.is_err() {
            self.section.reset(mark);
        }
        staged
    }
}

type EncodedFields<'a> = Vec<(&'a str, Option<Vec<u8>>)>;

fn encode_fields<'a>(
    fields: impl Iterator<Item = (&'a String, Option<&'a Value>)>,
) -> Result<EncodedFields<'a>, DraftError> {
    let mut encoded = Vec::new();
    for (field, value) in fields {
        if field.len() > MAX_COMPONENT_BYTES {
            return Err(ValueError::KeyTooLong { length: field.len() }.into());
        }
        let value = value.map(|value| {
            let mut out = Vec::new();
            value.encode_into(&mut out, FIELD_NESTING).map(|()| out)
        });
        encoded.push((field.as_str(), value.transpose()?));
    }
    Ok(encoded)
}

fn plan_field<'a>(slots: &Slots, field: &'a str, value: Option<&'a [u8]>) -> FieldPlan<'a> {
    let heads = slots.fields.get(field).map(Slot::stamps).unwrap_or_default();
    FieldPlan { field, value, heads }
}
