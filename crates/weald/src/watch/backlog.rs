//! The events that wait for one watch: bounded in number and bytes.
//!
//! Invariant: events leave in the order of the entries that they name; when it is full, changes of
//! one row become one, and what is dropped is counted and told after what waits.

use std::collections::BTreeMap;

use super::{ChangeKind, Event};
use crate::conflict::RowKey;

/// How many bytes of rows, with their old and new values, wait in the queue of a watch, about; one
/// event always fits.
pub const WATCH_QUEUE_BYTES: usize = 16 * 1_024 * 1_024;

/// An event and how many bytes it takes, with its values as they are at rest.
#[derive(Clone, Debug)]
pub(super) struct Weighed {
    pub(super) event: Event,
    pub(super) bytes: usize,
}

/// What one event of a row replaces: another of the same sort and row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Change(String, RowKey),
    Conflict(String, RowKey),
}

#[derive(Debug)]
pub(super) struct Backlog {
    waiting: BTreeMap<u64, Weighed>,
    next: u64,
    bytes: usize,
    limit: usize,
    missed: u64,
    /// The newest event of each row; kept from the first overflow until all was taken.
    newest: Option<BTreeMap<Subject, u64>>,
}

impl Backlog {
    pub(super) fn new(limit: usize) -> Self {
        Self { waiting: BTreeMap::new(), next: 0, bytes: 0, limit, missed: 0, newest: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.missed == 0
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.limit);
    }

    /// Counts events that cannot be delivered.
    pub(super) fn miss(&mut self, count: u64) {
        self.missed = self.missed.saturating_add(count);
    }

    pub(super) fn push(&mut self, weighed: Weighed) {
        if self.missed > 0 {
            if !self.has_room(2, weighed.bytes) {
                return self.miss(1);
            }
            let event = Event::Lagged { missed: std::mem::take(&mut self.missed) };
            self.append(Weighed { event, bytes: 0 });
        }
        if self.has_room(1, weighed.bytes) {
            self.append(weighed);
        } else if !self.coalesce(weighed) {
            self.miss(1);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        let Some(place) = self.waiting.first_key_value().map(|(place, _)| *place) else {
            self.newest = None;
            return match std::mem::take(&mut self.missed) {
                0 => None,
                missed => Some(Event::Lagged { missed }),
            };
        };
        self.take(place).map(|weighed| weighed.event)
    }

    fn has_room(&self, events: usize, bytes: usize) -> bool {
        let fits = self.waiting.is_empty() || self.bytes.saturating_add(bytes) <= WATCH_QUEUE_BYTES;
        self.waiting.len().saturating_add(events) <= self.limit && fits
    }

    fn append(&mut self, weighed: Weighed) {
        let place = self.next;
        self.next += 1;
        self.bytes += weighed.bytes;
        if let (Some(newest), Some(subject)) = (&mut self.newest, Subject::of(&weighed.event)) {
            newest.insert(subject, place);
        }
        self.waiting.insert(place, weighed);
    }

    fn take(&mut self, place: u64) -> Option<Weighed> {
        let weighed = self.waiting.remove(&place)?;
        self.bytes -= weighed.bytes;
        if let (Some(newest), Some(subject)) = (&mut self.newest, Subject::of(&weighed.event))
            && newest.get(&subject) == Some(&place)
        {
            newest.remove(&subject);
        }
        Some(weighed)
    }

    /// Joins an event with the one of the same row that waits; returns whether there is one.
    fn coalesce(&mut self, after: Weighed) -> bool {
        let Some(subject) = Subject::of(&after.event) else { return false };
        let waiting = &self.waiting;
        let newest = self.newest.get_or_insert_with(|| index(waiting));
        let Some(place) = newest.get(&subject).copied() else { return false };
        let Some(before) = waiting.get(&place) else { return false };
        let bytes = before.bytes.max(after.bytes);
        if self.bytes - before.bytes + bytes > WATCH_QUEUE_BYTES && waiting.len() > 1 {
            return false;
        }
        let Some(before) = self.take(place) else { return false };
        if let Some(event) = joined(before.event, after.event) {
            self.append(Weighed { event, bytes });
        }
        true
    }
}

fn index(waiting: &BTreeMap<u64, Weighed>) -> BTreeMap<Subject, u64> {
    let places = waiting.iter();
    places.filter_map(|(place, weighed)| Some((Subject::of(&weighed.event)?, *place))).collect()
}

impl Subject {
    fn of(event: &Event) -> Option<Self> {
        match event {
            Event::Changed { store, key, .. } => Some(Self::Change(store.clone(), key.clone())),
            Event::Conflict { conflict, .. } => {
                Some(Self::Conflict(conflict.store.clone(), conflict.key.clone()))
            }
            _ => None,
        }
    }
}

/// Returns what two events about one row are together; `None` if nothing.
fn joined(before: Event, mut after: Event) -> Option<Event> {
    let Event::Changed { kind: first, old: oldest, .. } = before else { return Some(after) };
    let Event::Changed { kind, old, new, .. } = &mut after else { return Some(after) };
    *kind = match (first, *kind) {
        // It came and went while nobody looked.
        (ChangeKind::Created, ChangeKind::Removed) => return None,
        (ChangeKind::Created, _) => ChangeKind::Created,
        (_, ChangeKind::Removed) => ChangeKind::Removed,
        _ => ChangeKind::Updated,
    };
    *old = oldest;
    // Without values there is nothing to compare, and the versions are others.
    if old.is_some() && old == new { None } else { Some(after) }
}

#[cfg(test)]
mod tests {
    use weald_crdt::Value;
    use weald_dag::{EntryId, SecretKey, Time};

