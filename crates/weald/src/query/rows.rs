//! Running a query, a page at a time.
//!
//! Invariant: no snapshot is held between pages, nor while code of the app runs.

use std::collections::VecDeque;
use std::fmt;

use super::builder::Query;
use super::cursor::QueryCursor;
use super::item::Queried;
use super::order::{ByKey, QueryOrder};
use crate::error::ReadError;

/// How many rows an iteration reads at a time, at most.
pub const QUERY_PAGE_ROWS: usize = 256;

/// Iterates over what a query asks for.
pub struct QueryRows<I, O = ByKey> {
    query: Query<I, O>,
    page: VecDeque<(Vec<u8>, Result<I, ReadError>)>,
    /// The position up to which rows were read.
    read: Option<Vec<u8>>,
    /// The position of the last row that was given.
    given: Option<Vec<u8>>,
    left: u64,
    ended: bool,
}

impl<I, O: fmt::Debug> fmt::Debug for QueryRows<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryRows").field("query", &self.query).finish_non_exhaustive()
    }
}

impl<I, O> QueryRows<I, O> {
    /// Begins behind the place of a cursor, which is one of this query.
    pub(super) fn new(query: Query<I, O>, cursor: Option<&QueryCursor>) -> Self {
        let left = query.limit.saturating_sub(cursor.map_or(0, |cursor| cursor.seen));
        let read = cursor.map(|cursor| cursor.position.clone());
        Self { query, page: VecDeque::new(), given: read.clone(), read, left, ended: false }
    }

    /// Goes against the order from here on; meant for an iteration that has not begun.
    #[must_use]
    pub fn reverse(mut self) -> Self {
        self.query = self.query.reverse();
        self
    }

    /// Returns the position of the last row that was given.
    pub(super) fn position(&self) -> Option<&[u8]> {
        self.given.as_deref()
    }
}

impl<I: Queried, O: QueryOrder> QueryRows<I, O> {
    fn next_page(&mut self) -> Result<(), ReadError> {
        let Query { store, by, order, filter, .. } = &self.query;
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let count = if filter.is_some() { QUERY_PAGE_ROWS } else { QUERY_PAGE_ROWS.min(left) };
        let rows = store.rows()?;
        let found = by.find(&rows, store, I::TYPE_NAME)?;
        let raw = found.page(&rows, store, self.read.as_deref(), *order, count)?;
        self.ended = raw.len() < count;
        if let Some(last) = raw.last() {
            self.read = Some(last.position.clone());
        }
        for row in raw {
            let item = I::read(store, &rows, row.key(), &row.row);
            self.page.push_back((row.position, item));
        }
        Ok(())
    }
}

impl<I: Queried, O: QueryOrder> Iterator for QueryRows<I, O> {
    type Item = Result<I, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.left == 0 {
                return None;
            }
            if self.page.is_empty()
                && !self.ended
                && let Err(error) = self.next_page()
            {
                self.ended = true;
                self.left = 0;
                return Some(Err(error));
            }
            let (position, item) = self.page.pop_front()?;
            let filter = self.query.filter.as_ref();
            if let (Some(filter), Ok(item)) = (filter, &item)
                && !filter(item)
            {
                continue;
            }
            self.left -= 1;
            self.given = Some(position);
            return Some(item);
        }
    }
}
