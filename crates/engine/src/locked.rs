//! Stores that are sealed, and their sections that are not in the state because a key was missing.
//!
//! Invariant: a row says that a section waits, or of a store that its rows are not those of its
//! sections; nothing that replicas compare rests on these rows.

use std::ops::ControlFlow;

use weald_crdt::{SEALED_TYPE, section_type};
use weald_dag::{
    EntryId, Graph, KeyRange, Number, Order, Overlay, PublicKey, Snapshot, Space, Standing,
    StoreError, Stored, Time,
};

use crate::fold::{Beside, RowChange, Section, StoreTypes, Told, fold_section};
use crate::view::type_in_use;

/// Length of the name of the key that a store's rows rest under.
const REST_LEN: usize = 16;
/// Behind the name of a store: what is known of it.
const SEAL: u8 = 0;
/// Behind the name of a store: a section that waits.
const WAITING: u8 = 1;
const FRESH: u8 = 0;
const STALE: u8 = 1;

/// Store → whether its rows are stale, and the key that they rest under; sections that wait.
const fn locked(database: u32) -> Space {
    Space::new("locked", database)
}

/// The rows at rest of a database's sealed stores: the name of the store behind its length, then
/// whatever the store that seals them puts there.
pub const fn sealed_rows(database: u32) -> Space {
    Space::new("sealed", database)
}

/// Returns what the keys of a sealed store's rows at rest begin with.
pub fn sealed_prefix(store: &str) -> Vec<u8> {
    // Names are at most 128 bytes long.
    let mut prefix = vec![u8::try_from(store.len()).unwrap_or(u8::MAX)];
    prefix.extend_from_slice(store.as_bytes());
    prefix
}

fn key(store: &str, kind: u8) -> Vec<u8> {
    let mut key = sealed_prefix(store);
    key.push(kind);
    key
}

fn waiting_key(store: &str, number: Number, section: usize) -> Vec<u8> {
    let mut key = key(store, WAITING);
    key.extend_from_slice(number.key().as_slice());
    // An entry has at most 64 sections.
    key.push(u8::try_from(section).unwrap_or(u8::MAX));
    key
}

/// What is known of a sealed store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seal {
    /// Whether its rows do not follow from its sections any more.
    stale: bool,
    /// Names the key that its rows rest under; none before it was unlocked for the first time.
    rest: Option<[u8; REST_LEN]>,
}

impl Seal {
    fn load(rows: &dyn Snapshot, database: u32, store: &str) -> Result<Option<Self>, StoreError> {
        let Some(row) = rows.get(locked(database), &key(store, SEAL))? else { return Ok(None) };
        let seal = match row.as_slice() {
            [flag @ (FRESH | STALE)] => Some(Self { stale: *flag == STALE, rest: None }),
            [flag @ (FRESH | STALE), rest @ ..] => {
                let rest = rest.try_into().ok();
                rest.map(|rest| Self { stale: *flag == STALE, rest: Some(rest) })
            }
            _ => None,
        };
        seal.map(Some).ok_or_else(|| damaged(database))
    }

    fn put(self, rows: &mut Overlay, database: u32, store: &str) {
        let mut row = vec![if self.stale { STALE } else { FRESH }];
        row.extend(self.rest.iter().flatten());
        rows.put(locked(database), key(store, SEAL), row);
    }
}

fn damaged(database: u32) -> StoreError {
    StoreError::Corrupt { what: format!("a row of space 'locked' of database number {database}") }
}

/// Returns whether a store is sealed, as far as this replica has seen. Once it is, it stays so.
///
/// # Errors
/// Any [`StoreError`].
pub fn is_sealed(rows: &dyn Snapshot, database: u32, store: &str) -> Result<bool, StoreError> {
    Ok(rows.get(locked(database), &key(store, SEAL))?.is_some())
}

/// Returns whether a database has sealed stores at all.
///
/// # Errors
/// Any [`StoreError`].
pub fn has_sealed(rows: &dyn Snapshot, database: u32) -> Result<bool, StoreError> {
    let mut found = false;
    rows.range(locked(database), KeyRange::all(), Order::Ascending, &mut |_, _| {
        found = true;
        ControlFlow::Break(())
    })?;
    Ok(found)
}

