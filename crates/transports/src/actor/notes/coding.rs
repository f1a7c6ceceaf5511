//! Notes as bytes: a version, then the fields in their order.
//!
//! Invariant: notes have one encoding and the reader takes no other; every length is checked before anything is
//! allocated for it. Numbers are LEB128 in the shortest form.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use weald_dag::{DatabaseId, ID_LEN};
use weald_sync::{Cost, Method};

use super::super::attempts::Attempts;
use super::super::history::{HISTORY_MAX, History, SyncOutcome, SyncRecord};
use super::super::peer::ADDRESSES_MAX;
use super::{DatabaseNotes, NOTED_DATABASES_MAX, NOTED_WORDS_MAX, Notes, Retry, noted};
use crate::address::Address;

const VERSION: u8 = 1;

/// Longest address, in bytes.
const ADDRESS_MAX: usize = 2 << 10;

/// How many addresses may be distrusted: all that are known of a peer.
const DISTRUSTED_MAX: usize = 2 * ADDRESSES_MAX;

impl Notes {
    /// Writes the notes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Out(vec![VERSION]);
        // What an app says of a peer may be longer than what the reader takes.
        out.text(if self.name.len() <= NOTED_WORDS_MAX { &self.name } else { "" });
        out.addresses(&self.used, ADDRESSES_MAX);
        out.number(self.failures.into());
        out.addresses(&self.distrusted, DISTRUSTED_MAX);
        out.maybe(self.retry, |out, retry| {
            out.time(retry.at);
            out.duration(retry.pause);
        });
        out.maybe(self.last_connected, Out::time);
        out.maybe(self.last_error.as_deref(), Out::text);
        out.attempts(self.attempts);
        let databases = self.databases.iter().take(NOTED_DATABASES_MAX);
        out.number(databases.len() as u64);
        for (id, notes) in databases {
            out.0.extend(id.as_bytes());
            out.maybe(notes.last_success, Out::time);
            out.maybe(notes.last_error.as_deref(), Out::text);
            out.attempts(notes.attempts);
        }
        let records = self.history.records();
        out.number(records.len() as u64);
        records.for_each(|record| out.record(record));
        out.0
    }

    /// Reads notes; `None` where the bytes are none of this version.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Fields(bytes);
        if from.byte()? != VERSION {
            return None;
        }
        let mut notes = Self { name: from.text(NOTED_WORDS_MAX)?, ..Self::default() };
        notes.used = from.addresses(ADDRESSES_MAX)?;
        notes.failures = from.number()?.try_into().ok()?;
        notes.distrusted = from.addresses(DISTRUSTED_MAX)?;
        notes.retry =
            from.maybe(|from| Some(Retry { at: from.time()?, pause: from.duration()? }))?;
        notes.last_connected = from.maybe(Fields::time)?;
        notes.last_error = from.maybe(|from| from.text(NOTED_WORDS_MAX))?;
        notes.attempts = from.attempts()?;
        notes.databases = from.databases()?;
        let records = from.length(HISTORY_MAX)?;
        notes.history = (0..records).map(|_| from.record()).collect::<Option<History>>()?;
        from.0.is_empty().then_some(notes)
    }
}

struct Out(Vec<u8>);

