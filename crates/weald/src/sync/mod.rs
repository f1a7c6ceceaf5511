//! Sync with other devices: what an app says to the one background actor of its instance.
//!
//! Invariant: an instance has at most one actor; it is started by the first `enable_sync` and ends with the
//! instance.

mod address;
mod host;
mod peers;
mod rows;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weald_dag::{DatabaseId, Number, PublicKey, RequestId};
use weald_sync::RequestAnswer;
use weald_transports::{
    ActorHandle, ActorOptions, Address, Events, HTTP, PeerRecord, PeerStatus, SyncError,
    SyncStatus, Transport, spawn,
};

pub use address::IntoAddress;

use crate::core::Core;
use crate::database::{Database, DatabaseError};
use crate::error::Error;
use crate::feed::CommitFeed;
use crate::instance::Instance;
use crate::requests::{InviteBook, InviteError, RequestBook, Requests};
use crate::system;
use crate::ticket::Ticket;
use crate::user::{self, User, Wanted};
use host::Parts;
pub(crate) use rows::{SyncRows, waited};

/// The place of an instance's actor, empty until sync is enabled.
///
/// Who waits for `stopping` waits for a stop under way; `held` is never locked for long, as the actor's own
/// threads may ask for it while it stops.
#[derive(Default)]
pub(crate) struct Slot {
    held: Mutex<Place>,
    stopping: Mutex<()>,
}

#[derive(Default)]
struct Place {
    running: Option<Running>,
    /// The instance is closed or about to be: no actor is started any more.
    closed: bool,
}

impl Slot {
    fn place(&self) -> MutexGuard<'_, Place> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self) -> Option<Running> {
        self.place().running.clone()
    }

    /// A user has logged in: its keys may open more at linked peers.
    pub(crate) fn keys_changed(&self) {
        if let Some(running) = self.get() {
            running.actor.prove_keys();
        }
    }

    /// What users want of a database has changed.
    pub(crate) fn reconsider(&self, database: DatabaseId) {
        if let Some(running) = self.get() {
            running.actor.reconsider(database);
        }
    }

    /// Stops the actor for good and waits for it, also where another caller is stopping it.
    pub(crate) fn stop(&self) {
        let actor = {
            let mut place = self.place();
            place.closed = true;
            place.running.as_ref().map(|running| running.actor.clone())
        };
        let _stopping = self.stopping.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(actor) = actor {
            actor.stop_blocking();
        }
        let stopped = self.place().running.take();
        // Outside of the lock.
        drop(stopped);
    }
}

/// An actor with what it and its handles share.
#[derive(Clone)]
struct Running {
    actor: ActorHandle,
    invites: Arc<InviteBook>,
    requests: Arc<RequestBook>,
}

/// Tells the actor's links of commits without keeping the actor alive.
struct Feed {
    links: weald_transports::CommitFeed,
    wanted: Arc<Wanted>,
    invites: Arc<InviteBook>,
}

impl CommitFeed for Feed {
    fn committed(&self, database: DatabaseId, numbers: &[Number], origin: Option<PublicKey>) {
        // What is not told now goes with the next comparison.
        if self.wanted.combined(&database).on_commit {
            self.links.committed(database, numbers, origin);
        }
        self.invites.look_for_fallen(database);
    }
}

impl Instance {
    /// Starts the background actor that syncs this instance, or returns the handle of the one that runs.
    ///
    /// It dials nobody before a transport is registered, and accepts nobody before
    /// [`PeerSync::accept_connections`]. Peers known from before are then dialled again by themselves.
    ///
    /// # Errors
    /// When the peers kept cannot be read, or the system gives no threads; [`SyncError::InstanceDropped`] once the
    /// instance is closed.
    pub fn enable_sync(&self) -> Result<PeerSync, Error> {
        let core = self.core();
        user::load_wishes(core)?;
        let mut place = core.sync.place();
        if place.closed {
            return Err(SyncError::InstanceDropped.into());
        }
        if let Some(running) = &place.running {
            return Ok(PeerSync::new(core, running.clone()));
        }
        let database = system::open(core, system::SYNC)?;
        let rows = Arc::new(SyncRows::new(core, database.number())?);
        let invites = Arc::new(InviteBook::load(core, &database, Arc::clone(&rows))?);
        let requests = Arc::new(RequestBook::load(core, &database, rows)?);
        let parts = Parts {
            store: core.store()?,
            writer: core.writer(),
            access: Arc::clone(&core.access),
            device: Arc::clone(&core.device),
            key_ring: Arc::clone(&core.key_ring),
            wanted: Arc::clone(&core.wanted),
            invites: Arc::clone(&invites),
            requests: Arc::clone(&requests),
            database: database.number(),
            peers: Mutex::new(peers::load(&database)?),
        };
        let actor = spawn(Arc::new(parts), ActorOptions::default())?;
        invites.tell_by(actor.teller());
        requests.tell_by(actor.teller());
        let (links, wanted) = (actor.feed(), Arc::clone(&core.wanted));
        core.feeds.add(Arc::new(Feed { links, wanted, invites: Arc::clone(&invites) }));
        let running = Running { actor, invites, requests };
        place.running = Some(running.clone());
        drop(place);
        let sync = PeerSync::new(core, running);
        sync.redeem_waiting();
        Ok(sync)
    }

