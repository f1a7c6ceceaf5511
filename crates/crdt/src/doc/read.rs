//! Reading a document at a path, at the cost of the leaves there.

use super::layout::DocLayout;
use super::tree::{Node, PathConflict};
use crate::cbor::EMPTY_MAP;
use crate::fold::{self, Slot};
use crate::path::Path;
use crate::read::ReadError;
use crate::value::Value;
use crate::view::{RowError, View, ViewError};

/// Returns the value at a path, or `None` if nothing is there; at the root always a map.
///
/// # Errors
/// [`ReadError`] if a row cannot be read, or the path cannot be used.
pub fn get(view: &dyn View, path: &Path) -> Result<Option<Value>, ReadError> {
    if path.is_root() {
        return to_value(view).map(Some);
    }
    if blocking_scalar(view, path)?.is_some() {
        return Ok(None);
    }
    let shown = Node::load(view, path)?.show().ok_or_else(|| damaged(path))?;
    Ok(shown.value)
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
/// leaves that a map hides, and leaves below one that hides them.
///
/// # Errors
/// [`ReadError`] if a row cannot be read, or the path cannot be used.
pub fn conflicts(view: &dyn View, path: &Path) -> Result<Vec<PathConflict>, ReadError> {
    let hidden = blocking_scalar(view, path)?.is_some();
    let mut found = Vec::new();
    Node::load(view, path)?.conflicts(path, hidden, &mut found).ok_or_else(|| damaged(path))?;
    Ok(found)
}

/// Returns the slot of a leaf, live or buried.
pub(super) fn leaf<V: View + ?Sized>(view: &V, path: &[u8]) -> Result<Slot, ViewError> {
    fold::load(&DocLayout, view, path).map(|cell| cell.slots.main)
}

/// Returns the first place above a path where a value shows that is not a map.
pub(super) fn blocking_scalar(view: &dyn View, path: &Path) -> Result<Option<Path>, ReadError> {
    let mut above = Path::root();
    for component in path.components().iter().take(path.components().len().saturating_sub(1)) {
        above = above.child(component.as_str());
        let leaf = leaf(view, &above.encode()?)?;
        let is_scalar = leaf.winner().is_some_and(|(_, value)| value != EMPTY_MAP);
        // Only where such a leaf is at all, it is compared with the leaves below it.
        if is_scalar && Node::load(view, &above)?.show().ok_or_else(|| damaged(&above))?.is_scalar {
            return Ok(Some(above));
        }
    }
    Ok(None)
}

fn damaged(path: &Path) -> ReadError {
    RowError { key: path.encode().unwrap_or_default() }.into()
}
