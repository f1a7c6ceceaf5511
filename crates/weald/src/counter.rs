//! Counters: a store of numbers by key, to which every device adds.
//!
//! Invariant: what is added anywhere counts once everywhere; a reset takes away what it has seen and
//! nothing else.

use std::collections::VecDeque;
use std::fmt;
use std::ops::{Bound, ControlFlow};

use weald_crdt::{CounterType, DraftError, Key, SectionDraft, counter};

use crate::error::{ReadError, WriteError};
use crate::key::IntoKey;
use crate::store_ref::StoreRef;
use crate::transaction::Transaction;

/// How many counters an iteration reads at a time.
pub const COUNTER_PAGE_ROWS: usize = 256;

/// Reads counters. Cloning is cheap; each read sees what is committed by then.
#[derive(Clone)]
pub struct Counter {
    store: StoreRef,
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counter").finish_non_exhaustive()
    }
}

impl Counter {
    pub(crate) const fn new(store: StoreRef) -> Self {
        Self { store }
    }

    /// Returns what a counter counts; zero if nothing was added to it since its reset.
    ///
    /// # Errors
    /// [`ReadError`] when the row cannot be read or the key cannot be used.
    pub fn value(&self, key: impl IntoKey) -> Result<i128, ReadError> {
        let rows = self.store.rows()?;
        Ok(counter::get(&self.store.view(&rows), &key.into_key())?)
    }

    /// Iterates over the counters that something was added to since their reset, by key.
    pub fn iter(&self) -> Counters {
        Counters { store: self.store.clone(), page: VecDeque::new(), next: Some(Bound::Unbounded) }
    }
}

impl IntoIterator for &Counter {
    type Item = Result<(Key, i128), ReadError>;
    type IntoIter = Counters;

    fn into_iter(self) -> Counters {
        self.iter()
    }
}

/// Iterates over counters. It holds no snapshot between its pages of [`COUNTER_PAGE_ROWS`]; each
/// page sees what is committed by then.
pub struct Counters {
    store: StoreRef,
    page: VecDeque<(Key, i128)>,
    /// Where the next page begins, if there may be one.
    next: Option<Bound<Key>>,
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counters").finish_non_exhaustive()
    }
}

impl Counters {
    fn load(&mut self, from: &Bound<Key>) -> Result<(), ReadError> {
        let rows = self.store.rows()?;
        let page = &mut self.page;
        let mut take = |key, sum| {
            page.push_back((key, sum));
            let is_full = page.len() >= COUNTER_PAGE_ROWS;
            if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let view = self.store.view(&rows);
        counter::range(&view, from.as_ref(), Bound::Unbounded, false, &mut take)?;
        if self.page.len() >= COUNTER_PAGE_ROWS {
            self.next = self.page.back().map(|(key, _)| Bound::Excluded(key.clone()));
        }
        Ok(())
    }
}

impl Iterator for Counters {
    type Item = Result<(Key, i128), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty()
            && let Some(from) = self.next.take()
            && let Err(error) = self.load(&from)
        {
            return Some(Err(error));
        }
        self.page.pop_front().map(Ok)
    }
}

/// Writes to counters in a transaction, and reads what they will be.
pub struct CounterMut<'tx> {
    transaction: &'tx mut Transaction,
    name: String,
}

impl fmt::Debug for CounterMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CounterMut").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<'tx> CounterMut<'tx> {
    pub(crate) const fn new(transaction: &'tx mut Transaction, name: String) -> Self {
        Self { transaction, name }
    }

    /// Adds to a counter, or takes away from it with a number below zero. A counter that was never
    /// added to starts at zero.
    ///
    /// # Errors
    /// [`WriteError`] for a key that cannot be used.
    pub fn add(&mut self, key: impl IntoKey, by: i64) -> Result<(), WriteError> {
        let key = key.into_key();
        if let (SectionDraft::Counter(draft), mut view) =
            self.transaction.draft(&self.name, CounterType::NAME)?
        {
            draft.add(&mut view, &key, by)?;
        }
        Ok(())
    }

    /// Sets a counter back to zero, and returns whether there was anything to take away. What others
    /// add at the same time still counts.
    ///
    /// # Errors
    /// [`WriteError`] for a key that cannot be used.
    pub fn reset(&mut self, key: impl IntoKey) -> Result<bool, WriteError> {
        let key = key.into_key();
        match self.transaction.draft(&self.name, CounterType::NAME)? {
            (SectionDraft::Counter(draft), mut view) => Ok(draft.reset(&mut view, &key)?),
            _ => Ok(false),
        }
    }

    /// Returns what a counter counts as the transaction sees it.
    ///
    /// # Errors
    /// [`WriteError`] when the row cannot be read or the key cannot be used.
    pub fn value(&self, key: impl IntoKey) -> Result<i128, WriteError> {
        let view = self.transaction.view(&self.name, CounterType::NAME)?;
        let key = key.into_key();
        key.encode().map_err(DraftError::from)?;
        Ok(counter::get(&view, &key).map_err(ReadError::from)?)
    }
}
