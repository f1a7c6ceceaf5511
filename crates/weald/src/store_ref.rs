//! A named store of a database: its name, its type, and its rows.
//!
//! Invariant: a store is only reached under a name that is allowed and a type that does not clash
//! with what is visible under that name.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use thiserror::Error;
use weald_crdt::{Area, StoreType, View};
use weald_dag::limits::STORE_NAME_MAX;
use weald_dag::{Snapshot, StoreError};
use weald_engine::{StorePlace, StoreView, store_error, type_in_use};

use crate::core::Core;
use crate::own::is_built_in;
use crate::rows::Rows;

/// Why a store cannot be used under a name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StoreNameError {
    /// The name is empty.
    #[error("a store needs a name; give it one")]
    Empty,
    /// The name is too long.
    #[error("a store name has {length} bytes, more than {STORE_NAME_MAX}; shorten it")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// The name is kept for the library.
    #[error("the store name '{name}' begins with '_', which is kept for weald; choose another")]
    Reserved {
        /// The name.
        name: String,
    },
    /// The name is in use for a store of another type.
    #[error(
        "the store '{name}' is a {found}, not a {wanted}; open it as that, or choose another name"
    )]
    OtherType {
        /// The name.
        name: String,
        /// What it was opened as.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// The instance does not know the type.
    #[error(
        "this instance was not given a store type '{type_name}'; give it to the builder with store_type"
    )]
    UnknownType {
        /// The name of the type.
        type_name: String,
    },
}

/// Checks that an app may name a store so.
pub(crate) fn check_name(name: &str) -> Result<(), StoreNameError> {
    if name.is_empty() {
        return Err(StoreNameError::Empty);
    }
    if name.len() > STORE_NAME_MAX {
        return Err(StoreNameError::TooLong { length: name.len() });
    }
    if name.starts_with('_') {
        return Err(StoreNameError::Reserved { name: name.to_owned() });
    }
    Ok(())
}

/// Returns the other type that a name is in use for, if this one has no rows under it.
pub(crate) fn other_type<S: Snapshot>(
    rows: &S,
    database: u32,
    name: &str,
    wanted: &str,
) -> Result<Option<String>, StoreError> {
    if has_rows(rows, database, name, wanted)? {
        return Ok(None);
    }
    type_in_use(rows, database, name)
}

/// Checks that a sealed store is unlocked, and of this type inside.
pub(crate) fn check_sealed(
    core: &Core,
    database: u32,
    name: &str,
    wanted: &'static str,
) -> Result<(), crate::ReadError> {
    let name = name.to_owned();
    match core.vault.type_of(database, &name) {
        None => Err(crate::ReadError::Locked { store: name }),
        Some(found) if found != wanted => {
            Err(StoreNameError::OtherType { name, wanted, found }.into())
        }
        Some(_) => Ok(()),
    }
}

fn has_rows<S: Snapshot>(
    rows: &S,
    database: u32,
    name: &str,
    type_name: &str,
) -> Result<bool, StoreError> {
    let view = StoreView::new(rows, StorePlace::new(database, name, type_name));
    let mut found = false;
    let visited =
        view.range(Area::State, Bound::Unbounded, Bound::Unbounded, false, &mut |_, _| {
            found = true;
            ControlFlow::Break(())
        });
    visited.map_err(|error| store_error(&error))?;
    Ok(found)
}

/// Returns a store type of the app's own.
pub(crate) fn own_type(core: &Core, type_name: &str) -> Result<Arc<dyn StoreType>, StoreNameError> {
    let unknown = || StoreNameError::UnknownType { type_name: type_name.to_owned() };
    let store_type = core.types.get(type_name).filter(|_| !is_built_in(type_name));
    store_type.cloned().ok_or_else(unknown)
}

/// A store for reading.
#[derive(Clone)]
pub(crate) struct StoreRef {
    pub(crate) core: Arc<Core>,
    pub(crate) database: u32,
    pub(crate) name: Arc<str>,
    place: StorePlace,
    /// The rows of a version of the past; those of the moment by default.
    version: Option<Rows>,
}

impl StoreRef {
    /// Finds a store for reading, checking name and type.
    pub(crate) fn open(
        core: &Arc<Core>,
        database: u32,
        name: &str,
        type_name: &'static str,
    ) -> Result<Self, crate::ReadError> {
        let now = core.rows()?;
        Ok(Self { version: None, ..Self::open_at(core, database, now, name, type_name)? })
    }

    /// Finds a store of a version of the past for reading, checking name and type.
    pub(crate) fn open_at(
        core: &Arc<Core>,
        database: u32,
        version: Rows,
        name: &str,
        type_name: &'static str,
    ) -> Result<Self, crate::ReadError> {
        check_name(name)?;
        let place = StorePlace::of(&version, &core.types, database, (name, type_name))?;
        if place.is_sealed() {
            check_sealed(core, database, name, type_name)?;
        } else if let Some(found) = other_type(&version, database, name, type_name)? {
            let name = name.to_owned();
            return Err(StoreNameError::OtherType { name, wanted: type_name, found }.into());
        }
        let (core, name, version) = (Arc::clone(core), name.into(), Some(version));
        Ok(Self { core, database, name, place, version })
    }

    pub(crate) const fn place(&self) -> &StorePlace {
        &self.place
    }

    pub(crate) fn rows(&self) -> Result<Rows, StoreError> {
        if self.place.is_sealed() && !self.core.vault.is_open(self.database, &self.name) {
            return Err(StoreError::Locked { store: self.name.to_string() });
        }
        self.version.clone().map_or_else(|| self.core.rows(), Ok)
    }

    /// Returns whether this is of a version of the past.
    #[cfg(feature = "text")]
    pub(crate) const fn is_past(&self) -> bool {
        self.version.is_some()
    }

    pub(crate) fn view<'a>(&self, rows: &'a Rows) -> StoreView<'a, Rows> {
        StoreView::new(rows, self.place.clone())
    }
}
