//! What sync, and an app that moves entries in its own way, is told of every durable group.
//!
//! Invariant: feeds are called on the writer thread, after callers and watchers, in commit order;
//! one that panics harms nobody.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};

use weald_dag::{DatabaseId, Number, PublicKey, Standing};

use crate::watch::Told;

/// Is told of the entries that were stored, to bring them elsewhere.
pub trait CommitFeed: Send + Sync {
    /// Takes note of entries that are durable and visible now, ascending; `origin` is the peer that brought
    /// them, `None` for those made here.
    ///
    /// It runs on the writer thread: it must return at once and must not wait for a commit.
    fn committed(&self, database: DatabaseId, numbers: &[Number], origin: Option<PublicKey>);
}

/// All feeds of an instance.
#[derive(Default)]
pub(crate) struct Feeds {
    all: RwLock<Vec<Arc<dyn CommitFeed>>>,
    /// The instance's own databases, which no feed is told of.
    hidden: RwLock<BTreeSet<DatabaseId>>,
}

/// Those that were there before the callers of a group were answered.
pub(crate) type Listening = Vec<Arc<dyn CommitFeed>>;

impl Feeds {
    pub(crate) fn add(&self, feed: Arc<dyn CommitFeed>) {
        self.all.write().unwrap_or_else(PoisonError::into_inner).push(feed);
    }

    /// Lets go of all feeds.
    pub(crate) fn clear(&self) {
        let feeds = std::mem::take(&mut *self.all.write().unwrap_or_else(PoisonError::into_inner));
        drop(feeds);
    }

    /// Keeps a database from all feeds.
    pub(crate) fn hide(&self, database: DatabaseId) {
        self.hidden.write().unwrap_or_else(PoisonError::into_inner).insert(database);
    }

    /// Returns the feeds that are there now.
    pub(crate) fn listening(&self) -> Listening {
        self.all.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells feeds, one call for each run of entries of one database and origin.
    pub(crate) fn tell(&self, feeds: &Listening, told: &[Told]) {
        if feeds.is_empty() {
            return;
        }
        let hidden = self.hidden.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut runs: Vec<(DatabaseId, Option<PublicKey>, Vec<Number>)> = Vec::new();
        let mut told_to_come = told.iter();
        while let Some(told) = told_to_come.next() {
            let Told::Entry(told) = told else { continue };
            let (origin, folded) = (&told.origin, &told.folded);
            // Nobody is to have what is hidden here.
            if hidden.contains(&folded.database) || folded.standing != Standing::Visible {
                continue;
            }
            match runs.last_mut() {
                Some((database, from, numbers))
                    if *database == folded.database && from == origin =>
                {
                    numbers.push(folded.number);
                }
                _ => {
                    let mut numbers = Vec::with_capacity(told_to_come.len() + 1);
                    numbers.push(folded.number);
                    runs.push((folded.database, *origin, numbers));
                }
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
