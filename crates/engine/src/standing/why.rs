//! Why a stored entry is hidden, for people.
//!
//! Invariant: it only reads; what it says is what the door and a change of authority go by.

use std::cell::RefCell;

use weald_auth::{AuthRefusal, Authority, Claim, EpochId, SettingsIndex};
use weald_dag::{EntryId, Graph, Snapshot, Standing, StoreError};

use crate::settings::{self, writes_data};

/// Returns why an entry is hidden; `None` if it is visible, or not stored. `authority` is that of
/// the database over all its entries.
///
/// # Errors
/// Any [`StoreError`].
pub fn why_hidden(
    rows: &dyn Snapshot,
    database: u32,
    authority: &Authority,
    entry: &EntryId,
) -> Result<Option<AuthRefusal>, StoreError> {
    let graph = Graph::new(rows, database);
    let Some(number) = graph.number(entry)? else { return Ok(None) };
    let stored = graph.stored(number)?;
    if stored.local.standing == Standing::Visible {
        return Ok(None);
    }
    let body = &stored.parcel.entry;
    if let Some(index) = settings::index_of(rows, database, authority, number)? {
        return Ok(authority.why_hidden(index));
    }
    let claim = Claim {
        id: *entry,
        author: body.author(),
        generation: stored.local.generation,
        time: body.time(),
        writes_data: writes_data(body),
        operations: None,
    };
    let failure = RefCell::new(None);
    let is_before = |limit: SettingsIndex| {
        let of_limit = settings::number_of(rows, database, limit);
        let reached = of_limit.and_then(|limit| graph.reaches(limit, number));
        reached.unwrap_or_else(|error| {
            failure.replace(Some(error));
            false
        })
    };
    let stands = authority.stands(EpochId(stored.local.epoch), &claim, &is_before);
    failure.into_inner().map_or(Ok(stands.err()), Err)
}