    /// Returns the handle of the actor; `None` before [`enable_sync`](Self::enable_sync).
    pub fn sync(&self) -> Option<PeerSync> {
        Some(PeerSync::new(self.core(), self.core().sync.get()?))
    }
}

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
        let Running { actor, invites, requests } = running;
        Self { core: Arc::clone(core), actor, invites, requests }
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

    /// Sends a linked peer the requests that are for it.
    pub(crate) fn ask(&self, peer: PublicKey) {
        self.actor.ask_access(peer);
    }

    /// Tells a peer what was decided on its request, if it is linked.
    pub(crate) fn answer(&self, peer: PublicKey, request: RequestId, answer: RequestAnswer) {
        self.actor.answer(peer, request, answer);
    }

    /// Connects to a peer; returns its device key.
    pub(crate) async fn reach(
        &self,
        addresses: Vec<Address>,
        expected: Option<PublicKey>,
    ) -> Result<PublicKey, SyncError> {
        self.actor.connect(addresses, expected).await
    }

    /// Syncs a database with a peer.
    pub(crate) async fn fetch(
        &self,
        addresses: Vec<Address>,
        peer: PublicKey,
        database: DatabaseId,
    ) -> Result<(), SyncError> {
        self.actor.sync_with(addresses, Some(peer), Some(database)).await.map(drop)
    }

    /// Uses the invites that wait for databases which are here, such as after a restart.
    fn redeem_waiting(&self) {
        for database in self.invites.waiting() {
            if let Err(error) = self.invites.redeem(database) {
                tracing::warn!(%error, "an invite could not be used yet: it is tried again");
            }
        }
    }

    /// Adds a transport under a name of the app's choice, in place of one of that name.
    ///
    /// From now on peers at addresses of its kind are dialled. It accepts nobody by itself.
    pub fn register_transport(&self, name: impl Into<String>, transport: impl Transport + 'static) {
        self.actor.register_transport(name, Arc::new(transport));
    }

    /// Starts every registered transport that has an address to listen at. Needed at each start.
    ///
    /// Transports that listen already go on; those that only dial are left alone.
    ///
    /// # Errors
    /// [`SyncError::NoTransportEnabled`], or [`SyncError::Listen`] for the first that fails, such as for a port in
    /// use; the others listen nevertheless.
    pub async fn accept_connections(&self) -> Result<Vec<Address>, SyncError> {
        self.actor.accept_connections().await
    }

    /// Stops accepting connections.
    ///
    /// # Errors
    /// [`SyncError::InstanceDropped`].
    pub async fn stop_accepting(&self) -> Result<(), SyncError> {
        self.actor.stop_accepting().await
    }

    /// Returns whether any transport listens.
    pub fn is_server_running(&self) -> bool {
        !self.actor.servers().is_empty()
    }

    /// Returns the address of the first transport that listens, with its real port.
    pub fn server_address(&self) -> Option<Address> {
        self.actor.servers().into_iter().next().map(|(_, address)| address)
    }

    /// Returns the name and address of every transport that listens.
    pub fn all_server_addresses(&self) -> Vec<(String, Address)> {
        self.actor.servers()
    }

    /// Connects to whoever answers at an address, proves both ways, remembers the peer, returns its device key.
    ///
    /// # Errors
    /// Any [`SyncError`].
    pub async fn connect_to_peer(&self, address: impl IntoAddress) -> Result<PublicKey, SyncError> {
        self.actor.connect(vec![address.into_address()?], None).await
    }

    /// Connects to an address and syncs one database, or with `None` all that both may; returns the peer once
    /// both hold the same.
    ///
    /// What is not here is fetched, what is here is caught up, both ways. From then on new entries go both ways
    /// at once, also after restarts.
    ///
    /// # Errors
    /// Any [`SyncError`]; [`SyncError::DatabaseUnknown`] where the peer does not give the one asked for.
    pub async fn sync_with_peer(
        &self,
        address: impl IntoAddress,
        database: Option<DatabaseId>,
    ) -> Result<PublicKey, SyncError> {
        self.actor.sync_with(vec![address.into_address()?], None, database).await
    }

    /// Syncs a database with a known peer, at any of its addresses.
    ///
    /// # Errors
    /// Any [`SyncError`].
    pub async fn sync_database_with_peer(
        &self,
        peer: PublicKey,
        database: DatabaseId,
    ) -> Result<(), SyncError> {
        self.actor.sync_with_known(peer, Some(database)).await
    }

    /// Adds what is known of a peer: addresses, and databases to be kept in sync. Nothing known before is removed.
    ///
    /// A peer with a database and an address is dialled until it is reached, also after restarts.
    pub fn register_peer(&self, record: PeerRecord) {
        self.actor.register_peer(record);
    }

    /// Keeps a database in sync with a peer no more.
    pub fn drop_relation(&self, peer: PublicKey, database: DatabaseId) {
        self.actor.drop_relation(peer, database);
    }

    /// Returns what is known of a peer now; `None` when it is not known.
    pub fn peer(&self, peer: &PublicKey) -> Option<PeerStatus> {
        self.actor.peer(peer)
    }

    /// Returns every known peer with its status.
    pub fn list_peers(&self) -> Vec<PeerStatus> {
        self.actor.peers()
    }

    /// Returns how it stands with a database at each peer that it was synced with since the start.
    pub fn status(&self, database: &DatabaseId) -> BTreeMap<PublicKey, SyncStatus> {
        let peers = self.actor.peers().into_iter();
        let status =
            |mut peer: PeerStatus| Some((peer.record.key, peer.databases.remove(database)?));
        peers.filter_map(status).collect()
    }

    /// Returns a stream of what happens from now on.
    pub fn events(&self) -> Events {
        self.actor.events()
    }

    /// Makes the ticket of a database: its id, this device, and where it listens now.
    ///
    /// Where a server listens at all addresses of this machine, the ticket names the one by which it reaches others.
    pub fn ticket(&self, database: &Database) -> Ticket {
        Self::ticket_of(database)
    }

    pub(crate) fn ticket_of(database: &Database) -> Ticket {
        let core = database.core();
        let mut ticket = Ticket::new(database.id());
        if let Some(running) = core.sync.get() {
            ticket = ticket.with_peer(core.device.public());
            for (_, address) in running.actor.servers() {
                ticket = ticket.with_address(reachable(address));
            }
        }
        match database.name() {
            Some(name) => ticket.with_name(name),
            None => ticket,
        }
    }

    /// Joins the database of a ticket for a user: tracks it, fetches it from the ticket's addresses, opens it.
    ///
    /// An invite in the ticket is proven to the peer, and used for the user's key once all of the database is
    /// here; until then it is kept sealed, also over restarts. A key that holds as much already uses nothing.
    ///
    /// A database that is here already is opened at once and kept in sync, unless the ticket's invite was made
    /// since: then it is synced first. Where fetching broke off, calling this
    /// again goes on where it stopped; where the ticket names the peer it goes on by itself, also after a restart.
    ///
    /// # Errors
    /// [`Error::Sync`] when it cannot be fetched now, [`Error::Invite`] when the invite gives nothing any more.
    pub async fn join(&self, user: &User, ticket: &Ticket) -> Result<Database, Error> {
        let id = ticket.database();
        user.track(id)?;
        if let Some(invite) = ticket.invite() {
            let held = self.core.held(&id)?.is_some_and(|held| held.complete);
            let key = if held { user.open_database(&id)?.key() } else { user.default_key() };
            self.invites.keep(&self.core, id, invite, (key, user.name()))?;
            self.actor.prove_keys();
        }
        if let Some(peer) = ticket.peer().filter(|peer| *peer != self.core.device.public()) {
            let mut record = PeerRecord::new(peer);
            record.addresses = ticket.addresses().to_vec();
            record.databases.insert(id);
            self.actor.register_peer(record);
        }
        if !self.has_heard_of(ticket)? {
            let addresses = ticket.addresses().to_vec();
            let fetched = self.actor.sync_with(addresses, ticket.peer(), Some(id)).await;
            match (fetched, ticket.invite_key()) {
                (Err(SyncError::Revoked { .. }), Some(invite)) => {
                    self.invites.give_up(id, invite)?;
                    return Err(InviteError::Spent { database: id }.into());
                }
                (fetched, _) => drop(fetched?),
            }
        }
        if !self.core.held(&id)?.is_some_and(|held| held.complete) {
            return Err(DatabaseError::NotHere { id }.into());
        }
        if let Some(failed) = self.invites.redeem(id)?.pop() {
            return Err(failed.into());
        }
        user.open_database(&id)
    }
}

