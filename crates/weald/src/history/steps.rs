//! What single entries did to the rows of their stores, before and after.
//!
//! Invariant: what was found for a row or a store is found once, for all entries that are asked for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use weald_crdt::{Area, EntryStamp, LogType, Touched, Value};
use weald_dag::{EntryId, Snapshot, Standing, StoreError, Stored};
use weald_engine::{
    RowStep, RowValues, StorePlace, StoreStep, StoreTypes, row_steps, space_of, store_steps,
};
#[cfg(feature = "text")]
use weald_engine::{StoreView, store_error};

use crate::conflict::RowKey;
use crate::rows::Rows;
use crate::watch::ChangeKind;

/// The rows that an entry changed in one store.
type StoreRows = Vec<(Vec<u8>, RowValues)>;

/// A row of a store, by its bytes at rest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowPlace {
    pub(crate) store: String,
    pub(crate) type_name: String,
    pub(crate) key: Vec<u8>,
}

impl RowPlace {
    pub(crate) fn named(&self) -> RowKey {
        RowKey::of(&self.type_name, &self.key)
    }

    /// Returns what a row at rest says.
    pub(crate) fn show(&self, types: &StoreTypes, row: Option<&[u8]>) -> Option<Value> {
        types.get(&self.type_name)?.show(&self.key, row?)
    }
}

/// Says what became of a row, by what it said before and after; `None` where that is the same.
pub(crate) fn kind(before: Option<&Value>, after: Option<&Value>) -> Option<ChangeKind> {
    match (before, after) {
        (None, Some(_)) => Some(ChangeKind::Created),
        (Some(_), None) => Some(ChangeKind::Removed),
        (before, after) if before == after => None,
        _ => Some(ChangeKind::Updated),
    }
}

/// How many bytes of what rows said are kept from one page of entries to the next, about, so that a
/// row which many entries changed is not gone over for each page again.
pub const HISTORY_KEPT_BYTES: usize = 32 * 1_024 * 1_024;

/// What was found so far; good for as long as the database is as it was.
#[derive(Default)]
pub(crate) struct Found {
    rows: BTreeMap<RowPlace, RowSteps>,
    stores: BTreeMap<(String, String), Arc<Vec<StoreStep>>>,
    #[cfg(feature = "text")]
    texts: BTreeMap<String, crate::text::TextSteps>,
    bytes: usize,
}

/// The steps of one row, in the order of stamps.
struct RowSteps {
    all: Arc<Vec<RowStep>>,
    by_entry: BTreeMap<EntryId, usize>,
}

impl RowSteps {
    fn new(steps: Vec<RowStep>) -> Self {
        let by_entry = steps.iter().enumerate().map(|(index, step)| (step.entry, index)).collect();
        Self { all: Arc::new(steps), by_entry }
    }
}

/// Returns how much memory it takes to keep a step, about.
fn step_bytes(values: &RowValues) -> usize {
    let rested = |row: &Option<Vec<u8>>| row.as_ref().map_or(0, Vec::len);
    2 * size_of::<RowStep>() + rested(&values.before) + rested(&values.after)
}

/// Finds what entries did, in one snapshot.
pub(crate) struct Steps<'a> {
    rows: &'a Rows,
    database: u32,
    types: &'a StoreTypes,
    found: Found,
}

impl<'a> Steps<'a> {
    pub(crate) fn new(rows: &'a Rows, database: u32, types: &'a StoreTypes) -> Self {
        Self::going_on(rows, database, types, Found::default())
    }

    /// Goes on with what was found in the same rows.
    pub(crate) const fn going_on(
        rows: &'a Rows,
        database: u32,
        types: &'a StoreTypes,
        found: Found,
    ) -> Self {
        Self { rows, database, types, found }
    }

