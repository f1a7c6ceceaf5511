//! A database that is to be kept in sync with one peer, as a handle to look at and wait for.
//!
//! Invariant: the handle is a view. What is registered rests on this device, and dropping the handle changes
//! nothing.

use std::fmt;
use std::time::Duration;

use weald_dag::{DatabaseId, PublicKey, StoreError};
use weald_sync::DatabaseState;
use weald_transports::{Address, PeerRecord, PeerState, SyncError, SyncStatus};

use super::{IntoAddress, PeerSync};
use crate::database::DatabaseError;
use crate::error::Error;
use crate::requests::{AccessOptions, AccessRequest, InviteError, RequestStatus};
use crate::ticket::Ticket;
use crate::user::{User, track_for_key};

/// A peer and a database to be kept in sync with it.
#[derive(Clone, Debug)]
pub struct SyncPeerInfo {
    /// The peer's device key; another device that answers at its addresses is refused.
    pub peer: PublicKey,
    /// The database.
    pub database: DatabaseId,
    /// Where the peer may be reached; all are tried. With none it is synced when the peer comes by itself.
    pub addresses: Vec<Address>,
    /// By what the peer lets this device in; `None` leaves it as it was.
    pub auth: Option<SyncAuth>,
    /// What the peer is called here until it says its name; `None` leaves it as it was.
    pub display_name: Option<String>,
}

impl SyncPeerInfo {
    /// A peer of which no address is known, and which lets this device in by the keys that are unlocked.
    pub const fn new(peer: PublicKey, database: DatabaseId) -> Self {
        Self { peer, database, addresses: Vec::new(), auth: None, display_name: None }
    }
}

/// By what a peer lets this device into a database.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[expect(
    clippy::large_enum_variant,
    reason = "one is made for each peer, and nobody boxes a ticket"
)]
pub enum SyncAuth {
    /// The keys that are unlocked here and hold something in the database: what is done unless a key was
    /// chosen, and what takes such a choice back. One that was proven on an open link stays so there.
    UnlockedKeys,
    /// This key and no other of this device's users, also after restarts, whenever it is unlocked. The user whose
    /// key it is tracks the database.
    Key(PublicKey),
    /// The invite in a ticket. It is used for the user's key once all of the database is here.
    Invite {
        /// The ticket.
        ticket: Ticket,
        /// The user.
        user: User,
    },
    /// A request for access, made once and asked whenever the peer is met until somebody decides. The user whose
    /// key it is tracks the database.
    Request(AccessOptions),
}

/// How it stands with a database and a peer now.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RelationStatus {
    /// How it stands with the link to the peer.
    pub link: PeerState,
    /// Whether anything of the database is here.
    pub has_local_data: bool,
    /// Whether all of it is here that was there when it was first synced.
    pub is_complete: bool,
    /// Why the two are not in sync: of the database, or else of the link. `None` once they are.
    pub last_error: Option<SyncError>,
    /// How the sync of the database with this peer stands; `None` before anything is known of it.
    pub sync: Option<SyncStatus>,
}

/// A database that is kept in sync with a peer. Cloning is cheap; every clone keeps the instance open, and
/// dropping it stops nothing: [`PeerSync::drop_relation`] does.
#[derive(Clone)]
pub struct SyncHandle {
    sync: PeerSync,
    peer: PublicKey,
    database: DatabaseId,
    request: Option<AccessRequest>,
}

impl fmt::Debug for SyncHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncHandle")
            .field("peer", &self.peer)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

impl SyncHandle {
    /// Returns the database.
    pub const fn database_id(&self) -> DatabaseId {
        self.database
    }

    /// Returns the peer's device key.
    pub const fn peer(&self) -> PublicKey {
        self.peer
    }

    /// Returns the request for access that was made for it; `None` unless [`SyncAuth::Request`] was given.
    pub const fn request(&self) -> Option<&AccessRequest> {
        self.request.as_ref()
    }

