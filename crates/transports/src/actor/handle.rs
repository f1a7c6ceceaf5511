//! The frontend: a cheap handle that sends commands to the one background actor of an instance.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use weald_dag::{DatabaseId, PublicKey, RequestId};
use weald_sync::{ListedDatabase, RequestAnswer};

use super::bandwidth::{Bandwidth, BandwidthLimit};
use super::board::Board;
use super::discovering::DiscoveryReply;
use super::error::SyncError;
use super::event::{EventTeller, Events};
use super::feed::CommitFeed;
use super::history::SyncRecord;
use super::limits::DISCOVERY_MAX;
use super::peer::PeerRecord;
use super::presence::PresenceFeed;
use super::status::PeerStatus;
use super::wait::{Target, Waiter};
use crate::address::Address;
use crate::transport::Transport;

thread_local! {
    /// Whether this thread belongs to an actor, and so must not wait for one to stop.
    pub(crate) static OF_AN_ACTOR: Cell<bool> = const { Cell::new(false) };
}

/// What a handle asks of the actor.
pub(crate) enum Command {
    Register { name: String, transport: Arc<dyn Transport> },
    Accept { reply: oneshot::Sender<Result<Vec<Address>, SyncError>> },
    Hush { reply: oneshot::Sender<()> },
    NetworkChanged,
    Sync { waiter: Waiter, all: bool },
    SyncPeer { peer: PublicKey, databases: BTreeSet<DatabaseId>, all: bool, reply: Reply },
    Discover { peer: PublicKey, reply: DiscoveryReply },
    Prove,
    Reconsider { database: DatabaseId },
    Ask { peer: PublicKey },
    Answer { peer: PublicKey, request: RequestId, answer: RequestAnswer },
    AddPeer { record: PeerRecord },
    Unrelate { peer: PublicKey, database: DatabaseId },
    Timer { after: Duration, ring: oneshot::Sender<()> },
    Stop { reply: oneshot::Sender<()> },
}

type Reply = oneshot::Sender<Result<PublicKey, SyncError>>;

/// Commands the background actor of an instance.
///
/// A cheap clone. Dropping the last one stops the actor in order: links say goodbye, servers stop, and the drop
/// waits for that, a few seconds at most.
#[derive(Clone)]
pub struct ActorHandle(Arc<Shared>);

struct Shared {
    commands: Option<mpsc::UnboundedSender<Command>>,
    board: Board,
    feed: CommitFeed,
    presence: PresenceFeed,
    bandwidth: Bandwidth,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.commands = None;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread.filter(|_| !OF_AN_ACTOR.get())
            && thread.join().is_err()
        {
            tracing::error!("the sync actor panicked");
        }
    }
}

impl fmt::Debug for ActorHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActorHandle").finish_non_exhaustive()
    }
}

impl ActorHandle {
    pub(crate) fn new(
        commands: mpsc::UnboundedSender<Command>,
        board: Board,
        feed: CommitFeed,
        presence: PresenceFeed,
        bandwidth: Bandwidth,
        thread: JoinHandle<()>,
    ) -> Self {
        let thread = Mutex::new(Some(thread));
        Self(Arc::new(Shared {
            commands: Some(commands),
            board,
            feed,
            presence,
            bandwidth,
            thread,
        }))
    }

