//! Which databases a store holds: the local number of each, and whether it is whole.
//!
//! Invariant: a number is given once and never again, so the spaces of two databases never meet.

use std::ops::ControlFlow;

use weald_dag::{DatabaseId, KeyRange, Order, Overlay, Snapshot, Space, StoreError};

const CATALOG: Space = Space::new("databases", 0);
const COMPLETE: u8 = 1;
const SYSTEM: u8 = 2;
const ROW_LEN: usize = 5;

/// What the catalog says of one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its id.
    pub id: DatabaseId,
    /// Its local number, from 1; names its spaces.
    pub number: u32,
    /// Whether a first sync has brought all of it. Until then it is read, and neither written nor offered.
    pub complete: bool,
    /// Whether it is the instance's own and never served.
    pub system: bool,
}

impl Held {
    fn decode(id: DatabaseId, row: &[u8]) -> Option<Self> {
        let row: [u8; ROW_LEN] = row.try_into().ok()?;
        let [a, b, c, d, flags] = row;
        Some(Self {
            id,
            number: u32::from_be_bytes([a, b, c, d]),
            complete: flags & COMPLETE != 0,
            system: flags & SYSTEM != 0,
        })
    }

    pub(crate) fn put(&self, rows: &mut Overlay) {
        let mut row = self.number.to_be_bytes().to_vec();
        row.push(u8::from(self.complete) * COMPLETE + u8::from(self.system) * SYSTEM);
        rows.put(CATALOG, self.id.as_bytes().as_slice(), row);
    }
}

fn damaged() -> StoreError {
    StoreError::Corrupt { what: "a row of the list of databases".into() }
}

/// Looks a database up.
///
/// # Errors
/// Any [`StoreError`].
pub fn held(rows: &dyn Snapshot, id: &DatabaseId) -> Result<Option<Held>, StoreError> {
    let Some(row) = rows.get(CATALOG, id.as_bytes())? else { return Ok(None) };
    Held::decode(*id, &row).map(Some).ok_or_else(damaged)
}

/// Lists every database, by id.
///
/// # Errors
/// Any [`StoreError`].
pub fn all_held(rows: &dyn Snapshot) -> Result<Vec<Held>, StoreError> {
    let mut found = Vec::new();
    rows.range(CATALOG, KeyRange::all(), Order::Ascending, &mut |key, row| {
        let id = key.try_into().ok().map(DatabaseId::from_bytes);
        found.push(id.and_then(|id| Held::decode(id, row)));
        ControlFlow::Continue(())
    })?;
    found.into_iter().map(|held| held.ok_or_else(damaged)).collect()
}

/// Gives a database the next free number. It is held once its row is put.
pub(crate) fn next(
    rows: &dyn Snapshot,
    id: DatabaseId,
    complete: bool,
    system: bool,
) -> Result<Held, StoreError> {
    let greatest = all_held(rows)?.iter().map(|held| held.number).max().unwrap_or(0);
    Ok(Held { id, number: greatest + 1, complete, system })
}
