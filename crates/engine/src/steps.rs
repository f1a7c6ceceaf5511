//! What entries did to a row or a store, one after the other in the order of stamps: an order in
//! which parents come first, the same on every replica.
//!
//! Invariant: the steps are those of a fold of the needed entries alone; the last leaves what is in
//! the state now.

use std::collections::{BTreeMap, BTreeSet};

use weald_crdt::{Area, MemoryView, StoreType, View};
use weald_dag::{EntryId, Graph, Number, Snapshot, StoreError};

use crate::fold::{RowValues, StoreTypes, store_error};
use crate::past::each_section;
use crate::view::{StorePlace, StoreView};

/// What an entry did to one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowStep {
    /// The entry.
    pub entry: EntryId,
    /// Its local number.
    pub number: Number,
    /// The row of state before and after, as it rests.
    pub values: RowValues,
}

/// What an entry did to a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreStep {
    /// The entry.
    pub entry: EntryId,
    /// Its local number.
    pub number: Number,
    /// The rows of state that it changed, with what they held before and after.
    pub rows: Vec<(Vec<u8>, RowValues)>,
}

/// Returns what each entry that touched a row did to it; those that changed nothing are left out.
///
/// The cost is that of the sections of these entries, and for a type whose rows do not tell who
/// touched them, of all entries.
///
/// # Errors
/// Any [`StoreError`].
pub fn row_steps<S: Snapshot>(
    rows: &S,
    database: u32,
    types: &StoreTypes,
    (store, type_name): (&str, &str),
    key: &[u8],
) -> Result<Vec<RowStep>, StoreError> {
    let steps = steps(rows, database, types, (store, type_name), Some(key))?;
    let of_row = steps.into_iter().filter_map(|mut step| {
        let place = step.rows.iter().position(|(row, _)| row == key)?;
        let (_, values) = step.rows.swap_remove(place);
        Some(RowStep { entry: step.entry, number: step.number, values })
    });
    Ok(of_row.collect())
}

/// Returns what each entry that touched a store did to it.
///
/// The cost is that of the rows and sections of the store, and for a type whose rows do not tell who
/// touched them, of all entries.
///
/// # Errors
/// Any [`StoreError`].
pub fn store_steps<S: Snapshot>(
    rows: &S,
    database: u32,
    types: &StoreTypes,
    (store, type_name): (&str, &str),
) -> Result<Vec<StoreStep>, StoreError> {
    steps(rows, database, types, (store, type_name), None)
}

fn steps<S: Snapshot>(
    rows: &S,
    database: u32,
    types: &StoreTypes,
    (store, type_name): (&str, &str),
    row: Option<&[u8]>,
) -> Result<Vec<StoreStep>, StoreError> {
    let Some(store_type) = types.get(type_name) else { return Ok(Vec::new()) };
    let place = StorePlace::of(rows, types, database, (store, type_name))?;
    let view = StoreView::new(rows, place.clone());
    let known = store_type.entries(row, &view).map_err(|error| store_error(&error))?;
    let entries = match known {
        Some(entries) => entries,
        None => all_of(rows, types, &place)?,
    };
    let graph = Graph::new(rows, database);
    let mut scratch = Scratch::default();
    let mut steps = Vec::new();
    for (_, id) in entries {
        let entry = EntryId::from_bytes(id);
        let Some(number) = graph.number(&entry)? else { continue };
        let Some(applied) = view.applied(&id).map_err(|error| store_error(&error))? else {
            continue;
        };
        if !applied.stamp.is_visible && !store_type.folds_hidden() {
            continue;
        }
        let changed = scratch.step(&**store_type, &applied)?;
        if !changed.is_empty() {
            steps.push(StoreStep { entry, number, rows: changed });
        }
    }
    Ok(steps)
}

/// Looks through all entries for those that touched a store.
fn all_of(
    rows: &dyn Snapshot,
    types: &StoreTypes,
    place: &StorePlace,
) -> Result<BTreeSet<(u64, [u8; 32])>, StoreError> {
    let graph = Graph::new(rows, place.database());
    let mut entries = BTreeSet::new();
    for number in graph.numbers_from(Number(0))? {
        let stored = graph.stored(number)?;
        let entry = &stored.parcel.entry;
        each_section(&stored, place.database(), types, &mut |section| {
            if section.place == place {
                entries.insert((entry.time().raw(), *entry.id().as_bytes()));
            }
            Ok(())
        })?;
    }
    Ok(entries)
}

/// The store as it was folded so far.
#[derive(Default)]
struct Scratch {
    view: MemoryView,
    shown: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Scratch {
    /// Folds a section, and returns the rows that it changed.
    fn step(
        &mut self,
        store_type: &dyn StoreType,
        applied: &weald_crdt::Applied,
    ) -> Result<Vec<(Vec<u8>, RowValues)>, StoreError> {
        let mut changes = Vec::new();
        let stamp = &applied.stamp;
        match store_type.apply(&applied.payload, stamp, &mut self.view, &mut changes) {
            Ok(()) | Err(weald_crdt::ApplyError::Void(_)) => {}
            Err(weald_crdt::ApplyError::View(error)) => return Err(store_error(&error)),
        }
        self.view.mark_applied(*stamp, &applied.payload);
        let mut changed = Vec::with_capacity(changes.len());
        for change in changes {
            let after = self.view.get(Area::State, &change.key);
            let after = after.map_err(|error| store_error(&error))?;
            let before = match &after {
                Some(row) => self.shown.insert(change.key.clone(), row.clone()),
                None => self.shown.remove(&change.key),
            };
            changed.push((change.key, RowValues { before, after }));
        }
        Ok(changed)
    }
}
