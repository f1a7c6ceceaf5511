//! What a subject holds: one holding for each grant and invite that counts.
//!
//! Invariant: a holding follows from the entry that gives it and from the rank under which that
//! entry counts.

use weald_dag::{EntryId, PublicKey, Time};

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

    /// Returns the level, if it is one.
    pub(crate) const fn level(self) -> Option<Level> {
        match self {
            Self::Level(level) => Some(level),
            Self::Invite { .. } => None,
        }
    }

    pub(crate) const fn is_invite(self) -> bool {
        matches!(self, Self::Invite { .. })
    }
}

/// A grant or an invite that counts.
#[derive(Debug)]
pub(crate) struct Holding {
    pub(crate) strength: Strength,
    pub(crate) subject: Subject,
    pub(crate) rank: Rank,
    /// When it ends, in milliseconds since 1970.
    pub(crate) expires: Option<u64>,
    /// The settings entry that grants it.
    pub(crate) grant: SettingsIndex,
    /// The rank under which that entry counts.
    pub(crate) granted_under: Rank,
    pub(crate) name: Option<Box<str>>,
    pub(crate) granted_by: PublicKey,
    pub(crate) since: Time,
}

impl Holding {
    /// Returns whether it has not ended at a time in milliseconds since 1970.
    pub(crate) fn lasts_at(&self, millis: u64) -> bool {
        self.expires.is_none_or(|end| millis < end)
    }

    /// Returns what names it, whatever limits make of its rank.
    pub(crate) const fn place(&self) -> (EntryId, u32) {
        (self.rank.entry, self.rank.index)
    }
}
