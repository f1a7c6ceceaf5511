//! What counts among a set of settings entries: what it gives and what it takes.
//!
//! Invariant: it follows from the set alone; a rank is there for exactly the entries that are
//! visible among it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weald_dag::EntryId;

use crate::entries::Kept;
use crate::holding::{Holding, Strength};
use crate::limit::Limit;
use crate::operation::{Operation, Subject};
use crate::rank::Rank;
use crate::settings_index::SettingsIndex;
use crate::shares::Shares;

/// A use of an invite, in the order in which uses count: generation, id, and which entry it is.
pub(crate) type Use = (u64, EntryId, SettingsIndex);

/// The settings entries of a set that count, with what they give and take.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resolved {
    /// By settings index; entries that are not in the set have none.
    ranks: Vec<Option<Rank>>,
    counting: u64,
    pub(crate) shares: Shares,
    /// The uses that count, by the rank of the invite.
    uses: BTreeMap<Rank, BTreeSet<Use>>,
}

impl Resolved {
    /// Returns the rank under which a settings entry counts.
    pub(crate) fn rank(&self, index: SettingsIndex) -> Option<Rank> {
        self.ranks.get(usize::try_from(index.0).ok()?).copied().flatten()
    }

    pub(crate) fn counts(&self, index: SettingsIndex) -> bool {
        self.rank(index).is_some()
    }

    /// Returns how many settings entries count.
    pub(crate) const fn counting(&self) -> u64 {
        self.counting
    }

    /// Returns the uses of an invite that count, first to last.
    pub(crate) fn uses_of(&self, held: &Holding) -> impl Iterator<Item = &Use> {
        self.uses.get(&held.rank).into_iter().flatten()
    }

    /// Returns the invite under which an entry counts that counts under this rank, if it is one.
    pub(crate) fn invite_at(&self, kept: &Kept, rank: Rank) -> Option<&Arc<Holding>> {
        if kept.is_own_limit() {
            return None;
        }
        let holdings = &self.shares.of(Subject::Key(kept.author)).holdings;
        let place = holdings.binary_search_by_key(&rank, |held| held.rank).ok()?;
        holdings.get(place).filter(|held| held.strength.is_invite())
    }

    /// Adds what an entry that counts under a rank gives and takes; returns what it gives.
    pub(crate) fn count(
        &mut self,
        index: SettingsIndex,
        kept: &Kept,
        rank: Rank,
    ) -> Vec<Arc<Holding>> {
        if self.invite_at(kept, rank).is_some() {
            self.uses.entry(rank).or_default().insert((kept.generation, kept.id, index));
        }
        let place = usize::try_from(index.0).unwrap_or(usize::MAX);
        if self.ranks.len() <= place {
            self.ranks.resize(place.saturating_add(1), None);
        }
        if let Some(slot) = self.ranks.get_mut(place) {
            *slot = Some(rank);
            self.counting += 1;
        }
        let given: Vec<_> = given_by(index, kept, rank).map(Arc::new).collect();
        given.iter().for_each(|held| self.shares.add_holding(Arc::clone(held)));
        for (subject, to) in kept.limits() {
            let (entry, author) = (index, kept.author);
            self.shares.add_limit(Limit { rank, entry, author, subject, to });
        }
        given
    }
}

/// The holdings that an entry gives which counts under `rank`.
fn given_by(
    grant: SettingsIndex,
    kept: &Kept,
    granted_under: Rank,
) -> impl Iterator<Item = Holding> {
    let claim = kept.claim();
    kept.operations.iter().enumerate().filter_map(move |(index, operation)| {
        let (subject, level, strength, name, expires) = match operation {
            Operation::Grant { subject, level, name, expires } => {
                let name = name.as_deref().map(Box::from);
                (*subject, *level, Strength::Level(*level), name, *expires)
            }
            Operation::Invite { key, gives, uses, expires } => {
                let strength = Strength::Invite { gives: *gives, uses: *uses };
                (Subject::Key(*key), *gives, strength, None, *expires)
            }
            Operation::Limit { .. } | Operation::Set { .. } => return None,
        };
        Some(Holding {
            strength,
            subject,
            rank: claim.rank_of(index, level),
            expires,
            grant,
            granted_under,
            name,
            granted_by: kept.author,
            since: kept.time,
        })
    })
}
