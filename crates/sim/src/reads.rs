//! What sessions read of a site.
//!
//! Invariant: every answer comes from the disk as it is at the moment of the call.

use std::sync::Arc;

use weald_dag::{DatabaseId, EntryId, PublicKey, SecretKey, Snapshot, Store, StoreError};
use weald_engine::{all_held, held, load_authority, taken_from};
use weald_sync::{LocalDatabase, Reads};

use crate::disk::Disk;

/// Reads of one disk.
pub(crate) struct DiskReads(pub(crate) Arc<Disk>);

impl Reads for DiskReads {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        self.0.snapshot()
    }

    fn database(&self, id: &DatabaseId) -> Result<Option<LocalDatabase>, StoreError> {
        let held = held(&*self.0.snapshot()?, id)?.filter(|held| !held.system);
        Ok(held.map(|held| LocalDatabase { number: held.number, complete: held.complete }))
    }

    fn may_read(&self, id: &DatabaseId, keys: &[PublicKey]) -> Result<bool, StoreError> {
        let snapshot = self.0.snapshot()?;
        let Some(held) = held(&*snapshot, id)?.filter(|held| !held.system) else {
            return Ok(false);
        };
        Ok(load_authority(&*snapshot, held.number)?.current().may_read(keys))
    }

    fn known_to(&self, keys: &[PublicKey]) -> Result<Vec<DatabaseId>, StoreError> {
        let mut known = Vec::new();
        for held in all_held(&*self.0.snapshot()?)?.into_iter().filter(|held| held.complete) {
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
        let snapshot = self.0.snapshot()?;
        let Some(held) = held(&*snapshot, id)?.filter(|held| !held.system) else {
            return Ok(None);
        };
        let authority = load_authority(&*snapshot, held.number)?;
        taken_from(&*snapshot, held.number, &authority, keys)
    }

    fn keys_for(&self, _: &DatabaseId) -> Result<Vec<SecretKey>, StoreError> {
        Ok(Vec::new())
    }
}
