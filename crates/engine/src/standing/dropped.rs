//! Hidden entries that nobody needs, dropped to make room.
//!
//! Invariant: an entry goes only after all its children, so the parents of what is stored are stored;
//! settings stay, and so does the newest entry, whose row carries the head.

use std::collections::BTreeSet;

use weald_dag::{Graph, Number, Overlay, Standing, StoreError, discard};

use crate::hidden;
use crate::replica::Replica;

/// Drops what is hidden and not needed, but for `kept` and what these descend from; returns how many
/// entries that were.
pub(crate) fn drop_unneeded(
    replica: &mut Replica,
    rows: &mut Overlay,
    kept: &[Number],
) -> Result<u64, StoreError> {
    let (database, newest) = (replica.held.number, replica.next().0.saturating_sub(1));
    // What is hidden and has no children is not needed.
    let mut open: BTreeSet<Number> = hidden::ends(rows, database)?.into_iter().collect();
    let mut dropped = 0;
    while let Some(number) = open.pop_last() {
        let is_settings = replica.settings_index(number).is_some();
        if is_settings || number.0 == newest || kept.contains(&number) {
            continue;
        }
        let stored = Graph::new(rows, database).stored(number)?;
        hidden::show(rows, database, number)?;
        discard(rows, database, number, &stored.parcel);
        for parent in stored.local.parents {
            let is_hidden = Graph::new(rows, database).standing(parent)? != Standing::Visible;
            if is_hidden && hidden::remove_child(rows, database, parent, number)? {
                open.insert(parent);
            }
        }
        replica.dropped(hidden::bytes_of(&stored.parcel.entry));
        dropped += 1;
    }
    replica.save_unneeded(rows);
    Ok(dropped)
}
