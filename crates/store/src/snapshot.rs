//! A read transaction with the tables that were read in it.
//!
//! Invariant: a table is opened once for each snapshot; no lock is held while a visitor runs.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock};

use redb::{ReadOnlyTable, ReadTransaction, TableDefinition, TableError};
use weald_dag::{KeyRange, Order, Snapshot, Space, StoreError, Visit};

use crate::fault;

type Table = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// Rows as they were when this was made.
pub(crate) struct RedbSnapshot {
    transaction: ReadTransaction,
    tables: RwLock<BTreeMap<Space, Option<std::sync::Arc<Table>>>>,
}

impl RedbSnapshot {
    pub(crate) const fn new(transaction: ReadTransaction) -> Self {
        Self {
            transaction,
            tables: RwLock::new(BTreeMap::new()),
        }
    }

    /// Opens the table of a space; `None` when it has no rows yet.
    fn open(&self, space: Space) -> Result<Option<std::sync::Arc<Table>>, StoreError> {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.get(&space) {
            return Ok(table.clone());
        }
        let opened = self
            .transaction
            .open_table(TableDefinition::new(&table_name(space)));
        let table = match opened {
            Ok(table) => Some(std::sync::Arc::new(table)),
            Err(TableError::TableDoesNotExist(_)) => None,
            Err(error) => return Err(fault::table("read", error)),
        };
        tables.insert(space, table.clone());
        Ok(table)
    }

    fn table(&self, space: Space) -> Result<Option<std::sync::Arc<Table>>, StoreError> {
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

impl Snapshot for RedbSnapshot {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(table) = self.table(space)? else {
            return Ok(None);
        };
        let row = table
            .get(key)
            .map_err(|error| fault::storage("read", error))?;
        Ok(row.map(|value| value.value().to_vec()))
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
        let Some(table) = self.table(space)? else {
            return Ok(());
        };
        let bounds = (as_slice(&range.from), as_slice(&range.to));
        let failed = |error| fault::storage("read", error);
        let mut rows = redb::ReadableTable::range::<&[u8]>(&*table, bounds).map_err(failed)?;
        loop {
            let row = match order {
                Order::Ascending => rows.next(),
                Order::Descending => rows.next_back(),
            };
            let Some(row) = row else { return Ok(()) };
            let (key, value) = row.map_err(failed)?;
            if visit(key.value(), value.value()).is_break() {
                return Ok(());
            }
        }
    }
}

fn as_slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    match bound {
        Bound::Included(key) => Bound::Included(key.as_slice()),
        Bound::Excluded(key) => Bound::Excluded(key.as_slice()),
        Bound::Unbounded => Bound::Unbounded,
    }
}
