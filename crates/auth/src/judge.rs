//! The judgement of one entry: whether anything that its author holds lets it count.
//!
//! Invariant: the verdict of the door is a function of the entry and of the settings entries in its
//! past.

use thiserror::Error;
use weald_dag::{EntryId, PublicKey, Time};

use crate::epoch::Before;
use crate::holding::{Holding, Strength};
use crate::level::{Action, Level};
use crate::need::{Claim, Need};
use crate::operation::Subject;
use crate::rank::Rank;
use crate::resolve;
use crate::resolved::{Asks, Resolved, User};
use crate::tables::Tables;

/// Why an entry does not count: what it needed and what its author holds.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AuthRefusal {
    /// Nothing in the entry's past grants its author anything.
    #[error(
        "{needed}, and nothing in the entry's past grants anything to {author}; ask an administrator"
    )]
    Stranger {
        /// What was needed.
        needed: Action,
        /// Who signed the entry.
        author: PublicKey,
    },
    /// The author holds too little.
    #[error("{needed}, and {author} holds {held}; ask an administrator")]
    TooWeak {
        /// What was needed.
        needed: Action,
        /// Who signed the entry.
        author: PublicKey,
        /// The strongest level that the author holds.
        held: Level,
    },
    /// What the author held had ended when it made the entry.
    #[error(
        "{needed}, and the {held} of {author} ended at {expired} ms, before the entry's time {time}; \
         ask an administrator for a new grant"
    )]
    Expired {
        /// What was needed.
        needed: Action,
        /// Who signed the entry.
        author: PublicKey,
        /// The level that ended.
        held: Level,
        /// When it ended, in milliseconds since 1970.
        expired: u64,
        /// The time that the entry names.
        time: Time,
    },
    /// A grant at a priority that is stronger than its giver's.
    #[error(
        "operation {index} grants {wanted}, and {author} holds {held}; it can grant priority {} and \
         weaker",
        held.priority()
    )]
    GrantTooStrong {
        /// The place of the operation.
        index: usize,
        /// What it would give.
        wanted: Level,
        /// Who signed the entry.
        author: PublicKey,
        /// The strongest level that the author holds.
        held: Level,
    },
    /// What the author held was taken from it.
    #[error(
        "{needed}, and what {author} held was limited by entry {}; ask an administrator at least as \
         strong as the one who did it for a new grant",
        by.short()
    )]
    Limited {
        /// What was needed.
        needed: Action,
        /// Who signed the entry.
        author: PublicKey,
        /// The entry that limits it.
        by: EntryId,
    },
    /// An invite that was used as often as it may be.
    #[error("the invite {author} has no uses left; ask for a new one")]
    InviteUsedUp {
        /// The invite.
        author: PublicKey,
    },
    /// An invite that was used for something else than it is for.
    #[error("the invite {author} allows one grant of {gives} to a key, alone in its entry")]
    InviteMisused {
        /// The invite.
        author: PublicKey,
        /// What it gives.
        gives: Level,
    },
    /// A limit on oneself beside something else.
    #[error(
        "operation {index} limits the entry's own author; such an entry holds this one operation and \
         nothing else"
    )]
    NotAlone {
        /// The place of the operation.
        index: usize,
    },
    /// A grant of Admin to everybody.
    #[error("operation {index} grants {wanted} to anyone; anyone can be given Read or Write only")]
    AdminForAnyone {
        /// The place of the operation.
        index: usize,
        /// What it would give.
        wanted: Level,
    },
}

/// Returns the strongest rank under which an entry with this past counts.
pub(crate) fn judge(
    tables: &Tables,
    before: &Before,
    claim: &Claim<'_>,
) -> Result<Rank, AuthRefusal> {
    let need = Need::of(claim)?;
    if claim.generation == 0 {
        return Ok(Rank::ROOT);
    }
    let past = resolve::of_past(tables, before);
    let resolved = past.as_deref().unwrap_or(&tables.everything);
    let knows = |index| tables.epochs.is_before(before, index);
    judge_among(tables, resolved, &need, claim, &knows, &|_| false)
}

