//! What a settings entry makes of all other entries: judged again, and the rows of state that they
//! touched folded again.
//!
//! Invariant: the cost is what is beside the settings entries that have changed what they do, and
//! the rows that are touched by what becomes visible or hidden; limits on who shows nothing
//! cost little more than history together, however many they are.

use std::collections::BTreeSet;

use weald_auth::SettingsIndex;
use weald_dag::{Graph, Number, Overlay, PublicKey, Standing, StoreError};

use super::beside::Candidates;
use super::judged::judge;
use super::needed::{Turned, turned};
use super::refold::refold;
use super::tips::tips;
use crate::fold::{Beside, Shift, StoreTypes};
use crate::replica::Replica;

/// What has changed what it does.
pub(crate) struct Moved<'a> {
    /// The settings entries.
    pub(crate) all: &'a [SettingsIndex],
    /// Whom the newest entry limits, where it is the only one of them and limits no others than these.
    pub(crate) limits_only: Option<Vec<PublicKey>>,
}

/// Brings all entries to what follows from `moved`; `None` if none stands otherwise.
pub(crate) fn shift(
    replica: &mut Replica,
    rows: &mut Overlay,
    types: &StoreTypes,
    moved: &Moved<'_>,
) -> Result<Option<Box<Shift>>, StoreError> {
    let numbers = moved.all.iter().filter_map(|index| replica.settings_number(*index));
    let numbers: Vec<Number> = numbers.collect();
    if let Some(keys) = &moved.limits_only
        && replica.shows_any_of(rows, keys)? == Some(false)
    {
        return Ok(None);
    }
    let mut candidates = Candidates::find(replica, rows, numbers)?;
    judge(replica, rows, &mut candidates, moved.limits_only.as_deref())?;
    let database = replica.held.number;
    let turned = turned(rows, database, &candidates)?;
    if turned.is_empty() {
        if moved.limits_only.is_some()
            && let Some((first, _)) = candidates.of.first_key_value()
        {
            replica.looked_in_vain(*first);
        }
        return Ok(None);
    }
    let tips = tips(replica, rows, &candidates, &turned)?;
    replica.turn(rows, &turned, &candidates)?;
    replica.set_tips(rows, &tips)?;
    let mut shift = counted(rows, database, &candidates, &turned)?;
    drop(candidates);
    let beside = Beside { record: replica.record, indexes: &replica.indexes };
    shift.changes = refold(rows, database, types, beside, &turned)?;
    Ok(Some(Box::new(shift)))
}

fn counted(
    rows: &Overlay,
    database: u32,
    candidates: &Candidates,
    turned: &Turned,
) -> Result<Shift, StoreError> {
    let graph = Graph::new(rows, database);
    let (mut shift, mut authors) = (Shift::default(), BTreeSet::<PublicKey>::new());
    for (number, (from, to)) in turned {
        match (from, to) {
            (_, Standing::Visible) => shift.appeared += 1,
            (Standing::Visible, _) => shift.vanished += 1,
            _ => continue,
        }
        authors.insert(match candidates.of.get(number) {
            Some(candidate) => candidate.author,
            None => graph.entry(*number)?.author(),
        });
    }
    Ok(Shift { authors, ..shift })
}
