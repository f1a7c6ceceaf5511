//! What subjects hold: one holding for each grant and invite that counts.
//!
//! Invariant: the holdings of a subject are sorted by rank, strongest first.

use std::collections::BTreeMap;
use std::sync::Arc;

use weald_dag::{PublicKey, Time};

use crate::level::Level;
use crate::operation::Subject;
use crate::rank::Rank;
use crate::settings_index::SettingsIndex;

/// How much a holding allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strength {
    /// What the level allows.
    Level(Level),
    /// One grant of `gives` for each of `uses` entries.
    Invite { gives: Level, uses: u32 },
}

impl Strength {
    /// Returns what a limit leaves of it.
    pub(crate) fn limited(self, to: Option<Level>) -> Option<Self> {
        match (self, to?) {
            (Self::Level(level), to) => Some(Self::Level(level.limited(to))),
            (Self::Invite { .. }, Level::Admin(_)) => Some(self),
            (Self::Invite { .. }, _) => None,
        }
    }
}

/// A grant or an invite that counts.
#[derive(Debug)]
pub(crate) struct Holding {
    pub(crate) strength: Strength,
    pub(crate) subject: Subject,
    pub(crate) rank: Rank,
    pub(crate) name: Option<String>,
    /// When it ends, in milliseconds since 1970.
    pub(crate) expires: Option<u64>,
    pub(crate) granted_by: PublicKey,
    pub(crate) since: Time,
    /// The settings entry that grants it.
    pub(crate) grant: SettingsIndex,
    /// The rank under which that entry counts.
    pub(crate) granted_under: Rank,
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
    pub(crate) fn add(&mut self, holding: Arc<Holding>) {
        let of = self.of.entry(holding.subject).or_default();
        let place = of.partition_point(|other| other.rank < holding.rank);
        of.insert(place, holding);
    }

    /// Returns what a subject itself holds, strongest rank first.
    pub(crate) fn of(&self, subject: Subject) -> &[Arc<Holding>] {
        self.of.get(&subject).map_or(&[], Vec::as_slice)
    }

    /// Returns what `user` may use: what it holds itself, and what anyone holds.
    pub(crate) fn usable_by(&self, user: Subject) -> impl Iterator<Item = &Arc<Holding>> {
        let own = if user == Subject::Anyone { &[] } else { self.of(user) };
        own.iter().chain(self.of(Subject::Anyone))
    }

    pub(crate) fn subjects(&self) -> impl Iterator<Item = (Subject, &[Arc<Holding>])> {
        self.of.iter().map(|(subject, holdings)| (*subject, holdings.as_slice()))
    }
}
