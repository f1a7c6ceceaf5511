//! Folding one entry into state: its sections go to the types of their stores.
//!
//! Invariant: folding costs the entry's own operations; a section that breaks a rule of its type
//! adds nothing and is reported, the same on every replica.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use weald_auth::SETTINGS_STORE;
use weald_crdt::{
    ApplyError, Change, Conflict, DocType, EntryStamp, LogType, StoreType, TableType, section_type,
};
use weald_dag::{DatabaseId, EntryId, Number, Overlay, Parcel, PublicKey, StoreError, Time};

use crate::view::{StorePlace, StoreViewMut};

/// The types of stores that an instance can fold.
#[derive(Clone)]
pub struct StoreTypes(BTreeMap<&'static str, Arc<dyn StoreType>>);

impl StoreTypes {
    /// Takes these types; of two with one name the later counts.
    pub fn new(types: impl IntoIterator<Item = Arc<dyn StoreType>>) -> Self {
        Self(types.into_iter().map(|store_type| (store_type.name(), store_type)).collect())
    }

    /// Takes the types that come with Weald: `doc`, `log` and `table`.
    pub fn built_in() -> Self {
        Self::new([Arc::new(DocType) as Arc<dyn StoreType>, Arc::new(LogType), Arc::new(TableType)])
    }

    /// Returns the type of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn StoreType>> {
        self.0.get(name)
    }
}

/// One row of state that changed, and by what.
#[derive(Clone, Debug, PartialEq)]
pub struct RowChange {
    /// The store's name.
    pub store: String,
    /// The name of the store's type.
    pub type_name: String,
    /// The key of the row, relative to the store.
    pub change: Change,
}

/// A section that added nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoidSection {
    /// The store that it names.
    pub store: String,
    /// What rule it breaks.
    pub reason: String,
}

/// An entry that was stored and folded.
#[derive(Clone, Debug)]
pub struct Folded {
    /// The database.
    pub database: DatabaseId,
    /// The entry.
    pub id: EntryId,
    /// Its place in this replica's order.
    pub number: Number,
    /// Who signed it.
    pub author: PublicKey,
    /// When it was made, by its author's clock.
    pub time: Time,
    /// The rows of state that it changed.
    pub changes: Vec<RowChange>,
    /// The sections that added nothing.
    pub voids: Vec<VoidSection>,
    /// Whether it changed the database's settings.
    pub settings: bool,
    /// Whether its author has used this sequence number before, as far as this replica can tell: the
    /// key is used in two places. Only the greatest number is known, so it depends on the order in
    /// which siblings come; it is a hint for people, and nothing else follows from it.
    pub author_forked: bool,
}

impl Folded {
    /// Returns the conflicts that the entry made or left standing.
    pub fn conflicts(&self) -> impl Iterator<Item = (&RowChange, &Conflict)> {
        self.changes.iter().filter_map(|row| Some((row, row.change.conflict.as_ref()?)))
    }
}

/// Folds the data sections of one entry.
pub(crate) fn fold(
    rows: &mut Overlay,
    database: u32,
    types: &StoreTypes,
    parcel: &Parcel,
) -> Result<(Vec<RowChange>, Vec<VoidSection>), StoreError> {
    let entry = &parcel.entry;
    let stamp = EntryStamp {
        time: entry.time().raw(),
        entry: *entry.id().as_bytes(),
        author: *entry.author().as_bytes(),
    };
    let (mut changes, mut voids) = (Vec::new(), Vec::new());
    for (section, payload) in entry.sections().iter().zip(&parcel.payloads) {
        let Some(payload) = payload.as_ref().filter(|_| section.store != SETTINGS_STORE) else {
            continue;
        };
        let store = &section.store;
        match fold_section(rows, database, types, store, payload, &stamp)? {
            Ok(changed) => changes.extend(changed),
            Err(reason) => voids.push(VoidSection { store: store.clone(), reason }),
        }
    }
    Ok((changes, voids))
}

/// The outer error is the store's; the inner one voids the section.
fn fold_section(
    rows: &mut Overlay,
    database: u32,
    types: &StoreTypes,
    store: &str,
    payload: &[u8],
    stamp: &EntryStamp,
) -> Result<Result<Vec<RowChange>, String>, StoreError> {
    let type_name = match section_type(payload) {
        Ok(name) => name,
        Err(void) => return Ok(Err(void.to_string())),
    };
    let Some(store_type) = types.get(type_name) else {
        return Ok(Err(format!("this build has no type '{type_name}'")));
    };
    let mut view = StoreViewMut::new(rows, StorePlace::new(database, store, store_type.name()));
    let mut changes = Vec::new();
    match store_type.apply(payload, stamp, &mut view, &mut changes) {
        Ok(()) => {}
        Err(ApplyError::Void(void)) => return Ok(Err(void.to_string())),
        Err(ApplyError::View(error)) => return Err(store_error(&error)),
    }
    let row =
        |change| RowChange { store: store.to_owned(), type_name: type_name.to_owned(), change };
    Ok(Ok(changes.into_iter().map(row).collect()))
}

/// Gives back the error that a view wrapped on its way through the types.
pub fn store_error(error: &weald_crdt::ViewError) -> StoreError {
    let source = error.source().and_then(|source| source.downcast_ref::<StoreError>());
    source.cloned().unwrap_or_else(|| StoreError::Corrupt { what: error.to_string() })
}
