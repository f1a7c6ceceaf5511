//! Starting the actor of an instance.
//!
//! Invariant: whoever starts it first starts it for all; what was kept is read before the first peer is met.

use std::sync::{Arc, Mutex};

use weald_transports::{ActorOptions, SyncError, spawn};

use super::choices::KeyChoices;
use super::config::TransportConfigs;
use super::host::Parts;
use super::rows::SyncRows;
use super::slot::{Feed, Running};
use super::{PeerSync, peers};
use crate::error::Error;
use crate::instance::Instance;
use crate::requests::{InviteBook, RequestBook};
use crate::{system, user};

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
        let requests = Arc::new(RequestBook::load(core, &database, Arc::clone(&rows))?);
        let choices = Arc::new(KeyChoices::load(&database, Arc::clone(&rows))?);
        let configs = Arc::new(TransportConfigs::new(rows));
        let parts = Parts {
            store: core.store()?,
            writer: core.writer(),
            access: Arc::clone(&core.access),
            device: Arc::clone(&core.device),
            key_ring: Arc::clone(&core.key_ring),
            wanted: Arc::clone(&core.wanted),
            invites: Arc::clone(&invites),
            requests: Arc::clone(&requests),
            presence: Arc::clone(&core.presence),
            choices: Arc::clone(&choices),
            database: database.number(),
            peers: Mutex::new(peers::load(&database)?),
        };
        let actor = spawn(Arc::new(parts), ActorOptions::default())?;
        invites.tell_by(actor.teller());
        requests.tell_by(actor.teller());
        core.presence.tell_by(actor.presence());
        let (links, wanted) = (actor.feed(), Arc::clone(&core.wanted));
        core.feeds.add(Arc::new(Feed { links, wanted, invites: Arc::clone(&invites) }));
        let running = Running { actor, invites, requests, choices, configs };
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
