//! Reading a set: whether a member is there costs one row, and none of its bytes are decoded.

use std::ops::{Bound, ControlFlow};

use super::encode_member;
use crate::read::ReadError;
use crate::value::Value;
use crate::view::{Area, RowError, View};

/// What a visitor of members is called with; it breaks to stop.
pub type VisitMember<'a> = dyn FnMut(Value) -> ControlFlow<()> + 'a;

/// Returns whether a value is a member. What cannot be stored is none.
///
/// # Errors
/// [`ReadError`] if the row cannot be read.
pub fn contains(view: &dyn View, member: &Value) -> Result<bool, ReadError> {
    match encode_member(member) {
        Ok(key) => Ok(view.get(Area::State, &key)?.is_some()),
        Err(_) => Ok(false),
    }
}

/// Visits the members after one, or all, in the order of their canonical bytes, the same on every
/// device, until `visit` breaks.
///
/// # Errors
/// [`ReadError`] if a row cannot be read.
pub fn members(
    view: &dyn View,
    after: Option<&[u8]>,
    visit: &mut VisitMember<'_>,
) -> Result<(), ReadError> {
    let mut damaged = None;
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    view.range(
        Area::State,
        from,
        Bound::Unbounded,
        false,
        &mut |key, _| match Value::decode(key) {
            Ok(member) => visit(member),
            Err(_) => {
                damaged = Some(RowError { key: key.to_vec() });
                ControlFlow::Break(())
            }
        },
    )?;
    damaged.map_or(Ok(()), |error| Err(error.into()))
}

/// Counts the members, by visiting their rows.
///
/// # Errors
/// [`ReadError`] if a row cannot be read.
pub fn count(view: &dyn View) -> Result<u64, ReadError> {
    let (all, mut count) = (Bound::Unbounded, 0_u64);
    view.range(Area::State, all, all, false, &mut |_, _| {
        count += 1;
        ControlFlow::Continue(())
    })?;
    Ok(count)
}
