//! Stores whose state is not what the entries give: they stand otherwise than when it was folded, by
//! a build that knew the type, and the build that saw the change did not.
//!
//! Invariant: a store that is marked is folded whole before anything else is folded into it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use weald_crdt::{Area, Change, ChangeKind, StoreType};
use weald_dag::{Graph, KeyRange, Number, Order, Overlay, Snapshot, Space, StoreError};

use crate::fold::{Beside, RowChange, RowValues, StoreTypes};
use crate::index;
use crate::locked;
use crate::past::{AREAS, apply_stored, each_section};
use crate::unfolded;
use crate::view::{StorePlace, space_of};

/// Length and name of a type, and name of a store → nothing.
pub(crate) const fn stale(database: u32) -> Space {
    Space::new("stale", database)
}

/// Stages that a store is to be folded whole.
pub(crate) fn mark(rows: &mut Overlay, database: u32, store: &str, type_name: &str) {
    // Names of types are at most 128 bytes long.
    let mut key = vec![u8::try_from(type_name.len()).unwrap_or(u8::MAX)];
    key.extend_from_slice(type_name.as_bytes());
    key.extend_from_slice(store.as_bytes());
    rows.put(stale(database), key, []);
}

fn of_key(key: &[u8]) -> Option<(String, String)> {
    let (length, rest) = key.split_first()?;
    let (type_name, store) = rest.split_at_checked(usize::from(*length))?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    Some((text(store)?, text(type_name)?))
}

/// Folds the stores that are marked and whose types are known now; returns how many there were.
pub(crate) fn fold_stale(
    rows: &mut Overlay,
    database: u32,
    types: &StoreTypes,
    beside: Beside<'_>,
) -> Result<u64, StoreError> {
    let mut marked = Vec::new();
    rows.range(stale(database), KeyRange::all(), Order::Ascending, &mut |key, _| {
        marked.push((key.to_vec(), of_key(key)));
        ControlFlow::Continue(())
    })?;
    let mut folded = 0;
    for (key, named) in marked {
        let damaged = || StoreError::Corrupt { what: "a row of space 'stale'".into() };
        let (store, type_name) = named.ok_or_else(damaged)?;
        let Some(store_type) = types.get(&type_name) else { continue };
        let place = StorePlace::new(database, &store, &type_name);
        fold_whole(rows, &place, (&store, &**store_type), types, beside)?;
        rows.remove(stale(database), key);
        folded += 1;
    }
    Ok(folded)
}

/// Folds a store again from all sections on it that do not wait, and returns the rows that changed.
pub(crate) fn fold_whole(
    rows: &mut Overlay,
    place: &StorePlace,
    (store, store_type): (&str, &dyn StoreType),
    types: &StoreTypes,
    beside: Beside<'_>,
) -> Result<Vec<RowChange>, StoreError> {
    let database = place.database();
    let numbers = touching(rows, place, types)?;
    let before = shown(rows, place)?;
    clear(rows, place)?;
    for number in numbers {
        let stored = Graph::new(rows, database).stored(number)?;
        let mut given = Vec::new();
        each_section(&stored, database, types, &mut |section| {
            if section.place == place {
                given.push((section.at, section.payload.to_vec()));
            }
            Ok(())
        })?;
        for (at, payload) in given {
            if !is_waiting(rows, place, store, (number, at))? {
                apply_stored(rows, place.clone(), store_type, &stored, &payload)?;
            }
        }
    }
    let after = shown(rows, place)?;
    let mut changes = compared(before, &after, store, store_type.name());
    if place.is_sealed() {
        return Ok(changes);
    }
    index::follow(rows, database, types, beside, &mut changes)?;
    Ok(changes)
}

/// Returns whether a section of a store waits, for a build that knows its type or for a key.
pub(crate) fn is_waiting(
    rows: &dyn Snapshot,
    place: &StorePlace,
    store: &str,
    (number, at): (Number, usize),
) -> Result<bool, StoreError> {
    let database = place.database();
    Ok(unfolded::is_waiting(rows, database, number, at)?
        || (place.is_sealed() && locked::is_waiting(rows, database, store, number, at)?))
}

/// Returns the entries with a section on a store that is given to its type, ascending.
fn touching(
    rows: &Overlay,
    place: &StorePlace,
    types: &StoreTypes,
) -> Result<Vec<Number>, StoreError> {
    let (mut numbers, mut failure) = (Vec::new(), None);
    Graph::new(rows, place.database()).each_from(Number(0), &mut |stored| {
        let mut is_on_it = false;
        let looked = each_section(&stored, place.database(), types, &mut |section| {
            is_on_it |= section.place == place;
            Ok(())
        });
        numbers.extend(is_on_it.then_some(stored.number));
        match looked {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    failure.map_or(Ok(numbers), Err)
}

type Shown = BTreeMap<Vec<u8>, Vec<u8>>;

fn shown(rows: &Overlay, place: &StorePlace) -> Result<Shown, StoreError> {
    let mut found = Shown::new();
    let space = space_of(Area::State, place.database());
    rows.range(space, KeyRange::prefix(&place.key(&[])), Order::Ascending, &mut |key, row| {
        found.extend(place.relative(key).map(|key| (key.to_vec(), row.to_vec())));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

fn compared(before: Shown, after: &Shown, store: &str, type_name: &str) -> Vec<RowChange> {
    let change = |key: &[u8], kind, values| RowChange {
        store: store.to_owned(),
        type_name: type_name.to_owned(),
        change: Change { key: key.to_vec(), kind, conflict: None },
        values: Some(values),
    };
    let mut changes = Vec::new();
    for (key, row) in after {
        let kind = match before.get(key) {
            None => ChangeKind::Created,
            Some(same) if same == row => continue,
            Some(_) => ChangeKind::Updated,
        };
        let before = before.get(key).cloned();
        changes.push(change(key, kind, RowValues { before, after: Some(row.clone()) }));
    }
    for (key, row) in before.into_iter().filter(|(key, _)| !after.contains_key(key)) {
        let values = RowValues { before: Some(row), after: None };
        changes.push(change(&key, ChangeKind::Removed, values));
    }
    changes
}

/// Stages the removal of all rows of a store.
pub(crate) fn clear(rows: &mut Overlay, place: &StorePlace) -> Result<(), StoreError> {
    for area in AREAS {
        let (space, mut keys) = (space_of(area, place.database()), Vec::new());
        let range = KeyRange::prefix(&place.key(&[]));
        rows.range(space, range, Order::Ascending, &mut |key, _| {
            keys.push(key.to_vec());
            ControlFlow::Continue(())
        })?;
        keys.into_iter().for_each(|key| rows.remove(space, key));
    }
    Ok(())
}
