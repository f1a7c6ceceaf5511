//! Requests for access that came to this device, as those see them who decide.
//!
//! Invariant: a grant is committed before its request counts as approved, by the strongest administrator who
//! is logged in.

use std::fmt;
use std::sync::Arc;

use weald_auth::{Level, Subject};
use weald_dag::{DatabaseId, PublicKey, RequestId, SecretKey};
use weald_sync::RequestAnswer;
use weald_sync::limits::REASON_MAX;

use super::policy::RequestPolicy;
use super::queue::{Queued, RequestState};
use super::request_error::RequestError;
use crate::clock::wall_millis;
use crate::database::{Database, DatabaseError};
use crate::error::Error;
use crate::sync::PeerSync;

/// A request for access that came to this device.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceivedRequest {
    /// Its id.
    pub id: RequestId,
    /// The database.
    pub database: DatabaseId,
    /// Who is to hold what is wanted.
    pub key: PublicKey,
    /// The device that asks.
    pub device: PublicKey,
    /// What is wanted.
    pub wanted: Level,
    /// What the key calls itself; nothing proves it.
    pub name: String,
    /// What it says to whoever decides.
    pub note: String,
    /// When it first came, in milliseconds since 1970.
    pub received: u64,
    /// When it ends, in milliseconds since 1970.
    pub expires: u64,
    /// Six digits that the one who asks sees too. Compare them by another way: they show that this request
    /// is that of the person you talk to, if that person was told by you which device to ask, as by a ticket
    /// that names it. Where a ticket names no device, whoever answers can choose what the other side sees.
    pub short_code: String,
    /// What became of it.
    pub state: RequestState,
}

/// Lists and decides the requests for access that came to a device. Cloning is cheap.
#[derive(Clone)]
pub struct Requests {
    sync: PeerSync,
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").finish_non_exhaustive()
    }
}

impl Requests {
    pub(crate) const fn new(sync: PeerSync) -> Self {
        Self { sync }
    }

    fn listed(&self, wanted: impl Fn(&RequestState) -> bool) -> Vec<ReceivedRequest> {
        let open = self.sync.book().open().into_iter();
        open.filter(|queued| wanted(&queued.state)).map(|queued| self.shown(&queued)).collect()
    }

    fn shown(&self, queued: &Queued) -> ReceivedRequest {
        let request = queued.signed.request();
        ReceivedRequest {
            id: queued.signed.id(),
            database: request.database,
            key: request.key,
            device: request.device,
            wanted: request.wanted,
            name: request.name.clone(),
            note: request.note.clone(),
            received: queued.received,
            expires: request.expires,
            short_code: self.sync.book().short_code(&queued.signed),
            state: queued.state.clone(),
        }
    }

    /// Lists what waits to be decided, what came first first.
    pub fn pending(&self) -> Vec<ReceivedRequest> {
        self.listed(|state| *state == RequestState::Pending)
    }

    /// Lists what was approved and has not expired.
    pub fn approved(&self) -> Vec<ReceivedRequest> {
        self.listed(|state| *state == RequestState::Approved)
    }

    /// Lists what was rejected and has not expired.
    pub fn rejected(&self) -> Vec<ReceivedRequest> {
        self.listed(|state| matches!(state, RequestState::Rejected { .. }))
    }

    /// Returns what this device does with requests for a database; [`RequestPolicy::Covered`] by default.
    pub fn policy(&self, database: &DatabaseId) -> RequestPolicy {
        self.sync.book().policy(database)
    }

    /// Says what this device does with requests for a database from now on, also after restarts.
    ///
    /// # Errors
    /// When it could not be stored.
    pub fn set_policy(&self, database: DatabaseId, policy: RequestPolicy) -> Result<(), Error> {
        self.sync.book().set_policy(database, policy)
    }

    /// Grants what a request wants, or the level given instead, by the strongest administrator whose key is
    /// unlocked. The one who asks is told at once where it is linked, otherwise when it asks again.
    ///
    /// # Errors
    /// [`RequestError`], [`DatabaseError::NotHere`], or as for [`crate::Settings::grant`].
    pub fn approve(&self, id: &RequestId, level: Option<Level>) -> Result<(), Error> {
        let _deciding = self.sync.book().deciding();
        let queued = self.sync.book().waiting(id)?;
        let request = queued.signed.request();
        let level = level.unwrap_or(request.wanted);
        self.grant(request.database, request.key, level, &request.name)?;
        // Where a later request has taken its place, the grant stands and the later one waits.
        self.sync.book().decide(&queued, RequestState::Approved)?;
        self.sync.answer(request.device, *id, RequestAnswer::Approved);
        Ok(())
    }

    fn grant(&self, id: DatabaseId, key: PublicKey, level: Level, name: &str) -> Result<(), Error> {
        let core = self.sync.core();
        let held = core.held(&id)?.filter(|held| held.complete && !held.system);
        let held = held.ok_or(DatabaseError::NotHere { id })?;
        let authority = core.authority(&held)?;
        let current = authority.current().at(wall_millis());
        if current.level_of(&key).is_some_and(|holds| holds.covers(level)) {
            return Ok(());
        }
        let admins = core.key_ring.unlocked().into_iter();
        let admins = admins.filter_map(|own| Some((current.admin_rank(&own.public())?, own)));
        let admin: Option<Arc<SecretKey>> =
            admins.min_by_key(|(rank, _)| *rank).map(|(_, own)| own);
        let admin = admin.ok_or(RequestError::NoAdministrator { database: id })?;
        let (subject, name) = (Subject::Key(key), Some(name).filter(|name| !name.is_empty()));
        Database::new(core, &held, admin).settings().grant(subject, level, name)?;
        Ok(())
    }

    /// Turns a request down, with a reason that the one who asks is told. It stands until the request expires.
    ///
    /// # Errors
    /// [`RequestError`], or when it could not be stored.
    pub fn reject(&self, id: &RequestId, reason: &str) -> Result<(), Error> {
        if reason.chars().count() > REASON_MAX {
            return Err(RequestError::LongReason.into());
        }
        let _deciding = self.sync.book().deciding();
        let queued = self.sync.book().waiting(id)?;
        let reason = reason.to_owned();
        let rejected = RequestState::Rejected { reason: reason.clone() };
        if !self.sync.book().decide(&queued, rejected)? {
            return Err(RequestError::Decided { id: *id }.into());
        }
        let device = queued.signed.request().device;
        self.sync.answer(device, *id, RequestAnswer::Rejected { reason });
        Ok(())
    }
}
