//! Asking for access to a database that this device may not read.
//!
//! Invariant: a request is at rest before it is sent, and is sent to the device that it was made for alone.

use std::fmt;
use std::time::Duration;

use weald_auth::{AccessRequest as Wanted, Level, REQUEST_LIFETIME_MAX_MS, SignedRequest};
use weald_dag::{DatabaseId, PublicKey, RequestId};
use weald_transports::{Address, Events as SyncEvents, PeerRecord, SyncError, SyncEvent};

use super::request_error::RequestError;
use super::requested::{RequestStatus, Requested};
use crate::clock::wall_millis;
use crate::database::DatabaseError;
use crate::entropy;
use crate::error::Error;
use crate::sync::{IntoAddress, PeerSync};
use crate::ticket::Ticket;
use crate::user::track_for_key;

/// How long a peer that is linked may take to say something to a request before it goes on unwatched.
pub const REQUEST_ANSWER_MAX: Duration = Duration::from_secs(60);

/// How often whoever waits for a request looks at the clock.
const LOOKED_EVERY: Duration = Duration::from_secs(60);

/// What is asked for beside the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessOptions {
    key: PublicKey,
    level: Level,
    name: String,
    note: String,
    lifetime: Duration,
}

impl AccessOptions {
    /// Asks that a key, which must be unlocked, may do what a level says.
    pub const fn new(key: PublicKey, level: Level) -> Self {
        let lifetime = Duration::from_millis(REQUEST_LIFETIME_MAX_MS);
        Self { key, level, name: String::new(), note: String::new(), lifetime }
    }

    /// Says what people call the key. Nothing by default.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Says something to whoever decides. Nothing by default.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// Ends the request after a time; 30 days by default, and at most.
    #[must_use]
    pub const fn expires_in(mut self, time: Duration) -> Self {
        self.lifetime = time;
        self
    }
}

/// A request for access that this device has made. Cloning is cheap.
#[derive(Clone)]
pub struct AccessRequest {
    sync: PeerSync,
    id: RequestId,
    database: DatabaseId,
    peer: PublicKey,
}

impl fmt::Debug for AccessRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessRequest")
            .field("id", &self.id)
            .field("database", &self.database)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl AccessRequest {
    /// Returns its id.
    pub const fn id(&self) -> RequestId {
        self.id
    }

    /// Returns the database.
    pub const fn database(&self) -> DatabaseId {
        self.database
    }

    /// Returns the device that is asked.
    pub const fn peer(&self) -> PublicKey {
        self.peer
    }

    /// Returns how it stands with it now.
    ///
    /// # Errors
    /// [`RequestError::Unknown`] once it was withdrawn, or another was made in its place.
    pub fn status(&self) -> Result<RequestStatus, RequestError> {
        let made = self.sync.book().made(&self.id);
        made.map(|made| made.status(wall_millis())).ok_or(RequestError::Unknown { id: self.id })
    }

    /// Returns the six digits that whoever decides sees too, while it is pending.
    ///
    /// They show nothing unless the ticket named the device that is asked, or [`peer`](Self::peer) was compared
    /// too: whoever answers at an address chooses them.
    pub fn short_code(&self) -> Option<String> {
        match self.status() {
            Ok(RequestStatus::Pending { short_code }) => Some(short_code),
            _ => None,
        }
    }

    /// Waits until nothing more is to be expected from waiting; limit it by a timeout of the app's runtime.
    ///
    /// The request goes on whether or not anybody waits.
    ///
    /// # Errors
    /// [`RequestError::Unknown`], or [`SyncError::InstanceDropped`].
    pub async fn wait(&self) -> Result<RequestStatus, Error> {
        let look = || match self.status() {
            Ok(status) if !status.is_settled() => None,
            known => Some(known),
        };
        loop {
            // Nobody tells that it has expired; by its time the clock may have been set.
            let expires = self.sync.book().made(&self.id).map(|made| made.signed.request().expires);
            let left = expires.map_or(0, |expires| expires.saturating_sub(wall_millis()));
            let left = Duration::from_millis(left).min(LOOKED_EVERY);
            if let Some(known) = self.sync.until(left, look).await? {
                return Ok(known?);
            }
        }
    }

    async fn until(
        &self,
        events: &mut SyncEvents,
        is_enough: impl Fn(&RequestStatus, bool) -> bool,
    ) -> Result<RequestStatus, Error> {
        let mut was_cut = false;
        loop {
            let status = self.status()?;
            if is_enough(&status, was_cut) {
                return Ok(status);
            }
            let event = events.next().await.ok_or(SyncError::InstanceDropped)?;
            was_cut |= matches!(event, SyncEvent::Disconnected { peer, .. } if peer == self.peer);
        }
    }

    /// Gives the request up here: the peer is not asked again. It may still decide.
    ///
    /// # Errors
    /// When it could not be stored.
    pub fn withdraw(&self) -> Result<bool, Error> {
        self.sync.book().withdraw(&self.id)
    }
}

