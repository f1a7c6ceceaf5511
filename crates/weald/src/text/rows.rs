//! How a text rests in rows: each update for all replicas, and beside them, for this one alone, the
//! order in which they came and a snapshot of the text.
//!
//! Invariant: all rows but the local ones are a function of the set of sections; the local ones
//! are believed only as far as the fingerprint in the state bears them out.

use std::ops::{Bound, ControlFlow};

use weald_crdt::{Area, EntryStamp, RowError, View, ViewError, ViewMut};

use super::left_out::AllLeftOut;
use super::update::Update;

/// The one row of state, which tells what updates there are; they themselves are buried.
pub(super) const SUMMARY: &[u8] = &[];
const HEAD: &[u8] = b"h";
const SNAPSHOT: &[u8] = b"s";
const ARRIVAL: u8 = b'a';
const KEY_BYTES: usize = 8 + 4 + 32;

/// The key of an update: peer, first counter, entry.
pub(super) type Key = [u8; KEY_BYTES];

/// An update as it rests.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) key: Key,
    pub(super) time: u64,
    pub(super) is_visible: bool,
    pub(super) update: Update,
}

/// Which updates there are: their number, and a sum over them that hardly two sets share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fingerprint {
    pub(super) count: u64,
    sum: u128,
}

impl Fingerprint {
    pub(super) fn add(&mut self, key: &Key, is_visible: bool) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(key);
        hasher.update(&[u8::from(is_visible)]);
        let mut sum = [0; 16];
        hasher.finalize_xof().fill(&mut sum);
        self.count += 1;
        self.sum = self.sum.wrapping_add(u128::from_be_bytes(sum));
    }

    fn encode(&self) -> Vec<u8> {
        [self.count.to_be_bytes().as_slice(), self.sum.to_be_bytes().as_slice()].concat()
    }

    fn take(row: &[u8]) -> Option<(Self, &[u8])> {
        let (count, rest) = row.split_first_chunk()?;
        let (sum, rest) = rest.split_first_chunk()?;
        let (count, sum) = (u64::from_be_bytes(*count), u128::from_be_bytes(*sum));
        Some((Self { count, sum }, rest))
    }

    pub(super) fn of_row(row: &[u8]) -> Option<Self> {
        Self::take(row).filter(|(_, rest)| rest.is_empty()).map(|(summary, _)| summary)
    }

    /// Returns what the row of state says; nothing yet for a text that was never written.
    pub(super) fn read(view: &dyn View) -> Result<Self, ViewError> {
        let Some(row) = view.get(Area::State, SUMMARY)? else { return Ok(Self::default()) };
        Self::of_row(&row).ok_or_else(|| damaged(SUMMARY))
    }

    pub(super) fn write(&self, view: &mut dyn ViewMut) {
        view.put(Area::State, SUMMARY, self.encode());
    }
}

/// Where the local rows stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// How many updates have come.
    pub(super) arrived: u64,
    /// How many operations came since the snapshot was made, or was last tried.
    pub(super) since: u64,
    /// How many operations the snapshot holds.
    pub(super) held: u64,
}

impl Head {
    /// Returns what the row says; a damaged one is as good as none.
    pub(super) fn read(view: &dyn View) -> Result<Self, ViewError> {
        let row = view.get(Area::Local, HEAD)?.unwrap_or_default();
        let mut numbers =
            row.chunks_exact(8).map(|number| number.try_into().map_or(0, u64::from_be_bytes));
        let mut next = || numbers.next().unwrap_or(0);
        Ok(Self { arrived: next(), since: next(), held: next() })
    }

    pub(super) fn write(&self, view: &mut dyn ViewMut) {
        let numbers = [self.arrived, self.since, self.held].map(u64::to_be_bytes);
        view.put(Area::Local, HEAD, numbers.concat());
    }
}

/// A snapshot of the first updates that came.
pub(super) struct Snapshot {
    /// How many they are.
    pub(super) arrived: u64,
    /// Which they are.
    pub(super) holds: Fingerprint,
    /// Those of them that the document lacks.
    pub(super) left_out: AllLeftOut,
    pub(super) bytes: Vec<u8>,
}

impl Snapshot {
    pub(super) fn read(view: &dyn View) -> Result<Option<Self>, ViewError> {
        let Some(row) = view.get(Area::Local, SNAPSHOT)? else { return Ok(None) };
        let Some((arrived, rest)) = row.split_first_chunk() else { return Ok(None) };
        let Some((holds, rest)) = Fingerprint::take(rest) else { return Ok(None) };
        let Some((left_out, bytes)) = AllLeftOut::take(rest) else { return Ok(None) };
        let arrived = u64::from_be_bytes(*arrived);
        Ok(Some(Self { arrived, holds, left_out, bytes: bytes.to_vec() }))
    }

