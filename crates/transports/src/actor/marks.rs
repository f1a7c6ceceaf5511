//! What a round has moved and how long it took, from counters that go on for a whole session.
//!
//! Invariant: what is counted is in one record and no other.

use std::collections::BTreeMap;
use std::time::SystemTime;

use tokio::time::Instant;
use weald_dag::DatabaseId;
use weald_sync::{Cost, DatabaseState, DatabaseStatus};

use super::history::{SyncOutcome, SyncRecord};

/// Where the counters of a database stood when its last record was made.
#[derive(Debug, Default)]
struct Mark {
    cost: Cost,
    /// When the round under way was first seen.
    began: Option<Instant>,
}

/// The marks of one session.
#[derive(Debug, Default)]
pub(crate) struct Marks(BTreeMap<DatabaseId, Mark>);

impl Marks {
    /// A round begins; one that is under way goes on.
    pub(crate) fn begin(&mut self, database: DatabaseId) {
        self.0.entry(database).or_default().began.get_or_insert_with(Instant::now);
    }

    /// Takes note of a round that the peer has begun.
    pub(crate) fn see(&mut self, database: DatabaseId, status: &DatabaseStatus) {
        if matches!(status.state, DatabaseState::Comparing | DatabaseState::Transferring) {
            self.begin(database);
        }
    }

    /// Makes the record of a round that has ended; without a status nothing is known of what was moved.
    pub(crate) fn record(
        &mut self,
        database: DatabaseId,
        status: Option<&DatabaseStatus>,
        outcome: SyncOutcome,
    ) -> SyncRecord {
        let record = SyncRecord::new(SystemTime::now(), Some(database), outcome);
        let Some(status) = status else {
            self.0.remove(&database);
            return record;
        };
        let mark = self.0.entry(database).or_default();
        let began = mark.began.take();
        let cost = since(status.cost, std::mem::replace(&mut mark.cost, status.cost));
        let (round_trips, method) = (status.round_trips, status.method);
        let took = began.map(|began| began.elapsed()).unwrap_or_default();
        SyncRecord { cost, round_trips, method, ..record }.took(took)
    }
}

/// Returns what was counted between two looks.
const fn since(now: Cost, before: Cost) -> Cost {
    Cost {
        entries_in: now.entries_in.saturating_sub(before.entries_in),
        entries_out: now.entries_out.saturating_sub(before.entries_out),
        entry_bytes_in: now.entry_bytes_in.saturating_sub(before.entry_bytes_in),
        entry_bytes_out: now.entry_bytes_out.saturating_sub(before.entry_bytes_out),
        overhead_in: now.overhead_in.saturating_sub(before.overhead_in),
        overhead_out: now.overhead_out.saturating_sub(before.overhead_out),
    }
}
