//! What counts among a set of settings entries, and what that lets an author do.
//!
//! Invariant: it follows from the set alone; a rank is there for exactly the entries that are
//! visible among it.

use std::collections::BTreeMap;
use std::sync::Arc;

use weald_dag::PublicKey;

use crate::holding::{Holding, Holdings, Strength};
use crate::limit::{Limit, Limits};
use crate::need::Need;
use crate::operation::Subject;
use crate::rank::Rank;
use crate::settings_index::SettingsIndex;

/// The settings entries of a set that count, with what they give and take.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resolved {
    pub(crate) ranks: BTreeMap<SettingsIndex, Rank>,
    pub(crate) holdings: Holdings,
    pub(crate) limits: Limits,
    /// How many uses of each invite count.
    pub(crate) used: BTreeMap<Rank, u32>,
}

/// Answers a question about one settings entry.
pub(crate) type Asks<'a> = dyn Fn(SettingsIndex) -> bool + 'a;

/// Who wants to use a holding, and from where in the graph.
#[derive(Clone, Copy)]
pub(crate) struct User<'a> {
    /// The author's key; anyone stands for who holds nothing by itself and is limited by nothing alone.
    pub(crate) author: Subject,
    /// The time that the entry names, in milliseconds since 1970.
    pub(crate) millis: u64,
    /// Whether a settings entry is in the entry's past.
    pub(crate) knows: &'a Asks<'a>,
    /// Whether the entry is this settings entry or in its past.
    pub(crate) is_before: &'a Asks<'a>,
    /// Whether the entry limits its own author.
    pub(crate) limits_itself: bool,
}

impl Resolved {
    /// Returns under which holdings an entry may try, each with what limits leave of it. `precedes`
    /// tells whether the first settings entry is in the past of the second.
    pub(crate) fn uses<'a>(
        &'a self,
        user: User<'a>,
        precedes: &'a dyn Fn(SettingsIndex, SettingsIndex) -> bool,
    ) -> impl Iterator<Item = (&'a Arc<Holding>, Strength, Rank)> {
        let seen =
            self.holdings.usable_by(user.author).filter(move |held| (user.knows)(held.grant));
        seen.filter_map(move |held| {
            let (strength, rank) = self.left(held, user, precedes)?;
            Some((held, strength, rank))
        })
    }

    /// Returns what limits leave of a use of a holding, and at which rank.
    pub(crate) fn left(
        &self,
        held: &Holding,
        user: User<'_>,
        precedes: &dyn Fn(SettingsIndex, SettingsIndex) -> bool,
    ) -> Option<(Strength, Rank)> {
        let (mut strength, mut rank) = (held.strength, held.rank);
        if self.limits.is_empty() {
            return Some((strength, rank));
        }
        for limit in self.limits_on(held.subject, user.author) {
            if !applies(limit, held, rank, user, precedes) {
                continue;
            }
            strength = strength.limited(limit.to)?;
            if let Strength::Level(level) = strength {
                rank.priority = rank.priority.max(level.priority());
            }
        }
        Some((strength, rank))
    }

    /// Returns the strongest limit that takes something from a use of a holding.
    pub(crate) fn limit_on(
        &self,
        held: &Holding,
        user: User<'_>,
        precedes: &dyn Fn(SettingsIndex, SettingsIndex) -> bool,
    ) -> Option<&Arc<Limit>> {
        self.limits_on(held.subject, user.author)
            .find(|limit| applies(limit, held, held.rank, user, precedes))
    }

    /// Returns the limits on uses by an author of what a subject holds, strongest first.
    fn limits_on(&self, subject: Subject, user: Subject) -> impl Iterator<Item = &Arc<Limit>> {
        let of = |on, is_meant| if is_meant { self.limits.on(on) } else { &[] };
        let mut own = of(user, user != Subject::Anyone).iter().peekable();
        let anyone = of(Subject::Anyone, subject == Subject::Anyone);
        let mut anyone = anyone.iter().peekable();
        std::iter::from_fn(move || match (own.peek(), anyone.peek()) {
            (Some(a), Some(b)) if b.rank < a.rank => anyone.next(),
            (None, Some(_)) => anyone.next(),
            _ => own.next(),
        })
    }

    /// Returns whether an invite has uses left.
    pub(crate) fn has_uses(&self, held: &Holding) -> bool {
        match held.strength {
            Strength::Level(_) => true,
            Strength::Invite { uses, .. } => {
                self.used.get(&held.rank).copied().unwrap_or_default() < uses
            }
        }
    }

    /// Returns the strongest rank under which an entry counts that comes after all of the set that
    /// it knows; uses of an invite beside it are not counted.
    pub(crate) fn rank_of(
        &self,
        need: &Need,
        user: User<'_>,
        precedes: &dyn Fn(SettingsIndex, SettingsIndex) -> bool,
    ) -> Option<Rank> {
        let uses = self.uses(user, precedes);
        let met = uses.filter(|(held, strength, rank)| {
            held.lasts_at(user.millis)
                && need.met_by(*strength, *rank)
                && (need.is_own_limit() || self.has_uses(held))
        });
        met.map(|(_, _, rank)| rank).min()
    }

    /// Adds what a visible settings entry gives and takes.
    pub(crate) fn count(&mut self, effects: &Effects) {
        self.ranks.insert(effects.index, effects.rank);
        effects.holdings.iter().for_each(|held| self.holdings.add(Arc::clone(held)));
        for (subject, to) in &effects.limits {
            let (rank, entry, author) = (effects.rank, effects.index, effects.author);
            self.limits.add(Limit { rank, entry, author, subject: *subject, to: *to });
        }
    }
}

/// What a settings entry does once it counts.
pub(crate) struct Effects {
    pub(crate) index: SettingsIndex,
    pub(crate) author: PublicKey,
    pub(crate) rank: Rank,
    pub(crate) holdings: Vec<Arc<Holding>>,
    pub(crate) limits: Vec<(Subject, Option<crate::level::Level>)>,
}

/// Returns whether a limit acts on a use of a holding that is at `rank` by now.
fn applies(
    limit: &Limit,
    held: &Holding,
    rank: Rank,
    user: User<'_>,
    precedes: &dyn Fn(SettingsIndex, SettingsIndex) -> bool,
) -> bool {
    let own = limit.is_own();
    if limit.rank > rank || (limit.rank == rank && (!own || user.limits_itself)) {
        return false;
    }
    if (user.is_before)(limit.entry) {
        return false;
    }
    // A limit on a key is never lifted for its use of what anyone holds.
    let can_lift = held.subject != Subject::Anyone || limit.subject == Subject::Anyone;
    let knows = || held.grant == limit.entry || precedes(limit.entry, held.grant);
    !(can_lift && held.granted_under <= limit.rank && knows())
}
