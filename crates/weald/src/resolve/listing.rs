//! Finding the values of a store that have several versions.
//!
//! Invariant: versions that are all equal are no conflict, for there is nothing to choose.

use std::ops::{Bound, ControlFlow};

use weald_crdt::{
    Area, DocType, Key, Path, PathConflict, SlotConflict, StoreType, TableType, View, doc,
};
use weald_dag::EntryId;

use super::{doc_view, table_view};
use crate::conflict::{ConflictedValue, RowKey, Version};
use crate::core::Core;
use crate::error::ReadError;
use crate::rows::Rows;

/// Returns the conflicts of a row of a table, or of all its rows.
pub(crate) fn row_conflicts(
    core: &Core,
    database: u32,
    rows: &Rows,
    store: &str,
    key: Option<&Key>,
) -> Result<Vec<ConflictedValue>, ReadError> {
    let view = table_view(core, rows, database, store)?;
    let mut slots: Vec<(RowKey, SlotConflict)> = Vec::new();
    let mut add = |key: &[u8], row: &[u8]| {
        let name = RowKey::of(TableType::NAME, key);
        let found = TableType.conflicts(key, row).into_iter();
        slots.extend(found.map(|slot| (name.clone(), slot)));
        ControlFlow::Continue(())
    };
    match key {
        Some(key) => {
            let key = key.encode().map_err(weald_crdt::ReadError::from)?;
            if let Some(row) = view.get(Area::State, &key).map_err(weald_crdt::ReadError::from)? {
                let _: ControlFlow<()> = add(&key, &row);
            }
        }
        None => {
            let all = Bound::Unbounded;
            let visited = view.range(Area::State, all, all, false, &mut add);
            visited.map_err(weald_crdt::ReadError::from)?;
        }
    }
    let author_of = &mut |entry: &EntryId| core.author(rows, database, entry);
    let found =
        slots.into_iter().map(|(key, slot)| ConflictedValue::of(store, &key, slot, author_of));
    let found = found.filter(|found| !found.as_ref().is_ok_and(ConflictedValue::is_agreed));
    Ok(found.collect::<Result<_, _>>()?)
}

/// Returns the conflicts at and below a path of a document.
pub(crate) fn doc_conflicts(
    core: &Core,
    database: u32,
    rows: &Rows,
    store: &str,
    path: &Path,
) -> Result<Vec<ConflictedValue>, ReadError> {
    let view = doc_view(core, rows, database, store)?;
    let mut found = Vec::new();
    let author_of = &mut |entry: &EntryId| core.author(rows, database, entry);
    for PathConflict { path, losers } in doc::conflicts(&view, path)? {
        let leaf = path.encode().map_err(weald_crdt::ReadError::from)?;
        let row = view.get(Area::State, &leaf).map_err(weald_crdt::ReadError::from)?;
        let slots = row.map(|row| DocType.conflicts(&leaf, &row)).unwrap_or_default();
        // The latest version of a leaf that is hidden is among those that reading does not give.
        let is_loser =
            |winner: &weald_crdt::Version| losers.iter().any(|loser| loser.stamp == winner.stamp);
        let winner = slots.into_iter().map(|slot| slot.winner).find(|winner| !is_loser(winner));
        let winner = winner.map(|winner| Version::of(winner, author_of)).transpose()?;
        let losers = losers.into_iter().map(|loser| Version::of(loser, author_of));
        let losers = losers.collect::<Result<_, _>>()?;
        let key = RowKey::Doc(path);
        found.push(ConflictedValue { store: store.to_owned(), key, field: None, winner, losers });
    }
    found.retain(|conflict| !conflict.is_agreed());
    Ok(found)
}
