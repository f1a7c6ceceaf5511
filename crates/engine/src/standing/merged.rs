//! Two changes of a row in one entry, told as one.
//!
//! Invariant: what is told leads from what was before the first to what is after the second.

use std::collections::BTreeMap;

use weald_crdt::ChangeKind;

use crate::fold::{RowChange, RowValues};

/// Puts later changes of rows behind earlier ones; no row is told of twice.
pub(crate) fn merged(earlier: Vec<RowChange>, later: Vec<RowChange>) -> Vec<RowChange> {
    if earlier.is_empty() {
        return later;
    }
    type Place = (String, String, Vec<u8>);
    let place = |row: &RowChange| -> Place {
        (row.store.clone(), row.type_name.clone(), row.change.key.clone())
    };
    let mut all: BTreeMap<Place, Option<RowChange>> =
        earlier.into_iter().map(|row| (place(&row), Some(row))).collect();
    for row in later {
        let both = all.entry(place(&row)).or_default();
        *both = match both.take() {
            None => Some(row),
            Some(first) => joined(first, row),
        };
    }
    all.into_values().flatten().collect()
}

/// Returns what two changes of one row come to.
fn joined(first: RowChange, mut second: RowChange) -> Option<RowChange> {
    let was_there = first.change.kind != ChangeKind::Created;
    let is_there = second.change.kind != ChangeKind::Removed;
    second.change.kind = match (was_there, is_there) {
        (true, true) => ChangeKind::Updated,
        (false, true) => ChangeKind::Created,
        (true, false) => ChangeKind::Removed,
        (false, false) => return None,
    };
    second.values = match (first.values, second.values) {
        (Some(first), Some(second)) => {
            Some(RowValues { before: first.before, after: second.after })
        }
        _ => None,
    };
    Some(second)
}
