//! What an index is: which fields of which store, and how far it is built.
//!
//! Invariant: definitions are this replica's own; they are never sent, and no state depends on them.
//! A number is given once and never again, so rows of an index that was dropped are never taken for
//! those of another.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use weald_crdt::{MAX_NESTING, Path, Value};
use weald_dag::{KeyRange, Order, Overlay, Snapshot, Space, StoreError};

use crate::view::StorePlace;

/// How many indexes a database may have.
pub const INDEXES_MAX: usize = 64;
/// How many fields an index may have.
pub const INDEX_FIELDS_MAX: usize = 8;
/// The greatest length in bytes of the name of an index.
pub const INDEX_NAME_BYTES_MAX: usize = 128;

/// Store and name of the index → what it is; nothing → the next number.
const fn definitions(database: u32) -> Space {
    Space::new("index-definitions", database)
}

/// Number of a dropped index whose rows are still there → nothing.
pub(super) const fn dropped(database: u32) -> Space {
    Space::new("index-dropped", database)
}

/// Number, values and key of a row → the length of the values.
pub(super) const fn indexes(database: u32) -> Space {
    Space::new("indexes", database)
}

const NEXT: &[u8] = &[];

/// Which fields an index orders by, and what it takes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexShape {
    /// The fields, the first one counts most.
    pub fields: Vec<Path>,
    /// Whether no two rows should have the same values.
    pub is_unique: bool,
    /// Whether rows are taken in that lack a field.
    pub includes_missing: bool,
}

/// An index of one store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexDefinition {
    pub(super) number: u32,
    /// The store's name.
    pub store: String,
    /// The name of the store's type.
    pub type_name: String,
    /// The index's own name.
    pub name: String,
    /// What it orders by.
    pub shape: IndexShape,
    /// How many rows were looked at by the building.
    pub built: u64,
    pub(super) progress: Progress,
}

/// How far an index is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Up to the row with this key.
    UpTo(Vec<u8>),
    /// Not at all.
    Nothing,
    /// It tells of every row.
    Ready,
}

impl IndexDefinition {
    /// Returns its number, which no other index of the database has had or will have.
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// Returns whether it tells of every row.
    pub fn is_ready(&self) -> bool {
        self.progress == Progress::Ready
    }

    pub(super) fn place(&self, database: u32) -> StorePlace {
        StorePlace::new(database, &self.store, &self.type_name)
    }

    pub(super) fn put(&self, rows: &mut Overlay, database: u32) {
        let text = |text: &String| Value::Text(text.clone());
        // A field is led to by keys alone.
        let keys =
            |path: &Path| path.keys().unwrap_or_default().into_iter().map(Value::from).collect();
        let path = |path: &Path| Value::List(keys(path));
        let progress = match &self.progress {
            Progress::UpTo(key) => Value::Bytes(key.clone()),
            Progress::Nothing => Value::Bool(false),
            Progress::Ready => Value::Bool(true),
        };
        let fields = self.shape.fields.iter().map(path).collect();
        let value = Value::from([
            ("number", Value::from(self.number)),
            ("store", text(&self.store)),
            ("type", text(&self.type_name)),
            ("name", text(&self.name)),
            ("fields", Value::List(fields)),
            ("unique", Value::Bool(self.shape.is_unique)),
            ("missing", Value::Bool(self.shape.includes_missing)),
            ("built", Value::from(self.built)),
            ("progress", progress),
        ]);
        // It has neither floats nor long map keys and does not nest deep.
        let row = value.encode().unwrap_or_default();
        let key = self.place(database).key(self.name.as_bytes());
        rows.put(definitions(database), key, row);
    }

    pub(super) fn remove(&self, rows: &mut Overlay, database: u32) {
        rows.remove(definitions(database), self.place(database).key(self.name.as_bytes()));
        rows.put(dropped(database), self.number.to_be_bytes(), []);
    }

