//! What differs between two versions of a database.
//!
//! Invariant: only rows are compared that an entry touched which one of the two lacks.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use json_patch::Patch;
use weald_crdt::{Area, Touched, Value, ValueError, View};
use weald_dag::{EntryId, Graph, Number, Overlay, Snapshot, StoreError, Stored};
use weald_engine::{StorePlace, StoreTypes, StoreView, past, space_of, store_error};

use super::past::numbers;
use super::patches::patch;
use super::steps::{RowPlace, kind, sections, stamp_of};
#[cfg(feature = "text")]
use super::steps::{is_text, text_error};
use crate::conflict::RowKey;
use crate::database::{Database, DatabaseError};
use crate::watch::ChangeKind;

/// A row that two versions hold otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RowDiff {
    /// The store.
    pub store: String,
    /// The row.
    pub key: RowKey,
    /// What becomes of it from the first version to the second.
    pub kind: ChangeKind,
    /// What the first version says; `None` if it has no such row.
    pub before: Option<Value>,
    /// What the second version says; `None` if it has no such row.
    pub after: Option<Value>,
}

impl RowDiff {
    /// Compares what two versions say; `None` where that is the same.
    fn of(store: String, key: RowKey, before: Option<Value>, after: Option<Value>) -> Option<Self> {
        let kind = kind(before.as_ref(), after.as_ref())?;
        Some(Self { store, key, kind, before, after })
    }

    /// Returns the JSON patch (RFC 6902) that leads from the first version to the second, as
    /// [`crate::Revision::forward`] does.
    ///
    /// # Errors
    /// [`ValueError::NotANumber`] for a float that is none, which no store keeps.
    pub fn forward(&self) -> Result<Patch, ValueError> {
        patch(self.before.as_ref(), self.after.as_ref())
    }

    /// Returns the JSON patch (RFC 6902) that leads from the second version to the first.
    ///
    /// # Errors
    /// [`ValueError::NotANumber`] for a float that is none, which no store keeps.
    pub fn reverse(&self) -> Result<Patch, ValueError> {
        patch(self.after.as_ref(), self.before.as_ref())
    }
}

impl Database {
    /// Returns the rows that differ between two versions, each named by its tips, by store and key.
    ///
    /// The rows that are compared are those that entries touched which only one of the two has; the
    /// versions themselves cost what lies between each of them and now, or before it if that is less.
    ///
    /// # Errors
    /// [`DatabaseError::UnknownEntry`] for an entry that is not here, or any [`StoreError`].
    pub fn diff(&self, from: &[EntryId], to: &[EntryId]) -> Result<Vec<RowDiff>, DatabaseError> {
        let (now, database, types) = (self.core().rows()?, self.number(), &self.core().types);
        let (from, to) = (numbers(&now, database, from)?, numbers(&now, database, to)?);
        let graph = Graph::new(&now, database);
        let mut touched = BTreeMap::new();
        for (one, other) in [(&from, &to), (&to, &from)] {
            for number in graph.difference(one, other)? {
                touch(&graph.stored(number)?, database, types, &mut touched);
            }
        }
        let version = |tips: &[Number]| past(Arc::clone(&now.0), database, types, tips);
        let (from, to) = (version(&from)?, version(&to)?);
        let mut found = Vec::new();
        for ((store, type_name), touched) in touched {
            let place = StorePlace::of(&now, types, database, (&store, &type_name))?;
            #[cfg(feature = "text")]
            if is_text(&type_name) {
                let said = |version: &Overlay| -> Result<Option<Value>, StoreError> {
                    let view = StoreView::new(version, place.clone());
                    let text = crate::text::shown(&view).map_err(text_error)?;
                    Ok(text.map(Value::Text))
                };
                found.extend(RowDiff::of(store, RowKey::Text, said(&from)?, said(&to)?));
                continue;
            }
            let keys = match touched {
                Touched::Rows(keys) => keys,
                Touched::Store => {
                    let (mut keys, more) = (keys_of(&from, &place)?, keys_of(&to, &place)?);
                    keys.extend(more);
                    keys
                }
            };
            for key in keys {
                let row = RowPlace { store: store.clone(), type_name: type_name.clone(), key };
                let state = space_of(Area::State, database);
                let said = |version: &Overlay| -> Result<Option<Value>, StoreError> {
                    let bytes = version.get(state, &place.key(&row.key))?;
                    Ok(row.show(types, bytes.as_deref()))
                };
                found.extend(RowDiff::of(store.clone(), row.named(), said(&from)?, said(&to)?));
            }
        }
        Ok(found)
    }
}

/// Adds the rows that an entry touched, by store and type.
fn touch(
    stored: &Stored,
    database: u32,
    types: &StoreTypes,
    touched: &mut BTreeMap<(String, String), Touched>,
) {
    for (store, type_name, payload) in sections(stored, database, types) {
        let Some(store_type) = types.get(&type_name) else { continue };
        // What breaks a rule of its type has touched nothing.
        let Ok(more) = store_type.touched(&payload, &stamp_of(stored)) else { continue };
        let all = touched.entry((store.to_owned(), type_name.into_owned()));
        match (all.or_insert_with(|| Touched::Rows(BTreeSet::new())), more) {
            (Touched::Rows(rows), Touched::Rows(more)) => rows.extend(more),
            (all, Touched::Store) => *all = Touched::Store,
            (Touched::Store, Touched::Rows(_)) => {}
        }
    }
}

/// Returns the keys of all rows that a version of a store has.
fn keys_of(version: &Overlay, place: &StorePlace) -> Result<BTreeSet<Vec<u8>>, StoreError> {
    let (mut keys, all) = (BTreeSet::new(), Bound::Unbounded);
    let visited = StoreView::new(version, place.clone()).range(
        Area::State,
        all,
        all,
        false,
        &mut |key, _| {
            keys.insert(key.to_vec());
            ControlFlow::Continue(())
        },
    );
    visited.map_err(|error| store_error(&error))?;
    Ok(keys)
}
