//! Rows that one operation makes where nothing was. Most rows of a large section are such, and they
//! are written without being looked up or folded: what comes out is the same.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use super::operation::{Effect, Layout, RowOperation, SlotId};
use crate::stamp::{EntryStamp, Stamp};
use crate::store_type::{Change, ChangeKind};
use crate::view::{Area, View, ViewError, ViewMut};

/// From how many operations on it pays to ask whether all rows of a section are new.
const MANY: usize = 8;

/// The rows that are made so far, each by its only operation.
pub(super) type NewRows<'o> = BTreeMap<&'o [u8], (Stamp, &'o RowOperation<'o>)>;

/// Returns whether an operation makes a row of what it writes alone.
pub(super) fn makes_row(operation: &RowOperation<'_>) -> bool {
    let sets = |(_, effect): &(SlotId<'_>, Effect<'_>)| matches!(effect, Effect::Set(_));
    operation.names.is_empty()
        && operation.touches.iter().any(|(slot, _)| *slot == SlotId::Main)
        && operation.touches.iter().all(sets)
}

/// Returns whether nothing is known of any row that these operations touch, so that a visible entry
/// makes them; `false` also if that would take long to tell.
pub(super) fn all_absent(
    operations: &[RowOperation<'_>],
    entry: &EntryStamp,
    view: &dyn ViewMut,
) -> Result<bool, ViewError> {
    if !entry.is_visible || operations.len() < MANY {
        return Ok(false);
    }
    let rows = || operations.iter().map(|operation| operation.row.as_ref());
    let (Some(first), Some(last)) = (rows().min(), rows().max()) else { return Ok(false) };
    let between = (Bound::Included(first), Bound::Included(last));
    Ok(is_empty(view, Area::State, between)?
        && is_empty(view, Area::Buried, between)?
        && is_empty(view, Area::Dangling, (Bound::Unbounded, Bound::Unbounded))?)
}

/// Returns whether an area has no row between two bounds.
pub(crate) fn is_empty<V: View + ?Sized>(
    view: &V,
    area: Area,
    (from, to): (Bound<&[u8]>, Bound<&[u8]>),
) -> Result<bool, ViewError> {
    let mut empty = true;
    view.range(area, from, to, false, &mut |_, _| {
        empty = false;
        ControlFlow::Break(())
    })?;
    Ok(empty)
}

/// Writes the rows, and tells of each that it was created; they are new, so nobody else has
/// versions of them.
pub(super) fn write<L: Layout>(
    layout: &L,
    rows: NewRows<'_>,
    view: &mut dyn ViewMut,
    changes: &mut Vec<Change>,
) {
    for (_, (stamp, operation)) in rows {
        write_row(layout, stamp, operation, view, changes);
    }
}

/// Writes one row that is new by its only operation.
pub(super) fn write_row<L: Layout>(
    layout: &L,
    stamp: Stamp,
    operation: &RowOperation<'_>,
    view: &mut dyn ViewMut,
    changes: &mut Vec<Change>,
) {
    let key = operation.row.as_ref();
    view.put(Area::State, key, layout.pack_new(key, stamp, &operation.touches));
    changes.push(Change { key: key.to_vec(), kind: ChangeKind::Created, conflict: None });
}
