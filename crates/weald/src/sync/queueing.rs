//! Sending one entry to one peer now, whatever the preferences say of the time.
//!
//! Invariant: there is no queue beside the graph. What a peer lacks is found by a round, so what is queued survives
//! restarts and costs no row of its own.

use weald_dag::{DatabaseId, EntryId, Graph, PublicKey, Standing};
use weald_sync::DatabaseState;
use weald_transports::{PeerRecord, SyncError};

use super::PeerSync;
use crate::database::DatabaseError;
use crate::error::Error;

impl PeerSync {
    /// Has an entry sent to a peer now, or as soon as the peer is met, with all that the peer lacks of what it
    /// is built on; also where the preferences keep commits until the next interval.
    ///
    /// A round runs for it, so that what the peer has goes this way too. [`status`](PeerSync::status) says what is
    /// still to be sent.
    ///
    /// # Errors
    /// [`DatabaseError::NotHere`], [`DatabaseError::UnknownEntry`] for an entry that is not here or is hidden,
    /// [`SyncError::NotSynced`], [`SyncError::PeerUnknown`], and [`SyncError::PeerMayNotRead`] where the open
    /// link to the peer has shown that it may not.
    pub fn queue_entry_for_sync(
        &self,
        peer: &PublicKey,
        database: &DatabaseId,
        entry: &EntryId,
    ) -> Result<(), Error> {
        let (peer, database) = (*peer, *database);
        let held = self.core.held(&database)?.filter(|held| !held.system);
        let held = held.ok_or(DatabaseError::NotHere { id: database })?;
        let known = Graph::new(&self.core.rows()?, held.number).known(entry)?;
        if !known.is_some_and(|known| known.standing == Standing::Visible) {
            return Err(DatabaseError::UnknownEntry { entry: *entry }.into());
        }
        if !self.core.wanted.combined(&database).enabled {
            return Err(SyncError::NotSynced { database }.into());
        }
        let known = self.peer(&peer).ok_or(SyncError::PeerUnknown { peer })?;
        let session = known.databases.get(&database).and_then(|status| status.session.as_ref());
        if let Some(session) = session {
            let withheld = session.classes.is_some_and(|classes| classes.ours.withheld > 0);
            if withheld || session.state == DatabaseState::Ended {
                return Err(SyncError::PeerMayNotRead { database, peer }.into());
            }
        }
        let mut record = PeerRecord::new(peer);
        record.databases.insert(database);
        self.register_peer(record);
        Ok(())
    }
}