    fn send(&self, command: Command) {
        if let Some(commands) = &self.0.commands {
            // Where the actor has stopped the caller learns it by its reply being dropped.
            let _ = commands.send(command);
        }
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, SyncError> {
        let (reply, answer) = oneshot::channel();
        self.send(command(reply));
        answer.await.map_err(|_| SyncError::InstanceDropped)
    }

    /// Adds a transport under a name, in place of one of that name; peers that it reaches are dialled from now on.
    ///
    /// It accepts no links before [`accept_connections`](Self::accept_connections), but where it takes the place of
    /// a transport that listens it listens instead.
    pub fn register_transport(&self, name: impl Into<String>, transport: Arc<dyn Transport>) {
        self.send(Command::Register { name: name.into(), transport });
    }

    /// Starts every registered transport that has an address to listen at; returns all addresses listened at.
    ///
    /// Transports that listen already go on. Where one fails the others listen nevertheless.
    ///
    /// # Errors
    /// [`SyncError::NoTransportEnabled`] without transports, [`SyncError::Listen`] for the first that fails.
    pub async fn accept_connections(&self) -> Result<Vec<Address>, SyncError> {
        self.ask(|reply| Command::Accept { reply }).await?
    }

    /// Stops listening; links that are open go on where their transport allows it (over HTTP they are cut).
    ///
    /// # Errors
    /// [`SyncError::InstanceDropped`].
    pub async fn stop_accepting(&self) -> Result<(), SyncError> {
        self.ask(|reply| Command::Hush { reply }).await
    }

    /// Returns name and address of each transport that listens.
    pub fn servers(&self) -> Vec<(String, Address)> {
        self.0.board.servers()
    }

    /// Connects to whoever answers at an address, proves both ways, remembers the peer and returns its key.
    ///
    /// With `expected` it must be that peer; without, whoever answers is trusted on first use.
    ///
    /// # Errors
    /// Any [`SyncError`] of dialling and of the session.
    pub async fn connect(
        &self,
        addresses: Vec<Address>,
        expected: Option<PublicKey>,
    ) -> Result<PublicKey, SyncError> {
        self.sync_at(addresses, expected, BTreeSet::new(), true, false).await
    }

    /// Connects to an address and syncs one database, or with `None` all that both may; returns when both hold the same.
    ///
    /// What this device does not have is fetched, what it has is caught up, both ways. The peer and the relation
    /// are kept: from then on new entries go both ways by themselves.
    ///
    /// # Errors
    /// Any [`SyncError`]; [`SyncError::DatabaseUnknown`] where the peer does not give the one asked for.
    pub async fn sync_with(
        &self,
        addresses: Vec<Address>,
        expected: Option<PublicKey>,
        database: Option<DatabaseId>,
    ) -> Result<PublicKey, SyncError> {
        let databases: BTreeSet<_> = database.into_iter().collect();
        self.sync_at(addresses, expected, databases, database.is_some(), database.is_none()).await
    }

    async fn sync_at(
        &self,
        addresses: Vec<Address>,
        expected: Option<PublicKey>,
        databases: BTreeSet<DatabaseId>,
        required: bool,
        all: bool,
    ) -> Result<PublicKey, SyncError> {
        let target = Target { addresses, expected };
        self.ask(|reply| Command::Sync {
            waiter: Waiter { target, databases, required, reused: false, reply },
            all,
        })
        .await?
    }

    /// Connects to whoever answers at an address and syncs a database, without waiting for what comes of it.
    ///
    /// The peer and the relation are kept as by [`sync_with`](Self::sync_with); nobody is dialled again before.
    pub fn sync_soon(&self, addresses: Vec<Address>, database: DatabaseId) {
        let (reply, _) = oneshot::channel();
        let target = Target { addresses, expected: None };
        let databases = BTreeSet::from([database]);
        let waiter = Waiter { target, databases, required: true, reused: false, reply };
        self.send(Command::Sync { waiter, all: false });
    }

    /// Syncs a database with a known peer, at any of its addresses, or with `None` all that both may.
    ///
    /// # Errors
    /// Any [`SyncError`], as [`sync_with`](Self::sync_with), and [`SyncError::PeerUnknown`], [`SyncError::NoAddress`].
    pub async fn sync_with_known(
        &self,
        peer: PublicKey,
        database: Option<DatabaseId>,
    ) -> Result<(), SyncError> {
        let (databases, all) = (database.into_iter().collect(), database.is_none());
        let asked = self.ask(|reply| Command::SyncPeer { peer, databases, all, reply });
        asked.await?.map(drop)
    }

    /// Connects to an address and asks for the databases that the peer offers to the keys of this side; returns
    /// them by id with the peer's key. At most [`DISCOVERED_MAX`](crate::DISCOVERED_MAX) are gathered.
    ///
    /// # Errors
    /// Any [`SyncError`]; [`SyncError::AskedTooOften`] where the peer wants to be asked later,
    /// [`SyncError::TimedOut`] where it has not told all within [`DISCOVERY_MAX`](crate::DISCOVERY_MAX).
    pub async fn discover(
        &self,
        addresses: Vec<Address>,
        expected: Option<PublicKey>,
    ) -> Result<(PublicKey, Vec<ListedDatabase>), SyncError> {
        let mut peer = self.connect(addresses.clone(), expected).await?;
        // A link that was there before may have been dead, or another is taking its place.
        let found = match self.discover_at(peer).await {
            Err(SyncError::Session(_) | SyncError::Link(_) | SyncError::InstanceDropped) => {
                peer = self.connect(addresses, expected).await?;
                self.discover_at(peer).await?
            }
            found => found?,
        };
        Ok((peer, found))
    }

    /// Asks a linked peer for what it offers, and waits for that so long.
    async fn discover_at(&self, peer: PublicKey) -> Result<Vec<ListedDatabase>, SyncError> {
        let asked = self.ask(|reply| Command::Discover { peer, reply });
        match self.at_most(DISCOVERY_MAX, asked).await? {
            Some(found) => found?,
            None => Err(SyncError::TimedOut { after: DISCOVERY_MAX }),
        }
    }

    /// Waits for something at most so long; `None` once the time is over. The time runs on the actor's own threads,
    /// so any executor will do.
    ///
    /// # Errors
    /// [`SyncError::InstanceDropped`].
    pub async fn at_most<T>(
        &self,
        timeout: Duration,
        what: impl Future<Output = T>,
    ) -> Result<Option<T>, SyncError> {
        let (ring, rung) = oneshot::channel();
        self.send(Command::Timer { after: timeout, ring });
        tokio::select! {
            biased;
            done = what => Ok(Some(done)),
            rung = rung => rung.map(|()| None).map_err(|_| SyncError::InstanceDropped),
        }
    }

    /// Adds what is known of a peer: addresses, name, databases to be kept in sync. Nothing known before is removed.
    ///
    /// A peer with a database and an address is dialled from now on until it is reached.
    pub fn register_peer(&self, record: PeerRecord) {
        self.send(Command::AddPeer { record });
    }

    /// Keeps a database in sync with a known peer from now on.
    pub fn relate(&self, peer: PublicKey, database: DatabaseId) {
        let mut record = PeerRecord::new(peer);
        record.databases.insert(database);
        self.register_peer(record);
    }

    /// Keeps a database in sync with a peer no more.
    pub fn drop_relation(&self, peer: PublicKey, database: DatabaseId) {
        self.send(Command::Unrelate { peer, database });
    }

    /// Proves keys that the host has got since to all linked peers, such as those of a user who has just logged in.
    pub fn prove_keys(&self) {
        self.send(Command::Prove);
    }

    /// Asks the host again whether and how often a database is to be synced: links stop syncing it, or begin to.
    pub fn reconsider(&self, database: DatabaseId) {
        self.send(Command::Reconsider { database });
    }

    /// Sends a linked peer the requests for access that the host has for it; one that is not linked gets them
    /// when it is.
    pub fn ask_access(&self, peer: PublicKey) {
        self.send(Command::Ask { peer });
    }

    /// Tells a peer what was decided on a request of its, if it is linked; otherwise it asks again.
    pub fn answer(&self, peer: PublicKey, request: RequestId, answer: RequestAnswer) {
        self.send(Command::Answer { peer, request, answer });
    }

    /// Tries everything anew: peers that wait for their next attempt are dialled at once, and on each open link
    /// every database is compared. To be called when the network of the device has changed.
    pub fn network_changed(&self) {
        self.send(Command::NetworkChanged);
    }

    /// Returns what became of the last syncs with a peer, the oldest first: at most
    /// [`HISTORY_MAX`](crate::HISTORY_MAX), of peers that are kept also from before a restart.
    pub fn history(&self, peer: &PublicKey) -> Vec<SyncRecord> {
        self.0.board.history(peer)
    }

    /// Returns the kinds of addresses that registered transports reach.
    pub fn kinds(&self) -> BTreeSet<String> {
        self.0.board.kinds()
    }

    /// Sets how many bytes a second all links carry together from now on, or lifts the limit.
    ///
    /// Each way the links take turns. What is on its way is held up, never dropped.
    pub fn set_bandwidth_limit(&self, limit: Option<BandwidthLimit>) {
        self.0.bandwidth.set(limit);
    }

    /// Returns every peer with its status.
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.0.board.peers()
    }

