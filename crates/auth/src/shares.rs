//! What each subject holds and what limits it.
//!
//! Invariant: the holdings and the limits of a subject are sorted by rank, strongest first; what has
//! the same rank is in the order in which it was added.

use std::collections::BTreeMap;
use std::sync::Arc;

use weald_dag::PublicKey;

use crate::holding::Holding;
use crate::limit::Limit;
use crate::operation::Subject;

/// What one subject holds and what limits it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Share {
    pub(crate) holdings: Vec<Arc<Holding>>,
    pub(crate) limits: Vec<Arc<Limit>>,
}

static NOTHING: Share = Share { holdings: Vec::new(), limits: Vec::new() };

/// The shares of all subjects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shares {
    /// Shared by clones until either changes.
    of_keys: BTreeMap<PublicKey, Arc<Share>>,
    of_anyone: Share,
    limits: usize,
}

impl Shares {
    /// Returns the share of a subject itself.
    pub(crate) fn of(&self, subject: Subject) -> &Share {
        match subject {
            Subject::Key(key) => self.of_keys.get(&key).map_or(&NOTHING, Arc::as_ref),
            Subject::Anyone => &self.of_anyone,
        }
    }

    /// Returns what a key can use: its own share and that of anyone.
    pub(crate) fn usable_by(&self, subject: Subject) -> [&Share; 2] {
        let own = if subject == Subject::Anyone { &NOTHING } else { self.of(subject) };
        [own, &self.of_anyone]
    }

    fn of_mut(&mut self, subject: Subject) -> &mut Share {
        match subject {
            Subject::Key(key) => Arc::make_mut(self.of_keys.entry(key).or_default()),
            Subject::Anyone => &mut self.of_anyone,
        }
    }

    pub(crate) fn add_holding(&mut self, holding: Arc<Holding>) {
        let holdings = &mut self.of_mut(holding.subject).holdings;
        let place = holdings.partition_point(|other| other.rank < holding.rank);
        holdings.insert(place, holding);
    }

    pub(crate) fn add_limit(&mut self, limit: Limit) {
        let limits = &mut self.of_mut(limit.subject).limits;
        let place = limits.partition_point(|other| other.rank <= limit.rank);
        limits.insert(place, Arc::new(limit));
        self.limits += 1;
    }

    pub(crate) const fn limits_nobody(&self) -> bool {
        self.limits == 0
    }

    /// Iterates over all subjects that hold something or are limited, anyone last.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Subject, &Share)> {
        let keys = self.of_keys.iter().map(|(key, share)| (Subject::Key(*key), share.as_ref()));
        keys.chain([(Subject::Anyone, &self.of_anyone)])
    }
}
