//! The entries nearest to some others: what a want is answered with.
//!
//! Invariant: the cost is bounded by the depth asked for and by [`WANT_STEPS_MAX`], not by history.

use std::collections::BTreeMap;

use weald_dag::{Graph, Number, StoreError};

use crate::limits::WANT_STEPS_MAX;

/// Returns at most `depth` of the entries that those of `from` that somebody needs reach and `covered` do not, ascending; those
/// with the greatest numbers, which are nearest to `from`.
pub(crate) fn nearest(
    graph: &Graph<'_>,
    from: &[Number],
    covered: &[Number],
    depth: usize,
) -> Result<Vec<Number>, StoreError> {
    // Of each entry that is still to be looked at: whether it is covered.
    let mut open: BTreeMap<Number, bool> = BTreeMap::new();
    for number in from {
        if graph.local(*number)?.standing.is_needed() {
            open.insert(*number, false);
        }
    }
    open.extend(covered.iter().map(|number| (*number, true)));
    let mut wanted = open.values().filter(|covered| !**covered).count();
    let mut found = Vec::new();
    for _ in 0..WANT_STEPS_MAX {
        if wanted == 0 || found.len() >= depth {
            break;
        }
        let Some((number, covered)) = open.pop_last() else {
            break;
        };
        if !covered {
            wanted -= 1;
            found.push(number);
        }
        for parent in graph.local(number)?.parents {
            match open.insert(parent, covered) {
                None if !covered => wanted += 1,
                Some(false) if covered => wanted -= 1,
                Some(true) => drop(open.insert(parent, true)),
                _ => {}
            }
        }
    }
    found.reverse();
    Ok(found)
}
