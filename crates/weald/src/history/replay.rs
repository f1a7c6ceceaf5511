//! What entries did to rows, found by folding a store again beside the state.
//!
//! Invariant: entries are folded in the order of their stamps, which is topological and the same on
//! every replica; so a row's steps follow from each other, and the last one leaves what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use weald_crdt::{
    Applied, ApplyError, Area, EntryStamp, MemoryView, View, ViewError, ViewMut, VisitRow,
    section_type,
};
use weald_dag::{
    EntryId, Graph, KeyRange, MemoryStore, Number, Order, Overlay, Snapshot, Space, Standing,
    Store, StoreError, Stored, Visit,
};
use weald_engine::{RowValues, StorePlace, StoreTypes, space_of, store_error};

use super::walk::Walk;

/// What one entry did to one row: its bytes at rest before and after.
#[derive(Clone, Debug)]
pub(crate) struct RowStep {
    pub(crate) entry: EntryId,
    pub(crate) number: Number,
    pub(crate) before: Option<Vec<u8>>,
    pub(crate) after: Option<Vec<u8>>,
}

/// What one entry did to the rows of one store.
#[derive(Clone, Debug)]
pub(crate) struct StoreStep {
    pub(crate) entry: EntryId,
    pub(crate) number: Number,
    pub(crate) rows: Vec<(Vec<u8>, RowValues)>,
}

/// Returns the state as it would be if only the ancestors of `tips` were there that are visible now.
pub(crate) fn past(
    snapshot: Arc<dyn Snapshot>,
    database: u32,
    types: &StoreTypes,
    tips: &[Number],
) -> Result<Overlay, StoreError> {
    let graph = Graph::new(&*snapshot, database);
    let mut entries = Vec::new();
    let mut stores = BTreeSet::new();
    for number in graph.ancestors(tips)? {
        let stored = graph.stored(number)?;
        for (store, type_name, _) in sections(&stored) {
            stores.insert((store.to_owned(), type_name.to_owned()));
        }
        entries.push(stored);
    }
    entries.sort_by_key(|stored| (stored.parcel.entry.time(), stored.parcel.entry.id()));
    let folded: Result<Vec<_>, StoreError> = stores
        .into_iter()
        .map(|(store, type_name)| {
            let mut fold = Fold::default();
            for stored in &entries {
                fold.entry(stored, types, &store, &type_name)?;
            }
            Ok((StorePlace::new(database, &store, &type_name), fold.view))
        })
        .collect();
    let stateless = Stateless { database, rows: snapshot, nothing: MemoryStore::new().snapshot()? };
    let mut overlay = Overlay::new(Arc::new(stateless));
    for (place, view) in folded? {
        for (area, key, row) in view.rows() {
            overlay.put(space_of(area, database), place.key(key), row);
        }
    }
    Ok(overlay)
}

/// A snapshot without the rows of a database's stores.
struct Stateless {
    database: u32,
    rows: Arc<dyn Snapshot>,
    nothing: Arc<dyn Snapshot>,
}

impl Stateless {
    fn of(&self, space: Space) -> &dyn Snapshot {
        let areas = [Area::State, Area::Buried, Area::Dangling, Area::History];
        let is_state = areas.iter().any(|area| space_of(*area, self.database) == space);
        if is_state { &*self.nothing } else { &*self.rows }
    }
}

impl Snapshot for Stateless {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.of(space).get(space, key)
    }

    fn range(
        &self,
        space: Space,
        range: KeyRange,
        order: Order,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        self.of(space).range(space, range, order, visit)
    }
}

/// Returns what the entries did to one row, in the order of their stamps.
pub(crate) fn row_steps(
    rows: &dyn Snapshot,
    database: u32,
    types: &StoreTypes,
    store: &str,
    type_name: &str,
    key: &[u8],
) -> Result<Vec<RowStep>, StoreError> {
    let steps = store_steps(rows, database, types, store, type_name)?;
    let of_row = steps.into_iter().filter_map(|step| {
        let (_, values) = step.rows.into_iter().find(|(row, _)| row == key)?;
        let (entry, number) = (step.entry, step.number);
        Some(RowStep { entry, number, before: values.before, after: values.after })
    });
    Ok(of_row.collect())
}

