//! The rows of sealed stores at rest: sealed on their way to the store, opened on their way back.
//!
//! Invariant: no row of a sealed store reaches the store below in the clear; one whose key is not
//! there is an error, never missing.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use weald_cipher::{ROW_PLACE_LEN, RowCipher};
use weald_crdt::Area;
use weald_dag::{Batch, Durability, KeyRange, Order, Snapshot, Space, Store, StoreError, Visit};
use weald_engine::{is_of_sealed, sealed_name, sealed_prefix, sealed_rows, space_of};
use weald_store::Settle;

use super::vault::Vault;

const AREAS: [Area; 5] = [Area::State, Area::Buried, Area::Dangling, Area::History, Area::Local];

/// Returns the number of the area that a space keeps.
fn area_of(space: Space) -> Option<u8> {
    let is_it = |area: &Area| space_of(*area, space.database()) == space;
    AREAS.iter().position(is_it).and_then(|area| u8::try_from(area).ok())
}

/// What rests in a space for a sealed store: the area, the store, and what seals its rows.
struct Resting<'a> {
    area: u8,
    space: Space,
    store: &'a str,
    cipher: Arc<RowCipher>,
}

impl<'a> Resting<'a> {
    /// Returns nothing for a row that rests in the clear.
    fn of(vault: &Vault, space: Space, key: &'a [u8]) -> Result<Option<Self>, StoreError> {
        if !is_of_sealed(key) {
            return Ok(None);
        }
        let Some((area, store)) = area_of(space).zip(sealed_name(key)) else { return Ok(None) };
        let locked = || StoreError::Locked { store: store.to_owned() };
        let cipher = vault.rows(space.database(), store).ok_or_else(locked)?;
        let space = sealed_rows(space.database());
        Ok(Some(Self { area, space, store, cipher }))
    }

    /// Returns what the keys of the rows begin with where they rest.
    fn prefix(&self) -> Vec<u8> {
        let mut prefix = sealed_prefix(self.store);
        prefix.push(self.area);
        prefix
    }

    fn key(&self, key: &[u8]) -> Vec<u8> {
        let mut at = self.prefix();
        at.extend_from_slice(&self.cipher.place(self.area, key));
        at
    }

    fn open(&self, key: &[u8], value: &[u8]) -> Result<(Vec<u8>, Vec<u8>), StoreError> {
        let place = key.last_chunk::<ROW_PLACE_LEN>();
        let opened = place.and_then(|place| self.cipher.open(self.area, place, value).ok());
        let what = || format!("a sealed row of store '{}'; lock it and rebuild", self.store);
        opened.ok_or_else(|| StoreError::Corrupt { what: what() })
    }
}

/// A store under an instance, in which rows of sealed stores rest sealed.
pub(crate) struct SealedRows {
    store: Arc<dyn Settle>,
    vault: Arc<Vault>,
}

impl SealedRows {
    pub(crate) const fn new(store: Arc<dyn Settle>, vault: Arc<Vault>) -> Self {
        Self { store, vault }
    }

    fn sealed(&self, batch: &Batch) -> Result<Batch, StoreError> {
        let mut sealed = Batch::default();
        for (space, rows) in batch.spaces() {
            for (key, value) in rows {
                let Some(resting) = Resting::of(&self.vault, space, key)? else {
                    match value {
                        Some(value) => sealed.put(space, key, value),
                        None => sealed.remove(space, key),
                    }
                    continue;
                };
                match value {
                    Some(value) => {
                        let row = resting.cipher.seal(resting.area, key, value);
                        let row = row.map_err(|error| StoreError::Corrupt {
                            what: format!("a row of store '{}': {error}", resting.store),
                        })?;
                        sealed.put(resting.space, resting.key(key), row);
                    }
                    None => sealed.remove(resting.space, resting.key(key)),
                }
            }
        }
        Ok(sealed)
    }
}

fn has_sealed(batch: &Batch) -> bool {
    batch
        .spaces()
        .any(|(space, mut rows)| area_of(space).is_some() && rows.any(|(key, _)| is_of_sealed(key)))
}

