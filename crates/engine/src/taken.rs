//! What shows to somebody that access was taken from it: settings entries, to be sent as they are.
//!
//! Invariant: nothing is shown but settings, so that who may not read learns no data by it.

use std::collections::BTreeSet;

use weald_auth::{Authority, SETTINGS_STORE};
use weald_dag::{Entry, EntryId, Graph, Number, PublicKey, Snapshot, StoreError};

/// How many entries are shown at most: the limits themselves, and what is nearest before them.
pub const SHOWN_MAX: usize = 64;

/// Returns the settings entries that show why these keys, which may not read, hold nothing any more:
/// the limits on them, and the settings right before those, parents first, at most [`SHOWN_MAX`].
/// `None` where none of the keys ever held anything.
///
/// # Errors
/// Any [`StoreError`].
pub fn taken_from(
    rows: &dyn Snapshot,
    database: u32,
    authority: &Authority,
    keys: &[PublicKey],
) -> Result<Option<Vec<EntryId>>, StoreError> {
    let current = authority.current();
    let once: Vec<_> = keys.iter().filter(|key| current.ever_held(key)).collect();
    if once.is_empty() {
        return Ok(None);
    }
    let limits = once.into_iter().flat_map(|key| current.limits_on(key));
    let limits: Vec<EntryId> = limits.map(|(entry, _)| entry).collect();
    let graph = Graph::new(rows, database);
    let mut open: BTreeSet<Number> = graph.numbers(&limits)?.into_iter().collect();
    let mut shown = Vec::new();
    while shown.len() < SHOWN_MAX
        && let Some(number) = open.pop_last()
    {
        let stored = graph.stored(number)?;
        if stored.parcel.entry.parents().is_empty() || !is_settings(&stored.parcel.entry) {
            continue;
        }
        shown.push(stored.parcel.entry.id());
        open.extend(stored.local.parents);
    }
    shown.reverse();
    Ok(Some(shown))
}

fn is_settings(entry: &Entry) -> bool {
    entry.sections().iter().all(|section| section.store == SETTINGS_STORE)
}
