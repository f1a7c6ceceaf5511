//! What all settings entries that are known together say: for reading, for people and for local
//! checks. No entry is judged by it.

use std::collections::BTreeMap;
use std::sync::Arc;

use weald_dag::{EntryId, PublicKey, Time};

use crate::holding::{Holding, Strength};
use crate::level::{Action, Level};
use crate::operation::Subject;
use crate::rank::Rank;
use crate::tables::Tables;
use crate::uses::User;

/// A subject with the strongest of what it holds.
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

/// An invite that was not taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Invite {
    /// The public half.
    pub key: PublicKey,
    /// What a use grants.
    pub gives: Level,
    /// How many uses count.
    pub uses: u32,
    /// How many were made that count.
    pub used: u32,
    /// Who made it.
    pub granted_by: PublicKey,
    /// When it was made.
    pub since: Time,
    /// When it ends, in milliseconds since 1970.
    pub expires: Option<u64>,
    /// Whether it has ended by the time that is looked at.
    pub has_ended: bool,
    /// How strong it is among all holdings.
    pub rank: Rank,
}

impl Invite {
    /// Returns whether it can still be used.
    pub const fn is_open(&self) -> bool {
        self.used < self.uses && !self.has_ended
    }
}

/// The place of an entry that comes after all others.
const LAST: (u64, EntryId) = (u64::MAX, EntryId::from_bytes([u8::MAX; 32]));