    pub(super) fn write(&self, view: &mut dyn ViewMut) {
        let mut row = self.arrived.to_be_bytes().to_vec();
        row.extend_from_slice(&self.holds.encode());
        row.extend_from_slice(&self.left_out.encode());
        row.extend_from_slice(&self.bytes);
        view.put(Area::Local, SNAPSHOT, row);
    }
}

pub(super) fn key_of(peer: u64, start: u32, entry: &[u8; 32]) -> Key {
    let mut key = [0; KEY_BYTES];
    let parts = peer.to_be_bytes().into_iter().chain(start.to_be_bytes()).chain(*entry);
    for (place, byte) in key.iter_mut().zip(parts) {
        *place = byte;
    }
    key
}

/// Returns the entry of an update.
pub(super) fn entry_of(key: &Key) -> &[u8] {
    key.get(12..).unwrap_or_default()
}

fn arrival(at: u64) -> Vec<u8> {
    [&[ARRIVAL], at.to_be_bytes().as_slice()].concat()
}

pub(super) fn damaged(key: &[u8]) -> ViewError {
    ViewError::new(RowError { key: key.to_vec() })
}

/// Writes the row of an update: time, author, whether it is visible, and the section as it came.
pub(super) fn write(view: &mut dyn ViewMut, key: &Key, entry: &EntryStamp, payload: &[u8]) {
    let mut row = entry.time.to_be_bytes().to_vec();
    row.push(u8::from(entry.is_visible));
    row.extend_from_slice(&entry.author);
    row.extend_from_slice(payload);
    view.put(Area::Buried, key, row);
}

fn stored(key: &[u8], row: &[u8]) -> Option<Stored> {
    let key: Key = key.try_into().ok()?;
    let (time, rest) = row.split_first_chunk()?;
    let (is_visible, rest) = rest.split_first()?;
    let (author, payload) = rest.split_first_chunk::<32>()?;
    let update = Update::decode(payload, author).ok()?;
    Some(Stored { key, time: u64::from_be_bytes(*time), is_visible: *is_visible == 1, update })
}

/// Reads an update.
pub(super) fn read(view: &dyn View, key: &Key) -> Result<Option<Stored>, ViewError> {
    let Some(row) = view.get(Area::Buried, key)? else { return Ok(None) };
    stored(key, &row).map(Some).ok_or_else(|| damaged(key))
}

/// Reads all updates, by peer and counter.
pub(super) fn read_all(view: &dyn View) -> Result<Vec<Stored>, ViewError> {
    let mut all = Vec::new();
    let mut wrong = None;
    view.range(Area::Buried, Bound::Unbounded, Bound::Unbounded, false, &mut |key, row| {
        match stored(key, row) {
            Some(stored) => all.push(stored),
            None => wrong = Some(damaged(key)),
        }
        if wrong.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    wrong.map_or(Ok(all), Err)
}

/// Notes that an update came as this one.
pub(super) fn arrive(view: &mut dyn ViewMut, at: u64, key: &Key) {
    view.put(Area::Local, &arrival(at), key.to_vec());
}

/// Reads which updates came from this one on; `None` if not all of them are known any more.
pub(super) fn arrivals(view: &dyn View, from: u64, to: u64) -> Result<Option<Vec<Key>>, ViewError> {
    let mut keys = Vec::new();
    let (first, end) = (arrival(from), arrival(to));
    let (from_key, to_key) = (Bound::Included(first.as_slice()), Bound::Excluded(end.as_slice()));
    view.range(Area::Local, from_key, to_key, false, &mut |_, row| {
        keys.extend(Key::try_from(row).ok());
        ControlFlow::Continue(())
    })?;
    let whole = to.checked_sub(from) == Some(keys.len() as u64);
    Ok(whole.then_some(keys))
}

/// Forgets which updates came before this one.
pub(super) fn forget_arrivals(view: &mut dyn ViewMut, before: u64) -> Result<(), ViewError> {
    let mut keys = Vec::new();
    let (first, end) = (arrival(0), arrival(before));
    let (from, to) = (Bound::Included(first.as_slice()), Bound::Excluded(end.as_slice()));
    view.range(Area::Local, from, to, false, &mut |key, _| {
        keys.push(key.to_vec());
        ControlFlow::Continue(())
    })?;
    keys.iter().for_each(|key| view.remove(Area::Local, key));
    Ok(())
}
