//! Folding one entry into state: its sections go to the types of their stores.
//!
//! Invariant: folding costs the entry's own operations; a section that breaks a rule of its type
//! adds nothing and is reported, the same on every replica; one that this build cannot read waits.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::Arc;

use weald_auth::SETTINGS_STORE;
use weald_crdt::{
    ApplyError, Area, Change, Conflict, CounterType, DocType, LogType, SEALED_TYPE, SetType,
    StoreType, TableType, View, ViewError, Void, section_type,
};
use weald_dag::{
    DatabaseId, Entry, EntryId, Number, Overlay, Parcel, PublicKey, Standing, StoreError, Time,
};

use crate::index::{self, Indexes};
use crate::locked;
use crate::secrets::{Secrets, Shown};
use crate::unfolded;
use crate::view::{StorePlace, StoreViewMut, stamp_of};

/// The types of stores that an instance can fold, and what opens the sealed ones.
#[derive(Clone)]
pub struct StoreTypes {
    types: BTreeMap<&'static str, Arc<dyn StoreType>>,
    secrets: Option<Arc<dyn Secrets>>,
}

impl StoreTypes {
    /// Takes these types; of two with one name the later counts.
    pub fn new(types: impl IntoIterator<Item = Arc<dyn StoreType>>) -> Self {
        let types = types.into_iter().map(|store_type| (store_type.name(), store_type)).collect();
        Self { types, secrets: None }
    }

    /// Takes the types that come with Weald: `counter`, `doc`, `log`, `set` and `table`.
    pub fn built_in() -> Self {
        Self::new([
            Arc::new(CounterType) as Arc<dyn StoreType>,
            Arc::new(DocType),
            Arc::new(LogType),
            Arc::new(SetType),
            Arc::new(TableType),
        ])
    }

    /// Takes another type as well, in place of one of the same name.
    #[must_use]
    pub fn with(mut self, store_type: Arc<dyn StoreType>) -> Self {
        self.types.insert(store_type.name(), store_type);
        self
    }

    /// Takes what opens sealed sections; without it they all wait.
    #[must_use]
    pub fn with_secrets(mut self, secrets: Arc<dyn Secrets>) -> Self {
        self.secrets = Some(secrets);
        self
    }

    /// Returns the types with nothing to open sealed sections with.
    pub(crate) fn without_secrets(&self) -> Self {
        Self { types: self.types.clone(), secrets: None }
    }

    pub(crate) const fn secrets(&self) -> Option<&Arc<dyn Secrets>> {
        self.secrets.as_ref()
    }

    /// Returns the type of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn StoreType>> {
        self.types.get(name)
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
    /// What the row held, if [`crate::Engine::record`] asked for it.
    pub values: Option<RowValues>,
}

/// What a row of state held before and after a change, as it rests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowValues {
    /// Before; `None` if there was no row.
    pub before: Option<Vec<u8>>,
    /// After; `None` if there is no row.
    pub after: Option<Vec<u8>>,
}

/// A section that added nothing, for good or until an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoidSection {
    /// The store that it names.
    pub store: String,
    /// What rule it breaks, or what is not known.
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
    /// The sections that this build cannot fold: it does not know their type. They are folded when
    /// a build that does opens the store.
    pub unknown: Vec<VoidSection>,
    /// Whether it is visible. One that is hidden has changed nothing.
    pub standing: Standing,
    /// What it has made appear or vanish, if anything.
    pub shift: Option<Box<Shift>>,
    /// Whether it changed the database's settings.
    pub settings: bool,
    /// Whether its author has used this sequence number before, as far as this replica can tell: the
    /// key is used in two places. Only the greatest number is known, so it depends on the order in
    /// which siblings come; it is a hint for people, and nothing else follows from it.
    pub author_forked: bool,
}

