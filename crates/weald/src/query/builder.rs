//! What is asked of a table or a log: an order, a part of it, a direction, a filter, a limit.
//!
//! Invariant: building a query reads nothing; each way to run it reads what is committed by then.

use std::fmt;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use weald_crdt::{Key, Malformed, Value, log};
use weald_dag::{KeyRange, Order, Time};
use weald_engine::IndexRange;

use super::cursor::{CursorError, QueryCursor, QueryId};
use super::found::Found;
use super::item::Queried;
use super::order::{ByIndex, ByKey, QueryOrder};
use super::page::Page;
use super::rows::QueryRows;
use crate::error::ReadError;
use crate::key::IntoKey;
use crate::log::{Cursor, LogItem};
use crate::rows::Rows;
use crate::store_ref::StoreRef;

/// Returns whether an item is asked for.
type Filter<I> = Arc<dyn Fn(&I) -> bool + Send + Sync>;

/// Asks a table or a log for rows, in the order of their keys or of an index. Cloning is cheap.
pub struct Query<I, O = ByKey> {
    pub(super) store: StoreRef,
    pub(super) by: O,
    pub(super) order: Order,
    pub(super) limit: u64,
    pub(super) filter: Option<Filter<I>>,
}

impl<I, O: Clone> Clone for Query<I, O> {
    fn clone(&self) -> Self {
        let Self { store, by, order, limit, filter } = self;
        let (store, by, filter) = (store.clone(), by.clone(), filter.clone());
        Self { store, by, order: *order, limit: *limit, filter }
    }
}

impl<I, O: fmt::Debug> fmt::Debug for Query<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut query = f.debug_struct("Query");
        query.field("store", &self.store.name).field("by", &self.by).field("order", &self.order);
        query.finish_non_exhaustive()
    }
}

impl<I> Query<I> {
    pub(crate) const fn new(store: StoreRef) -> Self {
        let (order, limit, filter) = (Order::Ascending, u64::MAX, None);
        Self { store, by: ByKey(Ok(KeyRange::all())), order, limit, filter }
    }

    /// Asks in the order of an index instead of that of the keys. What was said of keys before is
    /// dropped.
    pub fn index(self, name: &str) -> Query<I, ByIndex> {
        let Self { store, order, limit, filter, .. } = self;
        let by = ByIndex { name: name.to_owned(), range: IndexRange::default() };
        Query { store, by, order, limit, filter }
    }

    fn narrow(&mut self, change: impl FnOnce(&mut KeyRange) -> Result<(), Malformed>) {
        if let Ok(keys) = &mut self.by.0
            && let Err(error) = change(keys)
        {
            self.by = ByKey(Err(error));
        }
    }
}

impl<T> Query<(Key, T)> {
    /// Asks for the rows whose keys lie in a range.
    #[must_use]
    pub fn range(mut self, range: impl RangeBounds<Key>) -> Self {
        let encode = |bound: Bound<&Key>| -> Result<Bound<Vec<u8>>, Malformed> {
            Ok(match bound {
                Bound::Included(key) => Bound::Included(key.encode()?),
                Bound::Excluded(key) => Bound::Excluded(key.encode()?),
                Bound::Unbounded => Bound::Unbounded,
            })
        };
        let (from, to) = (encode(range.start_bound()), encode(range.end_bound()));
        self.narrow(|keys| {
            *keys = KeyRange { from: from?, to: to? };
            Ok(())
        });
        self
    }

    /// Asks for the rows whose key is a text, bytes or a tuple that begins with this one.
    #[must_use]
    pub fn prefix(mut self, start: impl IntoKey) -> Self {
        let start = start.into_key().encode_prefix();
        self.narrow(|keys| {
            *keys = KeyRange::prefix(&start?);
            Ok(())
        });
        self
    }
}

impl<T> Query<LogItem<T>> {
    /// Asks for the items from this time on.
    #[must_use]
    pub fn since(mut self, time: Time) -> Self {
        self.narrow(|keys| {
            keys.from = Bound::Included(time.raw().to_be_bytes().to_vec());
            Ok(())
        });
        self
    }

    /// Asks for the items before this time.
    #[must_use]
    pub fn until(mut self, time: Time) -> Self {
        self.narrow(|keys| {
            keys.to = Bound::Excluded(time.raw().to_be_bytes().to_vec());
            Ok(())
        });
        self
    }

    /// Asks for the items after this one.
    #[must_use]
    pub fn after(mut self, cursor: &Cursor) -> Self {
        self.narrow(|keys| {
            keys.from = Bound::Excluded(log::key(&cursor.0));
            Ok(())
        });
        self
    }

    /// Asks for the items before this one.
    #[must_use]
    pub fn before(mut self, cursor: &Cursor) -> Self {
        self.narrow(|keys| {
            keys.to = Bound::Excluded(log::key(&cursor.0));
            Ok(())
        });
        self
    }
}

