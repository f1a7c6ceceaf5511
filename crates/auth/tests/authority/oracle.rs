//! The rules of authority as plainly as they can be said: one function recomputes everything from an
//! assumed outcome, and is repeated until nothing changes. No caches, no order, no code of the crate.
//!
//! Invariant: with [`Mutant::None`] these are the rules; every other mutant breaks exactly one.

use weald_auth::{Level, Operation, Rank, Subject};

use crate::graph::Graph;

/// The rank under which each entry counts, by place.
pub(crate) type Outcome = Vec<Option<Rank>>;

/// A rule to be broken, to see that somebody notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    None,
    /// A limit acts on what descends from it only: who signs on old parents escapes.
    OldParentsEscape,
    /// A limit acts on what it saw, too.
    PastIsHidden,
    /// A limit acts on everybody, however strong.
    AnyoneLimitsAnyone,
    /// A limit on oneself acts on weaker holdings only.
    OwnLimitNeedsStronger,
    /// Own limits beside each other of the same rank hide each other.
    OwnLimitsSeeEachOther,
    /// A grant by anybody lifts a limit.
    AnybodyLifts,
    /// A limit is for ever.
    NeverLifted,
    /// A grant in the entry of a limit does not lift it.
    SameEntryDoesNotLift,
    /// A later grant to anyone lifts a limit on one key.
    GrantToAnyoneLiftsForOne,
    /// A grant that does not know of a limit lifts it.
    LiftedUnseen,
    /// A limit on anyone acts on what keys hold themselves.
    AnyoneMeansEverybody,
    /// A demotion leaves the rank.
    DemotionKeepsRank,
    /// A demotion leaves the priority.
    DemotionKeepsPriority,
    /// Stronger priorities can be granted than one's own.
    GrantsUpwards,
    /// A grant need not be known to be used.
    UnknownGrants,
    /// An entry ranks by the weakest holding that allows it.
    WeakestRank,
    /// Invites are used as often as one likes.
    UsesWithoutEnd,
    /// Of too many uses the last count.
    LastUsesCount,
    /// The use of an invite grants what it likes.
    InviteGivesAnything,
    /// The use of an invite may hold more than its one grant.
    InviteAllowsMore,
    /// An invite outlives every limit but a revocation.
    InviteOutlivesDemotion,
    /// What ended lasts.
    NothingEnds,
    /// A reader writes.
    ReadersWrite,
    /// A writer administers.
    WritersAdminister,
    /// A limit on oneself needs Admin.
    OwnLimitNeedsAdmin,
}

impl Mutant {
    pub(crate) const ALL: [Self; 25] = [
        Self::OldParentsEscape,
        Self::PastIsHidden,
        Self::AnyoneLimitsAnyone,
        Self::OwnLimitNeedsStronger,
        Self::OwnLimitsSeeEachOther,
        Self::AnybodyLifts,
        Self::NeverLifted,
        Self::SameEntryDoesNotLift,
        Self::GrantToAnyoneLiftsForOne,
        Self::LiftedUnseen,
        Self::AnyoneMeansEverybody,
        Self::DemotionKeepsRank,
        Self::DemotionKeepsPriority,
        Self::GrantsUpwards,
        Self::UnknownGrants,
        Self::WeakestRank,
        Self::UsesWithoutEnd,
        Self::LastUsesCount,
        Self::InviteGivesAnything,
        Self::InviteAllowsMore,
        Self::InviteOutlivesDemotion,
        Self::NothingEnds,
        Self::ReadersWrite,
        Self::WritersAdminister,
        Self::OwnLimitNeedsAdmin,
    ];
}

/// A grant or an invite of an entry that counts.
struct Held {
    entry: usize,
    under: Rank,
    rank: Rank,
    subject: Subject,
    level: Level,
    /// The greatest number of uses, of an invite.
    uses: Option<u32>,
    ends: Option<u64>,
}

