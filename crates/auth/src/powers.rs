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
        let keys = self.tables.everything.shares.all().filter_map(|(subject, _)| {
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
        let shares = &self.tables.everything.shares;
        let mut oldest_first: Vec<_> =
            shares.all().flat_map(|(_, share)| &share.holdings).collect();
        oldest_first.sort_unstable_by_key(|held| held.grant);
        let mut branch = BTreeSet::new();
        for held in oldest_first {
            let is_theirs = held.granted_by == *key && held.granted_under != Rank::ROOT;
            if is_theirs || branch.contains(&(held.granted_under.entry, held.granted_under.index)) {
                branch.insert(held.place());
            }
        }
        let subjects = shares.all().map(|(subject, _)| subject);
        let others = subjects.filter(|subject| *subject != Subject::Key(*key));
        others
            .filter(|subject| {
                let own = self.has(*subject).into_iter().filter(|has| has.0.subject == *subject);
                let (inside, outside): (Vec<_>, Vec<_>) =
                    own.partition(|(held, ..)| branch.contains(&held.place()));
                inside.iter().any(|(_, strength, _)| strength.is_invite())
                    || best(&inside)
                        .is_some_and(|inside| best(&outside).is_none_or(|outside| inside < outside))
            })
            .collect()
    }

    /// Returns the limits that are due at a time in milliseconds since 1970: on invites that are used
    /// up or have ended, and on what has ended of grants, each with the level that is to remain. What
    /// has not ended is never touched by them; once they are made, they are not due any more.
    pub fn due_limits(&self, now_millis: u64) -> Vec<(Subject, Option<Level>)> {
        let subjects = self.tables.everything.shares.all().map(|(subject, _)| subject);
        let everybody = self.at(now_millis).anyone_level();
        let due = subjects.filter_map(|subject| {
            let own = self.has(subject).into_iter().filter(|has| has.0.subject == subject);
            let (open, ended): (Vec<_>, Vec<_>) =
                own.partition(|(held, ..)| held.lasts_at(now_millis) && self.has_uses(held));
            if open.iter().any(|(_, strength, _)| strength.is_invite()) {
                return None;
            }
            let remains = open.iter().filter_map(|(_, strength, _)| strength.level());
            // A limit on a key acts on its use of what anyone holds, too: that is not to be taken.
            let remains = remains.chain(everybody.filter(|_| subject != Subject::Anyone));
            let to = remains.reduce(Level::joined);
            let is_due = ended.iter().any(|(_, strength, _)| match strength.level() {
                None => true,
                Some(ended) => to.is_none_or(|to| !to.covers(ended)),
            });
            is_due.then_some((subject, to))
        });
        due.collect()
    }

    fn has_uses(&self, held: &Holding) -> bool {
        let used = self.tables.everything.uses_of(held).count();
        match held.strength {
            Strength::Level(_) => true,
            Strength::Invite { uses, .. } => u32::try_from(used).is_ok_and(|used| used < uses),
        }
    }

    /// Returns what limits leave of all that a subject may use, expired or not.
    fn has(&self, subject: Subject) -> Vec<(&Holding, Strength, Rank)> {
        let shares = self.tables.everything.shares.usable_by(subject).into_iter();
        let left = shares.flat_map(|share| &share.holdings).filter_map(|held| {
            let (strength, rank) = self.left_of(held, subject)?;
            Some((held.as_ref(), strength, rank))
        });
        left.collect()
    }
}

/// The strongest of what a subject has; among administrators seniority counts.
fn best(has: &[(&Holding, Strength, Rank)]) -> Option<((u8, u32), Option<Rank>)> {
    let levels = has.iter().filter_map(|(_, strength, rank)| Some((strength.level()?, *rank)));
    let worth = levels.map(|(level, rank)| {
        (level.strength(), Some(rank).filter(|_| level.allows(Action::Administer)))
    });
    worth.min()
}