impl Store for SealedRows {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        let (base, vault) = (self.store.snapshot()?, Arc::clone(&self.vault));
        Ok(Arc::new(OpenedRows { base, vault, ranges: Mutex::default() }))
    }

    fn apply(&self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        let batch = if has_sealed(&batch) { self.sealed(&batch)? } else { batch };
        self.store.apply(batch, durability)
    }
}

impl Settle for SealedRows {
    fn settle(&self) -> Result<(), StoreError> {
        self.store.settle()
    }
}

type OpenRange = Arc<BTreeMap<Vec<u8>, Vec<u8>>>;

/// A snapshot that opens rows of sealed stores for those who ask for one of these stores.
struct OpenedRows {
    base: Arc<dyn Snapshot>,
    vault: Arc<Vault>,
    /// Rows of a store and an area, in order, since the first range over some of them.
    ranges: Mutex<BTreeMap<(Space, String), OpenRange>>,
}

impl OpenedRows {
    /// Opens all rows of a store and an area: they rest in no order.
    fn opened(&self, space: Space, resting: &Resting<'_>) -> Result<OpenRange, StoreError> {
        let mut ranges = self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        let of = (space, resting.store.to_owned());
        if let Some(known) = ranges.get(&of) {
            return Ok(Arc::clone(known));
        }
        let (mut rows, mut failure) = (BTreeMap::new(), None);
        let all = KeyRange::prefix(&resting.prefix());
        self.base.range(resting.space, all, Order::Ascending, &mut |key, value| {
            match resting.open(key, value) {
                Ok((key, value)) => drop(rows.insert(key, value)),
                Err(error) => failure = Some(error),
            }
            if failure.is_some() {
                std::ops::ControlFlow::Break(())
            } else {
                std::ops::ControlFlow::Continue(())
            }
        })?;
        if let Some(error) = failure {
            return Err(error);
        }
        let rows = Arc::new(rows);
        ranges.insert(of, Arc::clone(&rows));
        Ok(rows)
    }
}

impl Snapshot for OpenedRows {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(resting) = Resting::of(&self.vault, space, key)? else {
            return self.base.get(space, key);
        };
        let at = resting.key(key);
        let Some(row) = self.base.get(resting.space, &at)? else { return Ok(None) };
        let (of, value) = resting.open(&at, &row)?;
        // The place is a hash of the key: another key at it is damage.
        let what = || format!("a sealed row of store '{}' at another's place", resting.store);
        if of == key { Ok(Some(value)) } else { Err(StoreError::Corrupt { what: what() }) }
    }

    fn read(
        &self,
        space: Space,
        key: &[u8],
        visit: &mut dyn FnMut(&[u8]),
    ) -> Result<(), StoreError> {
        if !is_of_sealed(key) {
            return self.base.read(space, key, visit);
        }
        self.get(space, key)?.as_deref().into_iter().for_each(visit);
        Ok(())
    }

    fn range(
        &self,
        space: Space,
        range: KeyRange,
        order: Order,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        let (Bound::Included(from) | Bound::Excluded(from)) = &range.from else {
            return self.base.range(space, range, order, visit);
        };
        let Some(resting) = Resting::of(&self.vault, space, from)? else {
            return self.base.range(space, range, order, visit);
        };
        if range.is_empty() {
            return Ok(());
        }
        let rows = self.opened(space, &resting)?;
        let bounds = (bound(&range.from), bound(&range.to));
        let mut rows = rows.range::<[u8], _>(bounds);
        let mut visit = |(key, value): (&Vec<u8>, &Vec<u8>)| visit(key, value);
        // Where the visitor broke off does not matter here.
        let _: std::ops::ControlFlow<()> = match order {
            Order::Ascending => rows.try_for_each(&mut visit),
            Order::Descending => rows.rev().try_for_each(&mut visit),
        };
        Ok(())
    }
}

fn bound(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    match bound {
        Bound::Included(key) => Bound::Included(key),
        Bound::Excluded(key) => Bound::Excluded(key),
        Bound::Unbounded => Bound::Unbounded,
    }
}
