//! The tips after entries have come to stand otherwise: visible entries without a needed child.
//!
//! Invariant: the children of a candidate are known; of what is before everything that has changed
//! the graph is asked only if nothing of that is needed.

use std::collections::BTreeSet;

use weald_dag::{Graph, Number, Overlay, Standing, StoreError};

use super::beside::Candidates;
use super::needed::{Turned, has_needed_child};
use crate::replica::Replica;

/// Returns the numbers of the tips; the rows are still those of before.
pub(super) fn tips(
    replica: &Replica,
    rows: &Overlay,
    candidates: &Candidates,
    turned: &Turned,
) -> Result<BTreeSet<Number>, StoreError> {
    let database = replica.held.number;
    let graph = Graph::new(rows, database);
    let standing = |number: Number| match turned.get(&number) {
        Some((_, to)) => Ok(*to),
        None => graph.standing(number),
    };
    // Tips of before that stay visible, and what may have become one.
    let still = |tip: &&Number| turned.get(tip).is_none_or(|(_, to)| *to == Standing::Visible);
    let mut maybe: BTreeSet<Number> = replica.tips.keys().filter(still).copied().collect();
    let (mut freed, mut covered) = (BTreeSet::new(), BTreeSet::new());
    for (number, (from, to)) in turned {
        if *to == Standing::Visible {
            maybe.insert(*number);
        }
        if from.is_needed() != to.is_needed() {
            let parents = if to.is_needed() { &mut covered } else { &mut freed };
            parents.extend(graph.local(*number)?.parents);
        }
    }
    for number in freed {
        if standing(number)? == Standing::Visible {
            maybe.insert(number);
        }
    }
    let mut is_any_needed = false;
    for number in &candidates.moved {
        is_any_needed |= standing(*number)?.is_needed();
    }
    let (mut tips, mut is_sure) = (BTreeSet::new(), true);
    for number in &maybe {
        let is_candidate = candidates.of.contains_key(number);
        let is_covered = if is_candidate {
            has_needed_child(rows, database, candidates, turned, *number)?
        } else {
            // It is before all that has changed.
            is_sure &= is_any_needed || replica.tips.contains_key(number);
            is_any_needed || covered.contains(number)
        };
        if !is_covered {
            tips.insert(*number);
        }
    }
    if is_sure {
        return Ok(tips);
    }
    let maybe: Vec<Number> = maybe.into_iter().collect();
    Ok(graph.maximal(&maybe)?.into_iter().collect())
}