/// A limit of an entry that counts.
struct Taken {
    entry: usize,
    rank: Rank,
    subject: Subject,
    to: Option<Level>,
    own: bool,
}

/// The rules, or the rules with one of them broken, over one graph.
pub(crate) struct Oracle<'a> {
    graph: &'a Graph,
    /// What is strictly before each entry, as bits.
    pub(crate) pasts: Vec<u64>,
    mutant: Mutant,
}

/// More rounds than any chain of consequences in these graphs.
const ROUNDS_MAX: usize = 300;

impl<'a> Oracle<'a> {
    pub(crate) fn new(graph: &'a Graph) -> Self {
        Self::broken(graph, Mutant::None)
    }

    pub(crate) fn broken(graph: &'a Graph, mutant: Mutant) -> Self {
        Self { graph, pasts: graph.pasts(), mutant }
    }

    fn precedes(&self, earlier: usize, later: usize) -> bool {
        self.pasts[later] >> earlier & 1 == 1
    }

    /// Everything there is, as bits.
    pub(crate) fn everything(&self) -> u64 {
        (0..self.pasts.len()).fold(0, |all, place| all | 1 << place)
    }

    /// Returns which entries count.
    pub(crate) fn truth(&self) -> Outcome {
        self.settle(self.everything(), self.nothing()).expect("the rules have a fixed point")
    }

    /// Returns what is visible or an ancestor of something visible, as bits.
    pub(crate) fn needed(&self, outcome: &Outcome) -> u64 {
        let visible = outcome.iter().enumerate().filter(|(_, rank)| rank.is_some());
        visible.fold(0, |all, (place, _)| all | self.pasts[place] | 1 << place)
    }

    /// Repeats the rules among `places` (a set of bits that holds the ancestors of its members) until
    /// nothing changes; `None` when that does not come about.
    pub(crate) fn settle(&self, places: u64, from: Outcome) -> Option<Outcome> {
        let mut outcome = from;
        for _ in 0..ROUNDS_MAX {
            let next = self.again(places, &outcome);
            if next == outcome {
                return Some(outcome);
            }
            outcome = next;
        }
        None
    }

    /// The outcome in which nothing counts.
    pub(crate) fn nothing(&self) -> Outcome {
        vec![None; self.graph.entries.len()]
    }

    /// Returns whether the door lets an entry in: among its ancestors it counts.
    pub(crate) fn admits(&self, place: usize) -> Option<Rank> {
        let past = self.pasts[place] | 1 << place;
        self.settle(past, self.nothing()).and_then(|outcome| outcome[place])
    }

    /// Applies the rules once to all, as if `assumed` were the outcome.
    fn again(&self, places: u64, assumed: &Outcome) -> Outcome {
        let (mut held, mut taken) = (Vec::new(), Vec::new());
        for (place, rank) in assumed.iter().enumerate() {
            if let Some(rank) = rank {
                self.effects(place, *rank, &mut held, &mut taken);
            }
        }
        taken.sort_by_key(|limit| (limit.rank, limit.entry));
        (0..assumed.len())
            .map(|place| match places >> place & 1 {
                0 => None,
                _ if place == 0 => Some(Rank::ROOT),
                _ => self.best(place, assumed, &held, &taken),
            })
            .collect()
    }

    fn effects(&self, place: usize, rank: Rank, held: &mut Vec<Held>, taken: &mut Vec<Taken>) {
        let entry = &self.graph.entries[place];
        for (index, operation) in entry.operations.iter().flatten().enumerate() {
            let (subject, level, uses, ends) = match operation {
                Operation::Grant { subject, level, expires, .. } => {
                    (*subject, *level, None, *expires)
                }
                Operation::Invite { key, gives, uses, expires } => {
                    (Subject::Key(*key), *gives, Some(*uses), *expires)
                }
                Operation::Limit { subject, to } => {
                    let own = *subject == Subject::Key(entry.author);
                    taken.push(Taken { entry: place, rank, subject: *subject, to: *to, own });
                    continue;
                }
                Operation::Set { .. } => continue,
            };
            let own = self.rank_of(place, index, level);
            held.push(Held { entry: place, under: rank, rank: own, subject, level, uses, ends });
        }
    }

