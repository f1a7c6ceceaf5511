//! Which entries touched a row: those that its heads tell, and a row of the history area for each
//! other one. Together they are all that the row is folded from.
//!
//! An entry is listed if the last operation that it has on some slot of the row is no head.

use std::collections::BTreeSet;
use std::ops::{Bound, ControlFlow};

use super::cell::load;
use super::operation::{Layout, Slots};
use crate::pack;
use crate::stamp::Stamp;
use crate::view::{Area, RowError, View, ViewError, visit_prefix};

/// Time and id of an entry; the order of stamps.
pub(crate) type EntryTime = (u64, [u8; 32]);

const TIME_BYTES: usize = 8;
const ID_BYTES: usize = 32;

/// Keys of rows up to this length stand in those of the bookkeeping as they are. A section may
/// make very many rows of bookkeeping about a row whose key it tells once, so of longer ones there
/// stands the hash.
const PLAIN_BYTES: usize = 128;

/// Returns what the keys of all rows of a bookkeeping area begin with that are about a row of state:
/// the length of its key, and the key or its hash.
pub(super) fn prefix(row: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(row.len().min(PLAIN_BYTES) + TIME_BYTES + ID_BYTES + 2);
    if row.len() > PLAIN_BYTES {
        pack::put_number(&mut key, row.len() as u64);
        key.extend_from_slice(blake3::hash(row).as_bytes());
    } else {
        pack::put_string(&mut key, row);
    }
    key
}

pub(super) fn key(row: &[u8], (time, entry): &EntryTime) -> Vec<u8> {
    let mut key = prefix(row);
    key.extend_from_slice(&time.to_be_bytes());
    key.extend_from_slice(entry);
    key
}

fn entry_of(key: &[u8]) -> Option<EntryTime> {
    let (rest, entry) = key.split_last_chunk::<ID_BYTES>()?;
    let (_, time) = rest.split_last_chunk::<TIME_BYTES>()?;
    Some((u64::from_be_bytes(*time), *entry))
}

/// Returns the entries that the history area lists for a row.
pub(super) fn listed<V: View + ?Sized>(
    view: &V,
    row: &[u8],
) -> Result<BTreeSet<EntryTime>, ViewError> {
    let mut found = BTreeSet::new();
    let mut damaged = None;
    visit_prefix(view, Area::History, &prefix(row), &mut |key, _| match entry_of(key) {
        Some(entry) => {
            found.insert(entry);
            ControlFlow::Continue(())
        }
        None => {
            damaged = Some(RowError { key: key.to_vec() });
            ControlFlow::Break(())
        }
    })?;
    damaged.map_or(Ok(found), |error| Err(ViewError::new(error)))
}

/// Returns the entries that have a head in a row.
pub(super) fn heads(slots: &Slots) -> impl Iterator<Item = EntryTime> {
    slots.all().flat_map(|slot| slot.heads().keys()).map(of_stamp)
}

pub(super) fn of_stamp(stamp: &Stamp) -> EntryTime {
    (stamp.time, stamp.entry)
}

/// Returns every entry that touched a row, or the store if none is given, in the order of stamps.
pub(crate) fn entries<L: Layout, V: View + ?Sized>(
    layout: &L,
    row: Option<&[u8]>,
    view: &V,
) -> Result<BTreeSet<EntryTime>, ViewError> {
    match row {
        Some(row) => entries_of_row(layout, view, row),
        None => entries_of_store(layout, view),
    }
}

fn entries_of_row<L: Layout, V: View + ?Sized>(
    layout: &L,
    view: &V,
    row: &[u8],
) -> Result<BTreeSet<EntryTime>, ViewError> {
    let mut entries = listed(view, row)?;
    entries.extend(heads(&load(layout, view, row)?.slots));
    Ok(entries)
}

fn entries_of_store<L: Layout, V: View + ?Sized>(
    layout: &L,
    view: &V,
) -> Result<BTreeSet<EntryTime>, ViewError> {
    let mut entries = BTreeSet::new();
    let mut damaged = None;
    for area in [Area::State, Area::Buried, Area::History] {
        let all = Bound::Unbounded;
        view.range(area, all, all, false, &mut |key, row| {
            let known = match area {
                Area::History => entry_of(key).map(|entry| entries.insert(entry)).is_some(),
                _ => layout.unpack(key, row).map(|slots| entries.extend(heads(&slots))).is_some(),
            };
            if known {
                return ControlFlow::Continue(());
            }
            damaged = Some(RowError { key: key.to_vec() });
            ControlFlow::Break(())
        })?;
    }
    damaged.map_or(Ok(entries), |error| Err(ViewError::new(error)))
}
