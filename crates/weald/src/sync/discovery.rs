//! Finding databases at a peer, by name.
//!
//! Invariant: what a peer offers is what the proven keys or anyone may read there; nothing is fetched by looking.

use weald_dag::DatabaseId;
use weald_sync::ListedDatabase;
use weald_transports::SyncError;

use super::{IntoAddress, PeerSync};

/// A database that a peer offers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiscoveredDatabase {
    /// Its id, by which it is joined.
    pub id: DatabaseId,
    /// Its name, by its settings.
    pub name: Option<String>,
    /// How many entries the peer holds of it.
    pub entries: u64,
}

impl From<ListedDatabase> for DiscoveredDatabase {
    fn from(listed: ListedDatabase) -> Self {
        let ListedDatabase { id, name, entries } = listed;
        Self { id, name: Some(name).filter(|name| !name.is_empty()), entries }
    }
}

impl PeerSync {
    /// Connects to an address and lists the databases that the peer offers, by id: those that this device's key,
    /// a key of a user who is logged in, or anyone may read there. Nothing is fetched.
    ///
    /// Join one by [`sync_with_peer`](Self::sync_with_peer) with its id, or
    /// [`User::track`](crate::User::track) it first to sync it for a user. The public keys of all users who are
    /// logged in are shown to whoever answers at the address; where a key was chosen for that peer by
    /// [`SyncAuth::Key`](crate::SyncAuth::Key), those chosen alone.
    ///
    /// # Errors
    /// Any [`SyncError`] of connecting; [`SyncError::AskedTooOften`] where the peer wants to be asked later,
    /// [`SyncError::TimedOut`] where it does not tell within a minute.
    pub async fn discover_databases(
        &self,
        address: impl IntoAddress,
    ) -> Result<Vec<DiscoveredDatabase>, SyncError> {
        let (_, found) = self.actor.discover(vec![address.into_address()?], None).await?;
        Ok(found.into_iter().map(Into::into).collect())
    }
}
