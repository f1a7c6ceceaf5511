//! Who waits for what a peer offers, on one link.
//!
//! Invariant: whoever waits is answered once, and what is gathered for them is bounded.

use tokio::sync::oneshot;
use weald_dag::DatabaseId;
use weald_sync::ListedDatabase;

use super::error::SyncError;
use super::limits::DISCOVERED_MAX;

/// Where the answer goes.
pub(crate) type DiscoveryReply = oneshot::Sender<Result<Vec<ListedDatabase>, SyncError>>;

/// Those who wait, and what has come for them.
#[derive(Debug, Default)]
pub(crate) struct Discovering {
    waiting: Vec<DiscoveryReply>,
    found: Vec<ListedDatabase>,
}

impl Discovering {
    /// Adds one who waits; returns whether the peer is to be asked.
    pub(crate) fn wait(&mut self, reply: DiscoveryReply) -> bool {
        self.waiting.push(reply);
        self.waiting.len() == 1
    }

    /// Takes a page; returns behind which database the peer is to be asked next.
    pub(crate) fn found(
        &mut self,
        databases: Vec<ListedDatabase>,
        next: Option<DatabaseId>,
    ) -> Option<DatabaseId> {
        self.found.extend(databases);
        let next = next.filter(|_| self.found.len() < DISCOVERED_MAX);
        if next.is_none() {
            let found = std::mem::take(&mut self.found);
            self.answer(&Ok(found));
        }
        next
    }

    /// Nothing more will come.
    pub(crate) fn failed(&mut self, error: &SyncError) {
        self.found = Vec::new();
        self.answer(&Err(error.clone()));
    }

    fn answer(&mut self, outcome: &Result<Vec<ListedDatabase>, SyncError>) {
        for reply in self.waiting.drain(..) {
            // Who has given up need not know.
            let _ = reply.send(outcome.clone());
        }
    }
}