/// Returns the name of the key that the rows of a sealed store rest under, if there are such rows.
///
/// # Errors
/// Any [`StoreError`].
pub fn rest_key(
    rows: &dyn Snapshot,
    database: u32,
    store: &str,
) -> Result<Option<[u8; REST_LEN]>, StoreError> {
    Ok(Seal::load(rows, database, store)?.and_then(|seal| seal.rest))
}

/// Lists the stores of a database that are sealed.
///
/// # Errors
/// Any [`StoreError`].
pub fn sealed_stores(rows: &dyn Snapshot, database: u32) -> Result<Vec<String>, StoreError> {
    let (mut found, mut is_sound) = (Vec::new(), true);
    rows.range(locked(database), KeyRange::all(), Order::Ascending, &mut |row, _| {
        let named = row.split_first().and_then(|(length, rest)| {
            let (name, rest) = rest.split_at_checked(usize::from(*length))?;
            Some((std::str::from_utf8(name).ok()?, rest))
        });
        match named {
            Some((name, [SEAL])) => found.push(name.to_owned()),
            Some(_) => {}
            None => is_sound = false,
        }
        ControlFlow::Continue(())
    })?;
    if is_sound { Ok(found) } else { Err(damaged(database)) }
}

/// Takes note that a store has sealed sections. A name that is in use for rows in the clear stays
/// what it is, so that nobody can take a store from its users by sealing one of its name.
///
/// # Errors
/// Any [`StoreError`]: the whole group must be given up then.
pub fn note_sealed(rows: &mut Overlay, database: u32, store: &str) -> Result<(), StoreError> {
    if !is_sealed(rows, database, store)? && type_in_use(rows, database, store)?.is_none() {
        seal_over(rows, database, store)?;
    }
    Ok(())
}

/// Takes note that a store is sealed, whatever rows in the clear have its name: they are not shown
/// any more, and nothing is added to them here.
///
/// # Errors
/// Any [`StoreError`]: the whole group must be given up then.
pub fn seal_over(rows: &mut Overlay, database: u32, store: &str) -> Result<(), StoreError> {
    if !is_sealed(rows, database, store)? {
        Seal { stale: false, rest: None }.put(rows, database, store);
    }
    Ok(())
}

/// Stages that a section waits for a key.
pub(crate) fn mark(rows: &mut Overlay, database: u32, store: &str, number: Number, section: usize) {
    rows.put(locked(database), waiting_key(store, number, section), []);
}

/// Stages that a section does not wait any more: it is folded, or its entry is not needed.
pub(crate) fn unmark(
    rows: &mut Overlay,
    database: u32,
    store: &str,
    number: Number,
    section: usize,
) {
    rows.remove(locked(database), waiting_key(store, number, section));
}

/// Returns whether a section of a stored entry waits for a key.
pub(crate) fn is_waiting(
    rows: &dyn Snapshot,
    database: u32,
    store: &str,
    number: Number,
    section: usize,
) -> Result<bool, StoreError> {
    Ok(rows.get(locked(database), &waiting_key(store, number, section))?.is_some())
}

/// Stages that the rows of a sealed store must be made anew when it is unlocked: entries that they
/// rest on stand otherwise now, and the key to fold them again is not there.
pub(crate) fn make_stale(rows: &mut Overlay, database: u32, store: &str) -> Result<(), StoreError> {
    if let Some(seal) = Seal::load(rows, database, store)? {
        Seal { stale: true, ..seal }.put(rows, database, store);
    }
    Ok(())
}

/// Stages that all sealed stores are to be made anew, each when it is unlocked next.
pub(crate) fn make_all_stale(rows: &mut Overlay, database: u32) -> Result<(), StoreError> {
    for store in sealed_stores(rows, database)? {
        make_stale(rows, database, &store)?;
    }
    Ok(())
}

