//! Staged rows over a snapshot: what the pure layers read and write before a batch is applied.
//!
//! Invariant: reading an overlay gives what reading the store would give after its batch.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::batch::Batch;
use crate::seam::{Snapshot, StoreError, Visit};
use crate::space::{KeyRange, Order, Space, as_slice};
use crate::staged_key::StagedKey;

/// A snapshot with a batch on top that grows.
pub struct Overlay {
    base: Arc<dyn Snapshot>,
    batch: Batch,
}

impl Overlay {
    /// Starts an overlay without staged rows.
    pub fn new(base: Arc<dyn Snapshot>) -> Self {
        Self { base, batch: Batch::default() }
    }

    /// Stages a row.
    pub fn put(&mut self, space: Space, key: impl AsRef<[u8]>, value: impl Into<Vec<u8>>) {
        self.batch.put(space, key, value);
    }

    /// Stages the removal of a row.
    pub fn remove(&mut self, space: Space, key: impl AsRef<[u8]>) {
        self.batch.remove(space, key);
    }

    /// Returns the staged rows.
    pub const fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Drops all staged rows.
    pub fn clear(&mut self) {
        self.batch = Batch::default();
    }

    /// Ends the overlay with what was staged.
    pub fn into_batch(self) -> Batch {
        self.batch
    }
}

impl Snapshot for Overlay {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.batch.staged(space, key) {
            Some(staged) => Ok(staged.clone()),
            None => self.base.get(space, key),
        }
    }

    fn read(
        &self,
        space: Space,
        key: &[u8],
        visit: &mut dyn FnMut(&[u8]),
    ) -> Result<(), StoreError> {
        match self.batch.staged(space, key) {
            Some(staged) => staged.as_deref().into_iter().for_each(visit),
            None => self.base.read(space, key, visit)?,
        }
        Ok(())
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
        let Some(rows) = self.batch.rows(space) else {
            return self.base.range(space, range, order, visit);
        };
        let bounds = (as_slice(&range.from), as_slice(&range.to));
        let mut staged: Box<dyn Iterator<Item = _>> = match order {
            Order::Ascending => Box::new(rows.range::<[u8], _>(bounds)),
            Order::Descending => Box::new(rows.range::<[u8], _>(bounds).rev()),
        };
        let mut merge = Merge { next: staged.next(), staged: &mut *staged, order };
        let mut stopped = false;
        self.base.range(space, range.clone(), order, &mut |key, value| {
            let flow = merge.base_row(key, value, visit);
            stopped = flow.is_break();
            flow
        })?;
        if !stopped {
            merge.rest(visit);
        }
        Ok(())
    }
}

type StagedRow<'a> = (&'a StagedKey, &'a Option<Vec<u8>>);

/// Merges staged rows into the rows of the base, both in the same order.
struct Merge<'a, 'i> {
    next: Option<StagedRow<'a>>,
    staged: &'i mut dyn Iterator<Item = StagedRow<'a>>,
    order: Order,
}

impl Merge<'_, '_> {
    fn base_row(&mut self, key: &[u8], value: &[u8], visit: &mut Visit<'_>) -> ControlFlow<()> {
        while let Some((staged_key, staged)) = self.next {
            let before = match self.order {
                Order::Ascending => staged_key.as_slice() < key,
                Order::Descending => staged_key.as_slice() > key,
            };
            let same = staged_key.as_slice() == key;
            if !before && !same {
                break;
            }
            self.next = self.staged.next();
            if let Some(staged) = staged {
                visit(staged_key.as_slice(), staged)?;
            }
            if same {
                return ControlFlow::Continue(());
            }
        }
        visit(key, value)
    }

    fn rest(&mut self, visit: &mut Visit<'_>) {
        while let Some((key, staged)) = self.next {
            self.next = self.staged.next();
            if let Some(value) = staged
                && visit(key.as_slice(), value).is_break()
            {
                return;
            }
        }
    }
}
