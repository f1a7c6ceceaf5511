//! What subjects hold: one holding for each grant that counts.
//!
//! Invariant: the holdings of a subject are sorted by rank, strongest first.

use std::collections::BTreeMap;
use std::sync::Arc;

use weald_dag::{PublicKey, Time};

use crate::level::Level;
use crate::operation::Subject;
use crate::rank::Rank;
use crate::settings_index::SettingsIndex;

/// A grant that counts.
#[derive(Debug)]
pub(crate) struct Holding {
    pub(crate) level: Level,
    pub(crate) rank: Rank,
    pub(crate) name: Option<String>,
    /// When it ends, in milliseconds since 1970.
    pub(crate) expires: Option<u64>,
    pub(crate) granted_by: PublicKey,
    pub(crate) since: Time,
    /// The settings entry that grants it.
    pub(crate) grant: SettingsIndex,
}

impl Holding {
    /// Returns whether it has not ended at a time in milliseconds since 1970.
    pub(crate) fn lasts_at(&self, millis: u64) -> bool {
        self.expires.is_none_or(|end| millis < end)
    }
}

/// The holdings of one database, by subject.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holdings {
    of: BTreeMap<Subject, Vec<Arc<Holding>>>,
}

impl Holdings {
    pub(crate) fn add(&mut self, subject: Subject, holding: Holding) {
        let of = self.of.entry(subject).or_default();
        let place = of.partition_point(|other| other.rank < holding.rank);
        of.insert(place, Arc::new(holding));
    }

    /// Returns what a subject itself holds, strongest rank first.
    pub(crate) fn of(&self, subject: Subject) -> &[Arc<Holding>] {
        self.of.get(&subject).map_or(&[], Vec::as_slice)
    }

    /// Returns what whoever signs with `key` may use: its own holdings, then those of anyone.
    pub(crate) fn usable_by(&self, key: PublicKey) -> impl Iterator<Item = &Holding> {
        let own = self.of(Subject::Key(key)).iter();
        own.chain(self.of(Subject::Anyone)).map(Arc::as_ref)
    }

    pub(crate) fn subjects(&self) -> impl Iterator<Item = (Subject, &[Arc<Holding>])> {
        self.of.iter().map(|(subject, holdings)| (*subject, holdings.as_slice()))
    }
}
