//! State after entries have come to stand otherwise: the rows that they touched are folded again.
//!
//! Invariant: the standings in the rows of the entries are those of now before anything is folded,
//! so that a type which asks for a section gets what counts.

use std::collections::{BTreeMap, BTreeSet};

use weald_auth::SETTINGS_STORE;
use weald_crdt::{StoreType, Touched, Void};
use weald_dag::{Graph, Overlay, Standing, StoreError, Stored};

use super::needed::Turned;
use super::waiting::Waiting;
use crate::fold::{Beside, Foldable, RowChange, StoreTypes, foldable, store_error, tell};
use crate::index;
use crate::locked;
use crate::stale::{fold_whole, is_waiting};
use crate::view::{StorePlace, StoreViewMut, stamp_of};

/// How many rows are folded at once: each section is read once for all of them.
const ROWS_AT_ONCE: usize = 4_096;

/// What is to be folded again in a store: rows, each with the entries that have touched it and do
/// not rest in what the store keeps of it; or all of it.
struct Again<'a> {
    store: String,
    store_type: &'a dyn StoreType,
    rows: BTreeMap<Vec<u8>, BTreeSet<[u8; 32]>>,
    whole: bool,
}

type Stores<'a> = BTreeMap<StorePlace, Again<'a>>;

/// Folds again what entries touch that stand otherwise now, and returns the rows that changed.
pub(super) fn refold(
    rows: &mut Overlay,
    database: u32,
    types: &StoreTypes,
    beside: Beside<'_>,
    turned: &Turned,
) -> Result<Vec<RowChange>, StoreError> {
    let mut stores = Stores::new();
    for (number, (from, to)) in turned {
        let stored = Graph::new(rows, database).stored(*number)?;
        touch(rows, database, types, &stored, (*from, *to), &mut stores)?;
    }
    let mut changes = Vec::new();
    for (place, again) in stores {
        let Again { store, store_type, rows: again, whole } = again;
        if whole {
            changes.extend(fold_whole(rows, &place, (&store, store_type), types, beside)?);
            continue;
        }
        let again: Vec<_> = again.into_iter().collect();
        for some in again.chunks(ROWS_AT_ONCE) {
            let keys = some.iter().map(|(key, _)| key.clone()).collect();
            let with = some.iter().flat_map(|(_, with)| with).copied().collect();
            let in_store = (&place, store.as_str(), store_type);
            changes.extend(fold_rows(rows, types, beside, in_store, (&keys, &with))?);
        }
    }
    Ok(changes)
}

fn fold_rows(
    rows: &mut Overlay,
    types: &StoreTypes,
    beside: Beside<'_>,
    (place, store, store_type): (&StorePlace, &str, &dyn StoreType),
    (keys, with): (&BTreeSet<Vec<u8>>, &BTreeSet<[u8; 32]>),
) -> Result<Vec<RowChange>, StoreError> {
    let is_indexed = !place.is_sealed() && beside.indexes.cover(store, store_type.name());
    let mut view = if beside.record || is_indexed {
        StoreViewMut::recording(rows, place.clone())
    } else {
        StoreViewMut::new(rows, place.clone())
    };
    view = view.given_to(store_type);
    let mut changes = Vec::new();
    store_type.refold(keys, with, &mut view, &mut changes).map_err(|error| store_error(&error))?;
    let mut told = tell(&mut view, store, store_type.name(), changes)?;
    if is_indexed {
        index::follow(rows, place.database(), types, beside, &mut told)?;
    }
    Ok(told)
}

/// Takes note of what an entry touches that stands otherwise now.
fn touch<'a>(
    rows: &mut Overlay,
    database: u32,
    types: &'a StoreTypes,
    stored: &Stored,
    turned: (Standing, Standing),
    stores: &mut Stores<'a>,
) -> Result<(), StoreError> {
    let (entry, payloads) = (&stored.parcel.entry, &stored.parcel.payloads);
    for (at, (section, payload)) in entry.sections().iter().zip(payloads).enumerate() {
        let Some(payload) = payload.as_ref().filter(|_| section.store != SETTINGS_STORE) else {
            continue;
        };
        let store = section.store.as_str();
        let waiting = Waiting { database, store, number: stored.number, at };
        match foldable(types, (database, store), &entry.author(), payload) {
            Foldable::Void(_) if turned.1.is_needed() => {}
            Foldable::Void(_) => waiting.drop(rows),
            Foldable::Locked => waiting.for_key(rows, turned)?,
            Foldable::Unknown { place, type_name, .. } => {
                waiting.for_type(rows, turned, &place, &type_name)?;
            }
            Foldable::By { place, store_type, payload } => {
                if is_waiting(rows, &place, store, (stored.number, at))? {
                    if !turned.1.is_needed() {
                        waiting.drop(rows);
                    }
                    continue;
                }
                let (from, to) = (given(store_type, turned.0), given(store_type, turned.1));
                if from == to {
                    continue;
                }
                if place.is_sealed() {
                    locked::note_sealed(rows, database, store)?;
                }
                let stamp = stamp_of(entry, turned.1 == Standing::Visible);
                let touched = store_type.touched(&payload, &stamp);
                let again = stores.entry(place).or_insert_with(|| Again::new(store, store_type));
                again.add(touched, from.is_none().then_some(stamp.entry));
            }
        }
    }
    Ok(())
}

/// Returns whether a section is given to a type at all, and as that of a visible entry.
fn given(store_type: &dyn StoreType, standing: Standing) -> Option<bool> {
    match standing {
        Standing::Visible => Some(true),
        Standing::HiddenNeeded => store_type.folds_hidden().then_some(false),
        Standing::Hidden => None,
    }
}

impl<'a> Again<'a> {
    fn new(store: &str, store_type: &'a dyn StoreType) -> Self {
        Self { store: store.to_owned(), store_type, rows: BTreeMap::new(), whole: false }
    }

    fn add(&mut self, touched: Result<Touched, Void>, new: Option<[u8; 32]>) {
        match touched {
            // A void section has touched nothing.
            Err(_) => {}
            Ok(Touched::Store) => self.whole = true,
            Ok(Touched::Rows(keys)) => {
                for key in keys {
                    self.rows.entry(key).or_default().extend(new);
                }
            }
        }
    }
}
