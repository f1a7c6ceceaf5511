//! The memory store keeps the laws of the storage seam.
#![cfg(feature = "testing")]

use std::sync::Arc;

use weald_dag::MemoryStore;
use weald_dag::conformance::store_conformance;

#[test]
fn memory_store_conforms() {
    store_conformance(|| Arc::new(MemoryStore::new()));
}
