//! Hidden entries that nobody needs, dropped to make room.
//!
//! Invariant: an entry goes only after all its children, so the parents of what is stored are stored;
//! settings stay, and so does the newest entry, whose row carries the head. What was visible here goes
//! only when somebody asks for that: to make room, what came hidden goes.

use std::collections::BTreeSet;

use weald_dag::{Graph, Number, Overlay, Standing, StoreError, discard};

use crate::hidden;
use crate::replica::Replica;

/// What of it is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Droppable {
    /// All of it.
    All,
    /// What was never visible here.
    CameHidden,
}

/// Drops what is hidden and not needed, but for `kept` and what these descend from; returns how many
/// entries that were.
pub(crate) fn drop_unneeded(
    replica: &mut Replica,
    rows: &mut Overlay,
    what: Droppable,
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
        let size = hidden::size(rows, database, number)?;
        if what == Droppable::CameHidden && !size.came_hidden {
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
        replica.dropped(size);
        dropped += 1;
    }
    replica.save_unneeded(rows);
    Ok(dropped)
}
