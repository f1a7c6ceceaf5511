//! What differs between two versions of a database.
//!
//! Invariant: only rows that one of the two holds otherwise than now are looked at.

use std::collections::BTreeSet;
use std::sync::Arc;

use json_patch::Patch;
use weald_crdt::{Area, Value, ValueError};
use weald_dag::{EntryId, Overlay, Snapshot};
use weald_engine::{StorePlace, space_of};

use super::past::numbers;
use super::patches::patch;
use super::replay::past;
use super::steps::{RowPlace, kind};
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
    /// The cost is that of what lies between each of the two and now.
    ///
    /// # Errors
    /// [`DatabaseError::UnknownEntry`] for an entry that is not here, or any
    /// [`weald_dag::StoreError`].
    pub fn diff(&self, from: &[EntryId], to: &[EntryId]) -> Result<Vec<RowDiff>, DatabaseError> {
        let (now, database, types) = (self.core().rows()?, self.number(), &self.core().types);
        let version = |tips: &[EntryId]| -> Result<Overlay, DatabaseError> {
            let tips = numbers(&now, database, tips)?;
            Ok(past(Arc::clone(&now.0), database, types, &tips)?)
        };
        let (from, to) = (version(from)?, version(to)?);
        let state = space_of(Area::State, database);
        let mut keys = BTreeSet::new();
        for overlay in [&from, &to] {
            let spaces = overlay.batch().spaces().filter(|(space, _)| *space == state);
            spaces.for_each(|(_, rows)| keys.extend(rows.map(|(key, _)| key.to_vec())));
        }
        let mut found = Vec::new();
        for key in keys {
            let (Some((store, type_name, row)), before, after) =
                (StorePlace::split(&key), from.get(state, &key)?, to.get(state, &key)?)
            else {
                continue;
            };
            if before == after {
                continue;
            }
            let (store, type_name, key) = (store.to_owned(), type_name.to_owned(), row.to_vec());
            let place = RowPlace { store, type_name, key };
            let (before, after) =
                (place.show(types, before.as_deref()), place.show(types, after.as_deref()));
            if let Some(kind) = kind(before.as_ref(), after.as_ref()) {
                let key = place.named();
                found.push(RowDiff { store: place.store, key, kind, before, after });
            }
        }
        Ok(found)
    }
}