impl PeerSync {
    /// Asks whoever a ticket names for access to its database, and returns once the peer has said something.
    ///
    /// The request is signed by the key, which must be unlocked, and kept: it is asked again whenever the peer
    /// is met, also after restarts, until somebody decides or it expires. Once it is approved the database is
    /// fetched by itself; the user whose key it is tracks it from now on.
    ///
    /// A peer that is linked and says nothing is waited for at most [`REQUEST_ANSWER_MAX`]; the request is then
    /// [`RequestStatus::Sent`] and goes on.
    ///
    /// # Errors
    /// [`DatabaseError::NoKey`] unless the key is unlocked, [`RequestError`], or any [`SyncError`] when the
    /// peer cannot be reached for the first time: its device key is part of what is signed.
    pub async fn request_access(
        &self,
        ticket: &Ticket,
        options: &AccessOptions,
    ) -> Result<AccessRequest, Error> {
        let addresses = ticket.addresses().to_vec();
        self.request(addresses, ticket.peer(), ticket.database(), options).await
    }

    /// Asks whoever answers at an address for access to a database and, if it is granted at once, fetches it.
    ///
    /// Otherwise the request goes on by itself, as that of [`PeerSync::request_access`].
    ///
    /// # Errors
    /// As for [`PeerSync::request_access`].
    pub async fn sync_with_peer_for_bootstrap(
        &self,
        address: impl IntoAddress,
        database: DatabaseId,
        key: PublicKey,
        level: Level,
    ) -> Result<AccessRequest, Error> {
        let addresses = vec![address.into_address().map_err(SyncError::from)?];
        let options = AccessOptions::new(key, level);
        let asked = self.request(addresses.clone(), None, database, &options).await?;
        if asked.status()? == RequestStatus::Approved {
            self.fetch(addresses, asked.peer, database).await?;
        }
        Ok(asked)
    }

    async fn request(
        &self,
        addresses: Vec<Address>,
        peer: Option<PublicKey>,
        database: DatabaseId,
        options: &AccessOptions,
    ) -> Result<AccessRequest, Error> {
        // Refused before anybody is dialled.
        self.sign(self.core().device.public(), database, options)?;
        let peer = self.reach(addresses.clone(), peer).await?;
        let asked = self.make_request(peer, database, options)?;
        let mut events = self.events();
        let mut record = PeerRecord::new(peer);
        record.addresses = addresses;
        record.databases.insert(database);
        self.register_peer(record);
        self.ask(peer);
        let has_answered =
            asked.until(&mut events, |status, was_cut| was_cut || *status != RequestStatus::Sent);
        match self.within(REQUEST_ANSWER_MAX, has_answered).await? {
            Some(answered) => answered.map(|_| asked),
            None => Ok(asked),
        }
    }

    /// Signs a request that the device `audience` is to get.
    fn sign(
        &self,
        audience: PublicKey,
        database: DatabaseId,
        options: &AccessOptions,
    ) -> Result<SignedRequest, Error> {
        let keys = self.core().key_ring.unlocked();
        let secret = keys.into_iter().find(|secret| secret.public() == options.key);
        let secret = secret.ok_or(DatabaseError::NoKey { key: options.key })?;
        let lifetime = u64::try_from(options.lifetime.as_millis()).unwrap_or(u64::MAX);
        let made = wall_millis();
        let wanted = Wanted {
            database,
            key: options.key,
            device: self.core().device.public(),
            audience,
            wanted: options.level,
            nonce: entropy::bytes()?,
            made,
            expires: made.saturating_add(lifetime),
            name: options.name.clone(),
            note: options.note.clone(),
        };
        Ok(wanted.sign(&secret).map_err(RequestError::from)?)
    }

    /// Keeps a new request; it is sent when the peer is met, or told to ask.
    fn make_request(
        &self,
        peer: PublicKey,
        database: DatabaseId,
        options: &AccessOptions,
    ) -> Result<AccessRequest, Error> {
        let signed = self.sign(peer, database, options)?;
        // What is granted is then synced by the wishes of somebody.
        track_for_key(self.core(), &options.key, database)?;
        self.book().make(&signed)?;
        Ok(AccessRequest { sync: self.clone(), id: signed.id(), database, peer })
    }

    /// Returns the request of this kind that was made and has not expired, or makes one.
    pub(crate) fn request_once(
        &self,
        peer: PublicKey,
        database: DatabaseId,
        options: &AccessOptions,
    ) -> Result<AccessRequest, Error> {
        let now = wall_millis();
        let is_same = |made: &Requested| {
            let request = made.signed.request();
            (request.audience, request.database, request.key, request.wanted)
                == (peer, database, options.key, options.level)
                && made.status(now) != RequestStatus::Expired
        };
        match self.book().all_made().into_iter().find(is_same) {
            Some(made) => Ok(self.made(&made)),
            None => self.make_request(peer, database, options),
        }
    }

    fn made(&self, made: &Requested) -> AccessRequest {
        let request = made.signed.request();
        let (database, peer) = (request.database, request.audience);
        AccessRequest { sync: self.clone(), id: made.signed.id(), database, peer }
    }

    /// Returns the requests that this device has made and not withdrawn.
    pub fn requests_made(&self) -> Vec<AccessRequest> {
        self.book().all_made().iter().map(|made| self.made(made)).collect()
    }
}
