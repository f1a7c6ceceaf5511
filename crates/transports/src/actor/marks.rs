//! What a round has moved and how long it took, from counters that go on for a whole session.
//!
//! Invariant: what is counted is in one record and no other.

use std::collections::BTreeMap;
use std::time::SystemTime;

use tokio::time::Instant;
use weald_dag::DatabaseId;
use weald_sync::{DatabaseState, DatabaseStatus};

use super::history::{SyncOutcome, SyncRecord};

/// Where the counters of a database stood when its last record was made.
#[derive(Debug, Default)]
struct Mark {
    entries_in: u64,
    entries_out: u64,
    bytes_in: u64,
    bytes_out: u64,
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

    /// Makes the record of a round that has ended.
    pub(crate) fn record(
        &mut self,
        database: DatabaseId,
        status: &DatabaseStatus,
        outcome: SyncOutcome,
    ) -> SyncRecord {
        let mark = self.0.entry(database).or_default();
        let began = mark.began.take();
        let record = SyncRecord {
            entries_in: status.cost.entries_in.saturating_sub(mark.entries_in),
            entries_out: status.cost.entries_out.saturating_sub(mark.entries_out),
            bytes_in: status.cost.entry_bytes_in.saturating_sub(mark.bytes_in),
            bytes_out: status.cost.entry_bytes_out.saturating_sub(mark.bytes_out),
            round_trips: status.round_trips,
            ..SyncRecord::new(SystemTime::now(), Some(database), outcome)
                .took(began.map(|began| began.elapsed()).unwrap_or_default())
        };
        (mark.entries_in, mark.entries_out) = (status.cost.entries_in, status.cost.entries_out);
        (mark.bytes_in, mark.bytes_out) = (status.cost.entry_bytes_in, status.cost.entry_bytes_out);
        record
    }
}
