//! Which settings entries of a causally closed set count: one pass, strongest rank first.
//!
//! Invariant: each judgement needs only judgements of stronger rank, so a holding is taken up when
//! all that could limit it is known.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use crate::entries::{Entries, Kept};
use crate::holding::Holding;
use crate::operation::Subject;
use crate::past::Past;
use crate::rank::Rank;
use crate::resolved::Resolved;
use crate::settings_index::SettingsIndex;
use crate::uses::User;

/// Resolves a causally closed set; `None` is all settings entries.
pub(crate) fn resolve(entries: &Entries, set: Option<&Past>) -> Resolved {
    let (resolved, queue, open) = (Resolved::default(), BinaryHeap::new(), BTreeMap::new());
    let mut pass = Pass { entries, set, resolved, queue, open };
    let root = SettingsIndex(0);
    if pass.contains(root)
        && let Some(kept) = entries.get(root)
    {
        pass.count(root, kept, Rank::ROOT);
    }
    while let Some(Reverse(Waiting { rank, held })) = pass.queue.pop() {
        pass.take_up(rank, &held);
    }
    pass.resolved
}

/// A holding at the rank at which some of its uses are to be judged.
struct Waiting {
    rank: Rank,
    held: Arc<Holding>,
}

impl Waiting {
    /// No two holdings share the entry and index of their own rank.
    fn key(&self) -> (Rank, Rank) {
        (self.rank, self.held.rank)
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

struct Pass<'a> {
    entries: &'a Entries,
    set: Option<&'a Past>,
    resolved: Resolved,
    queue: BinaryHeap<Reverse<Waiting>>,
    /// The entries that do not count yet, by whose holdings they could use.
    open: BTreeMap<Subject, Vec<SettingsIndex>>,
}

/// What became of an entry under one holding at one rank.
enum Outcome {
    Counts,
    Not,
    /// It is to be judged again, at this weaker rank.
    Later(Rank),
}

impl Pass<'_> {
    fn contains(&self, index: SettingsIndex) -> bool {
        self.set.is_none_or(|set| set.contains(index))
    }

    /// Judges the entries that would use a holding at a rank.
    fn take_up(&mut self, rank: Rank, held: &Arc<Holding>) {
        let mut later = BTreeSet::new();
        let open = self.take_open(held.subject);
        let candidates = candidates(self.entries, held, &open);
        for own_limits in [true, false] {
            for (index, kept) in &candidates {
                if kept.is_own_limit() != own_limits {
                    continue;
                }
                match self.judge(*index, kept, held, rank) {
                    Outcome::Counts => self.count(*index, kept, rank),
                    Outcome::Not => {}
                    Outcome::Later(rank) => drop(later.insert(rank)),
                }
            }
        }
        self.open.insert(held.subject, open);
        let waiting = later.into_iter().map(|rank| Waiting { rank, held: Arc::clone(held) });
        self.queue.extend(waiting.map(Reverse));
    }

    /// Takes the entries out that could use what a subject holds and do not count yet.
    fn take_open(&mut self, subject: Subject) -> Vec<SettingsIndex> {
        let mut open = self.open.remove(&subject).unwrap_or_else(|| {
            let all = self.entries.users_of(subject).iter().copied();
            all.filter(|index| self.contains(*index)).collect()
        });
        open.retain(|index| !self.resolved.counts(*index));
        open
    }

    fn judge(&self, index: SettingsIndex, kept: &Kept, held: &Holding, rank: Rank) -> Outcome {
        let Some(need) = &kept.need else { return Outcome::Not };
        let precedes = |a, b| self.entries.precedes(a, b);
        let user = User {
            author: Subject::Key(kept.author),
            millis: kept.time.millis(),
            place: (kept.generation, kept.id),
            limits_itself: need.is_own_limit(),
            knows: &|other| precedes(other, index),
            sees: &|_| true,
            is_before: &|limit| limit == index || precedes(index, limit),
            precedes: &precedes,
        };
        let left = self.resolved.left(held, user).filter(|_| held.lasts_at(user.millis));
        match left {
            Some((_, present)) if present > rank => Outcome::Later(present),
            Some((strength, present))
                if present == rank
                    && need.met_by(strength, present)
                    && (need.is_own_limit() || self.resolved.has_uses(held, user)) =>
            {
                Outcome::Counts
            }
            _ => Outcome::Not,
        }
    }

    fn count(&mut self, index: SettingsIndex, kept: &Kept, rank: Rank) {
        let given = self.resolved.count(index, kept, rank);
        let waiting = given.into_iter().map(|held| Waiting { rank: held.rank, held });
        self.queue.extend(waiting.map(Reverse));
    }
}

/// Returns those that descend from a holding's grant; those of an invite by generation and id.
fn candidates<'a>(
    entries: &'a Entries,
    held: &Holding,
    open: &[SettingsIndex],
) -> Vec<(SettingsIndex, &'a Kept)> {
    let after = open.iter().filter(|index| entries.precedes(held.grant, **index));
    let after = after.filter_map(|index| Some((*index, entries.get(*index)?)));
    let mut candidates: Vec<_> = after.collect();
    if held.strength.is_invite() {
        candidates.sort_unstable_by_key(|(_, kept)| (kept.generation, kept.id));
    }
    candidates
}
