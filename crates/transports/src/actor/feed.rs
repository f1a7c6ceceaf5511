//! From the writer thread to the links: what was committed is pushed, and nothing is ever lost on the way.
//!
//! Invariant: after entries are committed every link but their origin's is told of their database. A session looks
//! up all that is new by itself, so the newest number stands for all before it and nothing can overflow.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::Notify;
use weald_dag::{DatabaseId, Number, PublicKey};

/// What came of one database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Committed {
    /// The newest number.
    pub(crate) newest: Number,
    /// Whether all of it came from peers.
    pub(crate) relayed: bool,
}

/// What waits to be pushed on one link, of each database.
#[derive(Debug, Default)]
pub(crate) struct LinkFeed {
    waiting: Mutex<BTreeMap<DatabaseId, Committed>>,
    filled: Notify,
}

impl LinkFeed {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<DatabaseId, Committed>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, database: DatabaseId, newest: Number, relayed: bool) {
        let mut waiting = self.lock();
        let before = waiting.get(&database).is_none_or(|before| before.relayed);
        waiting.insert(database, Committed { newest, relayed: relayed && before });
        drop(waiting);
        self.filled.notify_one();
    }

    /// Waits until there may be something to push. Cancel safe.
    pub(crate) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Takes all that waits.
    pub(crate) fn take(&self) -> BTreeMap<DatabaseId, Committed> {
        std::mem::take(&mut *self.lock())
    }
}

#[derive(Debug)]
struct Listed {
    peer: PublicKey,
    feed: Arc<LinkFeed>,
}

/// Tells the links of an actor what was committed. A cheap clone; it does not keep the actor alive.
#[derive(Debug, Clone, Default)]
pub struct CommitFeed {
    links: Arc<RwLock<BTreeMap<u64, Listed>>>,
}

impl CommitFeed {
    /// Takes note of entries that are durable now, ascending; `origin` is the peer that brought them.
    ///
    /// Returns at once. Every linked peer but the origin gets those that it may read: at once where they were made
    /// here, after a short pause and if it lacks them where a peer brought them.
    pub fn committed(&self, database: DatabaseId, numbers: &[Number], origin: Option<PublicKey>) {
        let Some(newest) = numbers.last() else { return };
        let links = self.links.read().unwrap_or_else(PoisonError::into_inner);
        for link in links.values().filter(|link| Some(link.peer) != origin) {
            link.feed.add(database, *newest, origin.is_some());
        }
    }

    pub(crate) fn add(&self, link: u64, peer: PublicKey) -> Arc<LinkFeed> {
        let feed = Arc::new(LinkFeed::default());
        let listed = Listed { peer, feed: Arc::clone(&feed) };
        self.links.write().unwrap_or_else(PoisonError::into_inner).insert(link, listed);
        feed
    }

    pub(crate) fn remove(&self, link: u64) {
        self.links.write().unwrap_or_else(PoisonError::into_inner).remove(&link);
    }
}

#[cfg(test)]
mod tests {
    use weald_dag::SecretKey;

    use super::*;

    #[test]
    fn every_link_but_the_origins_hears_of_the_newest_entry_and_whether_any_is_our_own() {
        let feed = CommitFeed::default();
        let key = |seed| SecretKey::from_seed(&[seed; 32]).public();
        let (a, b) = (feed.add(1, key(1)), feed.add(2, key(2)));
        let database = DatabaseId::from_bytes([7; 32]);
        feed.committed(database, &[Number(1), Number(2)], Some(key(1)));
        feed.committed(database, &[Number(3)], Some(key(1)));
        assert!(a.take().is_empty());
        let relayed = Committed { newest: Number(3), relayed: true };
        assert_eq!(b.take().into_iter().collect::<Vec<_>>(), [(database, relayed)]);
        feed.committed(database, &[Number(4)], None);
        feed.committed(database, &[Number(5)], Some(key(1)));
        let own = Committed { newest: Number(5), relayed: false };
        assert_eq!(b.take().into_iter().collect::<Vec<_>>(), [(database, own)]);
        a.take();
        feed.remove(2);
        feed.committed(database, &[Number(6)], None);
        assert_eq!((a.take().len(), b.take().len()), (1, 0));
    }
}
