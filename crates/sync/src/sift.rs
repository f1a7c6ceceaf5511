//! What a filter lets through: told by one side what it holds, the other finds what to send.
//!
//! Invariant: of what is not in the filter, everything goes, and all that descends from it, parents first;
//! what the other side has said it lacks goes always, also from below the base.

use std::collections::BTreeSet;

use weald_dag::{Graph, Number, StoreError};

use crate::filter::{Filter, FilterError};
use crate::short::ShortIds;

/// What one side has told by its filter.
#[derive(Debug)]
pub(crate) struct Sieve {
    /// The generation below which nothing is said.
    pub(crate) base: u64,
    pub(crate) filter: Filter,
}

/// Makes the filter of some entries.
pub(crate) fn filter(
    graph: &Graph<'_>,
    entries: &[Number],
    shorts: &ShortIds,
) -> Result<Result<Filter, FilterError>, StoreError> {
    let mut filter = match Filter::new(entries.len()) {
        Ok(filter) => filter,
        Err(error) => return Ok(Err(error)),
    };
    for number in entries {
        filter.insert(shorts.short(&graph.entry(*number)?.id()));
    }
    Ok(Ok(filter))
}

/// Returns those of `entries`, which are ascending and closed above their base, that the other side lacks as
/// far as its filter tells, and all of `lacking`: the tips that it has said it does not hold.
pub(crate) fn sift(
    graph: &Graph<'_>,
    entries: &[Number],
    sieve: &Sieve,
    lacking: &BTreeSet<Number>,
    shorts: &ShortIds,
) -> Result<Vec<Number>, StoreError> {
    let mut sent = lacking.clone();
    for number in entries {
        let (local, entry) = graph.placed(*number)?;
        let below = || local.parents.iter().any(|parent| sent.contains(parent));
        if !sieve.filter.may_hold(shorts.short(&entry.id())) || below() {
            sent.insert(*number);
        }
    }
    Ok(sent.into_iter().collect())
}
