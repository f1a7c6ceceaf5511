//! What sync, and an app that moves entries in its own way, is told of every durable group.
//!
//! Invariant: feeds are called on the writer thread, after callers and watchers, in commit order;
//! one that panics harms nobody.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};

use weald_dag::{DatabaseId, Number, PublicKey};

use crate::watch::Told;

/// Is told of the entries that were stored, to bring them elsewhere.
pub trait CommitFeed: Send + Sync {
    /// Takes note of entries that are durable now, ascending; `origin` is the peer that brought
    /// them, `None` for those made here.
    ///
    /// It runs on the writer thread: it must return at once and must not wait for a commit.
    fn committed(&self, database: DatabaseId, numbers: &[Number], origin: Option<PublicKey>);
}

/// All feeds of an instance.
#[derive(Default)]
pub(crate) struct Feeds(RwLock<Vec<Arc<dyn CommitFeed>>>);

impl Feeds {
    pub(crate) fn add(&self, feed: Arc<dyn CommitFeed>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(feed);
    }

    /// Lets go of all feeds.
    pub(crate) fn clear(&self) {
        let feeds = std::mem::take(&mut *self.0.write().unwrap_or_else(PoisonError::into_inner));
        drop(feeds);
    }

    /// Tells every feed, one call for each run of entries of one database and origin.
    pub(crate) fn tell(&self, told: &[Told]) {
        let feeds = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        if feeds.is_empty() {
            return;
        }
        let mut runs: Vec<(DatabaseId, Option<PublicKey>, Vec<Number>)> = Vec::new();
        for told in told {
            let Told::Entry { origin, folded } = told else { continue };
            match runs.last_mut() {
                Some((database, from, numbers))
                    if *database == folded.database && from == origin =>
                {
                    numbers.push(folded.number);
                }
                _ => runs.push((folded.database, *origin, vec![folded.number])),
            }
        }
        for feed in feeds {
            for (database, origin, numbers) in &runs {
                let call = || feed.committed(*database, numbers, *origin);
                if catch_unwind(AssertUnwindSafe(call)).is_err() {
                    tracing::error!("a commit feed panicked");
                }
            }
        }
    }
}