    fn rank_of(&self, place: usize, index: usize, level: Level) -> Rank {
        let entry = &self.graph.entries[place];
        let (generation, index) = (entry.generation, index as u32);
        Rank { priority: number(level), generation, entry: entry.id, index }
    }

    fn best(&self, e: usize, assumed: &Outcome, held: &[Held], taken: &[Taken]) -> Option<Rank> {
        let ranks = held.iter().filter_map(|h| self.under(e, h, assumed, taken));
        if self.mutant == Mutant::WeakestRank { ranks.max() } else { ranks.min() }
    }

    /// Returns the rank under which an entry counts by one holding.
    fn under(&self, e: usize, h: &Held, assumed: &Outcome, taken: &[Taken]) -> Option<Rank> {
        let entry = &self.graph.entries[e];
        let is_known =
            self.precedes(h.entry, e) || self.mutant == Mutant::UnknownGrants && h.entry != e;
        let is_meant = h.subject == Subject::Anyone || h.subject == Subject::Key(entry.author);
        let ended = h.ends.is_some_and(|end| entry.time.millis() >= end);
        if !is_known || !is_meant || ended && self.mutant != Mutant::NothingEnds {
            return None;
        }
        let (level, rank) = self.left(e, h, taken)?;
        if !self.allows(e, h, level, rank) {
            return None;
        }
        let own = self.limits_itself(e);
        if let Some(uses) = h.uses.filter(|_| !own && self.mutant != Mutant::UsesWithoutEnd) {
            let key = |place: usize| {
                let entry = &self.graph.entries[place];
                (entry.generation, entry.id)
            };
            let before = |f: &usize| match self.mutant {
                Mutant::LastUsesCount => key(*f) > key(e),
                _ => key(*f) < key(e),
            };
            let others = (0..assumed.len()).filter(|f| assumed[*f] == Some(rank) && *f != e);
            let others = others.filter(|f| self.graph.entries[*f].author == entry.author);
            let earlier = others.filter(|f| !self.limits_itself(*f)).filter(before).count();
            if earlier >= uses as usize {
                return None;
            }
        }
        Some(rank)
    }

    /// Returns the level and rank that limits leave of the use of a holding by an entry.
    fn left(&self, e: usize, h: &Held, taken: &[Taken]) -> Option<(Level, Rank)> {
        let author = Subject::Key(self.graph.entries[e].author);
        let (mut level, mut rank) = (h.level, h.rank);
        for l in taken {
            let hits_anyone = l.subject == Subject::Anyone
                && (h.subject == Subject::Anyone || self.mutant == Mutant::AnyoneMeansEverybody);
            if l.subject != author && !hits_anyone || !self.acts(e, h, l, rank) {
                continue;
            }
            match (h.uses, l.to?) {
                (Some(_), Level::Admin(_)) => {}
                (Some(_), _) if self.mutant == Mutant::InviteOutlivesDemotion => {}
                (Some(_), _) => return None,
                (None, to) => {
                    let kind = kind(level).max(kind(to));
                    let lowest = number(level).max(number(to));
                    let keeps = self.mutant == Mutant::DemotionKeepsPriority;
                    let priority = if keeps { number(level) } else { lowest };
                    level = [Level::Admin(priority), Level::Write(priority), Level::Read][kind];
                    if self.mutant != Mutant::DemotionKeepsRank {
                        rank.priority = rank.priority.max(number(level));
                    }
                }
            }
        }
        Some((level, rank))
    }

