//! The rules of authority, as plainly as they can be said: everything is worked out again from the
//! whole graph for every question. Only grants; a model to compare with.

use std::collections::BTreeSet;

use weald_auth::{Level, Operation, Rank, Subject};

use crate::graph::{Graph, Proposed};

/// Returns for each entry of a graph the rank under which it counts, or `None` where it or an
/// ancestor does not.
pub(crate) fn verdicts(graph: &Graph) -> Vec<Option<Rank>> {
    let mut verdicts: Vec<Option<Rank>> = Vec::new();
    for place in 0..graph.entries.len() {
        let parents = &graph.entries[place].parents;
        let stands = parents.iter().all(|parent| verdicts[*parent].is_some());
        verdicts.push(if stands { judge(graph, place) } else { None });
    }
    verdicts
}

fn judge(graph: &Graph, place: usize) -> Option<Rank> {
    let entry = &graph.entries[place];
    if entry.operations.iter().flatten().any(gives_admin_to_anyone) {
        return None;
    }
    if entry.parents.is_empty() {
        return Some(Rank::ROOT);
    }
    let mut best = None;
    for ancestor in graph.ancestors(place) {
        let granting = &graph.entries[ancestor];
        for (index, operation) in granting.operations.iter().flatten().enumerate() {
            let Operation::Grant { subject, level, expires, .. } = operation else { continue };
            let meant = *subject == Subject::Anyone || *subject == Subject::Key(entry.author);
            let lasts = expires.is_none_or(|end| entry.time.millis() < end);
            let rank = rank(granting, index, *level);
            if meant && lasts && permits(entry, *level, rank) && best.is_none_or(|b| rank < b) {
                best = Some(rank);
            }
        }
    }
    best
}

fn gives_admin_to_anyone(operation: &Operation) -> bool {
    matches!(operation, Operation::Grant { subject: Subject::Anyone, level: Level::Admin(_), .. })
}

fn rank(granting: &Proposed, index: usize, level: Level) -> Rank {
    let priority = match level {
        Level::Admin(priority) | Level::Write(priority) => priority,
        Level::Read => u32::MAX,
    };
    Rank { priority, generation: granting.generation, entry: granting.id, index: index as u32 }
}

/// Does one holding at this level and rank allow everything in the entry?
fn permits(entry: &Proposed, level: Level, held: Rank) -> bool {
    let Some(operations) = &entry.operations else {
        return matches!(level, Level::Admin(_) | Level::Write(_));
    };
    let Level::Admin(priority) = level else { return false };
    operations.iter().enumerate().all(|(index, operation)| match operation {
        Operation::Grant { level, .. } => {
            let given = rank(entry, index, *level);
            given.priority >= priority && given > held
        }
        _ => true,
    })
}

/// Returns the tips among the settings entries before an entry.
pub(crate) fn settings_tips(graph: &Graph, place: usize) -> Vec<usize> {
    newest_settings(graph, &graph.ancestors(place).into_iter().collect())
}

/// Returns those settings entries of some that no other of them descends from.
pub(crate) fn newest_settings(graph: &Graph, of: &BTreeSet<usize>) -> Vec<usize> {
    let settings = |place: &usize| graph.entries[*place].operations.is_some();
    let all: Vec<usize> = of.iter().copied().filter(settings).collect();
    let covered = |tip: &usize| all.iter().any(|other| graph.ancestors(*other).contains(tip));
    all.iter().copied().filter(|tip| !covered(tip)).collect()
}
