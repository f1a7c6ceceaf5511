//! The judgement of one entry: under which holding of its author it counts.
//!
//! Invariant: the verdict is a function of the entry and of the settings entries in its past.

use thiserror::Error;
use weald_dag::{EntryId, PublicKey, Time};

use crate::epoch::{Before, Epochs};
use crate::holding::{Holding, Holdings};
use crate::level::{Action, Level};
use crate::operation::{Operation, Subject};
use crate::rank::Rank;

/// What authority needs to know of an entry to judge it.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Its id.
    pub id: EntryId,
    /// Who signed it.
    pub author: PublicKey,
    /// Its generation; 0 for the root and for nothing else.
    pub generation: u64,
    /// The time that it names.
    pub time: Time,
    /// Whether it has a section beside `_settings`. An entry without sections is judged as one that
    /// writes data.
    pub writes_data: bool,
    /// What its `_settings` section says, `Some` exactly if there is one.
    pub operations: Option<&'a [Operation]>,
}

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
    /// A grant of Admin to everybody.
    #[error("operation {index} grants {wanted} to anyone; anyone can be given Read or Write only")]
    AdminForAnyone {
        /// The place of the operation.
        index: usize,
        /// What it would give.
        wanted: Level,
    },
}

/// All that a holding must allow for an entry to count under it.
struct Need {
    action: Action,
    /// The strongest of the entry's grants: place, level and rank.
    grant: Option<(usize, Level, Rank)>,
}

impl Need {
    fn of(claim: &Claim<'_>) -> Result<Self, AuthRefusal> {
        let Some(operations) = claim.operations else {
            return Ok(Self { action: Action::Write, grant: None });
        };
        let mut grant: Option<(usize, Level, Rank)> = None;
        for (index, operation) in operations.iter().enumerate() {
            let Operation::Grant { subject, level, .. } = operation else {
                continue;
            };
            if *subject == Subject::Anyone && level.allows(Action::Administer) {
                return Err(AuthRefusal::AdminForAnyone { index, wanted: *level });
            }
            let rank = rank_of(claim, index, *level);
            if grant.is_none_or(|(_, _, strongest)| rank < strongest) {
                grant = Some((index, *level, rank));
            }
        }
        Ok(Self { action: Action::Administer, grant })
    }

    fn met_by(&self, holding: &Holding) -> bool {
        holding.level.allows(self.action)
            && self.grant.is_none_or(|(_, level, rank)| {
                level.priority() >= holding.level.priority() && rank > holding.rank
            })
    }
}

/// Returns the rank of the holding that the operation at `index` of an entry gives.
pub(crate) fn rank_of(claim: &Claim<'_>, index: usize, level: Level) -> Rank {
    // A section has far fewer operations than fit.
    let index = u32::try_from(index).unwrap_or(u32::MAX);
    Rank { priority: level.priority(), generation: claim.generation, entry: claim.id, index }
}

/// Returns the strongest rank under which an entry with this past counts.
pub(crate) fn judge(
    epochs: &Epochs,
    holdings: &Holdings,
    before: &Before,
    claim: &Claim<'_>,
) -> Result<Rank, AuthRefusal> {
    let need = Need::of(claim)?;
    if claim.generation == 0 {
        return Ok(Rank::ROOT);
    }
    let seen =
        || holdings.usable_by(claim.author).filter(|held| epochs.is_before(before, held.grant));
    let lasting = || seen().filter(|held| held.lasts_at(claim.time.millis()));
    match lasting().filter(|held| need.met_by(held)).map(|held| held.rank).min() {
        Some(rank) => Ok(rank),
        None => Err(refusal(&need, claim, strongest(lasting()), strongest(seen()))),
    }
}

fn strongest<'a>(holdings: impl Iterator<Item = &'a Holding>) -> Option<&'a Holding> {
    holdings.min_by_key(|held| (held.level.strength(), held.rank))
}

fn refusal(
    need: &Need,
    claim: &Claim<'_>,
    lasting: Option<&Holding>,
    seen: Option<&Holding>,
) -> AuthRefusal {
    let (needed, author) = (need.action, claim.author);
    let ended = seen.filter(|held| {
        held.level.allows(needed) && lasting.is_none_or(|lasting| !lasting.level.allows(needed))
    });
    if let Some((held, expired)) = ended.and_then(|held| Some((held.level, held.expires?))) {
        return AuthRefusal::Expired { needed, author, held, expired, time: claim.time };
    }
    let Some(held) = lasting.or(seen).map(|held| held.level) else {
        return AuthRefusal::Stranger { needed, author };
    };
    match need.grant.filter(|_| held.allows(needed)) {
        Some((index, wanted, _)) => AuthRefusal::GrantTooStrong { index, wanted, author, held },
        None => AuthRefusal::TooWeak { needed, author, held },
    }
}
