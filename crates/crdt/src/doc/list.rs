//! The order of a list: its elements by place, and of one place by their ids.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use super::layout::{DocLayout, place};
use super::position::Place;
use super::read;
use super::tree::{Kind, place_of};
use crate::fold::Layout;
use crate::path::{ElementId, Path, Step, elements_of};
use crate::read::ReadError;
use crate::view::{Area, RowError, View};

/// The elements of a list in order, each with its place.
pub(super) type Order = Vec<(Place, ElementId)>;

/// Returns the ids of the elements of the list at a path, in order; `None` if no list shows there.
/// It costs the rows of the list.
///
/// # Errors
/// [`ReadError`] if a row cannot be read, or the path cannot be used.
pub fn elements(view: &dyn View, path: &Path) -> Result<Option<Vec<ElementId>>, ReadError> {
    let Ok(path) = read::resolve(view, path)? else { return Ok(None) };
    if read::obstacle(view, &path)?.is_some() || read::kind(view, &path)? != Kind::List {
        return Ok(None);
    }
    Ok(Some(order(view, &path)?.into_iter().map(|(_, element)| element).collect()))
}

/// Returns the path to the place at a path without steps by index; `None` if it leads nowhere now.
///
/// # Errors
/// [`ReadError`] if a row cannot be read, or the path cannot be used.
pub fn locate(view: &dyn View, path: &Path) -> Result<Option<Path>, ReadError> {
    Ok(read::resolve(view, path)?.ok())
}

/// Returns the elements below a path that have something and stand somewhere, in order.
pub(super) fn order(view: &dyn View, path: &Path) -> Result<Order, ReadError> {
    let (from, to) = elements_of(&path.encode()?);
    let (mut places, mut damaged) = (BTreeMap::<ElementId, Option<Place>>::new(), None);
    let (depth, ends) = (path.steps().len(), (Bound::Included(&*from), Bound::Excluded(&*to)));
    view.range(Area::State, ends.0, ends.1, false, &mut |key, row| {
        let Some((element, found)) = element_at(depth, key, row) else {
            damaged = Some(RowError { key: key.to_vec() });
            return ControlFlow::Break(());
        };
        let place = places.entry(element).or_default();
        *place = place.take().or(found);
        ControlFlow::Continue(())
    })?;
    if let Some(error) = damaged {
        return Err(error.into());
    }
    let mut order = Order::new();
    for (element, place) in places {
        let place = match place {
            Some(place) => Some(place),
            None => place_of(view, &path.child(element))?,
        };
        order.extend(place.map(|place| (place, element)));
    }
    order.sort_unstable();
    Ok(order)
}

/// Returns the element that a row at or below it belongs to, and its place if the row tells it.
fn element_at(depth: usize, key: &[u8], row: &[u8]) -> Option<(ElementId, Option<Place>)> {
    let path = Path::decode(crate::path::strip_counter(key).unwrap_or(key)).ok()?;
    let Step::Element(element) = path.steps().get(depth)? else { return None };
    let is_own = path.steps().len() == depth + 1 && crate::path::strip_counter(key).is_none();
    let found = if is_own { place(&DocLayout.unpack(key, row)?) } else { None };
    Some((*element, found))
}
