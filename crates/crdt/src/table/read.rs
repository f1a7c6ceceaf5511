//! Reading rows of a table: each at the cost of its own state row.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use super::row;
use crate::key::{Key, encode_bound};
use crate::read::{ReadError, Version};
use crate::stamp::Stamp;
use crate::store_type::SlotConflict;
use crate::value::Value;
use crate::view::{Area, RowError, View, visit_prefix};

/// Holds a row as readers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The fields, as a map; each with the version of the greatest stamp.
    pub value: Value,
    /// The greatest stamp among existence and the fields: when the row changed last.
    pub stamp: Stamp,
    /// The fields of which several versions stand side by side.
    pub conflicts: Vec<FieldConflict>,
}

/// Holds the versions of a field that reading the row does not give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldConflict {
    /// The name of the field.
    pub field: String,
    /// The stamp of the version that the row shows.
    pub winner: Stamp,
    /// The other versions, the latest first.
    pub losers: Vec<Version>,
}

/// What a visitor of rows is called with; it breaks to stop.
pub type VisitTableRow<'a> = dyn FnMut(Key, Row) -> ControlFlow<()> + 'a;

/// Returns the row with a key.
///
/// # Errors
/// [`ReadError`] if the row cannot be read, or the key is too long.
pub fn get(view: &dyn View, key: &Key) -> Result<Option<Row>, ReadError> {
    read(view, &key.encode()?)
}

/// Returns the row at an encoded key, as a [`crate::Change`] gives it.
///
/// # Errors
/// [`ReadError`] if the row cannot be read.
pub fn read(view: &dyn View, key: &[u8]) -> Result<Option<Row>, ReadError> {
    let Some(row) = view.get(Area::State, key)? else { return Ok(None) };
    match decode(&row) {
        Some(row) => Ok(Some(row)),
        None => Err(RowError { key: key.to_vec() }.into()),
    }
}

/// Visits the rows between two keys in order of keys, or against it, until `visit` breaks.
///
/// # Errors
/// [`ReadError`] if a row cannot be read, or a key is too long.
pub fn range(
    view: &dyn View,
    from: Bound<&Key>,
    to: Bound<&Key>,
    reverse: bool,
    visit: &mut VisitTableRow<'_>,
) -> Result<(), ReadError> {
    let (from, to) = (encode_bound(from)?, encode_bound(to)?);
    let mut damaged = None;
    view.range(
        Area::State,
        from.as_ref().map(Vec::as_slice),
        to.as_ref().map(Vec::as_slice),
        reverse,
        &mut |key, row| show(key, row, visit, &mut damaged),
    )?;
    damaged.map_or(Ok(()), |error| Err(error.into()))
}

/// Visits the rows whose key is a text, byte string or tuple that begins with this one.
///
/// # Errors
/// [`ReadError`] if a row cannot be read, or the key is too long.
pub fn prefix(
    view: &dyn View,
    start: &Key,
    visit: &mut VisitTableRow<'_>,
) -> Result<(), ReadError> {
    let mut damaged = None;
    visit_prefix(view, Area::State, &start.encode_prefix()?, &mut |key, row| {
        show(key, row, visit, &mut damaged)
    })?;
    damaged.map_or(Ok(()), |error| Err(error.into()))
}

fn show(
    key: &[u8],
    row: &[u8],
    visit: &mut VisitTableRow<'_>,
    damaged: &mut Option<RowError>,
) -> ControlFlow<()> {
    let (Ok(decoded), Some(row)) = (Key::decode(key), decode(row)) else {
        *damaged = Some(RowError { key: key.to_vec() });
        return ControlFlow::Break(());
    };
    visit(decoded, row)
}

/// Returns the fields of a state row that have several live versions.
pub(super) fn slot_conflicts(row: &[u8]) -> Vec<SlotConflict> {
    let slots = row::unpack(row).unwrap_or_default();
    slots.fields.iter().filter_map(|(field, slot)| SlotConflict::of(Some(field), slot)).collect()
}

/// Decodes a state row, or returns `None` if it is damaged.
pub(super) fn decode(row: &[u8]) -> Option<Row> {
    let slots = row::unpack(row)?;
    let (mut stamp, _) = slots.main.winner()?;
    let mut fields = BTreeMap::new();
    let mut conflicts = Vec::new();
    for (field, slot) in slots.fields {
        let mut live = slot.live().rev();
        let Some((winner, value)) = live.next() else { continue };
        stamp = stamp.max(winner);
        let losers =
            live.map(|(stamp, value)| Some(Version { stamp, value: Value::decode(value).ok()? }));
        let losers: Vec<Version> = losers.collect::<Option<_>>()?;
        if !losers.is_empty() {
            conflicts.push(FieldConflict { field: field.clone(), winner, losers });
        }
        fields.insert(field, Value::decode(value).ok()?);
    }
    Some(Row { value: Value::Map(fields), stamp, conflicts })
}
