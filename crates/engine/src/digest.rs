//! One hash over all of a database's state, to compare replicas.
//!
//! Invariant: equal needed entries give equal digests, whatever the order in which they came.

use std::ops::ControlFlow;

use weald_crdt::Area;
use weald_dag::{KeyRange, Order, Snapshot, StoreError};

use crate::view::{is_of_sealed, space_of};

/// Returns the BLAKE3 hash of all rows of state of a database, but for those of sealed stores: not
/// every replica can have these.
///
/// # Errors
/// Any [`StoreError`].
pub fn state_digest(rows: &dyn Snapshot, database: u32) -> Result<[u8; 32], StoreError> {
    let mut hasher = blake3::Hasher::new_derive_key("weald 2026 state digest v1");
    for area in [Area::State, Area::Buried, Area::Dangling, Area::History] {
        let mut count = 0u64;
        let space = space_of(area, database);
        rows.range(space, KeyRange::all(), Order::Ascending, &mut |key, value| {
            if is_of_sealed(key) {
                return ControlFlow::Continue(());
            }
            for part in [key, value] {
                hasher.update(&(part.len() as u64).to_be_bytes());
                hasher.update(part);
            }
            count += 1;
            ControlFlow::Continue(())
        })?;
        hasher.update(&count.to_be_bytes());
    }
    Ok(*hasher.finalize().as_bytes())
}