    pub(crate) const fn types(&self) -> &'a StoreTypes {
        self.types
    }

    /// Returns what was found, to go on with; nothing if it is too much to keep.
    pub(crate) fn into_found(self) -> Found {
        if self.found.bytes > HISTORY_KEPT_BYTES { Found::default() } else { self.found }
    }

    /// Returns the steps of one row, in the order of stamps.
    pub(crate) fn of_row(&mut self, place: &RowPlace) -> Result<Arc<Vec<RowStep>>, StoreError> {
        self.find_row(place).map(|found| Arc::clone(&found.all))
    }

    fn find_row(&mut self, place: &RowPlace) -> Result<&RowSteps, StoreError> {
        let slot = match self.found.rows.entry(place.clone()) {
            Entry::Occupied(known) => return Ok(known.into_mut()),
            Entry::Vacant(slot) => slot,
        };
        let RowPlace { store, type_name, key } = place;
        let steps = row_steps(self.rows, self.database, self.types, (store, type_name), key)?;
        self.found.bytes += steps.iter().map(|step| step_bytes(&step.values)).sum::<usize>();
        Ok(slot.insert(RowSteps::new(steps)))
    }

    /// Returns the rows that an entry changed, of the stores that are wanted by name and type.
    pub(crate) fn of_entry(
        &mut self,
        stored: &Stored,
        wants: &dyn Fn(&str, &str) -> bool,
    ) -> Result<Vec<(RowPlace, RowValues)>, StoreError> {
        let mut changed = Vec::new();
        let id = stored.parcel.entry.id();
        for (store, type_name, payload) in sections(stored, self.database, self.types) {
            let (type_name, payload) = (&*type_name, &*payload);
            let Some(store_type) = self.types.get(type_name) else { continue };
            if !wants(store, type_name) {
                continue;
            }
            let place = |key: &[u8]| RowPlace {
                store: store.to_owned(),
                type_name: type_name.to_owned(),
                key: key.to_vec(),
            };
            #[cfg(feature = "text")]
            if is_text(type_name) {
                let values = self.of_text(store, id)?;
                changed.extend(values.map(|values| (place(crate::text::SHOWN), values)));
                continue;
            }
            // What breaks a rule of its type has changed nothing.
            let Ok(touched) = store_type.touched(payload, &stamp_of(stored)) else { continue };
            match touched {
                Touched::Rows(keys) if type_name == LogType::NAME => {
                    for place in keys.iter().map(|key| place(key)) {
                        let after = self.now(&place)?;
                        changed.push((place, RowValues { before: None, after }));
                    }
                }
                Touched::Rows(keys) => {
                    for place in keys.iter().map(|key| place(key)) {
                        let steps = self.find_row(&place)?;
                        let step = steps.by_entry.get(&id).and_then(|index| steps.all.get(*index));
                        if let Some(values) = step.map(|step| step.values.clone()) {
                            changed.push((place, values));
                        }
                    }
                }
                Touched::Store => {
                    let step = self.of_store(store, type_name, id)?;
                    let rows = step.into_iter().flatten();
                    changed.extend(rows.map(|(key, values)| (place(&key), values)));
                }
            }
        }
        Ok(changed)
    }

    /// Returns what a text said before an entry and after it, as its rows.
    #[cfg(feature = "text")]
    fn of_text(&mut self, store: &str, entry: EntryId) -> Result<Option<RowValues>, StoreError> {
        let steps = match self.found.texts.entry(store.to_owned()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(slot) => {
                let named = (store, crate::text::TextType::NAME);
                let place = StorePlace::of(self.rows, self.types, self.database, named)?;
                let steps = crate::text::TextSteps::load(&StoreView::new(self.rows, place));
                let steps = steps.map_err(text_error)?;
                self.found.bytes = self.found.bytes.saturating_add(steps.bytes());
                slot.insert(steps)
            }
        };
        let found = steps.of_entry(entry.as_bytes()).map_err(text_error)?;
        Ok(found.map(|(before, after)| RowValues {
            before: before.map(String::into_bytes),
            after: Some(after.into_bytes()),
        }))
    }

    fn of_store(
        &mut self,
        store: &str,
        type_name: &str,
        entry: EntryId,
    ) -> Result<Option<StoreRows>, StoreError> {
        let place = (store.to_owned(), type_name.to_owned());
        if !self.found.stores.contains_key(&place) {
            let steps = store_steps(self.rows, self.database, self.types, (store, type_name))?;
            let rows = steps.iter().flat_map(|step| &step.rows);
            self.found.bytes += rows.map(|(_, values)| step_bytes(values)).sum::<usize>();
            self.found.stores.insert(place.clone(), Arc::new(steps));
        }
        let steps = self.found.stores.get(&place);
        let step = steps.and_then(|steps| steps.iter().find(|step| step.entry == entry));
        Ok(step.map(|step| step.rows.clone()))
    }

    /// Returns a row as it is now.
    fn now(&self, place: &RowPlace) -> Result<Option<Vec<u8>>, StoreError> {
        let RowPlace { store, type_name, key } = place;
        let place = StorePlace::of(self.rows, self.types, self.database, (store, type_name))?;
        let key = place.key(key);
        self.rows.get(space_of(Area::State, self.database), &key)
    }
}

#[cfg(feature = "text")]
pub(crate) fn text_error(error: crate::text::ReplicaError) -> StoreError {
    match error {
        crate::text::ReplicaError::View(error) => store_error(&error),
        crate::text::ReplicaError::Broken(broken) => {
            StoreError::Corrupt { what: broken.to_string() }
        }
    }
}

/// Returns whether stores of a type are texts.
pub(crate) fn is_text(type_name: &str) -> bool {
    #[cfg(feature = "text")]
    return type_name == crate::text::TextType::NAME;
    #[cfg(not(feature = "text"))]
    {
        let _ = type_name;
        false
    }
}

/// Returns store, type and payload of each section on a store of the app's, opened if it is sealed;
/// stores of the library's own are neither told of nor taken back, and nothing is told of locked ones.
pub(crate) fn sections<'s>(
    stored: &'s Stored,
    database: u32,
    types: &StoreTypes,
) -> impl Iterator<Item = (&'s str, Cow<'s, str>, Cow<'s, [u8]>)> {
    let entry = &stored.parcel.entry;
    let sections = entry.sections().iter().zip(&stored.parcel.payloads);
    sections.filter_map(move |(section, payload)| {
        let payload = payload.as_deref().filter(|_| !section.store.starts_with('_'))?;
        let at = (database, section.store.as_str());
        let (type_name, payload) = types.open_section(at, &entry.author(), payload)?;
        Some((section.store.as_str(), type_name, payload))
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
