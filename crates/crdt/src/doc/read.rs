//! Reading a document at a path, at the cost of the leaves there.

use std::ops::{Bound, ControlFlow};

use super::layout::DocLayout;
use super::list;
use super::tree::{Kind, Node, PathConflict, place_of};
use crate::fold::{self, Slot};
use crate::path::{Path, Step, elements_of, values_of};
use crate::read::ReadError;
use crate::value::Value;
use crate::view::{Area, RowError, View, ViewError, prefix_end};

/// Returns the value at a path, or `None` if nothing is there; at the root always a map. A counter
/// reads as what it counts.
///
/// # Errors
/// [`ReadError`] if a row cannot be read, or the path cannot be used.
pub fn get(view: &dyn View, path: &Path) -> Result<Option<Value>, ReadError> {
    let Ok(path) = resolve(view, path)? else { return Ok(None) };
    if path.is_root() {
        return to_value(view).map(Some);
    }
    if obstacle(view, &path)?.is_some() {
        return Ok(None);
    }
    Ok(Node::load(view, &path)?.show().ok_or_else(|| damaged(&path))?.value)
}

/// Returns what the counter at a path counts, exactly; `None` if no counter shows there.
///
/// # Errors
/// [`ReadError`] if a row cannot be read, or the path cannot be used.
pub fn counter(view: &dyn View, path: &Path) -> Result<Option<i128>, ReadError> {
    let Ok(path) = resolve(view, path)? else { return Ok(None) };
    if path.is_root() || obstacle(view, &path)?.is_some() {
        return Ok(None);
    }
    let node = Node::load(view, &path)?;
    let shown = node.show().ok_or_else(|| damaged(&path))?;
    Ok((shown.kind == Kind::Counter).then(|| node.counted()))
}

/// Returns the whole document, a map.
///
/// # Errors
/// [`ReadError`] if a row cannot be read.
pub fn to_value(view: &dyn View) -> Result<Value, ReadError> {
    let root = Path::root();
    let shown = Node::load(view, &root)?.show().ok_or_else(|| damaged(&root))?;
    Ok(shown.value.unwrap_or_else(|| Value::Map(std::collections::BTreeMap::new())))
}

/// Returns every version at or below a path that reading does not give: versions that lost a leaf,
/// and whatever is of another kind than what shows.
///
/// # Errors
/// [`ReadError`] if a row cannot be read, or the path cannot be used.
pub fn conflicts(view: &dyn View, path: &Path) -> Result<Vec<PathConflict>, ReadError> {
    let Ok(path) = resolve(view, path)? else { return Ok(Vec::new()) };
    let hidden = obstacle(view, &path)?.is_some();
    let mut found = Vec::new();
    Node::load(view, &path)?.conflicts(&path, hidden, &mut found).ok_or_else(|| damaged(&path))?;
    Ok(found)
}

/// Says why a path leads nowhere.
pub(super) enum Lost {
    /// There is no element with this index.
    OutOfRange { index: usize, length: usize },
    /// What is at this path is no list.
    NotAList { at: Path, found: Kind },
}

/// Returns the path with each index replaced by the element that is there now.
pub(super) fn resolve(view: &dyn View, path: &Path) -> Result<Result<Path, Lost>, ReadError> {
    let mut resolved = Path::root();
    for step in path.steps() {
        let Step::Index(index) = step else {
            resolved = resolved.child(step.clone());
            continue;
        };
        let found = kind(view, &resolved)?;
        if found != Kind::List {
            return Ok(Err(Lost::NotAList { at: resolved, found }));
        }
        let order = list::order(view, &resolved)?;
        let Some((_, element)) = order.get(*index) else {
            return Ok(Err(Lost::OutOfRange { index: *index, length: order.len() }));
        };
        resolved = resolved.child(*element);
    }
    Ok(Ok(resolved))
}

/// Returns the slot of a leaf, live or buried.
pub(super) fn leaf<V: View + ?Sized>(view: &V, key: &[u8]) -> Result<Slot, ViewError> {
    fold::load(&DocLayout, view, key).map(|cell| cell.slots.main)
}

/// Returns the first place on the way of a path that does not lead on, and what shows there:
/// something of another kind, or nothing where an element should be.
pub(super) fn obstacle(view: &dyn View, path: &Path) -> Result<Option<(Path, Kind)>, ReadError> {
    let mut at = Path::root();
    for (place, step) in path.steps().iter().enumerate() {
        at = at.child(step.clone());
        let next = path.steps().get(place + 1);
        let is_element = matches!(step, Step::Element(_));
        if next.is_none() && !is_element {
            break;
        }
        let found = kind(view, &at)?;
        if is_element && (found == Kind::Nothing || place_of(view, &at)?.is_none()) {
            return Ok(Some((at, Kind::Nothing)));
        }
        if next.is_some_and(|next| found != Kind::around(next)) && found != Kind::Nothing {
            return Ok(Some((at, found)));
        }
    }
    Ok(None)
}

/// Returns what shows at a path, as far as what is above lets it. All that is below is read only
/// where several kinds meet.
pub(super) fn kind(view: &dyn View, path: &Path) -> Result<Kind, ReadError> {
    if path.is_root() {
        return Ok(Kind::Map);
    }
    let key = path.encode()?;
    let mut kinds: Vec<Kind> =
        leaf(view, &key)?.live().map(|(_, value)| Kind::of_leaf(value)).collect();
    if view.get(Area::State, &path.encode_counter()?)?.is_some() {
        kinds.push(Kind::Counter);
    }
    let (from, to) = elements_of(&key);
    if has_rows(view, &from, Bound::Excluded(&to))? {
        kinds.push(Kind::List);
    }
    let ([from, to], rest) = values_of(&key);
    let end = prefix_end(&key);
    if has_rows(view, &from, Bound::Excluded(&to))?
        || has_rows(view, &rest, end.as_ref().map(Vec::as_slice))?
    {
        kinds.push(Kind::Map);
    }
    kinds.dedup();
    match kinds.as_slice() {
        [] => Ok(Kind::Nothing),
        [kind] => Ok(*kind),
        _ => Ok(Node::load(view, path)?.show().ok_or_else(|| damaged(path))?.kind),
    }
}

fn has_rows(view: &dyn View, from: &[u8], to: Bound<&[u8]>) -> Result<bool, ViewError> {
    let mut found = false;
    view.range(Area::State, Bound::Included(from), to, false, &mut |_, _| {
        found = true;
        ControlFlow::Break(())
    })?;
    Ok(found)
}

pub(super) fn damaged(path: &Path) -> ReadError {
    RowError { key: path.encode().unwrap_or_default() }.into()
}
