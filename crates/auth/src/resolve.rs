//! Which settings entries of a causally closed set count: one pass, strongest rank first.
//!
//! Invariant: each judgement needs only judgements of stronger rank, so a holding is taken up when
//! all that could limit it is known.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::sync::Arc;

use weald_dag::EntryId;

use crate::epoch::{Before, Known};
use crate::holding::{Holding, Strength};
use crate::need::Need;
use crate::operation::Subject;
use crate::past::Past;
use crate::rank::Rank;
use crate::resolved::Resolved;
use crate::settings_index::SettingsIndex;
use crate::tables::{Kept, Tables};

/// Resolves a causally closed set; `None` is all settings entries.
pub(crate) fn resolve(tables: &Tables, set: Option<&Past>) -> Resolved {
    let mut pass = Pass { tables, set, resolved: Resolved::default(), queue: BinaryHeap::new() };
    let root = SettingsIndex(0);
    if pass.contains(root)
        && let Some(kept) = tables.kept(root)
    {
        pass.count(root, kept, Rank::ROOT);
    }
    while let Some(Reverse(Waiting { rank, held })) = pass.queue.pop() {
        pass.take_up(rank, &held);
    }
    pass.resolved
}

/// Adds a settings entry that comes after all of a resolved set; it changes nothing in it. Returns
/// whether it counts.
pub(crate) fn extend(tables: &Tables, resolved: &mut Resolved, index: SettingsIndex) -> bool {
    let Some(kept) = tables.kept(index) else { return false };
    let rank = match (kept.generation, Need::of(&kept.claim())) {
        (0, _) => Some(Rank::ROOT),
        (_, Err(_)) => None,
        (_, Ok(need)) => {
            let knows = |_| true;
            let is_before = |_| false;
            let user = kept.user(&need, &knows, &is_before);
            resolved.rank_of(&need, user, &|a, b| tables.epochs.precedes(a, b))
        }
    };
    let Some(rank) = rank else { return false };
    note_use(resolved, kept, rank);
    resolved.count(&kept.effects(index, rank));
    true
}

/// Counts the use of an invite, if an entry counts under one.
fn note_use(resolved: &mut Resolved, kept: &Kept, rank: Rank) {
    let held = resolved.holdings.of(Subject::Key(kept.author));
    let is_invite = held
        .iter()
        .any(|held| held.rank == rank && matches!(held.strength, Strength::Invite { .. }));
    if is_invite && !kept.is_own_limit() {
        *resolved.used.entry(rank).or_default() += 1;
    }
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
    tables: &'a Tables,
    set: Option<&'a Past>,
    resolved: Resolved,
    queue: BinaryHeap<Reverse<Waiting>>,
}

/// What became of an entry under one holding at one rank.
enum Use {
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
        let candidates = self.candidates(held);
        for own_limits in [true, false] {
            for (_, index) in &candidates {
                let Some(kept) = self.tables.kept(*index) else { continue };
                if kept.is_own_limit() != own_limits || self.resolved.ranks.contains_key(index) {
                    continue;
                }
                match self.judge(*index, kept, held, rank) {
                    Use::Counts => self.count(*index, kept, rank),
                    Use::Not => {}
                    Use::Later(rank) => drop(later.insert(rank)),
                }
            }
        }
        let waiting = later.into_iter().map(|rank| Waiting { rank, held: Arc::clone(held) });
        self.queue.extend(waiting.map(Reverse));
    }

    /// Returns the entries of the holding's subject that descend from its grant, by generation and id.
    fn candidates(&self, held: &Holding) -> Vec<((u64, EntryId), SettingsIndex)> {
        let by = match held.subject {
            Subject::Key(key) => self.tables.by_author.get(&key).map_or(&[][..], Vec::as_slice),
            // Read and Write allow nothing in the settings but to limit oneself.
            Subject::Anyone => &self.tables.own_limits,
        };
        let epochs = &self.tables.epochs;
        let open = by.iter().copied().filter(|index| {
            self.contains(*index)
                && !self.resolved.ranks.contains_key(index)
                && epochs.precedes(held.grant, *index)
        });
        let mut found: Vec<_> = open
            .filter_map(|index| {
                let kept = self.tables.kept(index)?;
                Some(((kept.generation, kept.id), index))
            })
            .collect();
        found.sort_unstable();
        found
    }

    fn judge(&self, index: SettingsIndex, kept: &Kept, held: &Holding, rank: Rank) -> Use {
        let Ok(need) = Need::of(&kept.claim()) else { return Use::Not };
        let epochs = &self.tables.epochs;
        let knows = |_| true;
        let is_before = |limit| limit == index || epochs.precedes(index, limit);
        let user = kept.user(&need, &knows, &is_before);
        let left = self.resolved.left(held, user, &|a, b| epochs.precedes(a, b));
        let Some((strength, present)) = left.filter(|_| held.lasts_at(user.millis)) else {
            return Use::Not;
        };
        if present > rank {
            return Use::Later(present);
        }
        let counts = present == rank
            && need.met_by(strength, present)
            && (need.is_own_limit() || self.resolved.has_uses(held));
        if counts { Use::Counts } else { Use::Not }
    }

    fn count(&mut self, index: SettingsIndex, kept: &Kept, rank: Rank) {
        note_use(&mut self.resolved, kept, rank);
        let effects = kept.effects(index, rank);
        let given = effects.holdings.iter();
        self.queue
            .extend(given.map(|held| Reverse(Waiting { rank: held.rank, held: Arc::clone(held) })));
        self.resolved.count(&effects);
    }
}

/// Returns what counts in the past of an entry; `None` where that is everything there is.
pub(crate) fn of_past(tables: &Tables, before: &Before) -> Option<Arc<Resolved>> {
    let past = tables.epochs.past(before);
    if past.is_some_and(|past| past.covers(tables.epochs.settings_count())) {
        return None;
    }
    let epoch = match before.0 {
        Known::Epoch(epoch) => Some(epoch),
        Known::Not { .. } => None,
    };
    if let Some(known) = epoch.and_then(|epoch| tables.cache.get(epoch)) {
        return Some(known);
    }
    let empty = Past::default();
    let resolved = Arc::new(resolve(tables, Some(past.unwrap_or(&empty))));
    if let Some(epoch) = epoch {
        tables.cache.put(epoch, &resolved);
    }
    Some(resolved)
}
