//! What takes away: one limit for each that counts, by subject.
//!
//! Invariant: the limits on a subject are sorted by rank, strongest first.

use std::collections::BTreeMap;
use std::sync::Arc;

use weald_dag::PublicKey;

use crate::level::Level;
use crate::operation::Subject;
use crate::rank::Rank;
use crate::settings_index::SettingsIndex;

/// A limit that counts.
#[derive(Debug)]
pub(crate) struct Limit {
    /// The rank of the entry that it is in.
    pub(crate) rank: Rank,
    pub(crate) entry: SettingsIndex,
    pub(crate) author: PublicKey,
    pub(crate) subject: Subject,
    /// What remains; nothing for a revocation.
    pub(crate) to: Option<Level>,
}

impl Limit {
    /// Returns whether its author limits itself.
    pub(crate) fn is_own(&self) -> bool {
        self.subject == Subject::Key(self.author)
    }
}

/// The limits of one database, by subject.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limits {
    of: BTreeMap<Subject, Vec<Arc<Limit>>>,
}

impl Limits {
    pub(crate) fn add(&mut self, limit: Limit) {
        let of = self.of.entry(limit.subject).or_default();
        let place = of.partition_point(|other| other.rank <= limit.rank);
        of.insert(place, Arc::new(limit));
    }

    /// Returns the limits on a subject itself, strongest first.
    pub(crate) fn on(&self, subject: Subject) -> &[Arc<Limit>] {
        self.of.get(&subject).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.of.is_empty()
    }
}
