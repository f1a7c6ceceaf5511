//! A read transaction with the tables that were read in it.
//!
//! Invariant: a table is opened once for each snapshot; no lock is held while a visitor runs.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, PoisonError, RwLock};

use redb::{ReadOnlyTable, ReadTransaction, TableDefinition, TableError};
use weald_dag::{KeyRange, Order, Snapshot, Space, StoreError, Visit};

use crate::fault;

type Table = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// Rows as they were when this was made.
pub(crate) struct RedbSnapshot {
    transaction: ReadTransaction,
    tables: RwLock<BTreeMap<Space, Option<Arc<Table>>>>,
}

impl RedbSnapshot {
    pub(crate) const fn new(transaction: ReadTransaction) -> Self {
        Self { transaction, tables: RwLock::new(BTreeMap::new()) }
    }

    /// Opens the table of a space; `None` when it has no rows yet.
    fn open(&self, space: Space) -> Result<Option<Arc<Table>>, StoreError> {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.get(&space) {
            return Ok(table.clone());
        }
        let opened = self.transaction.open_table(TableDefinition::new(&table_name(space)));
        let table = match opened {
            Ok(table) => Some(Arc::new(table)),
            Err(TableError::TableDoesNotExist(_)) => None,
            Err(error) => return Err(fault::table("read", error)),
        };
        tables.insert(space, table.clone());
        Ok(table)
    }

    fn table(&self, space: Space) -> Result<Option<Arc<Table>>, StoreError> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.get(&space) {
            return Ok(table.clone());
        }
        drop(tables);
        self.open(space)
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
