//! The versions that stand side by side in rows whose values are told.
//!
//! Invariant: they are read from what is staged, so they are those that the change left.

use weald_dag::{DatabaseId, EntryId, Graph, Overlay, StoreError};
use weald_engine::{RowChange, StoreTypes};

use super::{Desk, Done};
use crate::conflict::{ConflictedValue, RowKey};
use crate::core::author_of;
use crate::watch::{Told, Versions};

impl Desk {
    /// Adds the versions that stand side by side to what is told of rows whose values were recorded.
    pub(super) fn add_versions(&self, rows: &Overlay, done: &mut Done) {
        for told in &mut done.told {
            let Told::Entry(told) = told else { continue };
            let (types, folded) = (self.engine.types(), &told.folded);
            let shifted = folded.shift.as_ref().map_or(&[][..], |shift| &shift.changes);
            let of = |changes| versions(rows, types, &folded.database, changes);
            match of(&folded.changes).and_then(|own| Ok((own, of(shifted)?))) {
                Ok(found) => (told.versions, told.shift_versions) = found,
                Err(error) => tracing::warn!(%error, "the versions of a conflict cannot be told"),
            }
        }
    }
}

/// Returns the versions of the rows in conflict, by their places among the changes.
fn versions(
    rows: &Overlay,
    types: &StoreTypes,
    database: &DatabaseId,
    changes: &[RowChange],
) -> Result<Versions, StoreError> {
    let mut versions = Vec::new();
    for (place, row) in changes.iter().enumerate() {
        let after = row.values.as_ref().and_then(|values| values.after.as_deref());
        let (Some(after), Some(_)) = (after, &row.change.conflict) else { continue };
        let Some(store_type) = types.get(&row.type_name) else { continue };
        let Some(held) = weald_engine::held(rows, database)? else { continue };
        let graph = Graph::new(rows, held.number);
        let author_of = &mut |entry: &EntryId| author_of(&graph, entry);
        let key = RowKey::of(&row.type_name, &row.change.key);
        let found = store_type.conflicts(&row.change.key, after).into_iter();
        let found = found.map(|slot| ConflictedValue::of(&row.store, &key, slot, author_of));
        versions.push((place, found.collect::<Result<_, _>>()?));
    }
    Ok(versions)
}