/// What became visible or hidden because of one entry: a limit that came, or a descendant that shows
/// what its limit was lifted by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shift {
    /// How many entries are visible that were not.
    pub appeared: u64,
    /// How many entries are hidden that were not.
    pub vanished: u64,
    /// Who signed them.
    pub authors: BTreeSet<PublicKey>,
    /// The rows of state that changed by it.
    pub changes: Vec<RowChange>,
}

impl Folded {
    /// Returns the conflicts that the entry made or left standing.
    pub fn conflicts(&self) -> impl Iterator<Item = (&RowChange, &Conflict)> {
        self.changes.iter().filter_map(|row| Some((row, row.change.conflict.as_ref()?)))
    }
}

/// What folding an entry did.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) changes: Vec<RowChange>,
    pub(crate) voids: Vec<VoidSection>,
    pub(crate) unknown: Vec<VoidSection>,
}

/// Folds the data sections of the entry that gets this number.
pub(crate) fn fold(
    rows: &mut Overlay,
    database: u32,
    types: &StoreTypes,
    parcel: &Parcel,
    number: Number,
    beside: Beside<'_>,
) -> Result<Outcome, StoreError> {
    let entry = &parcel.entry;
    let mut outcome = Outcome::default();
    for (place, (section, payload)) in entry.sections().iter().zip(&parcel.payloads).enumerate() {
        let Some(payload) = payload.as_ref().filter(|_| section.store != SETTINGS_STORE) else {
            continue;
        };
        let store = &section.store;
        let section = Section { database, store, payload, is_visible: true };
        match fold_section(rows, types, &section, entry, beside)? {
            Told::Changes(changed) => outcome.changes.extend(changed),
            Told::Void(reason) => outcome.voids.push(VoidSection { store: store.clone(), reason }),
            Told::Unknown(reason) => {
                unfolded::mark(rows, database, number, place);
                outcome.unknown.push(VoidSection { store: store.clone(), reason });
            }
            Told::Locked => locked::mark(rows, database, store, number, place),
        }
    }
    Ok(outcome)
}

/// A section with its payload.
pub(crate) struct Section<'a> {
    pub(crate) database: u32,
    pub(crate) store: &'a str,
    pub(crate) payload: &'a [u8],
    /// Whether its entry is visible; otherwise that is hidden but needed.
    pub(crate) is_visible: bool,
}

/// What is done beside folding.
#[derive(Clone, Copy)]
pub(crate) struct Beside<'a> {
    /// Whether changes are to tell what rows held.
    pub(crate) record: bool,
    /// The indexes that follow the rows.
    pub(crate) indexes: &'a Indexes,
}

/// What a type says of a section.
pub(crate) enum Told {
    /// It is folded.
    Changes(Vec<RowChange>),
    /// It breaks a rule of its type and adds nothing, on any replica.
    Void(String),
    /// This build does not know its type, or the version of its type.
    Unknown(String),
    /// It is sealed, and its key is not there.
    Locked,
}

/// Gives a section to the type of its store.
pub(crate) fn fold_section(
    rows: &mut Overlay,
    types: &StoreTypes,
    section: &Section<'_>,
    entry: &Entry,
    beside: Beside<'_>,
) -> Result<Told, StoreError> {
    let Section { database, store, payload, is_visible } = *section;
    if section_type(payload) == Ok(SEALED_TYPE) {
        locked::note_sealed(rows, database, store)?;
    }
    let (place, store_type, payload) =
        match foldable(types, (database, store), &entry.author(), payload) {
            Foldable::By { place, store_type, payload } => (place, store_type, payload),
            Foldable::Void(reason) => return Ok(Told::Void(reason)),
            Foldable::Unknown { reason, .. } => return Ok(Told::Unknown(reason)),
            Foldable::Locked => return Ok(Told::Locked),
        };
    if !is_visible && !store_type.folds_hidden() {
        return Ok(Told::Changes(Vec::new()));
    }
    let payload = &*payload;
    let stamp = stamp_of(entry, is_visible);
    let is_indexed = !place.is_sealed() && beside.indexes.cover(store, store_type.name());
    let mut view = if beside.record || is_indexed {
        StoreViewMut::recording(rows, place)
    } else {
        StoreViewMut::new(rows, place)
    };
    view = view.given_to(store_type);
    let mut changes = Vec::new();
    match store_type.apply(payload, &stamp, &mut view, &mut changes) {
        Ok(()) => {}
        Err(ApplyError::Void(void)) => return Ok(Told::Void(void.to_string())),
        Err(ApplyError::View(error)) => return Err(store_error(&error)),
    }
    let mut told = tell(&mut view, store, store_type.name(), changes)?;
    if is_indexed {
        index::follow(rows, database, types, beside, &mut told)?;
    }
    Ok(Told::Changes(told))
}

