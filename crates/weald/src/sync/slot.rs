//! Where an instance keeps its actor, and what the actor is told from the writer thread.
//!
//! Invariant: an instance has at most one actor, and none once it was closed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weald_dag::{DatabaseId, Number, PublicKey};
use weald_transports::ActorHandle;

use super::choices::KeyChoices;
use super::config::TransportConfigs;
use crate::feed::CommitFeed;
use crate::requests::{InviteBook, RequestBook};
use crate::user::Wanted;

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
pub(super) struct Place {
    pub(super) running: Option<Running>,
    /// The instance is closed or about to be: no actor is started any more.
    pub(super) closed: bool,
}

impl Slot {
    pub(super) fn place(&self) -> MutexGuard<'_, Place> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self) -> Option<Running> {
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
pub(super) struct Running {
    pub(super) actor: ActorHandle,
    pub(super) invites: Arc<InviteBook>,
    pub(super) requests: Arc<RequestBook>,
    pub(super) choices: Arc<KeyChoices>,
    pub(super) configs: Arc<TransportConfigs>,
}

/// Tells the actor's links of commits without keeping the actor alive.
pub(super) struct Feed {
    pub(super) links: weald_transports::CommitFeed,
    pub(super) wanted: Arc<Wanted>,
    pub(super) invites: Arc<InviteBook>,
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
