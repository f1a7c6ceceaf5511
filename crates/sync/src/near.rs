//! The entries right below some tips: where both sides have moved a little, one of them is common.
//!
//! Invariant: what is looked at is bounded, whatever the size of the graph.

use std::collections::BTreeSet;

use weald_dag::{Graph, Number, StoreError};

/// How many levels below the tips are looked at.
const LEVELS: usize = 2;

/// Picks at most `limit` parents and grandparents of the newest of these tips, the newest first.
pub(crate) fn below(
    graph: &Graph<'_>,
    tips: &[Number],
    limit: usize,
) -> Result<Vec<Number>, StoreError> {
    let mut picked = BTreeSet::new();
    let mut level: Vec<Number> = tips.iter().rev().take(limit).copied().collect();
    for _ in 0..LEVELS {
        let mut parents = BTreeSet::new();
        for number in level {
            parents.extend(graph.local(number)?.parents);
        }
        level = parents.into_iter().rev().take(limit.saturating_sub(picked.len())).collect();
        picked.extend(level.iter().copied());
    }
    Ok(picked.into_iter().rev().take(limit).collect())
}