impl Out {
    fn number(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push((n & 0x7f) as u8 | 0x80);
            n >>= 7;
        }
        self.0.push((n & 0x7f) as u8);
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend(text.as_bytes());
    }

    /// An address of a kind so long that the reader would not take it is left out.
    fn addresses(&mut self, addresses: &[Address], most: usize) {
        let texts = addresses.iter().map(Address::to_string);
        let texts: Vec<_> = texts.filter(|text| text.len() <= ADDRESS_MAX).take(most).collect();
        self.number(texts.len() as u64);
        texts.iter().for_each(|text| self.text(text));
    }

    fn duration(&mut self, duration: Duration) {
        self.number(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
    }

    /// A time before 1970 counts as 1970.
    fn time(&mut self, time: SystemTime) {
        self.duration(time.duration_since(UNIX_EPOCH).unwrap_or_default());
    }

    fn maybe<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.0.push(value.is_some().into());
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn attempts(&mut self, attempts: Attempts) {
        let (well, count) = attempts.parts();
        self.0.push(count);
        self.0.extend(well.to_be_bytes());
    }

    fn record(&mut self, record: &SyncRecord) {
        self.time(record.at);
        self.duration(record.duration);
        self.maybe(record.database, |out, id| out.0.extend(id.as_bytes()));
        let error = match &record.outcome {
            SyncOutcome::Equal => None,
            SyncOutcome::Failed { error } => Some(noted(error)),
        };
        self.maybe(error, |out, error| out.text(&error));
        let cost = &record.cost;
        for number in [cost.entries_in, cost.entries_out, cost.entry_bytes_in, cost.entry_bytes_out]
        {
            self.number(number);
        }
        self.number(cost.overhead_in);
        self.number(cost.overhead_out);
        self.number(record.round_trips.into());
        self.0.push(code(record.method));
        self.number(record.times.into());
    }
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn number(&mut self) -> Option<u64> {
        let mut n = 0u64;
        for place in 0..10 {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            let fits = place < 9 || part <= 1;
            n |= part.checked_shl(7 * place).filter(|_| fits)?;
            if byte & 0x80 == 0 {
                return (byte != 0 || place == 0).then_some(n);
            }
        }
        None
    }

    fn length(&mut self, most: usize) -> Option<usize> {
        usize::try_from(self.number()?).ok().filter(|length| *length <= most)
    }

    fn text(&mut self, most: usize) -> Option<String> {
        let length = self.length(most)?;
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(taken).ok().map(str::to_owned)
    }

    fn addresses(&mut self, most: usize) -> Option<Vec<Address>> {
        let addresses = 0..self.length(most)?;
        addresses.map(|_| self.text(ADDRESS_MAX)?.parse().ok()).collect()
    }

    fn duration(&mut self) -> Option<Duration> {
        self.number().map(Duration::from_millis)
    }

    fn time(&mut self) -> Option<SystemTime> {
        UNIX_EPOCH.checked_add(self.duration()?)
    }

    fn maybe<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.byte()? {
            0 => Some(None),
            1 => read(self).map(Some),
            _ => None,
        }
    }

    fn attempts(&mut self) -> Option<Attempts> {
        let (count, well) = (self.byte()?, u128::from_be_bytes(self.array()?));
        let attempts = Attempts::from_parts(well, count);
        (attempts.parts() == (well, count)).then_some(attempts)
    }

    fn databases(&mut self) -> Option<BTreeMap<DatabaseId, DatabaseNotes>> {
        let mut databases = BTreeMap::new();
        for _ in 0..self.length(NOTED_DATABASES_MAX)? {
            let id = DatabaseId::from_bytes(self.array::<ID_LEN>()?);
            let notes = DatabaseNotes {
                last_success: self.maybe(Fields::time)?,
                last_error: self.maybe(|from| from.text(NOTED_WORDS_MAX))?,
                attempts: self.attempts()?,
            };
            // They stand in order, each once.
            if databases.last_key_value().is_some_and(|(last, _)| *last >= id) {
                return None;
            }
            databases.insert(id, notes);
        }
        Some(databases)
    }

    fn record(&mut self) -> Option<SyncRecord> {
        let (at, duration) = (self.time()?, self.duration()?);
        let database = self.maybe(|from| from.array().map(DatabaseId::from_bytes))?;
        let error = self.maybe(|from| from.text(NOTED_WORDS_MAX))?;
        let outcome = error.map_or(SyncOutcome::Equal, |error| SyncOutcome::Failed { error });
        Some(SyncRecord {
            duration,
            cost: Cost {
                entries_in: self.number()?,
                entries_out: self.number()?,
                entry_bytes_in: self.number()?,
                entry_bytes_out: self.number()?,
                overhead_in: self.number()?,
                overhead_out: self.number()?,
            },
            round_trips: self.number()?.try_into().ok()?,
            method: method(self.byte()?)?,
            times: self.number()?.try_into().ok()?,
            ..SyncRecord::new(at, database, outcome)
        })
    }
}

