//! What became of the last syncs with a peer.
//!
//! Invariant: a peer has at most [`HISTORY_MAX`] records. The same outcome again, with nothing moved, makes no
//! new one.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use weald_dag::DatabaseId;
use weald_sync::{Cost, Method};

/// How many records of syncs are kept of each peer; the oldest go first.
pub const HISTORY_MAX: usize = 128;

/// One sync of a database with a peer, or one attempt to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncRecord {
    /// When it ended, by this device's clock; of several alike, the last.
    pub at: SystemTime,
    /// How long it took; of several alike, the last.
    pub duration: Duration,
    /// The database; `None` where the peer was not reached at all.
    pub database: Option<DatabaseId>,
    /// What became of it.
    pub outcome: SyncOutcome,
    /// What was sent and received since the record before.
    pub cost: Cost,
    /// How many round trips the round took.
    pub round_trips: u32,
    /// How the round found what differed.
    pub method: Method,
    /// How often in a row it ended so with nothing moved.
    pub times: u32,
}

/// What became of a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyncOutcome {
    /// Both sides held the same.
    Equal,
    /// It failed.
    Failed {
        /// Why, in words.
        error: String,
    },
}

impl SyncRecord {
    /// Makes the record of a sync in which nothing was moved. Times are of whole milliseconds, as they are kept.
    pub(crate) fn new(at: SystemTime, database: Option<DatabaseId>, outcome: SyncOutcome) -> Self {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            at: UNIX_EPOCH + whole_millis(since),
            duration: Duration::ZERO,
            database,
            outcome,
            cost: Cost::default(),
            round_trips: 0,
            method: Method::Equal,
            times: 1,
        }
    }

    /// Sets how long it took.
    pub(crate) fn took(self, duration: Duration) -> Self {
        Self { duration: whole_millis(duration), ..self }
    }

    const fn has_moved(&self) -> bool {
        self.cost.entries_in + self.cost.entries_out > 0
    }
}

fn whole_millis(duration: Duration) -> Duration {
    Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// The last syncs with a peer, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct History(VecDeque<SyncRecord>);

impl History {
    /// Adds a record; of too many the oldest is forgotten.
    pub(crate) fn add(&mut self, mut record: SyncRecord) {
        let of_same = self.0.iter().rposition(|known| known.database == record.database);
        let alike = of_same.filter(|place| {
            let known = self.0.get(*place);
            let alike = |known: &SyncRecord| known.outcome == record.outcome && !known.has_moved();
            !record.has_moved() && known.is_some_and(alike)
        });
        if let Some(known) = alike.and_then(|place| self.0.remove(place)) {
            record.times = record.times.saturating_add(known.times);
        }
        while self.0.len() >= HISTORY_MAX {
            self.0.pop_front();
        }
        self.0.push_back(record);
    }

    /// Returns the records, the oldest first.
    pub(crate) fn records(&self) -> impl ExactSizeIterator<Item = &SyncRecord> {
        self.0.iter()
    }

    /// Returns the last record of a database.
    pub(crate) fn last_of(&self, database: &DatabaseId) -> Option<&SyncRecord> {
        self.0.iter().rev().find(|record| record.database.as_ref() == Some(database))
    }
}

impl FromIterator<SyncRecord> for History {
    fn from_iter<I: IntoIterator<Item = SyncRecord>>(records: I) -> Self {
        Self(records.into_iter().take(HISTORY_MAX).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(database: Option<u8>, outcome: SyncOutcome, entries_in: u64) -> SyncRecord {
        let database = database.map(|byte| DatabaseId::from_bytes([byte; 32]));
        let cost = Cost { entries_in, ..Cost::default() };
        SyncRecord { cost, ..SyncRecord::new(SystemTime::UNIX_EPOCH, database, outcome) }
    }

    #[test]
    fn p53_history_is_bounded_and_what_repeats_counts_up() {
        let mut history = History::default();
        let failed = || SyncOutcome::Failed { error: "nobody listens".to_owned() };
        for _ in 0..500 {
            history.add(record(None, failed(), 0));
            history.add(record(Some(1), SyncOutcome::Equal, 0));
        }
        let times: Vec<_> = history.records().map(|record| record.times).collect();
        assert_eq!(times, [500, 500]);
        for n in 0..500 {
            history.add(record(Some(1), SyncOutcome::Equal, n + 1));
        }
        assert_eq!(history.records().len(), HISTORY_MAX);
        let last = history.last_of(&DatabaseId::from_bytes([1; 32])).unwrap();
        assert_eq!((last.cost.entries_in, last.times), (500, 1));
    }
}