    fn decode(row: &[u8]) -> Option<Self> {
        let value = Value::decode(row).ok()?;
        let text = |name| value.get(name)?.as_text().map(str::to_owned);
        let number = |name| match value.get(name)? {
            Value::U64(number) => Some(*number),
            _ => None,
        };
        let path = |list: &Value| {
            let components = list.as_list()?.iter().map(|part| part.as_text().map(str::to_owned));
            Some(Path::from(components.collect::<Option<Vec<_>>>()?))
        };
        let fields = value.get("fields")?.as_list()?.iter().map(path).collect::<Option<_>>()?;
        let progress = match value.get("progress")? {
            Value::Bytes(key) => Progress::UpTo(key.clone()),
            Value::Bool(false) => Progress::Nothing,
            Value::Bool(true) => Progress::Ready,
            _ => return None,
        };
        Some(Self {
            number: u32::try_from(number("number")?).ok()?,
            store: text("store")?,
            type_name: text("type")?,
            name: text("name")?,
            shape: IndexShape {
                fields,
                is_unique: value.get("unique")?.as_bool()?,
                includes_missing: value.get("missing")?.as_bool()?,
            },
            built: number("built")?,
            progress,
        })
    }
}

/// Returns whether a path can be that of a field.
pub(super) fn is_field(path: &Path) -> bool {
    let keys = path.keys().filter(|keys| (1..=MAX_NESTING).contains(&keys.len()));
    keys.is_some() && path.encode().is_ok()
}

fn damaged(database: u32) -> StoreError {
    let what = format!("a row of space 'index-definitions' of database number {database}");
    StoreError::Corrupt { what }
}

/// Finds an index by the name and type of its store, and its own name.
///
/// # Errors
/// Any [`StoreError`].
pub fn index_definition(
    rows: &dyn Snapshot,
    database: u32,
    store: (&str, &str),
    name: &str,
) -> Result<Option<IndexDefinition>, StoreError> {
    let key = StorePlace::new(database, store.0, store.1).key(name.as_bytes());
    let Some(row) = rows.get(definitions(database), &key)? else { return Ok(None) };
    IndexDefinition::decode(&row).map(Some).ok_or_else(|| damaged(database))
}

/// Lists the indexes of a database, by store and name.
///
/// # Errors
/// Any [`StoreError`].
pub fn index_definitions(
    rows: &dyn Snapshot,
    database: u32,
) -> Result<Vec<IndexDefinition>, StoreError> {
    let mut found = Vec::new();
    let space = definitions(database);
    rows.range(space, KeyRange::all(), Order::Ascending, &mut |key, row| {
        if key != NEXT {
            found.push(IndexDefinition::decode(row));
        }
        ControlFlow::Continue(())
    })?;
    found.into_iter().collect::<Option<_>>().ok_or_else(|| damaged(database))
}

/// Gives out the next free number.
pub(super) fn next_number(rows: &mut Overlay, database: u32) -> Result<u32, StoreError> {
    let row = rows.get(definitions(database), NEXT)?;
    let next = row.map_or(Ok([0; 4]), |row| row.as_slice().try_into());
    let number = u32::from_be_bytes(next.map_err(|_| damaged(database))?);
    rows.put(definitions(database), NEXT, number.saturating_add(1).to_be_bytes());
    Ok(number)
}

/// Returns the field of a row at a path.
pub(super) fn field<'a>(row: &'a Value, path: &Path) -> Option<&'a Value> {
    path.keys()?.into_iter().try_fold(row, |value, name| value.get(name))
}

/// The definitions of a database by store, as the door keeps them in memory.
#[derive(Debug, Default)]
pub(crate) struct Indexes(pub(super) BTreeMap<(String, String), Vec<IndexDefinition>>);

impl Indexes {
    pub(crate) fn load(rows: &dyn Snapshot, database: u32) -> Result<Self, StoreError> {
        let mut by_store = BTreeMap::<_, Vec<_>>::new();
        for definition in index_definitions(rows, database)? {
            let store = (definition.store.clone(), definition.type_name.clone());
            by_store.entry(store).or_default().push(definition);
        }
        Ok(Self(by_store))
    }

    /// Returns the indexes of a store.
    pub(super) fn of(&self, store: &str, type_name: &str) -> &[IndexDefinition] {
        if self.0.is_empty() {
            return &[];
        }
        let found = self.0.get(&(store.to_owned(), type_name.to_owned()));
        found.map_or(&[], Vec::as_slice)
    }

    /// Returns whether a store has indexes.
    pub(crate) fn cover(&self, store: &str, type_name: &str) -> bool {
        !self.of(store, type_name).is_empty()
    }
}
