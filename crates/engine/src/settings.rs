//! The authority of one database at rest: which entries are its settings, and the interned epochs.
//!
//! Invariant: the rows follow from the entries, so authority can be restored from them alone.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

use weald_auth::{
    Authority, EpochId, Operation, RestoredEntry, SETTINGS_STORE, SettingsIndex, decode_operations,
};
use weald_dag::{
    Entry, Graph, KeyRange, Number, Order, Overlay, Parcel, Snapshot, Space, StoreError,
};

/// Settings index → number of the entry.
pub(crate) const fn settings(database: u32) -> Space {
    Space::new("settings", database)
}

/// Epoch → its settings tips.
const fn epochs(database: u32) -> Space {
    Space::new("epochs", database)
}

/// The payload of an entry's settings section, if it has one.
pub(crate) enum SettingsPayload {
    /// The entry has no settings section.
    None,
    /// It has one whose payload did not come along.
    Absent,
    /// It has one, and these are its operations.
    Operations(Vec<Operation>),
    /// It has one that only a newer build understands.
    Newer(String),
    /// It has one that does not decode.
    Undecodable(String),
}

impl SettingsPayload {
    pub(crate) fn of(parcel: &Parcel) -> Self {
        let sections = parcel.entry.sections().iter().zip(&parcel.payloads);
        for (section, payload) in sections {
            if section.store != SETTINGS_STORE {
                continue;
            }
            let Some(payload) = payload else { return Self::Absent };
            return match decode_operations(payload) {
                Ok(operations) => Self::Operations(operations),
                Err(error) if error.is_newer() => Self::Newer(error.to_string()),
                Err(error) => Self::Undecodable(error.to_string()),
            };
        }
        Self::None
    }
}

/// Returns whether an entry has a section beside its settings.
pub(crate) fn writes_data(entry: &Entry) -> bool {
    entry.sections().iter().any(|section| section.store != SETTINGS_STORE)
}

/// Restores the authority of a database from its settings entries.
///
/// # Errors
/// Any [`StoreError`].
pub fn load_authority(rows: &dyn Snapshot, database: u32) -> Result<Authority, StoreError> {
    Ok(load(rows, database)?.authority)
}

/// Returns the number of a settings entry.
pub(crate) fn number_of(
    rows: &dyn Snapshot,
    database: u32,
    index: SettingsIndex,
) -> Result<Number, StoreError> {
    let row = rows.get(settings(database), &index.0.to_be_bytes())?;
    let number = row.and_then(|row| row.as_slice().try_into().ok()).map(u64::from_be_bytes);
    let what = || format!("settings entry {} of database {database}", index.0);
    number.map(Number).ok_or_else(|| StoreError::Corrupt { what: what() })
}

/// Returns the index of a settings entry by its number; both go up together.
pub(crate) fn index_of(
    rows: &dyn Snapshot,
    database: u32,
    authority: &Authority,
    number: Number,
) -> Result<Option<SettingsIndex>, StoreError> {
    let (mut from, mut to) = (0, authority.settings_count());
    while from < to {
        let middle = from + (to - from) / 2;
        match number_of(rows, database, SettingsIndex(middle))?.cmp(&number) {
            Ordering::Less => from = middle + 1,
            Ordering::Equal => return Ok(Some(SettingsIndex(middle))),
            Ordering::Greater => to = middle,
        }
    }
    Ok(None)
}

/// Authority with what is needed to extend it.
pub(crate) struct Settings {
    pub(crate) authority: Authority,
    pub(crate) index_of: BTreeMap<Number, SettingsIndex>,
    /// The numbers of settings entries, by index.
    pub(crate) numbers: Vec<Number>,
    saved_epochs: u64,
}

pub(crate) fn load(rows: &dyn Snapshot, database: u32) -> Result<Settings, StoreError> {
    let numbers = list(rows, settings(database), 0, |value| {
        Some(Number(u64::from_be_bytes(value.try_into().ok()?)))
    })?;
    // The epoch before all settings has no row.
    let mut tips = vec![Vec::new()];
    tips.extend(list(rows, epochs(database), 1, |value| {
        let words = value.chunks_exact(8);
        if !words.remainder().is_empty() {
            return None;
        }
        words.map(|word| Some(SettingsIndex(u64::from_be_bytes(word.try_into().ok()?)))).collect()
    })?);
    let graph = Graph::new(rows, database);
    let mut restored = Vec::with_capacity(numbers.len());
    for number in &numbers {
        let stored = graph.stored(*number)?;
        let SettingsPayload::Operations(operations) = SettingsPayload::of(&stored.parcel) else {
            let what = format!("the settings in entry number {} of database {database}", number.0);
            return Err(StoreError::Corrupt { what });
        };
        let entry = &stored.parcel.entry;
        restored.push((
            EpochId(stored.local.epoch),
            RestoredEntry {
                id: entry.id(),
                author: entry.author(),
                generation: stored.local.generation,
                time: entry.time(),
                writes_data: writes_data(entry),
                operations,
            },
        ));
    }
    let index_of = (0..).map(SettingsIndex).zip(&numbers).map(|(i, number)| (*number, i)).collect();
    let authority = Authority::restore(restored, tips)
        .map_err(|error| StoreError::Corrupt { what: error.to_string() })?;
    let saved_epochs = authority.epoch_count();
    Ok(Settings { authority, index_of, numbers, saved_epochs })
}

/// Reads rows whose keys count up from `first`; one that is gone is damage, not the end.
fn list<T>(
    rows: &dyn Snapshot,
    space: Space,
    first: u64,
    decode: impl Fn(&[u8]) -> Option<T>,
) -> Result<Vec<T>, StoreError> {
    let mut found = Vec::new();
    rows.range(space, KeyRange::all(), Order::Ascending, &mut |key, value| {
        let expected = first + found.len() as u64;
        found.push(decode(value).filter(|_| key == expected.to_be_bytes()));
        ControlFlow::Continue(())
    })?;
    let damaged = || StoreError::Corrupt { what: format!("a row of space '{}'", space.name()) };
    found.into_iter().collect::<Option<_>>().ok_or_else(damaged)
}

impl Settings {
    /// Stages the rows of epochs that were interned since the last call.
    pub(crate) fn save_epochs(&mut self, rows: &mut Overlay, database: u32) {
        for epoch in self.saved_epochs..self.authority.epoch_count() {
            let tips = self.authority.epoch_tips(EpochId(epoch));
            let value: Vec<u8> = tips.iter().flat_map(|tip| tip.0.to_be_bytes()).collect();
            rows.put(epochs(database), epoch.to_be_bytes(), value);
        }
        self.saved_epochs = self.authority.epoch_count();
    }

    /// Stages the row of a settings entry and remembers it.
    pub(crate) fn save_entry(
        &mut self,
        rows: &mut Overlay,
        database: u32,
        index: SettingsIndex,
        number: Number,
    ) {
        rows.put(settings(database), index.0.to_be_bytes(), number.key());
        self.index_of.insert(number, index);
        self.numbers.push(number);
    }
}
