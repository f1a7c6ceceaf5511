//! What limits leave of a holding to the entry that would use it.
//!
//! Invariant: limits act strongest first, and each only on what is weaker than itself by then.

use std::sync::Arc;

use weald_dag::EntryId;

use crate::holding::{Holding, Strength};
use crate::limit::Limit;
use crate::need::Need;
use crate::operation::Subject;
use crate::rank::Rank;
use crate::resolved::Resolved;
use crate::settings_index::SettingsIndex;

/// Answers a question about one settings entry.
pub(crate) type Asks<'a> = dyn Fn(SettingsIndex) -> bool + 'a;

/// Who wants to use a holding, and from where in the graph.
#[derive(Clone, Copy)]
pub(crate) struct User<'a> {
    /// The author's key; anyone stands for whoever holds nothing by itself.
    pub(crate) author: Subject,
    /// The time that the entry names, in milliseconds since 1970.
    pub(crate) millis: u64,
    /// The generation and the id of the entry; uses of an invite that come later do not matter.
    pub(crate) place: (u64, EntryId),
    /// Whether the entry limits its own author.
    pub(crate) limits_itself: bool,
    /// Whether a settings entry is in the entry's past.
    pub(crate) knows: &'a Asks<'a>,
    /// Whether a settings entry is in the set among which the entry is judged.
    pub(crate) sees: &'a Asks<'a>,
    /// Whether the entry is this settings entry or in its past.
    pub(crate) is_before: &'a Asks<'a>,
    /// Whether the first settings entry is in the past of the second.
    pub(crate) precedes: &'a dyn Fn(SettingsIndex, SettingsIndex) -> bool,
}

impl Resolved {
    /// Returns the strongest rank under which an entry counts.
    pub(crate) fn rank_of(&self, need: &Need, user: User<'_>) -> Option<Rank> {
        let mut strongest: Option<Rank> = None;
        for share in self.shares.usable_by(user.author) {
            for held in &share.holdings {
                // A use is never stronger than the holding, and the stronger ones come first.
                if strongest.is_some_and(|strongest| strongest < held.rank) {
                    break;
                }
                let rank = self.rank_under(held, need, user);
                strongest = [strongest, rank].into_iter().flatten().min();
            }
        }
        strongest
    }

    fn rank_under(&self, held: &Holding, need: &Need, user: User<'_>) -> Option<Rank> {
        if !(user.knows)(held.grant) || !held.lasts_at(user.millis) {
            return None;
        }
        let (strength, rank) = self.left(held, user)?;
        let counts =
            need.met_by(strength, rank) && (need.is_own_limit() || self.has_uses(held, user));
        counts.then_some(rank)
    }

    /// Returns what an entry may try to use, each holding with what limits leave of it.
    pub(crate) fn usable<'a>(
        &'a self,
        user: User<'a>,
    ) -> impl Iterator<Item = (&'a Arc<Holding>, Strength, Rank)> {
        let holdings = self.shares.usable_by(user.author).into_iter();
        let holdings = holdings.flat_map(|share| &share.holdings);
        holdings.filter(move |held| (user.knows)(held.grant)).filter_map(move |held| {
            let (strength, rank) = self.left(held, user)?;
            Some((held, strength, rank))
        })
    }

    /// Returns what limits leave of a use of a holding, and at which rank.
    pub(crate) fn left(&self, held: &Holding, user: User<'_>) -> Option<(Strength, Rank)> {
        if self.shares.limits_nobody() {
            return Some((held.strength, held.rank));
        }
        let (own, anyone) = self.limits_on(held, user);
        // What takes all of it does so in any order, and the newest is the likeliest to.
        let mut newest_first = own.iter().chain(anyone).rev();
        let ends = |limit: &Arc<Limit>| {
            limit.rank < held.rank
                && held.strength.limited(limit.to).is_none()
                && acts(limit, held, held.rank, user)
        };
        if newest_first.any(ends) {
            return None;
        }
        let (mut strength, mut rank) = (held.strength, held.rank);
        for limit in strongest_first(own, anyone) {
            if limit.rank > rank {
                break;
            }
            if acts(limit, held, rank, user) {
                (strength, rank) = lowered(strength, rank, limit)?;
            }
        }
        Some((strength, rank))
    }

    /// Returns the first limit after which a use of a holding does not suffice any more.
    pub(crate) fn limit_on(
        &self,
        held: &Holding,
        user: User<'_>,
        suffices: impl Fn(Strength) -> bool,
    ) -> Option<&Arc<Limit>> {
        let (own, anyone) = self.limits_on(held, user);
        let (mut strength, mut rank) = (held.strength, held.rank);
        for limit in strongest_first(own, anyone) {
            if acts(limit, held, rank, user) {
                match lowered(strength, rank, limit) {
                    Some(left) if suffices(left.0) => (strength, rank) = left,
                    _ => return Some(limit),
                }
            }
        }
        None
    }

    /// Returns the limits that can act on a use of a holding: on the author, and on anyone.
    fn limits_on(&self, held: &Holding, user: User<'_>) -> (&[Arc<Limit>], &[Arc<Limit>]) {
        let of = |subject, is_meant| -> &[Arc<Limit>] {
            if is_meant { &self.shares.of(subject).limits } else { &[] }
        };
        let on_anyone = of(Subject::Anyone, held.subject == Subject::Anyone);
        (of(user.author, user.author != Subject::Anyone), on_anyone)
    }

    /// Returns whether an invite has uses left for an entry; every other holding has.
    pub(crate) fn has_uses(&self, held: &Holding, user: User<'_>) -> bool {
        let Strength::Invite { uses, .. } = held.strength else { return true };
        let earlier =
            self.uses_of(held).take_while(|(generation, id, _)| (*generation, *id) < user.place);
        let earlier = earlier.filter(|(.., index)| (user.sees)(*index));
        u32::try_from(earlier.count()).is_ok_and(|earlier| earlier < uses)
    }
}

/// What a limit leaves of a use that is at `rank` by now.
fn lowered(strength: Strength, mut rank: Rank, limit: &Limit) -> Option<(Strength, Rank)> {
    let strength = strength.limited(limit.to)?;
    if let Strength::Level(level) = strength {
        rank.priority = rank.priority.max(level.priority());
    }
    Some((strength, rank))
}

fn strongest_first<'a>(
    own: &'a [Arc<Limit>],
    anyone: &'a [Arc<Limit>],
) -> impl Iterator<Item = &'a Arc<Limit>> {
    let (mut own, mut anyone) = (own.iter().peekable(), anyone.iter().peekable());
    std::iter::from_fn(move || match (own.peek(), anyone.peek()) {
        (Some(a), Some(b)) if b.rank < a.rank => anyone.next(),
        (None, Some(_)) => anyone.next(),
        _ => own.next(),
    })
}

/// Returns whether a limit acts on a use of a holding that is at `rank` by now.
fn acts(limit: &Limit, held: &Holding, rank: Rank, user: User<'_>) -> bool {
    let among_own = || limit.rank == rank && limit.is_own() && !user.limits_itself;
    if !(limit.rank < rank || among_own()) || !(user.sees)(limit.entry) {
        return false;
    }
    // A limit on a key is never lifted for its use of what anyone holds.
    let can_lift = held.subject != Subject::Anyone || limit.subject == Subject::Anyone;
    let is_lifted = can_lift
        && held.granted_under <= limit.rank
        && (held.grant == limit.entry || (user.precedes)(limit.entry, held.grant));
    !is_lifted && ((user.knows)(limit.entry) || !(user.is_before)(limit.entry))
}
