//! The redb store keeps the laws of the storage seam.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use weald_dag::conformance::store_conformance;
use weald_store::{Options, RedbStore};

#[test]
fn redb_store_conforms() {
    let dirs = Mutex::new(Vec::new());
    store_conformance(|| {
        let dir = tempfile::tempdir().unwrap();
        let store = RedbStore::open(dir.path(), Options::default()).unwrap();
        dirs.lock().unwrap().push(dir);
        Arc::new(store)
    });
}