/// Judges an entry among what is resolved.
pub(crate) fn judge_among(
    tables: &Tables,
    resolved: &Resolved,
    need: &Need,
    claim: &Claim<'_>,
    knows: &Asks<'_>,
    is_before: &Asks<'_>,
) -> Result<Rank, AuthRefusal> {
    let (author, millis) = (Subject::Key(claim.author), claim.time.millis());
    let user = User { author, millis, knows, is_before, limits_itself: need.is_own_limit() };
    let precedes = |a, b| tables.epochs.precedes(a, b);
    let rank = resolved.rank_of(need, user, &precedes);
    rank.ok_or_else(|| refusal(tables, resolved, need, claim, user))
}

fn refusal(
    tables: &Tables,
    resolved: &Resolved,
    need: &Need,
    claim: &Claim<'_>,
    user: User<'_>,
) -> AuthRefusal {
    let (needed, author) = (need.action(), claim.author);
    let precedes = |a, b| tables.epochs.precedes(a, b);
    let uses: Vec<_> = resolved.uses(user, &precedes).collect();
    let level_of = |strength| match strength {
        Strength::Level(level) => Some(level),
        Strength::Invite { .. } => None,
    };
    let lasting = uses.iter().filter(|(held, ..)| held.lasts_at(user.millis));
    let held = lasting.clone().filter_map(|(_, strength, _)| level_of(*strength));
    let held = held.min_by_key(|level| level.strength());
    if let Some(held) = held.filter(|held| held.allows(needed)) {
        return match need.grant() {
            Some(grant) => {
                let (index, wanted) = (grant.index, grant.level);
                AuthRefusal::GrantTooStrong { index, wanted, author, held }
            }
            None => AuthRefusal::TooWeak { needed, author, held },
        };
    }
    let ended = uses.iter().filter_map(|(held, strength, _)| {
        let level = level_of(*strength).filter(|level| level.allows(needed))?;
        Some((level, held.expires?))
    });
    if let Some((held, expired)) = ended.min_by_key(|(level, _)| level.strength()) {
        return AuthRefusal::Expired { needed, author, held, expired, time: claim.time };
    }
    for (invite, strength, _) in &uses {
        let Strength::Invite { gives, .. } = strength else { continue };
        if let Some(expired) = invite.expires.filter(|_| !invite.lasts_at(user.millis)) {
            return AuthRefusal::Expired {
                needed,
                author,
                held: *gives,
                expired,
                time: claim.time,
            };
        }
        if !resolved.has_uses(invite) {
            return AuthRefusal::InviteUsedUp { author };
        }
        return AuthRefusal::InviteMisused { author, gives: *gives };
    }
    limited(tables, resolved, needed, author, user).unwrap_or(match held {
        Some(held) => AuthRefusal::TooWeak { needed, author, held },
        None => AuthRefusal::Stranger { needed, author },
    })
}

/// Returns the limit that takes what would have sufficed.
fn limited(
    tables: &Tables,
    resolved: &Resolved,
    needed: Action,
    author: PublicKey,
    user: User<'_>,
) -> Option<AuthRefusal> {
    let suffices = |held: &&std::sync::Arc<Holding>| match held.strength {
        Strength::Level(level) => level.allows(needed),
        Strength::Invite { .. } => true,
    };
    let seen = resolved.holdings.usable_by(user.author).filter(|held| (user.knows)(held.grant));
    let precedes = |a, b| tables.epochs.precedes(a, b);
    let limit = seen.filter(suffices).find_map(|held| resolved.limit_on(held, user, &precedes))?;
    let by = tables.kept(limit.entry)?.id;
    Some(AuthRefusal::Limited { needed, author, by })
}
