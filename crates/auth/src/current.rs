//! What all settings entries that are known together say: for reading, for people and for local
//! checks. No entry is judged by it.

use weald_dag::{PublicKey, Time};

use crate::holding::Holding;
use crate::level::{Action, Level};
use crate::operation::Subject;
use crate::rank::Rank;
use crate::tables::Tables;

/// A subject with the strongest of what it was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who it is.
    pub subject: Subject,
    /// The strongest level that it holds by itself.
    pub level: Level,
    /// How strong that holding is among all.
    pub rank: Rank,
    /// The name that was given to it last.
    pub name: Option<String>,
    /// Who granted the level.
    pub granted_by: PublicKey,
    /// When it was granted.
    pub since: Time,
    /// When it ends, in milliseconds since 1970.
    pub expires: Option<u64>,
}

/// The authority of a database as far as this replica knows it.
#[derive(Clone, Copy, Debug)]
pub struct Current<'a> {
    tables: &'a Tables,
    now_millis: u64,
}

impl<'a> Current<'a> {
    pub(crate) const fn new(tables: &'a Tables) -> Self {
        Self { tables, now_millis: 0 }
    }

    /// Leaves out the grants that have ended at a time in milliseconds since 1970.
    ///
    /// Default: grants that end are looked at as if they had not ended yet.
    #[must_use]
    pub const fn at(self, now_millis: u64) -> Self {
        Self { now_millis, ..self }
    }

    /// Returns whether who proves possession of `keys` may receive the database. What anyone holds
    /// counts for everybody, even without a key.
    pub fn may_read(&self, keys: &[PublicKey]) -> bool {
        let subjects = keys.iter().copied().map(Subject::Key).chain([Subject::Anyone]);
        subjects.flat_map(|subject| self.tables.holdings.of(subject)).any(|held| self.lasts(held))
    }

    /// Returns the strongest level of a key, with what anyone holds.
    pub fn level_of(&self, key: &PublicKey) -> Option<Level> {
        let usable = self.tables.holdings.usable_by(*key).filter(|held| self.lasts(held));
        usable.map(|held| held.level).min_by_key(|level| level.strength())
    }

    /// Returns whether a key may do something now, with what anyone holds.
    pub fn permits(&self, key: &PublicKey, action: Action) -> bool {
        self.level_of(key).is_some_and(|level| level.allows(action))
    }

    /// Returns everyone who was granted something, strongest first.
    pub fn members(&self) -> Vec<Member> {
        let mut members: Vec<Member> = Vec::new();
        for (subject, holdings) in self.tables.holdings.subjects() {
            let lasting = || holdings.iter().filter(|held| self.lasts(held));
            let Some(held) = lasting().min_by_key(|held| (held.level.strength(), held.rank)) else {
                continue;
            };
            let named = lasting().filter(|held| held.name.is_some());
            let named = named.max_by_key(|held| (held.since, held.rank.entry, held.rank.index));
            members.push(Member {
                subject,
                level: held.level,
                rank: held.rank,
                name: named.and_then(|held| held.name.clone()),
                granted_by: held.granted_by,
                since: held.since,
                expires: held.expires,
            });
        }
        members.sort_by_key(|member| (member.level.strength(), member.rank));
        members
    }

    /// Returns a setting: of all that were written, the one with the greatest time.
    pub fn setting(&self, key: &str) -> Option<&'a str> {
        self.tables.settings.get(key).map(|(_, value)| value.as_ref())
    }

    /// Iterates over all settings, by key.
    pub fn settings(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.tables.settings.iter().map(|(key, (_, value))| (key.as_str(), value.as_ref()))
    }

    fn lasts(&self, held: &Holding) -> bool {
        held.lasts_at(self.now_millis)
    }
}
