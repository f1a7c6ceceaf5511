//! What an earlier session with the same peer has shown that both held; the driver keeps it between sessions.
//!
//! Invariant: it is a hint: nothing follows from it before the peer has said in the round that it holds it.

use std::collections::BTreeMap;

use weald_dag::{DatabaseId, EntryId, Graph, Number, StoreError};

use crate::limits::{ABOVE_MAX, ABOVE_REACH_MAX, COMMON_MAX};
use crate::reach::beyond;
use crate::reads::Reads;

/// Of databases, some entries that two peers both held, with all before them.
pub type CommonTips = BTreeMap<DatabaseId, Vec<EntryId>>;

/// The same by local numbers.
pub(crate) type CommonNumbers = BTreeMap<DatabaseId, Vec<Number>>;

/// Returns the ids of what is still held here.
pub(crate) fn in_ids(common: &CommonNumbers, reads: &dyn Reads) -> Result<CommonTips, StoreError> {
    let mut tips = CommonTips::new();
    if common.is_empty() {
        return Ok(tips);
    }
    let rows = reads.snapshot()?;
    for (database, numbers) in common {
        let Some(local) = reads.database(database)? else { continue };
        let graph = Graph::new(&*rows, local.number);
        let ids = graph.ids(&graph.still_stored(numbers.iter().copied())?)?;
        if !ids.is_empty() {
            tips.insert(*database, ids);
        }
    }
    Ok(tips)
}

/// What is named of what is remembered: entries that both held, and all that is held here right above them.
pub(crate) struct Recalled {
    pub(crate) common: Vec<Number>,
    pub(crate) above: Vec<Number>,
}

impl Recalled {
    /// Looks up what is remembered; `None` where it is not all held here, nothing is above it or too much.
    pub(crate) fn read(
        graph: &Graph<'_>,
        tips: &[Number],
        ids: &[EntryId],
    ) -> Result<Option<Self>, StoreError> {
        if ids.is_empty() || ids.len() > COMMON_MAX {
            return Ok(None);
        }
        let common = graph.numbers(ids)?;
        if common.len() < ids.len() {
            return Ok(None);
        }
        let Some(found) = beyond(graph, tips, &common, 0, ABOVE_REACH_MAX)? else {
            return Ok(None);
        };
        let mut above = Vec::new();
        for number in &found {
            let parents = graph.local(*number)?.parents;
            if parents.iter().all(|parent| found.binary_search(parent).is_err()) {
                above.push(*number);
            }
            if above.len() > ABOVE_MAX {
                return Ok(None);
            }
        }
        Ok((!above.is_empty()).then_some(Self { common, above }))
    }
}

/// Returns whether two sides hold in common nothing but what `common` reaches, where one holds what it has
/// named and the other, of `common` and what the first holds right above it, that which `held` says.
pub(crate) fn are_apart(common: u64, held: impl Iterator<Item = bool>) -> bool {
    common > 0 && (0..).zip(held).all(|(at, held): (u64, bool)| held == (at < common))
}
