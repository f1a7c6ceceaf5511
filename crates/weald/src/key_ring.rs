//! The private keys of the users that are logged in, for proving them to peers.
//!
//! Invariant: it keeps no key in memory: a key is here while a handle of its user, or of a database
//! opened with it, lives.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use weald_dag::{PublicKey, SecretKey};

/// The keys that are unlocked.
#[derive(Default)]
pub(crate) struct KeyRing(RwLock<BTreeMap<PublicKey, Weak<SecretKey>>>);

impl KeyRing {
    /// Adds a key, and returns the one that all its users share.
    pub(crate) fn add(&self, key: SecretKey) -> Arc<SecretKey> {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        keys.retain(|_, key| key.strong_count() > 0);
        let public = key.public();
        if let Some(shared) = keys.get(&public).and_then(Weak::upgrade) {
            return shared;
        }
        let shared = Arc::new(key);
        keys.insert(public, Arc::downgrade(&shared));
        shared
    }

    /// Returns the keys, by their public halves.
    pub(crate) fn unlocked(&self) -> Vec<Arc<SecretKey>> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.values().filter_map(Weak::upgrade).collect()
    }
}
