//! Who waits for what on a link: every waiter is answered once, whatever becomes of the link.

use std::collections::BTreeSet;

use tokio::sync::oneshot;
use weald_dag::{DatabaseId, PublicKey};

use super::error::SyncError;
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
#[derive(Debug, Default)]
pub(crate) struct Waiters(Vec<Waiter>);

impl Waiters {
    pub(crate) fn add(&mut self, waiter: Waiter) {
        self.0.push(waiter);
    }

    /// Returns every database that someone waits for.
    pub(crate) fn databases(&self) -> BTreeSet<DatabaseId> {
        self.0.iter().flat_map(|waiter| waiter.databases.iter().copied()).collect()
    }

    /// The peer is proven: answers who waited for no more than that.
    pub(crate) fn proven(&mut self, peer: PublicKey) {
        let is_done = |waiter: &mut Waiter| waiter.databases.is_empty();
        self.0.extract_if(.., is_done).for_each(|waiter| waiter.answer(Ok(peer)));
    }

    /// A database is in sync.
    pub(crate) fn settled(&mut self, peer: PublicKey, database: &DatabaseId) {
        for waiter in &mut self.0 {
            waiter.databases.remove(database);
        }
        self.proven(peer);
    }

    /// A database cannot be brought in sync.
    pub(crate) fn failed(&mut self, peer: PublicKey, database: &DatabaseId, error: &SyncError) {
        // Who asked for all that both may have does not fail for what the peer does not have.
        let always = matches!(error, SyncError::Unequal { .. });
        let fails = |waiter: &mut Waiter| {
            (waiter.required || always) && waiter.databases.contains(database)
        };
        self.0.extract_if(.., fails).for_each(|waiter| waiter.answer(Err(error.clone())));
        self.settled(peer, database);
    }

    /// Gives away those who still wait.
    pub(crate) fn take(&mut self) -> Vec<Waiter> {
        let mut all = std::mem::take(&mut self.0);
        all.retain(|waiter| !waiter.is_gone());
        all
    }
}
