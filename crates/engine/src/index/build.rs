//! Declaring and dropping indexes, and building them over what is there already.
//!
//! Invariant: a step looks at a bounded number of rows; how far it came is written with what it has
//! made, so building goes on after a restart where it stopped.

use std::ops::{Bound, ControlFlow};

use thiserror::Error;
use weald_crdt::Area;
use weald_dag::{KeyRange, Order, Overlay, Snapshot, StoreError};

use super::definition::{
    INDEX_FIELDS_MAX, INDEX_NAME_BYTES_MAX, INDEXES_MAX, IndexDefinition, IndexShape, Indexes,
    Progress, dropped, index_definition, index_definitions, indexes, is_field, next_number,
};
use super::upkeep::{index_row, show, whole};
use crate::fold::StoreTypes;
use crate::view::space_of;

/// How many rows one step of building looks at, at most; commits go on between two steps.
pub const INDEX_STEP_ROWS: usize = 1_000;

/// An index that should be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexDeclaration {
    /// The store's name.
    pub store: String,
    /// The name of the store's type.
    pub type_name: String,
    /// The index's own name.
    pub name: String,
    /// What it orders by.
    pub shape: IndexShape,
}

/// Why an index cannot be used; nothing has changed.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum IndexError {
    /// An index would hold in the clear what is sealed.
    #[error(
        "the store '{store}' is sealed and has no indexes; ask for its rows by key, and filter"
    )]
    Sealed {
        /// The store.
        store: String,
    },
    /// The name is empty or too long.
    #[error(
        "an index name has {length} bytes, not 1 to {INDEX_NAME_BYTES_MAX}; choose another name"
    )]
    Name {
        /// Its length in bytes.
        length: usize,
    },
    /// The number of fields is zero or too great.
    #[error("an index has {count} fields, not 1 to {INDEX_FIELDS_MAX}; name others")]
    Fields {
        /// How many there are.
        count: usize,
    },
    /// A field has no name, or one that no field can have.
    #[error(
        "an index is on a field that cannot be; name the field by the map keys that lead to it"
    )]
    Field,
    /// The name is in use for another index of the store.
    #[error(
        "the index '{name}' is there with other fields or options; drop it, or choose another name"
    )]
    Differs {
        /// The name.
        name: String,
    },
    /// The database has as many indexes as it may have.
    #[error("the database has {INDEXES_MAX} indexes already; drop one of them")]
    TooMany,
    /// The store has no index of this name.
    #[error("the store '{store}' has no index '{name}' on this device; declare it first")]
    Unknown {
        /// The store.
        store: String,
        /// The name.
        name: String,
    },
    /// The values asked for are more than the fields, or of a kind that is not indexed.
    #[error(
        "the index '{name}' cannot be asked for these values; give at most one a field, and no list or map"
    )]
    Values {
        /// The name.
        name: String,
    },
    /// The index is not one whose values should differ.
    #[error("the index '{name}' is not unique; declare one that is")]
    NotUnique {
        /// The name.
        name: String,
    },
    /// The rows at rest.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a step of building has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexStep {
    /// Whether there is more to do.
    pub more: bool,
}

impl IndexDeclaration {
    fn check(&self) -> Result<(), IndexError> {
        let length = self.name.len();
        if !(1..=INDEX_NAME_BYTES_MAX).contains(&length) {
            return Err(IndexError::Name { length });
        }
        let count = self.shape.fields.len();
        if !(1..=INDEX_FIELDS_MAX).contains(&count) {
            return Err(IndexError::Fields { count });
        }
        if self.shape.fields.iter().all(is_field) { Ok(()) } else { Err(IndexError::Field) }
    }
}

/// Stages an index, and returns it; one that is there already is left as it is.
pub(crate) fn declare(
    rows: &mut Overlay,
    database: u32,
    declaration: IndexDeclaration,
) -> Result<IndexDefinition, IndexError> {
    declaration.check()?;
    let IndexDeclaration { store, type_name, name, shape } = declaration;
    if let Some(found) = index_definition(rows, database, (&store, &type_name), &name)? {
        let same = found.shape == shape;
        return if same { Ok(found) } else { Err(IndexError::Differs { name }) };
    }
    if index_definitions(rows, database)?.len() >= INDEXES_MAX {
        return Err(IndexError::TooMany);
    }
    let number = next_number(rows, database)?;
    let progress = Progress::Nothing;
    let mut definition =
        IndexDefinition { number, store, type_name, name, shape, built: 0, progress };
    if is_empty(rows, database, &definition)? {
        definition.progress = Progress::Ready;
    }
    definition.put(rows, database);
    Ok(definition)
}