/// Returns what the entries did to a store, in the order of their stamps.
pub(crate) fn store_steps(
    rows: &dyn Snapshot,
    database: u32,
    types: &StoreTypes,
    store: &str,
    type_name: &str,
) -> Result<Vec<StoreStep>, StoreError> {
    let graph = Graph::new(rows, database);
    let mut walk = Walk::from_now(&graph)?;
    let mut entries = Vec::new();
    while let Some(stored) = walk.next(&graph)? {
        if sections(&stored).any(|section| (section.0, section.1) == (store, type_name)) {
            entries.push(stored);
        }
    }
    let mut fold = Fold::default();
    let mut steps = Vec::new();
    for stored in entries.iter().rev() {
        let rows = fold.entry(stored, types, store, type_name)?;
        let (entry, number) = (stored.parcel.entry.id(), stored.number);
        if !rows.is_empty() {
            steps.push(StoreStep { entry, number, rows });
        }
    }
    Ok(steps)
}

/// Returns store, type and payload of each section that can be folded.
pub(crate) fn sections(stored: &Stored) -> impl Iterator<Item = (&str, &str, &[u8])> {
    let sections = stored.parcel.entry.sections().iter().zip(&stored.parcel.payloads);
    sections.filter_map(|(section, payload)| {
        let payload = payload.as_deref().filter(|_| section.store != weald_auth::SETTINGS_STORE)?;
        Some((section.store.as_str(), section_type(payload).ok()?, payload))
    })
}

/// Returns an entry as the merging types know it.
pub(crate) fn stamp_of(stored: &Stored) -> EntryStamp {
    let entry = &stored.parcel.entry;
    EntryStamp {
        time: entry.time().raw(),
        entry: *entry.id().as_bytes(),
        author: *entry.author().as_bytes(),
        is_visible: stored.local.standing == Standing::Visible,
    }
}

/// A store that is folded again in memory.
#[derive(Default)]
struct Fold {
    view: MemoryView,
}

impl Fold {
    /// Folds the section of an entry on the store, and returns the rows of state that it changed.
    fn entry(
        &mut self,
        stored: &Stored,
        types: &StoreTypes,
        store: &str,
        type_name: &str,
    ) -> Result<Vec<(Vec<u8>, RowValues)>, StoreError> {
        let mut here =
            sections(stored).filter(|section| (section.0, section.1) == (store, type_name));
        let (Some((_, _, payload)), Some(store_type)) = (here.next(), types.get(type_name)) else {
            return Ok(Vec::new());
        };
        let stamp = stamp_of(stored);
        let mut recorded = Recorded { view: &mut self.view, before: BTreeMap::new() };
        let folded = store_type.apply(payload, &stamp, &mut recorded, &mut Vec::new());
        let before = recorded.before;
        self.view.mark_applied(stamp, payload);
        match folded {
            Ok(()) | Err(ApplyError::Void(_)) => {}
            Err(ApplyError::View(error)) => return Err(store_error(&error)),
        }
        let mut changed = Vec::new();
        for (key, before) in before {
            let after = self.view.get(Area::State, &key).map_err(|error| store_error(&error))?;
            if before != after {
                changed.push((key, RowValues { before, after }));
            }
        }
        Ok(changed)
    }
}

/// Remembers what rows of state held before they were written.
struct Recorded<'a> {
    view: &'a mut MemoryView,
    before: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Recorded<'_> {
    fn remember(&mut self, area: Area, key: &[u8]) {
        if area == Area::State && !self.before.contains_key(key) {
            let row = self.view.get(area, key).unwrap_or_default();
            self.before.insert(key.to_vec(), row);
        }
    }
}

impl View for Recorded<'_> {
    fn get(&self, area: Area, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        self.view.get(area, key)
    }

    fn range(
        &self,
        area: Area,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        reverse: bool,
        visit: &mut VisitRow<'_>,
    ) -> Result<(), ViewError> {
        self.view.range(area, from, to, reverse, visit)
    }

    fn applied(&self, entry: &[u8; 32]) -> Result<Option<Applied>, ViewError> {
        self.view.applied(entry)
    }
}

impl ViewMut for Recorded<'_> {
    fn put(&mut self, area: Area, key: &[u8], value: Vec<u8>) {
        self.remember(area, key);
        self.view.put(area, key, value);
    }

    fn remove(&mut self, area: Area, key: &[u8]) {
        self.remember(area, key);
        self.view.remove(area, key);
    }
}
