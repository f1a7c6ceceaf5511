//! A read transaction with the tables that were read in it.
//!
//! Invariant: a table stays open as long as its snapshot; no lock is held while a visitor runs.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::{Bound, Deref};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use redb::{ReadOnlyTable, ReadTransaction, TableDefinition, TableError};
use weald_dag::{KeyRange, Order, Snapshot, Space, StoreError, Visit};

use crate::fault;

type Table = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// How many tables of one snapshot are found again without a lock; those beyond take one.
const NEAR_TABLES: usize = 16;

/// Rows as they were when this was made.
pub(crate) struct RedbSnapshot {
    transaction: ReadTransaction,
    /// The first tables that were read, in the order in which they were.
    near: [OnceLock<(Space, Option<Table>)>; NEAR_TABLES],
    far: RwLock<BTreeMap<Space, Option<Arc<Table>>>>,
}

/// A table of a snapshot.
enum Found<'a> {
    Near(&'a Table),
    Far(Arc<Table>),
}

impl Deref for Found<'_> {
    type Target = Table;

    fn deref(&self) -> &Table {
        match self {
            Self::Near(table) => table,
            Self::Far(table) => table,
        }
    }
}

impl RedbSnapshot {
    pub(crate) fn new(transaction: ReadTransaction) -> Self {
        let near = [const { OnceLock::new() }; NEAR_TABLES];
        Self { transaction, near, far: RwLock::default() }
    }

    /// Returns the table of a space; `None` when it has no rows yet.
    fn table(&self, space: Space) -> Result<Option<Found<'_>>, StoreError> {
        for place in &self.near {
            let (of, table) = match place.get() {
                Some(found) => found,
                None => {
                    let opened = self.open(space)?;
                    // Another reader may have been faster; then its table may be that of another space.
                    place.get_or_init(|| (space, opened))
                }
            };
            if *of == space {
                return Ok(table.as_ref().map(Found::Near));
            }
        }
        let far = self.far.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = far.get(&space) {
            return Ok(table.clone().map(Found::Far));
        }
        drop(far);
        let opened = self.open(space)?.map(Arc::new);
        let mut far = self.far.write().unwrap_or_else(PoisonError::into_inner);
        Ok(far.entry(space).or_insert(opened).clone().map(Found::Far))
    }

    fn open(&self, space: Space) -> Result<Option<Table>, StoreError> {
        match self.transaction.open_table(TableDefinition::new(&table_name(space))) {
            Ok(table) => Ok(Some(table)),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(fault::table("read", error)),
        }
    }
}

/// Names the table of a space.
pub(crate) fn table_name(space: Space) -> String {
    format!("{}/{}", space.name(), space.database())
}

/// Runs a read; redb panics over damaged pages, and that becomes an error here.
///
/// `visiting` is set while the caller's own code runs: its panics go on as they are.
fn guarded<T>(
    visiting: &Cell<bool>,
    read: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|payload| {
        if visiting.get() {
            resume_unwind(payload);
        }
        Err(StoreError::Corrupt { what: fault::panic_text(&*payload) })
    })
}

fn visit_all(
    table: &Table,
    range: &KeyRange,
    order: Order,
    visiting: &Cell<bool>,
    visit: &mut Visit<'_>,
) -> Result<(), StoreError> {
    let bounds = (as_slice(&range.from), as_slice(&range.to));
    let failed = |error| fault::storage("read", error);
    let mut rows = table.range::<&[u8]>(bounds).map_err(failed)?;
    loop {
        let row = match order {
            Order::Ascending => rows.next(),
            Order::Descending => rows.next_back(),
        };
        let Some(row) = row else { return Ok(()) };
        let (key, value) = row.map_err(failed)?;
        let (key, value) = (key.value(), value.value());
        visiting.set(true);
        let flow = visit(key, value);
        visiting.set(false);
        if flow.is_break() {
            return Ok(());
        }
    }
}

impl Snapshot for RedbSnapshot {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        guarded(&Cell::new(false), || {
            let Some(table) = self.table(space)? else { return Ok(None) };
            let row = table.get(key).map_err(|error| fault::storage("read", error))?;
            Ok(row.map(|value| value.value().to_vec()))
        })
    }

    fn read(
        &self,
        space: Space,
        key: &[u8],
        visit: &mut dyn FnMut(&[u8]),
    ) -> Result<(), StoreError> {
        let visiting = Cell::new(false);
        guarded(&visiting, || {
            let Some(table) = self.table(space)? else { return Ok(()) };
            if let Some(value) = table.get(key).map_err(|error| fault::storage("read", error))? {
                let value = value.value();
                visiting.set(true);
                visit(value);
                visiting.set(false);
            }
            Ok(())
        })
    }

    fn range(
        &self,
        space: Space,
        range: KeyRange,
        order: Order,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        if range.is_empty() {
            return Ok(());
        }
        let visiting = Cell::new(false);
        guarded(&visiting, || match self.table(space)? {
            Some(table) => visit_all(&table, &range, order, &visiting, visit),
            None => Ok(()),
        })
    }
}

fn as_slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    match bound {
        Bound::Included(key) => Bound::Included(key.as_slice()),
        Bound::Excluded(key) => Bound::Excluded(key.as_slice()),
        Bound::Unbounded => Bound::Unbounded,
    }
}
