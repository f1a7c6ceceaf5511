//! Who waits for what on a link: every waiter is answered once, whatever becomes of the link.
//!
//! Invariant: who is answered finds in the status what the answer says: answers go by way of the actor, behind
//! all that the link has told it before.

use std::collections::BTreeSet;

use tokio::sync::{mpsc, oneshot};
use weald_dag::{DatabaseId, PublicKey};

use super::error::SyncError;
use super::notice::Notice;
use crate::address::Address;

/// Where a peer is to be reached, and who it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) addresses: Vec<Address>,
    pub(crate) expected: Option<PublicKey>,
}

/// Someone who waits for a peer, or for databases to be in sync with it.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) target: Target,
    /// Databases still to be settled; none, to wait for the peer alone.
    pub(crate) databases: BTreeSet<DatabaseId>,
    /// Whether it is a failure that the peer does not have one of them.
    pub(crate) required: bool,
    /// Whether it was put on a link that was there before, which may have been dead.
    pub(crate) reused: bool,
    pub(crate) reply: oneshot::Sender<Result<PublicKey, SyncError>>,
}

impl Waiter {
    pub(crate) fn answer(self, outcome: Result<PublicKey, SyncError>) {
        // Who has given up need not know.
        let _ = self.reply.send(outcome);
    }

    /// Returns whether nobody waits any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.reply.is_closed()
    }
}

/// The waiters of one link.
pub(crate) struct Waiters {
    waiting: Vec<Waiter>,
    notices: mpsc::UnboundedSender<Notice>,
}

impl Waiters {
    pub(crate) const fn new(waiting: Vec<Waiter>, notices: mpsc::UnboundedSender<Notice>) -> Self {
        Self { waiting, notices }
    }

    fn answer(
        &mut self,
        outcome: &Result<PublicKey, SyncError>,
        is_done: impl Fn(&Waiter) -> bool,
    ) {
        for waiter in self.waiting.extract_if(.., |waiter| is_done(waiter)) {
            // Where the actor is gone the waiter learns it by being dropped.
            let _ = self.notices.send(Notice::Answered { waiter, outcome: outcome.clone() });
        }
    }

    pub(crate) fn add(&mut self, waiter: Waiter) {
        self.waiting.push(waiter);
    }

    /// Returns every database that someone waits for.
    pub(crate) fn databases(&self) -> BTreeSet<DatabaseId> {
        self.waiting.iter().flat_map(|waiter| waiter.databases.iter().copied()).collect()
    }

    /// The peer is proven: answers who waited for no more than that.
    pub(crate) fn proven(&mut self, peer: PublicKey) {
        self.answer(&Ok(peer), |waiter| waiter.databases.is_empty());
    }

    /// A database is in sync.
    pub(crate) fn settled(&mut self, peer: PublicKey, database: &DatabaseId) {
        for waiter in &mut self.waiting {
            waiter.databases.remove(database);
        }
        self.proven(peer);
    }

    /// A database cannot be brought in sync.
    pub(crate) fn failed(&mut self, peer: PublicKey, database: &DatabaseId, error: &SyncError) {
        // Who asked for all that both may have does not fail for what the peer does not have.
        let always = matches!(error, SyncError::Unequal { .. });
        self.answer(&Err(error.clone()), |waiter| {
            (waiter.required || always) && waiter.databases.contains(database)
        });
        self.settled(peer, database);
    }

    /// Gives away those who still wait.
    pub(crate) fn take(&mut self) -> Vec<Waiter> {
        let mut all = std::mem::take(&mut self.waiting);
        all.retain(|waiter| !waiter.is_gone());
        all
    }
}
