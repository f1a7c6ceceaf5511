//! Reading counters: each at the cost of its own row.

use std::ops::{Bound, ControlFlow};

use crate::fold::Slot;
use crate::key::{Key, encode_bound};
use crate::read::ReadError;
use crate::view::{Area, RowError, View};

/// What a visitor of counters is called with; it breaks to stop.
pub type VisitCounter<'a> = dyn FnMut(Key, i128) -> ControlFlow<()> + 'a;

/// Returns what a counter counts; zero if it was never added to, or nothing since its reset.
///
/// # Errors
/// [`ReadError`] if the row cannot be read, or the key cannot be used.
pub fn get(view: &dyn View, key: &Key) -> Result<i128, ReadError> {
    let key = key.encode()?;
    let Some(row) = view.get(Area::State, &key)? else { return Ok(0) };
    sum(&row).ok_or_else(|| RowError { key }.into())
}

/// Visits the counters between two keys that were added to since their reset, in order of keys or
/// against it, until `visit` breaks.
///
/// # Errors
/// [`ReadError`] if a row cannot be read, or a key cannot be used.
pub fn range(
    view: &dyn View,
    from: Bound<&Key>,
    to: Bound<&Key>,
    reverse: bool,
    visit: &mut VisitCounter<'_>,
) -> Result<(), ReadError> {
    let (from, to) = (encode_bound(from)?, encode_bound(to)?);
    let (from, to) = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
    let mut damaged = None;
    view.range(Area::State, from, to, reverse, &mut |key, row| {
        let (Ok(decoded), Some(sum)) = (Key::decode(key), sum(row)) else {
            damaged = Some(RowError { key: key.to_vec() });
            return ControlFlow::Break(());
        };
        visit(decoded, sum)
    })?;
    damaged.map_or(Ok(()), |error| Err(error.into()))
}

/// Returns what the counter of a row of [`Area::State`] counts; `None` if the row is damaged.
pub fn sum(row: &[u8]) -> Option<i128> {
    Slot::unpack_counter(row).map(|slot| slot.total().sum)
}
