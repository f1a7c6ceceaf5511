//! What one call into a session has at hand: reads, the outbox, the window, the peer's keys.
//!
//! Invariant: nothing of it outlives the call, so no snapshot is held while the peer is waited for.

use std::sync::Arc;

use weald_dag::{DatabaseId, Graph, PublicKey, Snapshot, StoreError};

use crate::flow::Flow;
use crate::outbox::Outbox;
use crate::pace::Pace;
use crate::reads::{LocalDatabase, Reads};

/// What one call has at hand.
pub(crate) struct Context<'a> {
    pub(crate) reads: &'a dyn Reads,
    pub(crate) out: &'a mut Outbox,
    pub(crate) flow: &'a mut Flow,
    pub(crate) pace: &'a mut Pace,
    /// How many bytes had been said in the session before the call.
    pub(crate) said: u64,
    /// The digest of both Hellos.
    pub(crate) transcript: &'a [u8; 32],
    /// Whether this side of the link dialled.
    pub(crate) dialled: bool,
    /// The keys that the peer has proven for the database, its device key among them.
    pub(crate) keys: &'a [PublicKey],
}

/// A database as it is now.
pub(crate) struct View {
    rows: Arc<dyn Snapshot>,
    local: Option<LocalDatabase>,
}

impl Context<'_> {
    pub(crate) fn view(&self, database: &DatabaseId) -> Result<View, StoreError> {
        Ok(View { local: self.reads.database(database)?, rows: self.reads.snapshot()? })
    }

    /// Returns whether the peer may read a database now.
    pub(crate) fn may_read(&self, database: &DatabaseId) -> Result<bool, StoreError> {
        self.reads.may_read(database, self.keys)
    }

    /// Returns whether entries of a database may be sent to the peer now.
    pub(crate) fn may_send(&self, database: &DatabaseId, view: &View) -> Result<bool, StoreError> {
        Ok(view.is_complete() && self.may_read(database)?)
    }
}

impl View {
    pub(crate) fn graph(&self) -> Option<Graph<'_>> {
        self.local.map(|local| Graph::new(&*self.rows, local.number))
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.local.is_some_and(|local| local.complete)
    }
}
