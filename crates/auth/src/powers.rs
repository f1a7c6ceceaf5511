//! What administrators can do with what is known now, and which limits are due.
//!
//! Invariant: no entry is judged by it; an answer is what the door would say of an entry on all tips.

use std::collections::BTreeSet;

use weald_dag::PublicKey;

use crate::current::Current;
use crate::holding::{Holding, Strength};
use crate::level::{Action, Level};
use crate::operation::Subject;
use crate::rank::Rank;

impl Current<'_> {
    /// Returns the keys that hold Admin by themselves, strongest first.
    pub fn admins(&self) -> Vec<PublicKey> {
        let keys = self.tables.everything.holdings.subjects().filter_map(|(subject, _)| {
            let Subject::Key(key) = subject else { return None };
            Some((self.admin_rank(&key)?, key))
        });
        let mut admins: Vec<_> = keys.collect();
        admins.sort_unstable();
        admins.into_iter().map(|(_, key)| key).collect()
    }

    /// Returns whether a limit by `actor` would take from anything that `subject` has now, what has
    /// expired included. A key that holds anything can always limit itself.
    pub fn outranks(&self, actor: &PublicKey, subject: Subject) -> bool {
        let has = self.has(subject);
        if subject == Subject::Key(*actor) {
            return has.iter().any(|(held, ..)| held.lasts_at(self.now_millis));
        }
        self.admin_rank(actor).is_some_and(|rank| has.iter().any(|(.., present)| rank < *present))
    }

    /// Returns whether `actor` could grant `level` to somebody, or make an invite that gives it.
    pub fn can_grant(&self, actor: &PublicKey, level: Level) -> bool {
        // Between equal priorities the new grant is the younger, so the weaker one.
        self.uses(*actor).any(|(_, held, _)| {
            held.allows(Action::Administer) && held.priority() <= level.priority()
        })
    }

    /// Returns everyone who would have less without the grants and invites of `key`, its own and
    /// those that go back to them through others; `key` itself is not among them, nor is what the
    /// root entry grants. In the order of subjects.
    pub fn granted_by_branch(&self, key: &PublicKey) -> Vec<Subject> {
        let holdings = &self.tables.everything.holdings;
        let mut oldest_first: Vec<_> = holdings.subjects().flat_map(|(_, held)| held).collect();
        oldest_first.sort_unstable_by_key(|held| held.grant);
        let mut branch = BTreeSet::new();
        for held in oldest_first {
            let is_theirs = held.granted_by == *key && held.granted_under != Rank::ROOT;
            if is_theirs || branch.contains(&place_of(held.granted_under)) {
                branch.insert(place_of(held.rank));
            }
        }
        let subjects = holdings.subjects().map(|(subject, _)| subject);
        let others = subjects.filter(|subject| *subject != Subject::Key(*key));
        others
            .filter(|subject| {
                let own = self.has(*subject).into_iter().filter(|has| has.0.subject == *subject);
                let (inside, outside): (Vec<_>, Vec<_>) =
                    own.partition(|(held, ..)| branch.contains(&place_of(held.rank)));
                inside.iter().any(|(_, strength, _)| matches!(strength, Strength::Invite { .. }))
                    || best(&inside)
                        .is_some_and(|inside| best(&outside).is_none_or(|outside| inside < outside))
            })
            .collect()
    }

    /// Returns the limits that are due at a time in milliseconds since 1970: on invites that are used
    /// up or have ended, and on what has ended of grants, each with the level that is to remain. What
    /// has not ended is never touched by them; once they are made, they are not due any more.
    pub fn due_limits(&self, now_millis: u64) -> Vec<(Subject, Option<Level>)> {
        let subjects = self.tables.everything.holdings.subjects().map(|(subject, _)| subject);
        let due = subjects.filter_map(|subject| {
            let own = self.has(subject).into_iter().filter(|has| has.0.subject == subject);
            let (open, ended): (Vec<_>, Vec<_>) = own.partition(|(held, ..)| {
                held.lasts_at(now_millis) && self.tables.everything.has_uses(held)
            });
            if open.iter().any(|(_, strength, _)| matches!(strength, Strength::Invite { .. })) {
                return None;
            }
            let remains = open.iter().filter_map(|(_, strength, _)| level(*strength));
            let to = remains.reduce(Level::joined);
            let is_due = ended.iter().any(|(_, strength, _)| match level(*strength) {
                None => true,
                Some(ended) => to.is_none_or(|to| !to.covers(ended)),
            });
            is_due.then_some((subject, to))
        });
        due.collect()
    }

    /// Returns what limits leave of all that a subject may use, expired or not.
    fn has(&self, subject: Subject) -> Vec<(&Holding, Strength, Rank)> {
        let everything = &self.tables.everything;
        let all: Vec<_> = match subject {
            Subject::Key(_) => everything.holdings.usable_by(subject).collect(),
            Subject::Anyone => everything.holdings.of(subject).iter().collect(),
        };
        let left = all.into_iter().filter_map(|held| {
            let (strength, rank) = self.left_of(held, subject)?;
            Some((held.as_ref(), strength, rank))
        });
        left.collect()
    }
}

/// What names a holding whatever limits make of its rank.
fn place_of(rank: Rank) -> (weald_dag::EntryId, u32) {
    (rank.entry, rank.index)
}

fn level(strength: Strength) -> Option<Level> {
    match strength {
        Strength::Level(level) => Some(level),
        Strength::Invite { .. } => None,
    }
}

/// The strongest of what a subject has; among administrators seniority counts.
fn best(has: &[(&Holding, Strength, Rank)]) -> Option<((u8, u32), Option<Rank>)> {
    let levels = has.iter().filter_map(|(_, strength, rank)| Some((level(*strength)?, *rank)));
    let worth = levels.map(|(level, rank)| {
        (level.strength(), Some(rank).filter(|_| level.allows(Action::Administer)))
    });
    worth.min()
}