    use super::*;
    use crate::watch::Origin;

    fn change(row: i64, kind: ChangeKind, old: Option<i64>, new: Option<i64>) -> Weighed {
        let event = Event::Changed {
            store: "notes".into(),
            key: RowKey::Table(row.into()),
            kind,
            entry: EntryId::from_bytes([0; 32]),
            author: SecretKey::from_seed(&[1; 32]).public(),
            time: Time::ZERO,
            origin: Origin::Local,
            old: old.map(Value::from),
            new: new.map(Value::from),
            shifted: false,
        };
        Weighed { event, bytes: 10 }
    }

    type Told = (i64, ChangeKind, Option<Value>, Option<Value>);

    fn told(backlog: &mut Backlog) -> Vec<Result<Told, u64>> {
        std::iter::from_fn(|| backlog.pop())
            .map(|event| match event {
                Event::Changed { key: RowKey::Table(key), kind, old, new, .. } => {
                    let weald_crdt::Key::Integer(row) = key else { panic!("{key:?}") };
                    Ok((row, kind, old, new))
                }
                Event::Lagged { missed } => Err(missed),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn an_overflow_joins_the_first_old_and_the_last_new_value() {
        use ChangeKind::{Created, Removed, Updated};
        let mut backlog = Backlog::new(3);
        backlog.push(change(1, Updated, Some(10), Some(11)));
        backlog.push(change(2, Created, None, Some(20)));
        backlog.push(change(3, Updated, Some(30), Some(31)));
        for new in 12..100 {
            backlog.push(change(1, Updated, Some(new - 1), Some(new)));
        }
        backlog.push(change(3, Removed, Some(31), None));
        backlog.push(change(3, Created, None, Some(32)));
        let value = |number: i64| Some(Value::from(number));
        assert_eq!(
            told(&mut backlog),
            [
                Ok((2, Created, None, value(20))),
                Ok((1, Updated, value(10), value(99))),
                Ok((3, Updated, value(30), value(32))),
            ]
        );
        assert!(backlog.newest.is_none() && backlog.bytes == 0);
    }

    #[test]
    fn changes_that_cancel_each_other_leave_nothing() {
        use ChangeKind::{Created, Removed, Updated};
        let mut backlog = Backlog::new(2);
        backlog.push(change(1, Created, None, Some(1)));
        backlog.push(change(2, Updated, Some(1), Some(2)));
        backlog.push(change(1, Removed, Some(1), None));
        backlog.push(change(3, Created, None, Some(1)));
        backlog.push(change(2, Updated, Some(2), Some(1)));
        assert_eq!(told(&mut backlog), [Ok((3, Created, None, Some(Value::from(1_i64))))]);
    }

    #[test]
    fn what_does_not_fit_is_counted_and_told_in_its_place() {
        use ChangeKind::Created;
        let mut backlog = Backlog::new(2);
        for row in 0..5 {
            backlog.push(change(row, Created, None, None));
        }
        assert!(matches!(backlog.pop(), Some(Event::Changed { .. })));
        backlog.push(change(5, Created, None, None));
        assert!(matches!(backlog.pop(), Some(Event::Changed { .. })));
        backlog.push(change(6, Created, None, None));
        backlog.push(change(7, Created, None, None));
        let rest = told(&mut backlog);
        assert_eq!(rest, [Err(4), Ok((6, Created, None, None)), Err(1)]);
        assert!(backlog.is_empty());
    }

    #[test]
    fn large_values_fill_the_queue_by_their_bytes() {
        use ChangeKind::Created;
        let mut backlog = Backlog::new(1_024);
        for row in 0..4 {
            let mut large = change(row, Created, None, None);
            large.bytes = WATCH_QUEUE_BYTES / 2;
            backlog.push(large);
        }
        assert_eq!(
            told(&mut backlog),
            [Ok((0, Created, None, None)), Ok((1, Created, None, None)), Err(2)]
        );
    }
}
