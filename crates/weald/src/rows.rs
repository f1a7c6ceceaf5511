//! A snapshot as the generic readers of the layers below want it: sized, and cheap to clone.

use std::sync::Arc;

use weald_dag::{KeyRange, Order, Snapshot, Space, StoreError, Visit};

/// All rows at one moment.
#[derive(Clone)]
pub(crate) struct Rows(pub(crate) Arc<dyn Snapshot>);

impl Snapshot for Rows {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(space, key)
    }

    fn read(
        &self,
        space: Space,
        key: &[u8],
        visit: &mut dyn FnMut(&[u8]),
    ) -> Result<(), StoreError> {
        self.0.read(space, key, visit)
    }

    fn range(
        &self,
        space: Space,
        range: KeyRange,
        order: Order,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        self.0.range(space, range, order, visit)
    }
}
