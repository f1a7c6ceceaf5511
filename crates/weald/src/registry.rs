//! Which stores a database has, and what is noted of them for people and programs.
//!
//! Invariant: the list is read from the rows that are there, so it cannot be wrong; what is noted in
//! `_stores` is a hint that merges field by field, and no rule rests on it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};

use weald_crdt::{Key, TableType, Value};
use weald_engine::{StorePlace, StoreView, stores};

use crate::core::Core;
use crate::error::{ReadError, WriteError};
use crate::rows::Rows;
use crate::sealed::SealedStore;
use crate::store_ref::StoreNameError;
use crate::table_mut::TableMut;
use crate::transaction::Transaction;

/// The table that keeps the notes, keyed by name and type of the store.
const STORES: &str = "_stores";
const DESCRIPTION: &str = "description";
/// What the field of an index begins with; its name follows.
const INDEX: &str = "index ";

/// What is noted of a store, as a hint for other devices and programs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreOptions {
    /// What the store is for.
    pub description: Option<String>,
    /// Indexes that are worth having, by their name, with the paths of their fields. Indexes are
    /// local: each device makes its own.
    pub indexes: BTreeMap<String, Vec<String>>,
}

impl StoreOptions {
    /// Says what the store is for. Nothing by default.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// Adds an index that is worth having, over these fields. None by default.
    #[must_use]
    pub fn index<F: Into<String>>(
        mut self,
        name: impl Into<String>,
        fields: impl IntoIterator<Item = F>,
    ) -> Self {
        let fields = fields.into_iter().map(Into::into).collect();
        self.indexes.insert(name.into(), fields);
        self
    }

    /// Each index is a field of its own, so that those noted apart all stay.
    fn to_row(&self) -> Value {
        let mut fields: BTreeMap<String, Value> = BTreeMap::new();
        if let Some(text) = &self.description {
            fields.insert(DESCRIPTION.to_owned(), Value::from(text.as_str()));
        }
        for (name, paths) in &self.indexes {
            let paths = paths.iter().map(|path| Value::from(path.as_str())).collect();
            fields.insert(format!("{INDEX}{name}"), Value::List(paths));
        }
        Value::Map(fields)
    }

    /// What this build does not understand is left out.
    fn of_row(row: &Value) -> Self {
        let mut options = Self::default();
        for (field, value) in row.as_map().into_iter().flatten() {
            if field == DESCRIPTION {
                options.description = value.as_text().map(str::to_owned);
            }
            let paths = field.strip_prefix(INDEX).zip(value.as_list());
            if let Some((name, paths)) = paths {
                let paths = paths.iter().filter_map(Value::as_text).map(str::to_owned);
                options.indexes.insert(name.to_owned(), paths.collect());
            }
        }
        options
    }
}

/// A store of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreSummary {
    /// Its name.
    pub name: String,
    /// The name of its type, such as `table`; this build may not know it.
    pub type_name: String,
    /// Whether nothing is in it: it is noted, or was emptied and is noted.
    pub is_empty: bool,
    /// Whether it is sealed. What its type is may not be known then, which leaves the name of that
    /// empty; whether something is in it is not told.
    pub is_sealed: bool,
    /// What is noted of it.
    pub options: StoreOptions,
}

/// Lists the stores that have rows or are noted, by name and type; not those of the library.
pub(crate) fn list(
    rows: &Rows,
    database: u32,
    sealed: Vec<SealedStore>,
) -> Result<Vec<StoreSummary>, ReadError> {
    let mut found: BTreeMap<(String, String), (bool, StoreOptions)> = BTreeMap::new();
    for store in stores(rows, database)? {
        if !store.store.starts_with('_') {
            let options = StoreOptions::default();
            found.insert((store.store, store.type_name), (false, options));
        }
    }
    let mut sealed_stores = BTreeSet::new();
    for store in sealed {
        let place = (store.name, store.type_name.unwrap_or_default());
        found.insert(place.clone(), (false, StoreOptions::default()));
        sealed_stores.insert(place);
    }
    let view = StoreView::new(rows, StorePlace::new(database, STORES, TableType::NAME));
    let all = Bound::Unbounded;
    weald_crdt::table::range(&view, all, all, false, &mut |key, row| {
        if let Some(place) = place_of(key) {
            let noted = StoreOptions::of_row(&row.value);
            found.entry(place).or_insert((true, StoreOptions::default())).1 = noted;
        }
        ControlFlow::Continue(())
    })?;
    let summary = |(place, (is_empty, options))| {
        let is_sealed = sealed_stores.contains(&place);
        let (name, type_name) = place;
        StoreSummary { name, type_name, is_empty, is_sealed, options }
    };
    Ok(found.into_iter().map(summary).collect())
}

fn place_of(key: Key) -> Option<(String, String)> {
    let Key::Tuple(parts) = key else { return None };
    let parts: [Key; 2] = parts.try_into().ok()?;
    let [Key::Text(name), Key::Text(type_name)] = parts else { return None };
    Some((name, type_name))
}

/// Returns the name of a type that the instance knows.
pub(crate) fn known_type(core: &Core, type_name: &str) -> Result<&'static str, StoreNameError> {
    let unknown = || StoreNameError::UnknownType { type_name: type_name.to_owned() };
    core.types.get(type_name).map(|store_type| store_type.name()).ok_or_else(unknown)
}

/// Notes options of a store; those noted before and not given now stay.
pub(crate) fn note(
    transaction: &mut Transaction,
    name: &str,
    type_name: &str,
    options: &StoreOptions,
) -> Result<(), WriteError> {
    let (key, row) = ((name, type_name), options.to_row());
    let mut table: TableMut<'_, Value> = TableMut::new(transaction, STORES.to_owned());
    if table.contains(key)? { table.merge(key, &row) } else { table.put(key, &row) }
}
