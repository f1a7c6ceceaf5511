//! A log: items in the order of their stamps, appended and never changed or removed.
//!
//! A section is a plain list of values. A row of state is the stamp (time, entry id, index, each
//! big-endian) and the encoded value.

mod draft;
mod read;

pub use draft::LogDraft;
pub use read::{Item, after, before, get, tail};

use std::collections::BTreeSet;
use std::ops::{Bound, ControlFlow};

use crate::limits::MAX_NESTING;
use crate::malformed::Malformed;
use crate::section::{SectionReader, Void};
use crate::stamp::{EntryStamp, Stamp};
use crate::store_type::{ApplyError, Change, ChangeKind, EntryTimes, StoreType, Touched};
use crate::value::Value;
use crate::view::{Area, RowError, View, ViewError, ViewMut};

const VERSION: u64 = 1;
const KEY_BYTES: usize = 44;

/// Merges logs.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogType;

impl LogType {
    /// The name that payloads begin with.
    pub const NAME: &'static str = "log";
}

impl StoreType for LogType {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, payload: &[u8]) -> Result<(), Void> {
        items(payload).map(drop)
    }

    fn apply(
        &self,
        payload: &[u8],
        entry: &EntryStamp,
        view: &mut dyn ViewMut,
        changes: &mut Vec<Change>,
    ) -> Result<(), ApplyError> {
        let items = items(payload)?;
        for (index, value) in (0..).zip(items).filter(|_| entry.is_visible) {
            let key = key(&entry.at(index));
            view.put(Area::State, &key, value.to_vec());
            changes.push(Change { key, kind: ChangeKind::Created, conflict: None });
        }
        Ok(())
    }

    fn touched(&self, payload: &[u8], entry: &EntryStamp) -> Result<Touched, Void> {
        let items = (0..).zip(items(payload)?);
        Ok(Touched::Rows(items.map(|(index, _)| key(&entry.at(index))).collect()))
    }

    fn refold(
        &self,
        rows: &BTreeSet<Vec<u8>>,
        _with: &BTreeSet<[u8; 32]>,
        view: &mut dyn ViewMut,
        changes: &mut Vec<Change>,
    ) -> Result<(), ViewError> {
        let mut folded = Vec::with_capacity(rows.len());
        for key in rows {
            folded.push((key, view.get(Area::State, key)?, item(view, key)?));
        }
        for (key, before, after) in folded {
            let kind = match (before, after) {
                (None, Some(value)) => {
                    view.put(Area::State, key, value);
                    ChangeKind::Created
                }
                (Some(_), None) => {
                    view.remove(Area::State, key);
                    ChangeKind::Removed
                }
                _ => continue,
            };
            changes.push(Change { key: key.clone(), kind, conflict: None });
        }
        Ok(())
    }

    fn entries(
        &self,
        row: Option<&[u8]>,
        view: &dyn View,
    ) -> Result<Option<EntryTimes>, ViewError> {
        // An item that is not there was hidden, and nothing but its key tells of it.
        let Some(key) = row else { return entries(view).map(Some) };
        let stamp = stamp(key).map_err(|_| ViewError::new(RowError { key: key.to_vec() }))?;
        Ok(Some(BTreeSet::from([(stamp.time, stamp.entry)])))
    }

    fn folds_hidden(&self) -> bool {
        true
    }

    fn show(&self, _key: &[u8], row: &[u8]) -> Option<Value> {
        Value::decode(row).ok()
    }
}

/// Returns the item with this key if its entry is visible.
fn item(view: &dyn ViewMut, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
    let stamp = stamp(key).map_err(|_| ViewError::new(RowError { key: key.to_vec() }))?;
    let applied = view.applied(&stamp.entry)?.filter(|applied| applied.stamp.is_visible);
    let Some(applied) = applied else { return Ok(None) };
    let items = items(&applied.payload).unwrap_or_default();
    let index = usize::try_from(stamp.index).unwrap_or(usize::MAX);
    Ok(items.get(index).filter(|_| applied.stamp.time == stamp.time).map(|item| item.to_vec()))
}

/// Returns the entries of all items.
fn entries(view: &dyn View) -> Result<EntryTimes, ViewError> {
    let mut entries = BTreeSet::new();
    view.range(Area::State, Bound::Unbounded, Bound::Unbounded, false, &mut |key, _| {
        entries.extend(stamp(key).map(|stamp| (stamp.time, stamp.entry)));
        ControlFlow::Continue(())
    })?;
    Ok(entries)
}

fn items(payload: &[u8]) -> Result<Vec<&[u8]>, Void> {
    let mut section = SectionReader::open(payload, LogType::NAME, VERSION, [0; 32])?;
    let mut items = Vec::with_capacity(section.count());
    for _ in 0..section.count() {
        items.push(section.reader.raw_value(MAX_NESTING)?);
    }
    section.reader.finish()?;
    Ok(items)
}

/// Returns the key of the item with a stamp, relative to its store.
pub fn key(stamp: &Stamp) -> Vec<u8> {
    let mut key = Vec::with_capacity(KEY_BYTES);
    key.extend_from_slice(&stamp.time.to_be_bytes());
    key.extend_from_slice(&stamp.entry);
    key.extend_from_slice(&stamp.index.to_be_bytes());
    key
}

/// Returns the stamp of the item at a key.
///
/// # Errors
/// [`Malformed::BadKey`] if the key is not one of a log.
pub fn stamp(key: &[u8]) -> Result<Stamp, Malformed> {
    let (time, rest) = key.split_first_chunk::<8>().ok_or(Malformed::BadKey)?;
    let (entry, rest) = rest.split_first_chunk::<32>().ok_or(Malformed::BadKey)?;
    let index = rest.try_into().map_err(|_| Malformed::BadKey)?;
    Ok(Stamp { time: u64::from_be_bytes(*time), entry: *entry, index: u32::from_be_bytes(index) })
}
