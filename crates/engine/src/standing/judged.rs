//! Candidates judged again, by the authority of everything that is known now.
//!
//! Invariant: whether an entry is before a limit is told by walks over the graph, one for many
//! limits, down to the first entry that is asked about.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weald_auth::{Authority, Claim, EpochId, SettingsIndex};
use weald_dag::{Graph, Number, Overlay, PublicKey, ReachedBy, StoreError, WALKED_AT_ONCE};

use super::beside::{Candidate, Candidates};
use crate::replica::Replica;

/// Sets of each candidate whether it is visible now. `limits_only` are the authors of whom alone
/// something may have been taken, if nobody can have been given anything.
pub(super) fn judge(
    replica: &Replica,
    rows: &Overlay,
    candidates: &mut Candidates,
    limits_only: Option<&[PublicKey]>,
) -> Result<(), StoreError> {
    let authority = replica.authority_now();
    if authority.hides_nothing() {
        candidates.of.values_mut().for_each(|candidate| candidate.is_visible = true);
        return Ok(());
    }
    let is_open = |candidate: &Candidate| {
        limits_only.is_none_or(|keys| candidate.is_visible && keys.contains(&candidate.author))
    };
    let limits = Limits::ask(replica, rows, candidates, &is_open)?;
    let moved = std::mem::take(&mut candidates.moved);
    for (number, candidate) in &mut candidates.of {
        if !is_open(candidate) {
            continue;
        }
        candidate.is_visible = match candidate.settings {
            Some(index) => authority.is_visible(index),
            None => limits.stands(authority, replica, &moved, *number, candidate),
        };
    }
    candidates.moved = moved;
    Ok(())
}

/// Limits on the authors of candidates that came after these, and which candidates they are after.
struct Limits {
    place_of: BTreeMap<Number, usize>,
    /// Of each candidate, which of some limits reach it; a map for as many as a walk tells apart.
    reached: Vec<BTreeMap<Number, ReachedBy>>,
}

impl Limits {
    /// Asks about the candidates that are open.
    fn ask(
        replica: &Replica,
        rows: &Overlay,
        candidates: &Candidates,
        is_open: &dyn Fn(&Candidate) -> bool,
    ) -> Result<Self, StoreError> {
        let authority = replica.authority_now();
        let mut of_author: BTreeMap<(u64, PublicKey), Arc<[Number]>> = BTreeMap::new();
        let (mut limits, mut targets) = (BTreeSet::new(), Vec::new());
        for (number, candidate) in &candidates.of {
            if candidate.settings.is_some() || !is_open(candidate) {
                continue;
            }
            let who = (candidate.epoch, candidate.author);
            let beside = of_author.entry(who).or_insert_with(|| {
                let beside = authority.limits_beside(EpochId(who.0), &who.1);
                beside.into_iter().filter_map(|index| replica.settings_number(index)).collect()
            });
            // What came before it cannot descend from it; of what has changed it is told already.
            let asked = beside.iter().filter(|limit| **limit > *number);
            let asked: Vec<_> =
                asked.filter(|limit| place_in(&candidates.moved, **limit).is_none()).collect();
            if !asked.is_empty() {
                limits.extend(asked.into_iter().copied());
                targets.push(*number);
            }
        }
        let limits: Vec<Number> = limits.into_iter().collect();
        let graph = Graph::new(rows, replica.held.number);
        let walks = limits.chunks(WALKED_AT_ONCE).map(|some| graph.reached(some, &targets));
        let reached = walks.collect::<Result<_, _>>()?;
        let place_of = limits.into_iter().zip(0..).collect();
        Ok(Self { place_of, reached })
    }

    fn stands(
        &self,
        authority: &Authority,
        replica: &Replica,
        moved: &[Number],
        number: Number,
        candidate: &Candidate,
    ) -> bool {
        let is_before = |index: SettingsIndex| {
            let Some(limit) = replica.settings_number(index).filter(|limit| *limit > number) else {
                return false;
            };
            if let Some(place) = place_in(moved, limit) {
                return candidate.reached.has(place);
            }
            let Some(place) = self.place_of.get(&limit) else { return false };
            let walk = self.reached.get(place / WALKED_AT_ONCE);
            let reached = walk.and_then(|walk| walk.get(&number));
            reached.is_some_and(|reached| reached.has(place % WALKED_AT_ONCE))
        };
        let claim = Claim {
            id: candidate.id,
            author: candidate.author,
            generation: candidate.generation,
            time: candidate.time,
            writes_data: true,
            operations: None,
        };
        authority.stands(EpochId(candidate.epoch), &claim, &is_before).is_ok()
    }
}

/// Returns the place of a limit among those of which candidates tell whether they are before them:
/// of more than one walk can tell apart they do not.
fn place_in(moved: &[Number], limit: Number) -> Option<usize> {
    if moved.len() > WALKED_AT_ONCE { None } else { moved.binary_search(&limit).ok() }
}
