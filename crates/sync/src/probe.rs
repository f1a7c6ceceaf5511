//! Which entries to ask a peer about, to find what both hold.
//!
//! Invariant: what a probe costs is bounded, whatever the size of the graph.

use std::collections::BTreeSet;

use weald_dag::{Graph, Number, Standing, StoreError};

use crate::limits::PROBE_MAX;

/// How many of the tips' parents and grandparents a probe asks about at most.
const NEAR_MAX: usize = PROBE_MAX / 2;

/// Picks entries below `tips`: their parents two levels deep, then others ever further down.
pub(crate) fn below(graph: &Graph<'_>, tips: &[Number]) -> Result<Vec<Number>, StoreError> {
    let mut picked = BTreeSet::new();
    let mut level: Vec<Number> = tips.iter().rev().take(NEAR_MAX).copied().collect();
    for _ in 0..2 {
        let mut parents = BTreeSet::new();
        for number in level {
            parents.extend(graph.local(number)?.parents);
        }
        level = parents.into_iter().rev().take(NEAR_MAX.saturating_sub(picked.len())).collect();
        picked.extend(level.iter().copied());
    }
    let newest = tips.iter().max().map_or(0, |number| number.0);
    let mut step = 1;
    while step < newest {
        let number = Number(newest - step);
        // Where one was dropped, the others have to do.
        if graph.standing_if_stored(number)?.is_some_and(Standing::is_needed) {
            picked.insert(number);
        }
        step *= 2;
    }
    // The root is common to all who hold the database at all.
    picked.insert(Number(0));
    Ok(picked.into_iter().rev().take(PROBE_MAX).collect())
}

/// Picks entries of a difference, ascending: all where they are few, else evenly spread.
pub(crate) fn spread(difference: &[Number]) -> Vec<Number> {
    let count = difference.len();
    if count <= PROBE_MAX {
        return difference.to_vec();
    }
    let pick = |i: usize| difference.get(i * count / PROBE_MAX).copied();
    (0..PROBE_MAX).filter_map(pick).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_all_of_a_short_difference_and_a_bounded_part_of_a_long_one() {
        let short: Vec<Number> = (5..50).map(Number).collect();
        assert_eq!(spread(&short), short);
        let long: Vec<Number> = (0..100_000).map(Number).collect();
        let picked = spread(&long);
        assert_eq!(picked.len(), PROBE_MAX);
        assert!(picked.is_sorted_by(|a, b| a < b));
    }
}
