//! Sync with other devices: what an app says to the one background actor of its instance.
//!
//! Invariant: an instance has at most one actor; it is started by the first `enable_sync` and ends with the
//! instance.

mod address;
mod choices;
mod config;
mod discovery;
mod enable;
mod handle;
mod host;
mod joining;
mod known;
mod notes;
mod peers;
mod queueing;
mod rows;
mod servers;
mod slot;
mod syncing;
mod why;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use weald_dag::{PublicKey, RequestId};
use weald_sync::RequestAnswer;
use weald_transports::{ActorHandle, SyncError};

pub use address::IntoAddress;
pub use config::{TRANSPORT_NAME_MAX, TransportConfig, TransportConfigError};
pub use discovery::DiscoveredDatabase;
pub use handle::{RelationStatus, SyncAuth, SyncHandle, SyncPeerInfo};
pub use why::{Cause, Why};

use choices::KeyChoices;
use config::TransportConfigs;

use crate::core::Core;
use crate::requests::{InviteBook, RequestBook, Requests};
pub(crate) use rows::{SyncRows, waited};
use slot::Running;
pub(crate) use slot::Slot;

/// Commands the one background actor that syncs an instance. Cloning is cheap; clones share the actor and keep
/// the instance open.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), weald::Error> {
/// use weald::transport::memory::MemoryNetwork;
/// use weald::{DatabaseSettings, Instance, Level};
///
/// let network = MemoryNetwork::new(); // between devices: weald::transport::http::HttpTransport
/// let (here, there) = (Instance::in_memory()?, Instance::in_memory()?);
/// let (alice, bob) = (here.create_user("alice", None)?, there.create_user("bob", None)?);
/// let room = alice.create_database(DatabaseSettings::named("Demo").grant_anyone(Level::Write(10)))?;
///
/// let sync = here.enable_sync()?;
/// sync.register_transport("wires", network.transport("alice"));
/// sync.accept_connections().await?;
/// let ticket = sync.ticket(&room); // send it to bob, as text
///
/// let sync = there.enable_sync()?;
/// sync.register_transport("wires", network.transport("bob"));
/// let joined = sync.join(&bob, &ticket).await?;
/// assert_eq!(joined.name().as_deref(), Some("Demo"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PeerSync {
    core: Arc<Core>,
    actor: ActorHandle,
    invites: Arc<InviteBook>,
    requests: Arc<RequestBook>,
    choices: Arc<KeyChoices>,
    configs: Arc<TransportConfigs>,
}

impl fmt::Debug for PeerSync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerSync")
            .field("device", &self.core.device.public())
            .finish_non_exhaustive()
    }
}

impl PeerSync {
    fn new(core: &Arc<Core>, running: Running) -> Self {
        let Running { actor, invites, requests, choices, configs } = running;
        Self { core: Arc::clone(core), actor, invites, requests, choices, configs }
    }

    pub(crate) const fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) fn book(&self) -> &RequestBook {
        &self.requests
    }

    /// Lists and decides the requests for access that come to this device.
    pub fn requests(&self) -> Requests {
        Requests::new(self.clone())
    }

    /// Waits for something at most so long; `None` once the time is over.
    pub(crate) async fn within<T>(
        &self,
        time: Duration,
        what: impl Future<Output = T>,
    ) -> Result<Option<T>, SyncError> {
        self.actor.at_most(time, what).await
    }

    /// Looks now and after each event for so long, until `look` finds what it looks for.
    pub(crate) async fn until<T>(
        &self,
        time: Duration,
        look: impl FnMut() -> Option<T>,
    ) -> Result<Option<T>, SyncError> {
        self.actor.until(time, look).await
    }

    /// Sends a linked peer the requests that are for it.
    pub(crate) fn ask(&self, peer: PublicKey) {
        self.actor.ask_access(peer);
    }

    /// Tells a peer what was decided on its request, if it is linked.
    pub(crate) fn answer(&self, peer: PublicKey, request: RequestId, answer: RequestAnswer) {
        self.actor.answer(peer, request, answer);
    }

    /// Uses the invites that wait for databases which are here, such as after a restart.
    fn redeem_waiting(&self) {
        for database in self.invites.waiting() {
            if let Err(error) = self.invites.redeem_heard(database) {
                tracing::warn!(%error, "an invite could not be used yet: it is tried again");
            }
        }
    }
}