/// Makes the rows at rest of a store such that sections can be folded on them with the key named
/// `rest`: those that are stale or rest under another key are dropped, and all sections wait then.
pub(crate) fn prepare(
    rows: &mut Overlay,
    database: u32,
    store: &str,
    rest: [u8; REST_LEN],
) -> Result<(), StoreError> {
    let Some(seal) = Seal::load(rows, database, store)? else { return Ok(()) };
    if seal == (Seal { stale: false, rest: Some(rest) }) {
        return Ok(());
    }
    let (mut keys, space) = (Vec::new(), sealed_rows(database));
    let range = KeyRange::prefix(&sealed_prefix(store));
    rows.range(space, range, Order::Ascending, &mut |key, _| {
        keys.push(key.to_vec());
        ControlFlow::Continue(())
    })?;
    keys.into_iter().for_each(|key| rows.remove(space, key));
    if seal.rest.is_some() {
        mark_all(rows, database, store)?;
    }
    Seal { stale: false, rest: Some(rest) }.put(rows, database, store);
    Ok(())
}

fn mark_all(rows: &mut Overlay, database: u32, store: &str) -> Result<(), StoreError> {
    for number in Graph::new(rows, database).numbers_from(Number(0))? {
        let Stored { local, parcel, .. } = Graph::new(rows, database).stored(number)?;
        if !local.standing.is_needed() {
            continue;
        }
        let sections = parcel.entry.sections().iter().zip(&parcel.payloads).enumerate();
        for (place, (section, payload)) in sections {
            let payload = payload.as_deref().filter(|_| section.store == store);
            if payload.is_some_and(|payload| section_type(payload) == Ok(SEALED_TYPE)) {
                mark(rows, database, store, number, place);
            }
        }
    }
    Ok(())
}

/// What an entry did to a sealed store, folded once its key was there.
#[derive(Clone, Debug)]
pub struct Unlocked {
    /// The entry.
    pub entry: EntryId,
    /// Who signed it.
    pub author: PublicKey,
    /// When it was made, by its author's clock.
    pub time: Time,
    /// The rows of state that changed now.
    pub changes: Vec<RowChange>,
}

/// Folds the sections of a store that wait and whose keys are there now; returns those that changed
/// rows. [`prepare`] must have been applied before, for what it drops is read until then.
pub(crate) fn fold_waiting(
    rows: &mut Overlay,
    database: u32,
    store: &str,
    types: &StoreTypes,
    beside: Beside<'_>,
) -> Result<Vec<Unlocked>, StoreError> {
    let mut unlocked = Vec::new();
    for (number, place) in waiting(rows, database, store)? {
        let Stored { local, parcel, .. } = Graph::new(rows, database).stored(number)?;
        let payload = parcel.payloads.get(place).and_then(Option::as_deref);
        let payload = payload.ok_or_else(|| damaged(database))?;
        let is_visible = local.standing == Standing::Visible;
        let section = Section { database, store, payload, is_visible };
        match fold_section(rows, types, &section, &parcel.entry, beside)? {
            Told::Unknown(_) | Told::Locked => continue,
            Told::Changes(changes) if !changes.is_empty() => {
                let entry = &parcel.entry;
                let (entry, author, time) = (entry.id(), entry.author(), entry.time());
                unlocked.push(Unlocked { entry, author, time, changes });
            }
            Told::Changes(_) | Told::Void(_) => {}
        }
        unmark(rows, database, store, number, place);
    }
    Ok(unlocked)
}

/// Returns the sections of a store that wait: the number of the entry and the place in it.
fn waiting(
    rows: &dyn Snapshot,
    database: u32,
    store: &str,
) -> Result<Vec<(Number, usize)>, StoreError> {
    let (mut found, prefix) = (Vec::new(), key(store, WAITING));
    rows.range(locked(database), KeyRange::prefix(&prefix), Order::Ascending, &mut |key, _| {
        let place = key.get(prefix.len()..).and_then(<[u8]>::split_first_chunk);
        found.push(place.and_then(|(number, section)| {
            let [section] = section else { return None };
            Some((Number(u64::from_be_bytes(*number)), usize::from(*section)))
        }));
        ControlFlow::Continue(())
    })?;
    found.into_iter().map(|place| place.ok_or_else(|| damaged(database))).collect()
}

/// Returns whether any section of a sealed store waits for a key.
///
/// # Errors
/// Any [`StoreError`].
pub fn has_locked(rows: &dyn Snapshot, database: u32, store: &str) -> Result<bool, StoreError> {
    let (mut found, range) = (false, KeyRange::prefix(&key(store, WAITING)));
    rows.range(locked(database), range, Order::Ascending, &mut |_, _| {
        found = true;
        ControlFlow::Break(())
    })?;
    Ok(found)
}
