//! Which entries a commit hangs on.
//!
//! Invariant: they are visible, none reaches another, and there are at most as many as an entry can
//! name.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use weald_auth::SettingsIndex;
use weald_dag::limits::PARENTS_MAX;
use weald_dag::{EntryId, Graph, Known, Number, Overlay, Standing, StoreError};

use crate::commit::CommitError;
use crate::replica::{Replica, Tip};

/// Chooses the tips, and of too many first those that are, or descend from, the newest settings that
/// are visible, then the newest of the rest.
pub(crate) fn newest(replica: &Replica, rows: &Overlay) -> Result<Vec<Tip>, StoreError> {
    let mut tips: Vec<Tip> = replica.tips.values().rev().copied().collect();
    if tips.len() > PARENTS_MAX {
        let newest = replica.newest_settings(rows)?;
        let knows = |index: &SettingsIndex, tip: &Tip| replica.knows_settings(&tip.known, *index);
        tips.sort_by_key(|tip| !newest.iter().any(|index| knows(index, tip)));
        tips.truncate(PARENTS_MAX);
    }
    Ok(tips)
}

/// Chooses the newest of what does not descend from an entry, and is not that entry. The cost is
/// what came after it.
pub(crate) fn beside(
    replica: &Replica,
    rows: &Overlay,
    entry: &EntryId,
) -> Result<Vec<Tip>, CommitError> {
    let graph = Graph::new(rows, replica.held.number);
    let nothing = || CommitError::NothingBeside { entry: *entry };
    let first = graph.number(entry)?.ok_or_else(nothing)?;
    let mut candidates = candidates(replica, &graph, first)?;
    let mut visible = BTreeSet::new();
    // What is hidden is never a parent; what it hangs on stands in.
    while let Some(number) = candidates.pop_last() {
        let local = graph.local(number)?;
        match local.standing {
            Standing::Visible => drop(visible.insert(number)),
            Standing::HiddenNeeded | Standing::Hidden => candidates.extend(local.parents),
        }
    }
    let visible: Vec<Number> = visible.into_iter().collect();
    let mut parents = graph.maximal(&visible)?;
    if parents.is_empty() {
        return Err(nothing());
    }
    parents.reverse();
    parents.truncate(PARENTS_MAX);
    let stored = parents.into_iter().map(|number| {
        let (local, entry) = (graph.local(number)?, graph.entry(number)?);
        Ok(Tip { id: entry.id(), known: Known::of(number, &local, &entry) })
    });
    stored.collect::<Result<_, StoreError>>().map_err(CommitError::from)
}

/// Returns the tips that do not descend from an entry, and what those that do hang on beside it.
fn candidates(
    replica: &Replica,
    graph: &Graph<'_>,
    first: Number,
) -> Result<BTreeSet<Number>, StoreError> {
    let mut descendants = BTreeSet::from([first]);
    let mut candidates = BTreeSet::new();
    graph.each_from(first, &mut |stored| {
        let parents = &stored.local.parents;
        if stored.number == first || parents.iter().any(|parent| descendants.contains(parent)) {
            descendants.insert(stored.number);
            candidates.extend(parents.iter().filter(|parent| !descendants.contains(parent)));
        }
        ControlFlow::Continue(())
    })?;
    let tips = replica.tips.keys().filter(|tip| !descendants.contains(tip));
    candidates.extend(tips.copied());
    Ok(candidates)
}