impl<I> Query<I, ByIndex> {
    /// Asks for the rows whose next field has this value; the first field at first.
    #[must_use]
    pub fn equal(mut self, value: impl Into<Value>) -> Self {
        self.by.range.equal.push(value.into());
        self
    }

    /// Asks for the rows whose next field, after those that are equal to something, lies in a range.
    ///
    /// Numbers are compared with numbers and texts with texts: an open end is the end of the kind of
    /// the other end.
    #[must_use]
    pub fn range<V: Into<Value> + Clone>(mut self, range: impl RangeBounds<V>) -> Self {
        self.by.range.from = range.start_bound().cloned().map(Into::into);
        self.by.range.to = range.end_bound().cloned().map(Into::into);
        self.by.range.start = None;
        self
    }

    /// Asks for the rows whose next field, after those that are equal to something, is a text that
    /// begins so.
    #[must_use]
    pub fn prefix(mut self, start: &str) -> Self {
        let equal = std::mem::take(&mut self.by.range.equal);
        let start = Some(start.to_owned());
        self.by.range = IndexRange { equal, start, ..IndexRange::default() };
        self
    }
}

impl<I, O> Query<I, O> {
    /// Goes against the order.
    #[must_use]
    pub fn reverse(mut self) -> Self {
        self.order = match self.order {
            Order::Ascending => Order::Descending,
            Order::Descending => Order::Ascending,
        };
        self
    }

    /// Gives only what the closure, and every one given before, says yes to. All that is in the
    /// range is read for it.
    #[must_use]
    pub fn filter(mut self, asked: impl Fn(&I) -> bool + Send + Sync + 'static) -> Self
    where
        I: 'static,
    {
        self.filter = Some(match self.filter.take() {
            Some(before) => Arc::new(move |item: &I| before(item) && asked(item)),
            None => Arc::new(asked),
        });
        self
    }

    /// Gives at most so many rows, over all pages. All by default.
    #[must_use]
    pub const fn limit(mut self, count: u64) -> Self {
        self.limit = count;
        self
    }
}

impl<I: Queried, O: QueryOrder> Query<I, O> {
    /// Iterates over the rows, a page at a time: a long iteration holds no snapshot, and each page
    /// sees what is committed by then. An error stands in the place of its row; others follow.
    pub fn rows(&self) -> QueryRows<I, O> {
        QueryRows::new(self.clone(), None)
    }

    /// Returns the first row.
    ///
    /// # Errors
    /// [`ReadError`] when it cannot be read, or the query cannot be run.
    pub fn first(&self) -> Result<Option<I>, ReadError> {
        let limit = self.limit.min(1);
        self.clone().limit(limit).rows().next().transpose()
    }

    /// Counts the rows. Without a filter they are visited and not read.
    ///
    /// # Errors
    /// [`ReadError`] when the query cannot be run, or with a filter the first error of a row.
    pub fn count(&self) -> Result<u64, ReadError> {
        if self.filter.is_some() {
            return self.rows().try_fold(0, |count, row| row.map(|_| count + 1));
        }
        let rows = self.store.rows()?;
        let count = self.by.find(&rows, &self.store, I::TYPE_NAME)?.count(&rows, &self.store)?;
        Ok(count.min(self.limit))
    }

    /// Returns one page of up to `count` rows, and the cursor of the next one. While nothing
    /// changes, pages give each row once; what is written meanwhile is seen or not, by its place. A
    /// page of 0 rows has no last one to go on from, and so no cursor.
    ///
    /// # Errors
    /// [`ReadError::Cursor`] for a cursor of another query, or any other [`ReadError`] but
    /// [`ReadError::Misfit`], which is in the page.
    pub fn page(&self, count: usize, cursor: Option<&QueryCursor>) -> Result<Page<I>, ReadError> {
        Page::read(self, count, cursor)
    }

    /// Tells this query from others.
    pub(super) fn id(&self, found: &Found) -> QueryId {
        let core = &self.store.core;
        let order: &[u8] = match self.order {
            Order::Ascending => &[0],
            Order::Descending => &[1],
        };
        QueryId::of(&[
            core.device.public().as_bytes(),
            &self.store.database.to_be_bytes(),
            self.store.name.as_bytes(),
            I::TYPE_NAME.as_bytes(),
            order,
            &found.identity(),
        ])
    }

    /// Checks that a cursor is one of this query.
    pub(super) fn check(&self, rows: &Rows, cursor: &QueryCursor) -> Result<(), ReadError> {
        let found = self.by.find(rows, &self.store, I::TYPE_NAME)?;
        if self.id(&found) == cursor.query { Ok(()) } else { Err(CursorError::OtherQuery.into()) }
    }
}