    /// Returns whether a limit acts on the use of a holding that is at `rank` by now.
    fn acts(&self, e: usize, h: &Held, l: &Taken, rank: Rank) -> bool {
        let mutant = self.mutant;
        let saw = l.entry == e || self.precedes(e, l.entry);
        if saw && (mutant != Mutant::PastIsHidden || l.entry == e) {
            return false;
        }
        if mutant == Mutant::OldParentsEscape && !self.precedes(l.entry, e) {
            return false;
        }
        let among_own = l.own
            && l.rank == rank
            && mutant != Mutant::OwnLimitNeedsStronger
            && (!self.limits_itself(e) || mutant == Mutant::OwnLimitsSeeEachOther);
        if l.rank >= rank && !among_own && mutant != Mutant::AnyoneLimitsAnyone {
            return false;
        }
        let liftable = h.subject != Subject::Anyone
            || l.subject == Subject::Anyone
            || mutant == Mutant::GrantToAnyoneLiftsForOne;
        let strong = h.under <= l.rank || mutant == Mutant::AnybodyLifts;
        let same = l.entry == h.entry && mutant != Mutant::SameEntryDoesNotLift;
        let aware = self.precedes(l.entry, h.entry)
            || same
            || mutant == Mutant::LiftedUnseen && h.entry != l.entry;
        !(liftable && strong && aware) || mutant == Mutant::NeverLifted
    }

    fn limits_itself(&self, e: usize) -> bool {
        let entry = &self.graph.entries[e];
        let limits = |operation: &Operation| matches!(operation, Operation::Limit { subject, .. } if *subject == Subject::Key(entry.author));
        entry.operations.iter().flatten().any(limits)
    }

    /// Returns whether a holding at this level and rank allows all of an entry.
    fn allows(&self, e: usize, h: &Held, level: Level, rank: Rank) -> bool {
        let entry = &self.graph.entries[e];
        let Some(operations) = &entry.operations else {
            let reads = matches!(level, Level::Read) && self.mutant != Mutant::ReadersWrite;
            return h.uses.is_none() && !reads;
        };
        if operations.iter().any(admin_for_anyone) {
            return false;
        }
        if self.limits_itself(e) {
            let may = matches!(level, Level::Admin(_)) || self.mutant != Mutant::OwnLimitNeedsAdmin;
            return operations.len() == 1 && !entry.writes_data && may;
        }
        if h.uses.is_some() {
            let one = operations.len() == 1 && !entry.writes_data;
            return (one || self.mutant == Mutant::InviteAllowsMore)
                && !operations.is_empty()
                && operations.iter().all(|operation| match operation {
                    Operation::Grant { subject: Subject::Key(_), level: given, .. } => {
                        *given == level || self.mutant == Mutant::InviteGivesAnything
                    }
                    _ => false,
                });
        }
        let writer = matches!(level, Level::Write(_)) && self.mutant == Mutant::WritersAdminister;
        if !matches!(level, Level::Admin(_)) && !writer {
            return false;
        }
        let grants =
            operations.iter().enumerate().filter_map(|(index, operation)| match operation {
                Operation::Grant { level, .. } => Some((index, *level)),
                Operation::Invite { gives, .. } => Some((index, *gives)),
                _ => None,
            });
        self.mutant == Mutant::GrantsUpwards
            || grants.into_iter().all(|(index, given)| {
                number(given) >= number(level) && self.rank_of(e, index, given) > rank
            })
    }
}

fn admin_for_anyone(operation: &Operation) -> bool {
    matches!(operation, Operation::Grant { subject: Subject::Anyone, level: Level::Admin(_), .. })
}

const fn kind(level: Level) -> usize {
    match level {
        Level::Admin(_) => 0,
        Level::Write(_) => 1,
        Level::Read => 2,
    }
}

const fn number(level: Level) -> u32 {
    match level {
        Level::Admin(priority) | Level::Write(priority) => priority,
        Level::Read => u32::MAX,
    }
}
