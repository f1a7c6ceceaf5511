//! What the actor needs of the instance that it serves.

use std::sync::Arc;
use std::time::Duration;

use weald_dag::{
    DatabaseId, EntryId, PublicKey, RequestId, SecretKey, StoreError, Verdict, Verified,
};
use weald_sync::{PresenceMessage, Reads, RequestAnswer};

use super::peer::PeerRecord;
use crate::address::Address;
use crate::link::BoxFuture;

/// The instance behind an actor: its reads, its keys and its one door for entries.
pub trait Host: Reads + Send + Sync + 'static {
    /// Returns the device key, which names this instance to its peers.
    fn device(&self) -> SecretKey;

    /// Returns the name told to peers.
    fn name(&self) -> String;

    /// Returns the databases to sync with a peer when none is named.
    ///
    /// # Errors
    /// Any [`HostError`].
    fn wanted(&self) -> Result<Vec<DatabaseId>, HostError>;

    /// Returns whether a database is to be synced with anybody, in either direction. True unless the host says
    /// otherwise; tell the actor by [`ActorHandle::reconsider`](super::ActorHandle::reconsider) when it changes.
    fn syncs(&self, _database: &DatabaseId) -> bool {
        true
    }

    /// Returns how often a database is compared with linked peers although nothing seems to have happened; `None`
    /// for never. As often as `usual` unless the host says otherwise.
    fn round_every(&self, _database: &DatabaseId, usual: Duration) -> Option<Duration> {
        Some(usual)
    }

    /// Takes entries from a peer, parents first; answers one verdict for each, in order, once they are durable.
    ///
    /// What two calls bring must reach the graph in the order of the calls, whenever the futures are polled.
    fn ingest(
        &self,
        from: PublicKey,
        database: DatabaseId,
        parcels: Vec<Verified>,
    ) -> BoxFuture<'static, Result<Vec<(EntryId, Verdict)>, HostError>>;

    /// Notes that a first sync has brought all of a database.
    fn complete(&self, database: DatabaseId) -> BoxFuture<'static, Result<(), HostError>>;

    /// Takes note that all of a database is here and noted as such, before anybody else is told.
    ///
    /// It may block for as long as a commit takes.
    fn arrived(&self, _database: DatabaseId) {}

    /// Takes note that a round has ended with this side and a peer holding the same.
    ///
    /// It may block for as long as a commit takes.
    fn settled(&self, _database: DatabaseId) {}

    /// Answers a request for access of a proven peer, that came from this address.
    ///
    /// It may block for as long as a commit takes. By default no database takes requests.
    fn asked(&self, _peer: PublicKey, _from: &Address, _request: &[u8]) -> RequestAnswer {
        RequestAnswer::Unavailable
    }

    /// Returns the requests to be sent to a peer that is linked.
    fn requests_to(&self, _peer: &PublicKey) -> Vec<Vec<u8>> {
        Vec::new()
    }

    /// Takes a peer's answer to a request; returns the database that is to be synced with it now.
    ///
    /// It may block for as long as a commit takes. Anybody can answer what was never asked.
    fn answered(
        &self,
        _peer: PublicKey,
        _request: RequestId,
        _answer: RequestAnswer,
    ) -> Option<DatabaseId> {
        None
    }

    /// Takes a presence message that came from a peer and was found genuine, of now and new.
    fn heard(&self, _database: DatabaseId, _message: Arc<PresenceMessage>) {}

    /// Returns the peers kept.
    ///
    /// # Errors
    /// Any [`HostError`].
    fn peers(&self) -> Result<Vec<PeerRecord>, HostError>;

    /// Keeps a peer, instead of what was kept of it before. Called only when something changed.
    fn save_peer(&self, record: PeerRecord) -> BoxFuture<'static, Result<(), HostError>>;

    /// Returns the notes of peers as they were remembered last. By default there are none.
    ///
    /// # Errors
    /// Any [`HostError`].
    fn remembered(&self) -> Result<Vec<(PublicKey, Vec<u8>)>, HostError> {
        Ok(Vec::new())
    }

    /// Remembers notes of peers on this device alone, each in place of those of the same peer: when it was reached,
    /// what failed, what was synced. They change with every sync, so they must not rest in anything that grows.
    /// By default they are forgotten.
    fn remember(
        &self,
        _notes: Vec<(PublicKey, Vec<u8>)>,
    ) -> BoxFuture<'static, Result<(), HostError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Why the instance did not do what the actor asked for.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The rows could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The instance was closed.
    #[error("the instance is closed: open it again")]
    Closed,
    /// The database is the instance's own, and peers have no business with it.
    #[error("the database is the instance's own: it takes no entries from peers")]
    NotServed,
    /// Work on a batch panicked.
    #[error("verifying entries panicked: this is a bug, please report it")]
    Panicked,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: nothing can be proven or verified without them")]
    NoRandomness,
    /// Something else, in the instance's words.
    #[error(transparent)]
    Other(Arc<dyn std::error::Error + Send + Sync>),
}