/// The authority of a database as far as this replica knows it.
#[derive(Clone, Copy, Debug)]
pub struct Current<'a> {
    pub(crate) tables: &'a Tables,
    pub(crate) now_millis: u64,
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

    /// Returns whether who proves possession of `keys` may receive the database: any of them holds
    /// something, an invite with uses left among it. What anyone holds counts for everybody, even
    /// without a key.
    pub fn may_read(&self, keys: &[PublicKey]) -> bool {
        self.anyone_level().is_some()
            || keys.iter().any(|key| {
                self.uses(*key).next().is_some() || self.invite(key).is_some_and(|it| it.is_open())
            })
    }

    /// Returns the strongest level of a key, with what anyone holds.
    pub fn level_of(&self, key: &PublicKey) -> Option<Level> {
        self.uses(*key).map(|(_, level, _)| level).min_by_key(|level| level.strength())
    }

    /// Returns the level that everybody has.
    pub fn anyone_level(&self) -> Option<Level> {
        let own = self.tables.everything.shares.of(Subject::Anyone).holdings.iter();
        own.filter_map(|held| Some(self.left(held, Subject::Anyone)?.0))
            .min_by_key(|level| level.strength())
    }

    /// Returns whether a key may do something now, with what anyone holds.
    pub fn permits(&self, key: &PublicKey, action: Action) -> bool {
        self.level_of(key).is_some_and(|level| level.allows(action))
    }

    /// Returns the strongest rank at which a key is an administrator: it can limit what is weaker.
    pub fn admin_rank(&self, key: &PublicKey) -> Option<Rank> {
        let admin = self.uses(*key).filter(|(_, level, _)| level.allows(Action::Administer));
        admin.map(|(_, _, rank)| rank).min()
    }

    /// Returns everyone who holds something, strongest first.
    pub fn members(&self) -> Vec<Member> {
        let mut members: Vec<Member> = Vec::new();
        for (subject, share) in self.tables.everything.shares.all() {
            let lasting: Vec<_> = share
                .holdings
                .iter()
                .filter_map(|held| {
                    let (level, rank) = self.left(held, subject)?;
                    Some((held, level, rank))
                })
                .collect();
            let strongest = lasting.iter().min_by_key(|(_, level, rank)| (level.strength(), *rank));
            let Some((held, level, rank)) = strongest else { continue };
            let named = lasting.iter().filter(|(held, ..)| held.name.is_some());
            let named =
                named.max_by_key(|(held, ..)| (held.since, held.rank.entry, held.rank.index));
            members.push(Member {
                subject,
                level: *level,
                rank: *rank,
                name: named.and_then(|(held, ..)| held.name.as_deref().map(str::to_owned)),
                granted_by: held.granted_by,
                since: held.since,
                expires: held.expires,
            });
        }
        members.sort_by_key(|member| (member.level.strength(), member.rank));
        members
    }

    /// Returns every invite that was not taken back, strongest first; those that are used up or have
    /// ended among them.
    pub fn invites(&self) -> Vec<Invite> {
        let holdings = self.tables.everything.shares.all().flat_map(|(_, share)| &share.holdings);
        let mut invites: Vec<_> = holdings.filter_map(|held| self.invite_of(held)).collect();
        invites.sort_by_key(|invite| invite.rank);
        invites
    }

    /// Returns the strongest invite that is this key, if it was not taken back.
    pub fn invite(&self, key: &PublicKey) -> Option<Invite> {
        let share = self.tables.everything.shares.of(Subject::Key(*key));
        let invites = || share.holdings.iter().filter_map(|held| self.invite_of(held));
        invites().find(Invite::is_open).or_else(|| invites().next())
    }

    fn invite_of(&self, held: &Holding) -> Option<Invite> {
        let (Strength::Invite { gives, uses }, Subject::Key(key)) = (held.strength, held.subject)
        else {
            return None;
        };
        self.left_of(held, Subject::Key(key))?;
        let used = self.tables.everything.uses_of(held).count();
        let used = u32::try_from(used).unwrap_or(u32::MAX);
        let (granted_by, since, expires) = (held.granted_by, held.since, held.expires);
        let has_ended = expires.is_some_and(|end| end <= self.now_millis);
        let rank = held.rank;
        Some(Invite { key, gives, uses, used, granted_by, since, expires, has_ended, rank })
    }

    /// Returns the entries that limit a key, with what they leave, strongest first: of one that holds
    /// nothing, why.
    pub fn limits_on(&self, key: &PublicKey) -> Vec<(EntryId, Option<Level>)> {
        self.limits_of(Subject::Key(*key))
    }

    /// Returns the entries that limit a subject, as [`Current::limits_on`] does for a key.
    pub fn limits_of(&self, subject: Subject) -> Vec<(EntryId, Option<Level>)> {
        let limits = self.tables.everything.shares.of(subject).limits.iter();
        limits
            .filter_map(|limit| Some((self.tables.entries.get(limit.entry)?.id, limit.to)))
            .collect()
    }

    /// Returns what people call each key that was granted something, whatever was taken since: the
    /// name that was given last.
    pub fn names(&self) -> BTreeMap<PublicKey, &'a str> {
        let tables: &'a Tables = self.tables;
        let mut names = BTreeMap::new();
        for (subject, share) in tables.everything.shares.all() {
            let Subject::Key(key) = subject else { continue };
            let named = share.holdings.iter().filter(|held| held.name.is_some());
            let last = named.max_by_key(|held| (held.since, held.rank.entry, held.rank.index));
            if let Some(name) = last.and_then(|held| held.name.as_deref()) {
                names.insert(key, name);
            }
        }
        names
    }

    /// Returns whether a key held something at some time, whatever was taken since.
    pub fn ever_held(&self, key: &PublicKey) -> bool {
        !self.tables.everything.shares.of(Subject::Key(*key)).holdings.is_empty()
    }

    /// Returns the strongest level that a key was granted at some time, whatever was taken since.
    pub fn strongest_grant(&self, key: &PublicKey) -> Option<Level> {
        let held = self.tables.everything.shares.of(Subject::Key(*key)).holdings.iter();
        let levels = held.filter_map(|held| match held.strength {
            Strength::Level(level) => Some(level),
            Strength::Invite { .. } => None,
        });
        levels.min_by_key(|level| level.strength())
    }

    /// Returns a setting: of all that were written, the one with the greatest time.
    pub fn setting(&self, key: &str) -> Option<&'a str> {
        self.tables.settings.get(key).map(|(_, value)| value.as_ref())
    }

    /// Iterates over all settings, by key.
    pub fn settings(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.tables.settings.iter().map(|(key, (_, value))| (key.as_str(), value.as_ref()))
    }

    /// Returns what a key may use now: holding, level and rank that limits leave.
    pub(crate) fn uses(
        &self,
        key: PublicKey,
    ) -> impl Iterator<Item = (&'a Arc<Holding>, Level, Rank)> {
        let current = *self;
        let tables: &'a Tables = self.tables;
        let shares = tables.everything.shares.usable_by(Subject::Key(key)).into_iter();
        shares.flat_map(|share| &share.holdings).filter_map(move |held| {
            let (level, rank) = current.left(held, Subject::Key(key))?;
            Some((held, level, rank))
        })
    }

    /// Returns the level and rank that limits leave of a holding that has not ended.
    fn left(&self, held: &Holding, user: Subject) -> Option<(Level, Rank)> {
        let (strength, rank) =
            self.left_of(held, user).filter(|_| held.lasts_at(self.now_millis))?;
        match strength {
            Strength::Level(level) => Some((level, rank)),
            Strength::Invite { .. } => None,
        }
    }

    /// Returns what limits leave of a holding, which may have ended, for a key or for everybody.
    pub(crate) fn left_of(&self, held: &Holding, user: Subject) -> Option<(Strength, Rank)> {
        let user = User {
            author: user,
            millis: self.now_millis,
            place: LAST,
            limits_itself: false,
            knows: &|_| true,
            sees: &|_| true,
            is_before: &|_| false,
            precedes: &|a, b| self.tables.entries.precedes(a, b),
        };
        self.tables.everything.left(held, user)
    }
}
