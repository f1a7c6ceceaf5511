//! All that an entry asks of the holding under which it is to count.
//!
//! Invariant: it follows from the entry alone.

use weald_dag::{EntryId, PublicKey, Time};

use crate::holding::Strength;
use crate::level::{Action, Level};
use crate::operation::{Operation, Subject};
use crate::rank::Rank;
use crate::refusal::AuthRefusal;

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

impl Claim<'_> {
    /// Returns the rank of the holding that the operation at `index` gives.
    pub(crate) fn rank_of(&self, index: usize, level: Level) -> Rank {
        // A section has far fewer operations than fit.
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let (generation, entry) = (self.generation, self.id);
        Rank { priority: level.priority(), generation, entry, index }
    }
}

/// What a holding must allow for an entry to count under it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Need {
    /// A level that allows the action and every grant of the entry.
    Level { action: Action, grant: Option<Given> },
    /// As a level, or an invite that gives just this.
    LevelOrInvite { grant: Given, gives: Level },
    /// Any holding: the entry limits its own author and does nothing else.
    Any,
}

/// The strongest of an entry's grants and invites.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given {
    pub(crate) index: usize,
    pub(crate) level: Level,
    pub(crate) rank: Rank,
}

impl Need {
    pub(crate) fn of(claim: &Claim<'_>) -> Result<Self, AuthRefusal> {
        let Some(operations) = claim.operations else {
            return Ok(Self::Level { action: Action::Write, grant: None });
        };
        let mut grant: Option<Given> = None;
        for (index, operation) in operations.iter().enumerate() {
            let level = match operation {
                Operation::Grant { subject, level, .. } => {
                    if *subject == Subject::Anyone && level.allows(Action::Administer) {
                        return Err(AuthRefusal::AdminForAnyone { index, wanted: *level });
                    }
                    *level
                }
                Operation::Invite { gives, .. } => *gives,
                Operation::Limit { subject, .. } => {
                    let is_own = *subject == Subject::Key(claim.author);
                    if is_own && (operations.len() > 1 || claim.writes_data) {
                        return Err(AuthRefusal::NotAlone { index });
                    }
                    if is_own {
                        return Ok(Self::Any);
                    }
                    continue;
                }
                Operation::Set { .. } => continue,
            };
            let rank = claim.rank_of(index, level);
            if grant.is_none_or(|strongest| rank < strongest.rank) {
                grant = Some(Given { index, level, rank });
            }
        }
        Ok(match (operations, grant) {
            ([Operation::Grant { subject: Subject::Key(_), level, .. }], Some(grant))
                if !claim.writes_data =>
            {
                Self::LevelOrInvite { grant, gives: *level }
            }
            _ => Self::Level { action: Action::Administer, grant },
        })
    }

    /// Returns whether the entry limits its own author.
    pub(crate) const fn is_own_limit(&self) -> bool {
        matches!(self, Self::Any)
    }

    /// Returns what is wanted, for people.
    pub(crate) const fn action(&self) -> Action {
        match self {
            Self::Level { action, .. } => *action,
            Self::LevelOrInvite { .. } => Action::Administer,
            Self::Any => Action::Read,
        }
    }

    pub(crate) const fn grant(&self) -> Option<Given> {
        match self {
            Self::Level { grant, .. } => *grant,
            Self::LevelOrInvite { grant, .. } => Some(*grant),
            Self::Any => None,
        }
    }

    /// Returns whether a use of a holding at this strength and rank allows all of the entry. How
    /// often an invite was used is not looked at.
    pub(crate) fn met_by(&self, strength: Strength, rank: Rank) -> bool {
        match (self, strength) {
            (Self::Any, _) => true,
            (Self::LevelOrInvite { gives, .. }, Strength::Invite { gives: given, .. }) => {
                *gives == given
            }
            (Self::Level { .. }, Strength::Invite { .. }) => false,
            (Self::Level { .. } | Self::LevelOrInvite { .. }, Strength::Level(level)) => {
                level.allows(self.action())
                    && self.grant().is_none_or(|grant| {
                        grant.level.priority() >= level.priority() && grant.rank > rank
                    })
            }
        }
    }
}
