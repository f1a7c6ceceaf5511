//! Values of a unique index that several rows have in common.
//!
//! Invariant: values are compared whole, also those that the index cuts; a page of the index is read
//! at a time, and of one value a bounded number of keys is kept.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use weald_crdt::Value;
use weald_dag::Order;
use weald_engine::{IndexError, IndexRange, Indexed};

use super::index::StoreIndex;
use super::rows::QUERY_PAGE_ROWS;
use crate::conflict::RowKey;

/// How many keys of one value are listed; all are counted.
pub const DUPLICATE_KEYS_MAX: usize = 1_000;

/// A value that several rows have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Duplicate {
    /// The value of each field of the index.
    pub values: Vec<Value>,
    /// The rows, by key; at most [`DUPLICATE_KEYS_MAX`].
    pub keys: Vec<RowKey>,
    /// How many rows there are.
    pub count: u64,
}

/// Iterates over the duplicates of a unique index, a page at a time.
pub struct Duplicates {
    index: StoreIndex,
    position: Option<Vec<u8>>,
    /// What the rows at hand have in common in the index; several values, if they were cut.
    common: Vec<u8>,
    same: BTreeMap<Vec<u8>, Duplicate>,
    found: VecDeque<Duplicate>,
    ended: bool,
}

impl fmt::Debug for Duplicates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Duplicates").field("index", &self.index).finish_non_exhaustive()
    }
}

impl Duplicates {
    pub(super) fn new(index: StoreIndex) -> Self {
        Self {
            index,
            position: None,
            common: Vec::new(),
            same: BTreeMap::new(),
            found: VecDeque::new(),
            ended: false,
        }
    }

    fn next_page(&mut self) -> Result<(), IndexError> {
        let index = self.index.clone();
        let rows = index.store.rows()?;
        let definition = index.current(&rows)?;
        let scan = index.scan(&rows, &definition);
        let (all, after) = (IndexRange::default(), self.position.as_deref());
        let page = scan.page(&all, after, Order::Ascending, QUERY_PAGE_ROWS)?.unwrap_or_default();
        self.ended = page.len() < QUERY_PAGE_ROWS;
        for indexed in &page {
            self.add(&definition.type_name, indexed, scan.values(indexed));
        }
        if let Some(last) = page.into_iter().next_back() {
            self.position = Some(last.position);
        }
        if self.ended {
            self.settle();
        }
        Ok(())
    }

    fn add(&mut self, type_name: &str, indexed: &Indexed, values: Vec<Option<Value>>) {
        let common = indexed.position.get(..indexed.values).unwrap_or_default();
        if common != self.common {
            self.settle();
            self.common = common.to_vec();
        }
        let Some(values) = values.into_iter().collect::<Option<Vec<Value>>>() else { return };
        if values.contains(&Value::Null) {
            return;
        }
        let key = RowKey::of(type_name, indexed.key());
        // What is not cut is one value by its place, 1 and 1.0 for instance. Of what is cut the very
        // same value counts; a decimal of so many digits, written in two ways, is two.
        let whole = if indexed.was_cut { Value::List(values.clone()).encode() } else { Ok(vec![]) };
        let new = || Duplicate { values, keys: Vec::new(), count: 0 };
        let duplicate = self.same.entry(whole.unwrap_or_default()).or_insert_with(new);
        duplicate.count += 1;
        if duplicate.keys.len() < DUPLICATE_KEYS_MAX {
            duplicate.keys.push(key);
        }
    }

    /// The rows of one value are all there.
    fn settle(&mut self) {
        let same = std::mem::take(&mut self.same).into_values();
        self.found.extend(same.filter(|duplicate| duplicate.count > 1));
    }
}

impl Iterator for Duplicates {
    type Item = Result<Duplicate, IndexError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.found.is_empty() && !self.ended {
            if let Err(error) = self.next_page() {
                self.ended = true;
                return Some(Err(error));
            }
        }
        self.found.pop_front().map(Ok)
    }
}
