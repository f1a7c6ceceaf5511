//! Which stores a database has.
//!
//! Invariant: listing costs the stores, not their rows: from each it goes on behind its last row.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use weald_crdt::{Area, section_type};
use weald_dag::{Graph, KeyRange, Order, Snapshot, StoreError};

use crate::unfolded;
use crate::view::{StorePlace, is_of_sealed, space_of};

/// A store by its name and the name of its type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoreName {
    /// Its name.
    pub store: String,
    /// The name of its type.
    pub type_name: String,
}

/// Lists the stores that have rows in the clear, by length of name, then name.
///
/// # Errors
/// Any [`StoreError`].
pub fn stores(rows: &dyn Snapshot, database: u32) -> Result<Vec<StoreName>, StoreError> {
    let (mut found, mut range) = (Vec::new(), KeyRange::all());
    loop {
        let mut first = None;
        let space = space_of(Area::State, database);
        rows.range(space, range, Order::Ascending, &mut |key, _| {
            first = Some(named(key));
            ControlFlow::Break(())
        })?;
        let Some(name) = first else { return Ok(found) };
        let damaged = || StoreError::Corrupt { what: "the key of a row of state".into() };
        let prefix = match name.ok_or_else(damaged)? {
            Listed::Sealed(prefix) => prefix,
            Listed::Clear(name) => {
                let place = StorePlace::new(database, &name.store, &name.type_name);
                found.push(name);
                place.key(&[])
            }
        };
        range = match KeyRange::prefix(&prefix).to {
            Bound::Excluded(after) => KeyRange::from(&after),
            Bound::Included(_) | Bound::Unbounded => return Ok(found),
        };
    }
}

enum Listed {
    Clear(StoreName),
    /// A sealed store, by what the keys of its rows begin with: staged rows have such.
    Sealed(Vec<u8>),
}

fn named(key: &[u8]) -> Option<Listed> {
    let mut rest = key;
    let store = part(&mut rest)?;
    if is_of_sealed(key) {
        let prefix = key.get(..key.len() - rest.len() + 1)?;
        return Some(Listed::Sealed(prefix.to_vec()));
    }
    let type_name = part(&mut rest)?;
    Some(Listed::Clear(StoreName { store, type_name }))
}

fn part(rest: &mut &[u8]) -> Option<String> {
    let (length, after) = rest.split_first()?;
    let (name, after) = after.split_at_checked(usize::from(*length))?;
    *rest = after;
    String::from_utf8(name.to_vec()).ok()
}

/// Counts, for each store, the sections that this build cannot fold: it does not know their type,
/// which is left empty where it cannot be told. It costs those sections.
///
/// # Errors
/// Any [`StoreError`].
pub fn unfolded_stores(
    rows: &dyn Snapshot,
    database: u32,
) -> Result<BTreeMap<StoreName, u64>, StoreError> {
    let (graph, mut found) = (Graph::new(rows, database), BTreeMap::new());
    for (number, section) in unfolded::waiting(rows, database)? {
        let parcel = graph.stored(number)?.parcel;
        let Some(named) = parcel.entry.sections().get(section) else { continue };
        let payload = parcel.payloads.get(section).and_then(Option::as_deref).unwrap_or_default();
        let type_name = section_type(payload).unwrap_or_default().to_owned();
        *found.entry(StoreName { store: named.store.clone(), type_name }).or_default() += 1;
    }
    Ok(found)
}
