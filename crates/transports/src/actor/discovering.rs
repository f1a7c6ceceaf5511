//! Who waits for what a peer offers, on one link.
//!
//! Invariant: whoever waits is answered once, and what is gathered for them is bounded.

use tokio::sync::oneshot;
use weald_dag::DatabaseId;
use weald_sync::ListedDatabase;

use super::error::SyncError;
use super::limits::DISCOVERED_PAGES_MAX;

/// Where the answer goes.
pub(crate) type DiscoveryReply = oneshot::Sender<Result<Vec<ListedDatabase>, SyncError>>;

/// Those who wait, and what has come for them.
#[derive(Debug, Default)]
pub(crate) struct Discovering {
    waiting: Vec<DiscoveryReply>,
    found: Vec<ListedDatabase>,
    /// Whether the peer owes an answer.
    asking: bool,
    /// How many pages have come.
    pages: usize,
}

impl Discovering {
    /// Adds one who waits; returns whether the peer is to be asked.
    pub(crate) fn wait(&mut self, reply: DiscoveryReply) -> bool {
        self.waiting.retain(|waiting| !waiting.is_closed());
        self.waiting.push(reply);
        !std::mem::replace(&mut self.asking, true)
    }

    /// Takes a page; returns behind which database the peer is to be asked next.
    pub(crate) fn found(
        &mut self,
        databases: Vec<ListedDatabase>,
        next: Option<DatabaseId>,
    ) -> Option<DatabaseId> {
        self.found.extend(databases);
        self.pages += 1;
        let next = next.filter(|_| self.pages < DISCOVERED_PAGES_MAX);
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
        (self.asking, self.pages) = (false, 0);
        for reply in self.waiting.drain(..) {
            // Who has given up need not know.
            let _ = reply.send(outcome.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_always_offers_more_and_never_anything_is_asked_for_so_many_pages() {
        let mut discovering = Discovering::default();
        let (reply, mut answer) = oneshot::channel();
        assert!(discovering.wait(reply));
        let next = Some(DatabaseId::from_bytes([7; 32]));
        let asked = (1..).take_while(|_| discovering.found(Vec::new(), next).is_some()).count();
        assert_eq!(asked + 1, DISCOVERED_PAGES_MAX);
        assert!(answer.try_recv().unwrap().unwrap().is_empty());
        assert!(discovering.wait(oneshot::channel().0), "and is asked again");
    }

    #[test]
    fn who_has_given_up_is_not_kept_and_the_peer_is_not_asked_twice_at_once() {
        let mut discovering = Discovering::default();
        assert!(discovering.wait(oneshot::channel().0));
        for _ in 0..10 {
            assert!(!discovering.wait(oneshot::channel().0));
        }
        assert_eq!(discovering.waiting.len(), 1);
    }
}
