//! Reading a log from its ends or from a cursor, at the cost of the items asked for.

use std::ops::{Bound, ControlFlow};

use super::{key, stamp};
use crate::read::{ReadError, Version};
use crate::stamp::Stamp;
use crate::value::Value;
use crate::view::{Area, RowError, View};

/// Holds one item of a log; its stamp is the cursor.
pub type Item = Version;

/// Returns the last `count` items, oldest first.
///
/// # Errors
/// [`ReadError`] if a row cannot be read.
pub fn tail(view: &dyn View, count: usize) -> Result<Vec<Item>, ReadError> {
    let mut items = read(view, Bound::Unbounded, Bound::Unbounded, true, count)?;
    items.reverse();
    Ok(items)
}

/// Returns the last `count` items before the cursor, oldest first.
///
/// # Errors
/// [`ReadError`] if a row cannot be read.
pub fn before(view: &dyn View, cursor: &Stamp, count: usize) -> Result<Vec<Item>, ReadError> {
    let mut items = read(view, Bound::Unbounded, Bound::Excluded(&key(cursor)), true, count)?;
    items.reverse();
    Ok(items)
}

/// Returns the first `count` items after the cursor, or of all without one, oldest first.
///
/// # Errors
/// [`ReadError`] if a row cannot be read.
pub fn after(
    view: &dyn View,
    cursor: Option<&Stamp>,
    count: usize,
) -> Result<Vec<Item>, ReadError> {
    let from = cursor.map(key);
    let from = from.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    read(view, from, Bound::Unbounded, false, count)
}

/// Returns the item with this stamp.
///
/// # Errors
/// [`ReadError`] if the row cannot be read.
pub fn get(view: &dyn View, cursor: &Stamp) -> Result<Option<Value>, ReadError> {
    let key = key(cursor);
    let Some(row) = view.get(Area::State, &key)? else { return Ok(None) };
    Value::decode(&row).map(Some).map_err(|_| RowError { key }.into())
}

fn read(
    view: &dyn View,
    from: Bound<&[u8]>,
    to: Bound<&[u8]>,
    reverse: bool,
    count: usize,
) -> Result<Vec<Item>, ReadError> {
    let mut items = Vec::new();
    let mut damaged = None;
    if count == 0 {
        return Ok(items);
    }
    view.range(Area::State, from, to, reverse, &mut |key, row| {
        let (Ok(stamp), Ok(value)) = (stamp(key), Value::decode(row)) else {
            damaged = Some(RowError { key: key.to_vec() });
            return ControlFlow::Break(());
        };
        items.push(Item { stamp, value });
        if items.len() < count { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    damaged.map_or(Ok(items), |error| Err(error.into()))
}
