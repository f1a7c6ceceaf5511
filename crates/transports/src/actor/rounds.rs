//! When the databases of a link are compared with the peer although nothing seems to have happened.
//!
//! Invariant: a database is due at most once for each time that was set for it.

use std::collections::BTreeMap;

use tokio::time::Instant;
use weald_dag::DatabaseId;

/// When each database of a link is compared next.
#[derive(Debug, Default)]
pub(crate) struct Rounds(BTreeMap<DatabaseId, Instant>);

impl Rounds {
    /// Sets when a database is compared next; `None` for never. A time too far to be told is never.
    pub(crate) fn set(&mut self, database: DatabaseId, at: Option<Instant>) {
        match at {
            Some(at) => self.0.insert(database, at),
            None => self.0.remove(&database),
        };
    }

    /// Returns when the next database is to be compared.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.values().min().copied()
    }

    /// Takes the databases that are to be compared now.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<DatabaseId> {
        let due: Vec<_> =
            self.0.iter().filter(|(_, at)| **at <= now).map(|(database, _)| *database).collect();
        for database in &due {
            self.0.remove(database);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_database_is_due_at_its_own_time_and_once() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let id = |byte| DatabaseId::from_bytes([byte; 32]);
        let mut rounds = Rounds::default();
        assert_eq!(rounds.next(), None);
        rounds.set(id(1), Some(now + 2 * second));
        rounds.set(id(2), Some(now + second));
        rounds.set(id(3), Some(now + 9 * second));
        rounds.set(id(3), None);
        assert_eq!(rounds.next(), Some(now + second));
        assert!(rounds.take_due(now).is_empty());
        assert_eq!(rounds.take_due(now + second), [id(2)]);
        assert_eq!(rounds.next(), Some(now + 2 * second));
        assert_eq!(rounds.take_due(now + 5 * second), [id(1)]);
        assert_eq!(rounds.next(), None);
    }
}