/// Says who can fold a section.
pub(crate) enum Foldable<'t, 'a> {
    /// This type, which sees the payload so.
    By { place: StorePlace, store_type: &'t dyn StoreType, payload: Cow<'a, [u8]> },
    /// Nobody, on any replica.
    Void(String),
    /// A build that knows this type, and the version of it.
    Unknown { place: StorePlace, type_name: Cow<'a, str>, reason: String },
    /// Who has the key of its store.
    Locked,
}

pub(crate) fn foldable<'t, 'a>(
    types: &'t StoreTypes,
    (database, store): (u32, &str),
    author: &PublicKey,
    payload: &'a [u8],
) -> Foldable<'t, 'a> {
    let (place, type_name, payload) = match types.shown(database, store, author, payload) {
        Shown::Section { place, type_name, payload } => (place, type_name, payload),
        Shown::Locked => return Foldable::Locked,
        Shown::Void(reason) => return Foldable::Void(reason),
    };
    let Some(store_type) = types.get(&type_name) else {
        let reason = format!("this build has no type '{type_name}'");
        return Foldable::Unknown { place, type_name, reason };
    };
    if !is_first_version(&payload, &type_name)
        && let Err(newer @ Void::UnknownVersion { .. }) = store_type.check(&payload)
    {
        return Foldable::Unknown { place, type_name, reason: newer.to_string() };
    }
    Foldable::By { place, store_type: &**store_type, payload }
}

/// Says of changed rows in which store they are, and what they held if that was remembered.
pub(crate) fn tell(
    view: &mut StoreViewMut<'_>,
    store: &str,
    type_name: &str,
    changes: Vec<Change>,
) -> Result<Vec<RowChange>, StoreError> {
    let told = changes.into_iter().map(|change| {
        let values = values_of(view, &change)?;
        Ok(RowChange { store: store.to_owned(), type_name: type_name.to_owned(), change, values })
    });
    told.collect::<Result<_, ViewError>>().map_err(|error| store_error(&error))
}

fn values_of(view: &mut StoreViewMut<'_>, change: &Change) -> Result<Option<RowValues>, ViewError> {
    if !view.records() {
        return Ok(None);
    }
    let before = view.before(&change.key);
    Ok(Some(RowValues { before, after: view.get(Area::State, &change.key)? }))
}

/// Returns whether the version after the type's name is 0 or 1. Every build knows the first version
/// of its types, so these need not be decoded twice.
fn is_first_version(payload: &[u8], type_name: &str) -> bool {
    // One byte says that it is a section; the name follows, behind its length.
    let head = match type_name.len() {
        0..=0x17 => 1,
        0x18..=0xff => 2,
        _ => 3,
    };
    let version = payload.get(1 + head + type_name.len());
    version.is_some_and(|version| *version <= 1)
}

/// Gives back the error that a view wrapped on its way through the types.
pub fn store_error(error: &weald_crdt::ViewError) -> StoreError {
    let source = error.source().and_then(|source| source.downcast_ref::<StoreError>());
    source.cloned().unwrap_or_else(|| StoreError::Corrupt { what: error.to_string() })
}