/// Stages that an index is no more; returns whether there was one. Its rows are removed in steps.
pub(crate) fn discard(
    rows: &mut Overlay,
    database: u32,
    store: (&str, &str),
    name: &str,
) -> Result<bool, StoreError> {
    let Some(definition) = index_definition(rows, database, store, name)? else { return Ok(false) };
    definition.remove(rows, database);
    Ok(true)
}

/// Stages the next step of what is to be built or removed.
pub(crate) fn step(
    rows: &mut Overlay,
    database: u32,
    types: &StoreTypes,
    indexes_of: &mut Indexes,
) -> Result<IndexStep, StoreError> {
    let mut room = INDEX_STEP_ROWS;
    for definition in indexes_of.0.values_mut().flatten() {
        if !definition.is_ready() {
            room = build(rows, database, types, definition, room)?;
            definition.put(rows, database);
        }
        if room == 0 {
            return Ok(IndexStep { more: true });
        }
    }
    for number in numbers(rows, database)? {
        room = remove(rows, database, number, room)?;
        if room == 0 {
            return Ok(IndexStep { more: true });
        }
        rows.remove(dropped(database), number);
    }
    Ok(IndexStep { more: false })
}

/// Looks at `room` more rows of the store; returns how much room is left then.
fn build(
    rows: &mut Overlay,
    database: u32,
    types: &StoreTypes,
    definition: &mut IndexDefinition,
    room: usize,
) -> Result<usize, StoreError> {
    let place = definition.place(database);
    let from = match &definition.progress {
        Progress::UpTo(key) => Bound::Excluded(key.as_slice()),
        Progress::Nothing | Progress::Ready => Bound::Unbounded,
    };
    let range = place.range(from, Bound::Unbounded);
    let store_type = types.get(&definition.type_name);
    let (mut made, mut last, mut looked) = (Vec::new(), None, 0);
    rows.range(space_of(Area::State, database), range, Order::Ascending, &mut |key, row| {
        let Some(key) = place.relative(key) else { return ControlFlow::Continue(()) };
        let value = store_type.and_then(|store_type| show(&**store_type, key, row));
        made.extend(value.and_then(|value| index_row(definition, &value, key)));
        looked += 1;
        last = Some(key.to_vec());
        if looked < room { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    for row in made {
        rows.put(indexes(database), row.key, row.value);
    }
    definition.built += looked as u64;
    match last {
        Some(key) if looked == room => definition.progress = Progress::UpTo(key),
        _ => definition.progress = Progress::Ready,
    }
    Ok(room - looked)
}

fn is_empty(
    rows: &dyn Snapshot,
    database: u32,
    definition: &IndexDefinition,
) -> Result<bool, StoreError> {
    let range = definition.place(database).range(Bound::Unbounded, Bound::Unbounded);
    let mut empty = true;
    rows.range(space_of(Area::State, database), range, Order::Ascending, &mut |_, _| {
        empty = false;
        ControlFlow::Break(())
    })?;
    Ok(empty)
}

/// Returns the numbers of indexes that were dropped and whose rows are still there.
fn numbers(rows: &dyn Snapshot, database: u32) -> Result<Vec<[u8; 4]>, StoreError> {
    let mut found = Vec::new();
    rows.range(dropped(database), KeyRange::all(), Order::Ascending, &mut |key, _| {
        found.extend(<[u8; 4]>::try_from(key));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// Removes `room` rows of an index; returns how much room is left then.
fn remove(
    rows: &mut Overlay,
    database: u32,
    number: [u8; 4],
    room: usize,
) -> Result<usize, StoreError> {
    let mut keys = Vec::new();
    let range = KeyRange::prefix(&number);
    rows.range(indexes(database), range, Order::Ascending, &mut |key, _| {
        keys.push(key.to_vec());
        if keys.len() < room { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    let left = room - keys.len();
    keys.into_iter().for_each(|key| rows.remove(indexes(database), key));
    Ok(left)
}

/// Stages that the indexes of a database have no rows, before its state is folded again.
pub(crate) fn clear(rows: &mut Overlay, database: u32) -> Result<(), StoreError> {
    for definition in index_definitions(rows, database)? {
        remove(rows, database, whole(definition.number), usize::MAX)?;
    }
    Ok(())
}

/// Stages that no index of a database is built, for rows that are not those of now.
pub(crate) fn suspend(rows: &mut Overlay, database: u32) -> Result<(), StoreError> {
    for mut definition in index_definitions(rows, database)? {
        definition.progress = Progress::Nothing;
        definition.put(rows, database);
    }
    Ok(())
}

/// Returns whether an index of a database is to be built, or its rows are to be removed.
///
/// # Errors
/// Any [`StoreError`].
pub fn has_unbuilt(rows: &dyn Snapshot, database: u32) -> Result<bool, StoreError> {
    let unbuilt = index_definitions(rows, database)?.iter().any(|index| !index.is_ready());
    Ok(unbuilt || !numbers(rows, database)?.is_empty())
}
