//! What this side holds beyond what both are known to hold.
//!
//! Invariant: a look ends after a bounded number of entries; nothing below the base is walked into.

use std::collections::BTreeMap;

use weald_dag::{Graph, Number, StoreError};

use crate::limits::REACH_MAX;

/// Returns the entries at and above the generation `base` that `ours` reach and `common` do not, ascending;
/// `None` where they are more than `limit`, or more than [`REACH_MAX`] entries of either side had to be
/// looked at.
pub(crate) fn beyond(
    graph: &Graph<'_>,
    ours: &[Number],
    common: &[Number],
    base: u64,
    limit: usize,
) -> Result<Option<Vec<Number>>, StoreError> {
    // Of each entry that is still to be looked at: whether it is common.
    let mut open: BTreeMap<Number, bool> = ours.iter().map(|number| (*number, false)).collect();
    open.extend(common.iter().map(|number| (*number, true)));
    let mut alone = open.values().filter(|common| !**common).count();
    let (mut found, mut looked_at) = (Vec::new(), 0);
    while alone > 0
        && let Some((number, common)) = open.pop_last()
    {
        alone -= usize::from(!common);
        looked_at += 1;
        if looked_at > REACH_MAX {
            return Ok(None);
        }
        let local = graph.local(number)?;
        if local.generation < base {
            continue;
        }
        if !common {
            if found.len() >= limit {
                return Ok(None);
            }
            found.push(number);
        }
        for parent in local.parents {
            match open.insert(parent, common) {
                None if !common => alone += 1,
                Some(false) if common => alone -= 1,
                Some(true) => drop(open.insert(parent, true)),
                _ => {}
            }
        }
    }
    found.reverse();
    Ok(Some(found))
}