    /// Returns how it stands now.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn status(&self) -> Result<RelationStatus, StoreError> {
        let held = self.sync.core.held(&self.database)?;
        let peer = self.sync.peer(&self.peer);
        let link = peer.as_ref().map_or(PeerState::Idle, |peer| peer.state);
        let link_error = peer.as_ref().and_then(|peer| peer.last_error.clone());
        let sync = peer.and_then(|mut peer| peer.databases.remove(&self.database));
        let own_error = sync.as_ref().and_then(|sync| sync.last_error.clone());
        Ok(RelationStatus {
            link,
            has_local_data: held.is_some(),
            is_complete: held.is_some_and(|held| held.complete),
            last_error: own_error.or(link_error),
            sync,
        })
    }

    /// Adds an address of the peer; it is dialled there too.
    ///
    /// # Errors
    /// [`SyncError::Address`].
    pub fn add_address(&self, address: impl IntoAddress) -> Result<(), SyncError> {
        let mut record = PeerRecord::new(self.peer);
        record.addresses.push(address.into_address()?);
        self.sync.register_peer(record);
        Ok(())
    }

    /// Waits until all of the database is here and was found the same here and at the peer once, also before a
    /// restart.
    ///
    /// What fails is tried again meanwhile, and what is asked for may be granted; the sync goes on whether or not
    /// anybody waits. The time runs on the actor's threads, so any executor will do.
    ///
    /// # Errors
    /// At once where waiting cannot help: [`SyncError::NotSynced`], [`SyncError::Revoked`],
    /// [`SyncError::InstanceDropped`], [`InviteError`], and [`SyncError::DatabaseUnknown`] once the request was
    /// decided against. When the time is over, what went wrong last, or [`SyncError::TimedOut`].
    pub async fn wait_for_initial_sync(&self, timeout: Duration) -> Result<(), Error> {
        let found = self.sync.actor.until(timeout, || self.initial_sync().transpose()).await?;
        match found {
            Some(outcome) => outcome?,
            None => {
                let failed = self.status()?.last_error;
                return Err(failed.unwrap_or(SyncError::TimedOut { after: timeout }).into());
            }
        }
        match self.sync.invites.redeem(self.database)?.pop() {
            Some(failed) => Err(failed.into()),
            None => Ok(()),
        }
    }

    /// Returns whether the first sync is done; fails where waiting for it cannot help.
    fn initial_sync(&self) -> Result<Option<()>, Error> {
        let status = self.status()?;
        let has_settled = status.sync.as_ref().is_some_and(|sync| sync.last_success.is_some());
        if status.is_complete && has_settled {
            return Ok(Some(()));
        }
        // Errors may be of before a restart: what counts is what the peer says on the open link.
        let session = status.sync.and_then(|sync| sync.session).map(|session| session.state);
        let (database, peer) = (self.database, self.peer);
        if !self.sync.core.wanted.combined(&database).enabled {
            return Err(SyncError::NotSynced { database }.into());
        }
        if session == Some(DatabaseState::Revoked) {
            return Err(SyncError::Revoked { database, peer }.into());
        }
        let is_denied = session == Some(DatabaseState::Denied);
        match self.request.as_ref().map(AccessRequest::status) {
            Some(Ok(RequestStatus::Rejected { .. } | RequestStatus::Refused(_))) if is_denied => {
                Err(SyncError::DatabaseUnknown { database, peer }.into())
            }
            _ => Ok(None),
        }
    }
}

impl PeerSync {
    /// Keeps a database in sync with a peer from now on, also after restarts, and returns a handle to look at it
    /// and to wait for it.
    ///
    /// The peer is dialled until it is reached; nothing known of it before is removed. Called again, it adds what
    /// is new.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), weald::Error> {
    /// # use weald::transport::memory::MemoryNetwork;
    /// # use weald::{DatabaseSettings, Instance, Level};
    /// use std::time::Duration;
    /// use weald::SyncPeerInfo;
    ///
    /// # let network = MemoryNetwork::new();
    /// # let (here, there) = (Instance::in_memory()?, Instance::in_memory()?);
    /// # let room = DatabaseSettings::named("Demo").grant_anyone(Level::Write(10));
    /// # let room = there.create_user("bob", None)?.create_database(room)?;
    /// # let bobs = there.enable_sync()?;
    /// # bobs.register_transport("wires", network.transport("bob"));
    /// # bobs.accept_connections().await?;
    /// # let (peer, database, address) = (there.device_key(), room.id(), "memory:bob");
    /// let sync = here.enable_sync()?;
    /// # sync.register_transport("wires", network.transport("alice"));
    /// let handle = sync.register_sync_peer(SyncPeerInfo::new(peer, database))?;
    /// handle.add_address(address)?;
    /// handle.wait_for_initial_sync(Duration::from_secs(30)).await?;
    /// assert!(handle.status()?.is_complete);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`DatabaseError::NoKey`] unless a key that was given is unlocked, [`DatabaseError::NotHere`] for one of the
    /// instance's own databases, [`InviteError::NotInTicket`], or any of [`crate::RequestError`].
    pub fn register_sync_peer(&self, info: SyncPeerInfo) -> Result<SyncHandle, Error> {
        let SyncPeerInfo { peer, database, addresses, auth, display_name } = info;
        if self.core.held(&database)?.is_some_and(|held| held.system) {
            return Err(DatabaseError::NotHere { id: database }.into());
        }
        let request = match auth {
            Some(auth) => self.let_in_by(peer, database, auth)?,
            None => None,
        };
        let mut record = PeerRecord::new(peer);
        record.name = display_name.unwrap_or_default();
        record.addresses = addresses;
        record.databases.insert(database);
        self.register_peer(record);
        if request.is_some() {
            self.ask(peer);
        }
        Ok(SyncHandle { sync: self.clone(), peer, database, request })
    }

    /// Takes note of what is to open a database at a peer, before it is met.
    fn let_in_by(
        &self,
        peer: PublicKey,
        database: DatabaseId,
        auth: SyncAuth,
    ) -> Result<Option<AccessRequest>, Error> {
        match auth {
            SyncAuth::UnlockedKeys => self.choices.set(database, peer, None)?,
            SyncAuth::Key(key) => {
                if !self.core.key_ring.unlocked().iter().any(|secret| secret.public() == key) {
                    return Err(DatabaseError::NoKey { key }.into());
                }
                track_for_key(&self.core, &key, database)?;
                self.choices.set(database, peer, Some(key))?;
            }
            SyncAuth::Invite { ticket, user } => {
                let invite = ticket.invite().filter(|_| ticket.database() == database);
                let invite = invite.ok_or(InviteError::NotInTicket { database })?;
                user.track(database)?;
                self.keep_invite(&user, database, invite)?;
            }
            SyncAuth::Request(options) => {
                return self.request_once(peer, database, &options).map(Some);
            }
        }
        self.actor.prove_keys();
        Ok(None)
    }
}
