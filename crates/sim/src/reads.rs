//! What sessions read of a site.
//!
//! Invariant: every answer comes from the disk as it is at the moment of the call.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use weald_auth::Authority;
use weald_dag::{
    DatabaseId, EntryId, Graph, Number, PublicKey, SecretKey, Snapshot, Store, StoreError,
};
use weald_engine::{Held, all_held, held, load_authority, taken_from};
use weald_sync::{LocalDatabase, Reads};

use crate::disk::Disk;

/// The authority of each database as it was when this entry was its newest. A disk that loses power
/// may lose entries: it is to be cleared then.
pub(crate) type Loaded = Mutex<BTreeMap<u32, (Number, Arc<Authority>)>>;

/// Reads of one disk.
#[derive(Clone)]
pub(crate) struct DiskReads {
    pub(crate) disk: Arc<Disk>,
    pub(crate) loaded: Arc<Loaded>,
    /// The keys that the site proves beside its device key.
    pub(crate) keys: Vec<SecretKey>,
}

impl DiskReads {
    /// Returns the authority of a database.
    pub(crate) fn authority(
        &self,
        rows: &dyn Snapshot,
        held: Held,
    ) -> Result<Arc<Authority>, StoreError> {
        let newest = Graph::new(rows, held.number).head()?.map_or(Number(0), |(newest, _)| newest);
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, authority)) =
            loaded.get(&held.number).filter(|(number, _)| *number == newest)
        {
            return Ok(Arc::clone(authority));
        }
        let authority = Arc::new(load_authority(rows, held.number)?);
        loaded.insert(held.number, (newest, Arc::clone(&authority)));
        Ok(authority)
    }
}

impl Reads for DiskReads {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        self.disk.snapshot()
    }

    fn database(&self, id: &DatabaseId) -> Result<Option<LocalDatabase>, StoreError> {
        let held = held(&*self.disk.snapshot()?, id)?.filter(|held| !held.system);
        Ok(held.map(|held| LocalDatabase { number: held.number, complete: held.complete }))
    }

    fn may_read(&self, id: &DatabaseId, keys: &[PublicKey]) -> Result<bool, StoreError> {
        let rows = self.disk.snapshot()?;
        let Some(held) = held(&*rows, id)?.filter(|held| !held.system) else {
            return Ok(false);
        };
        Ok(self.authority(&*rows, held)?.current().may_read(keys))
    }

    fn known_to(&self, keys: &[PublicKey]) -> Result<Vec<DatabaseId>, StoreError> {
        let mut known = Vec::new();
        for held in all_held(&*self.disk.snapshot()?)?.into_iter().filter(|held| held.complete) {
            if self.may_read(&held.id, keys)? || self.taken_from(&held.id, keys)?.is_some() {
                known.push(held.id);
            }
        }
        Ok(known)
    }

    fn taken_from(
        &self,
        id: &DatabaseId,
        keys: &[PublicKey],
    ) -> Result<Option<Vec<EntryId>>, StoreError> {
        let rows = self.disk.snapshot()?;
        let Some(held) = held(&*rows, id)?.filter(|held| !held.system) else {
            return Ok(None);
        };
        taken_from(&*rows, held.number, &*self.authority(&*rows, held)?, keys)
    }

    fn keys_for(&self, _: &DatabaseId, _: &PublicKey) -> Result<Vec<SecretKey>, StoreError> {
        Ok(self.keys.clone())
    }
}