    /// Returns the status of one peer; `None` when it is not known.
    pub fn peer(&self, peer: &PublicKey) -> Option<PeerStatus> {
        self.0.board.peer(peer)
    }

    /// Returns a stream of what happens from now on.
    pub fn events(&self) -> Events {
        self.0.board.events()
    }

    /// Looks now and after each event, until `look` finds what it looks for; `None` once the time is over.
    ///
    /// The time runs on the actor's own threads, so any executor will do. Cancel safe.
    ///
    /// # Errors
    /// [`SyncError::InstanceDropped`].
    pub async fn until<T>(
        &self,
        timeout: Duration,
        mut look: impl FnMut() -> Option<T>,
    ) -> Result<Option<T>, SyncError> {
        let mut events = self.events();
        let (ring, mut rung) = oneshot::channel();
        self.send(Command::Timer { after: timeout, ring });
        loop {
            if let Some(found) = look() {
                return Ok(Some(found));
            }
            tokio::select! {
                event = events.next() => drop(event.ok_or(SyncError::InstanceDropped)?),
                rung = &mut rung => {
                    return rung.map_err(|_| SyncError::InstanceDropped).map(|()| look());
                }
            }
        }
    }

    /// Returns what tells events to those who listen.
    pub fn teller(&self) -> EventTeller {
        EventTeller(self.0.board.clone())
    }

    /// Returns the feed to be told of every durable group. It does not keep the actor alive.
    pub fn feed(&self) -> CommitFeed {
        self.0.feed.clone()
    }

    /// Returns what tells presence messages to the links. It does not keep the actor alive.
    pub fn presence(&self) -> PresenceFeed {
        self.0.presence.clone()
    }

    /// Takes note of entries that are durable now; see [`CommitFeed::committed`].
    pub fn committed(
        &self,
        database: DatabaseId,
        numbers: &[weald_dag::Number],
        origin: Option<PublicKey>,
    ) {
        self.0.feed.committed(database, numbers, origin);
    }

    /// Stops the actor in order and waits for it; other handles then get [`SyncError::InstanceDropped`].
    pub async fn stop(&self) {
        // An error says that it had stopped before.
        let _ = self.ask(|reply| Command::Stop { reply }).await;
    }

    /// Stops the actor in order and blocks until its threads have ended, a few seconds at most.
    pub fn stop_blocking(&self) {
        let (reply, _answer) = oneshot::channel();
        self.send(Command::Stop { reply });
        if OF_AN_ACTOR.get() {
            return;
        }
        let thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the sync actor panicked");
        }
    }
}