impl PeerSync {
    /// Returns whether all of a ticket's database is here, with the entry that made its invite.
    fn has_heard_of(&self, ticket: &Ticket) -> Result<bool, Error> {
        let held = self.core.held(&ticket.database())?.filter(|held| held.complete);
        match (held, ticket.invite_key()) {
            (None, _) => Ok(false),
            (Some(_), None) => Ok(true),
            (Some(held), Some(invite)) => {
                Ok(self.core.authority(&held)?.current().ever_held(&invite))
            }
        }
    }
}

/// Replaces the address of a server at all addresses by one that others can dial.
fn reachable(address: Address) -> Address {
    let all = match (address.kind(), address.host_port()) {
        (HTTP, Some((host, port))) => {
            let unspecified = host.parse().is_ok_and(|ip: IpAddr| ip.is_unspecified());
            unspecified.then_some(port)
        }
        _ => None,
    };
    all.map_or(address, |port| Address::from_socket(SocketAddr::new(outward_ip(), port)))
}

/// Returns the address by which this machine reaches others; its own loopback when it reaches nobody.
fn outward_ip() -> IpAddr {
    // Connecting a datagram socket sends nothing: the system only chooses the way. The address is one of those
    // reserved for documentation.
    let chosen = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    });
    chosen.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |chosen| chosen.ip())
}
