//! Sections that this build cannot fold: of a type, or a version of a type, that it does not know.
//!
//! Invariant: a row says that a section is not in the state yet. It goes when a build that knows the
//! type folds the section; state does not depend on the order, so that may be at any time.

use std::ops::ControlFlow;

use weald_auth::SETTINGS_STORE;
use weald_crdt::{Area, SEALED_TYPE, section_type};
use weald_dag::{
    Graph, KeyRange, Number, Order, Overlay, Snapshot, Space, Standing, StoreError, Stored,
};

use crate::catalog;
use crate::fold::{Beside, Section, StoreTypes, Told, fold_section};
use crate::index::{self, Indexes};
use crate::locked;
use crate::stale::{fold_stale, stale};
use crate::view::space_of;

/// Number of the entry and place of the section → nothing.
pub(crate) const fn unfolded(database: u32) -> Space {
    Space::new("unfolded", database)
}

fn key(number: Number, section: usize) -> Vec<u8> {
    // An entry has at most 64 sections.
    let section = u8::try_from(section).unwrap_or(u8::MAX);
    [number.key().as_slice(), &[section]].concat()
}

fn of_key(key: &[u8]) -> Option<(Number, usize)> {
    let (number, section) = key.split_first_chunk()?;
    let [section] = section else { return None };
    Some((Number(u64::from_be_bytes(*number)), usize::from(*section)))
}

/// Stages that a section waits for a build that knows its type.
pub(crate) fn mark(rows: &mut Overlay, database: u32, number: Number, section: usize) {
    rows.put(unfolded(database), key(number, section), []);
}

/// Stages that a section does not wait any more: it is folded, or its entry is not needed.
pub(crate) fn unmark(rows: &mut Overlay, database: u32, number: Number, section: usize) {
    rows.remove(unfolded(database), key(number, section));
}

/// Returns whether a section of a stored entry is not in the state yet.
pub(crate) fn is_waiting(
    rows: &dyn Snapshot,
    database: u32,
    number: Number,
    section: usize,
) -> Result<bool, StoreError> {
    Ok(rows.get(unfolded(database), &key(number, section))?.is_some())
}

/// Returns whether any section of any database is not in the state yet, or is and should not be.
///
/// # Errors
/// Any [`StoreError`].
pub fn has_unfolded(rows: &dyn Snapshot) -> Result<bool, StoreError> {
    for held in catalog::all_held(rows)? {
        let mut found = false;
        for space in [unfolded(held.number), stale(held.number)] {
            rows.range(space, KeyRange::all(), Order::Ascending, &mut |_, _| {
                found = true;
                ControlFlow::Break(())
            })?;
        }
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the sections that are not in the state yet: the number of the entry and the place in it.
pub(crate) fn waiting(
    rows: &dyn Snapshot,
    database: u32,
) -> Result<Vec<(Number, usize)>, StoreError> {
    let mut waiting = Vec::new();
    rows.range(unfolded(database), KeyRange::all(), Order::Ascending, &mut |key, _| {
        waiting.push(of_key(key));
        ControlFlow::Continue(())
    })?;
    waiting.into_iter().map(|place| place.ok_or_else(|| damaged(database))).collect()
}

fn damaged(database: u32) -> StoreError {
    let what = format!("a row of space 'unfolded' of database number {database}");
    StoreError::Corrupt { what }
}

/// Folds the stores that are stale and the sections that wait, if their types are known now; returns
/// how many there were.
pub(crate) fn fold_waiting(
    rows: &mut Overlay,
    database: u32,
    types: &StoreTypes,
    indexes: &Indexes,
) -> Result<u64, StoreError> {
    let beside = Beside { record: false, indexes };
    let damaged = || damaged(database);
    let mut folded = fold_stale(rows, database, types, beside)?;
    for (number, section) in waiting(rows, database)? {
        let Stored { local, parcel, .. } = Graph::new(rows, database).stored(number)?;
        let named = parcel.entry.sections().get(section).ok_or_else(damaged)?;
        let payload = parcel.payloads.get(section).ok_or_else(damaged)?;
        let payload = payload.as_deref().ok_or_else(damaged)?;
        let is_visible = local.standing == Standing::Visible;
        let section_of = Section { database, store: &named.store, payload, is_visible };
        match fold_section(rows, types, &section_of, &parcel.entry, beside)? {
            Told::Unknown(_) => {}
            done @ (Told::Changes(_) | Told::Void(_) | Told::Locked) => {
                if matches!(done, Told::Locked) {
                    locked::mark(rows, database, &named.store, number, section);
                }
                unmark(rows, database, number, section);
                folded += 1;
            }
        }
    }
    Ok(folded)
}

/// Drops the state of a database and folds every section again; returns how many there were.
pub(crate) fn rebuild(
    rows: &mut Overlay,
    database: u32,
    types: &StoreTypes,
) -> Result<u64, StoreError> {
    let areas = [Area::State, Area::Buried, Area::Dangling, Area::History, Area::Local];
    let areas = areas.map(|area| space_of(area, database));
    for space in areas.into_iter().chain([unfolded(database), stale(database)]) {
        let mut keys = Vec::new();
        rows.range(space, KeyRange::all(), Order::Ascending, &mut |key, _| {
            keys.push(key.to_vec());
            ControlFlow::Continue(())
        })?;
        keys.into_iter().for_each(|key| rows.remove(space, key));
    }
    // Nothing is in the state now, and each section is from when it is folded on.
    for (number, place) in sections(rows, database)? {
        mark(rows, database, number, place);
    }
    // Rows of sealed stores are dropped and folded anew when those are unlocked next.
    locked::make_all_stale(rows, database)?;
    index::clear(rows, database)?;
    fold_waiting(rows, database, types, &Indexes::load(rows, database)?)
}

/// Returns the data sections of all entries that are needed, by number of entry and place, but for
/// those that are sealed.
fn sections(rows: &Overlay, database: u32) -> Result<Vec<(Number, usize)>, StoreError> {
    let mut found = Vec::new();
    Graph::new(rows, database).each_from(Number(0), &mut |stored| {
        let parcel = &stored.parcel;
        let all = parcel.entry.sections().iter().zip(&parcel.payloads).enumerate();
        let data = all.filter(|(_, (section, payload))| {
            let is_sealed = payload.as_deref().map(section_type) == Some(Ok(SEALED_TYPE));
            section.store != SETTINGS_STORE && !is_sealed
        });
        if stored.local.standing.is_needed() {
            found.extend(data.map(|(place, _)| (stored.number, place)));
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}