/// The ways in which a round finds what differs, each at its code.
const METHODS: [Method; 6] = [
    Method::Equal,
    Method::FastForward,
    Method::Common,
    Method::Filter,
    Method::Symbols,
    Method::Pages,
];

fn code(method: Method) -> u8 {
    let place = METHODS.iter().position(|known| *known == method);
    place.and_then(|place| u8::try_from(place).ok()).unwrap_or_default()
}

fn method(code: u8) -> Option<Method> {
    METHODS.get(usize::from(code)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Notes {
        let at = UNIX_EPOCH + Duration::from_millis(1_800_000_000_123);
        let mut attempts = Attempts::default();
        (0..130).for_each(|n| attempts.note(n % 3 == 0));
        let id = |n: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&(n as u64).to_be_bytes());
            DatabaseId::from_bytes(bytes)
        };
        let error = Some("nobody listens there".to_owned());
        let of = |_| DatabaseNotes { last_success: Some(at), last_error: error.clone(), attempts };
        let outcome = SyncOutcome::Failed { error: "x".repeat(NOTED_WORDS_MAX) };
        let record = |n: usize| SyncRecord {
            cost: Cost { entries_in: n as u64, overhead_out: u64::MAX, ..Cost::default() },
            method: Method::Pages,
            times: u32::MAX,
            ..SyncRecord::new(at, n.is_multiple_of(2).then(|| id(n)), outcome.clone())
        };
        Notes {
            name: "desk".to_owned(),
            used: ["memory:a", "[::1]:9"].map(|text| text.parse().unwrap()).to_vec(),
            failures: 3,
            distrusted: vec!["memory:a".parse().unwrap()],
            retry: Some(Retry { at, pause: Duration::from_secs(8) }),
            last_connected: None,
            last_error: error.clone(),
            attempts,
            databases: (0..NOTED_DATABASES_MAX).map(|n| (id(n), of(n))).collect(),
            history: (0..HISTORY_MAX).map(record).collect(),
        }
    }

    #[test]
    fn notes_round_trip_and_are_bounded() {
        for notes in [Notes::default(), full()] {
            assert_eq!(Notes::decode(&notes.encode()), Some(notes));
        }
        assert!(full().encode().len() < 160 << 10);
    }

    #[test]
    fn what_an_app_says_at_length_does_not_make_notes_unreadable() {
        let long = format!("{}://x", "k".repeat(ADDRESS_MAX)).parse().unwrap();
        let addresses: Vec<Address> = vec![long, "memory:a".parse().unwrap()];
        let notes = Notes {
            name: "x".repeat(NOTED_WORDS_MAX + 1),
            used: addresses.clone(),
            distrusted: addresses,
            failures: 3,
            ..Notes::default()
        };
        let read = Notes::decode(&notes.encode()).unwrap();
        assert_eq!((read.name.as_str(), read.failures), ("", 3));
        assert_eq!((read.used, read.distrusted.len()), (vec!["memory:a".parse().unwrap()], 1));
    }

    #[test]
    fn what_is_not_whole_or_not_in_the_one_form_is_no_notes() {
        let small = Notes { failures: 2, name: "a".to_owned(), ..Notes::default() }.encode();
        for end in 0..small.len() {
            assert_eq!(Notes::decode(&small[..end]), None, "{end}");
        }
        let mut more = small.clone();
        more.push(0);
        assert_eq!(Notes::decode(&more), None);
        for place in 0..small.len() {
            for bit in 0..8 {
                let mut changed = small.clone();
                changed[place] ^= 1 << bit;
                let read = Notes::decode(&changed);
                assert!(read.is_none_or(|notes| notes.encode() == changed), "{place}");
            }
        }
    }
}
