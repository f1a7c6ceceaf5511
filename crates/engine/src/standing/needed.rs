//! Which hidden entries are needed: those that something visible descends from.
//!
//! Invariant: an entry is looked at after all its children, so once is enough; the cost is what
//! changes and the children of that.

use std::collections::{BTreeMap, BTreeSet};

use weald_dag::{Graph, Number, Overlay, Standing, StoreError};

use super::beside::Candidates;
use super::refold::refold;
use crate::fold::{Beside, RowChange, StoreTypes};
use crate::hidden;
use crate::replica::Replica;

/// Entries that stand otherwise than before: how they did, and how they do.
pub(crate) type Turned = BTreeMap<Number, (Standing, Standing)>;

/// Makes hidden entries needed, and their hidden ancestors with them: something visible comes on top.
/// Returns the rows of state that changed by it.
pub(crate) fn need(
    replica: &mut Replica,
    rows: &mut Overlay,
    types: &StoreTypes,
    hidden: &[Number],
) -> Result<Vec<RowChange>, StoreError> {
    let database = replica.held.number;
    let (mut turned, mut open) = (Turned::new(), hidden.iter().copied().collect::<BTreeSet<_>>());
    while let Some(number) = open.pop_last() {
        let local = Graph::new(rows, database).local(number)?;
        if local.standing != Standing::Hidden {
            continue;
        }
        turned.insert(number, (Standing::Hidden, Standing::HiddenNeeded));
        // A tip with a needed child is none.
        for parent in local.parents {
            replica.tips.remove(&parent);
            open.insert(parent);
        }
    }
    if turned.is_empty() {
        return Ok(Vec::new());
    }
    replica.turn(rows, &turned, &Candidates::default())?;
    let beside = Beside { record: replica.record, indexes: &replica.indexes };
    refold(rows, database, types, beside, &turned)
}

/// Returns which entries stand otherwise, once the candidates are judged.
pub(super) fn turned(
    rows: &Overlay,
    database: u32,
    candidates: &Candidates,
) -> Result<Turned, StoreError> {
    let graph = Graph::new(rows, database);
    let mut turned = Turned::new();
    let flipped = candidates.of.iter().filter(|(_, candidate)| candidate.is_flipped());
    let mut open: BTreeSet<Number> = flipped.map(|(number, _)| *number).collect();
    while let Some(number) = open.pop_last() {
        let candidate = candidates.of.get(&number);
        let (from, parents) = match candidate {
            Some(candidate) => (candidate.standing, candidate.parents.clone()),
            None => graph.local(number).map(|local| (local.standing, local.parents))?,
        };
        let is_visible = candidate.map_or(from == Standing::Visible, |it| it.is_visible);
        let to = if is_visible {
            Standing::Visible
        } else if has_needed_child(rows, database, candidates, &turned, number)? {
            Standing::HiddenNeeded
        } else {
            Standing::Hidden
        };
        if to != from {
            turned.insert(number, (from, to));
        }
        // Whether a visible parent is needed does not depend on its children.
        if to.is_needed() != from.is_needed() {
            open.extend(parents);
        }
    }
    Ok(turned)
}

/// Returns whether a child of an entry that is hidden now, or is a candidate, is needed.
pub(super) fn has_needed_child(
    rows: &Overlay,
    database: u32,
    candidates: &Candidates,
    turned: &Turned,
    number: Number,
) -> Result<bool, StoreError> {
    if candidates.of.contains_key(&number) {
        let mut children = candidates.children_of(number).iter();
        return Ok(children.any(|child| {
            let now = turned.get(child).map(|(_, to)| *to);
            let before = || candidates.of.get(child).map(|candidate| candidate.standing);
            now.or_else(before).is_some_and(Standing::is_needed)
        }));
    }
    for child in hidden::children(rows, database, number)? {
        let now = match turned.get(&child) {
            Some((_, to)) => *to,
            None => Graph::new(rows, database).standing(child)?,
        };
        if now.is_needed() {
            return Ok(true);
        }
    }
    Ok(false)
}
