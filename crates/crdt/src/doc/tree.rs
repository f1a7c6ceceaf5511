//! The leaves below a path as a tree, which decides between a leaf and the leaves below it: a leaf
//! that is no map shows iff it is later than every live leaf below.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::cbor::EMPTY_MAP;
use crate::fold::Slot;
use crate::path::Path;
use crate::read::{ReadError, Version};
use crate::stamp::Stamp;
use crate::value::Value;
use crate::view::{Area, RowError, View, visit_prefix};

/// Holds the versions of a leaf that reading the document does not give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathConflict {
    /// Where the leaf is.
    pub path: Path,
    /// The versions, the latest first.
    pub losers: Vec<Version>,
}

/// A place in a document: the leaf there, and what is below.
#[derive(Default)]
pub(super) struct Node {
    leaf: Option<Slot>,
    children: BTreeMap<String, Node>,
}

/// What shows at a place.
pub(super) struct Shown {
    /// The value, or `None` if nothing is there.
    pub(super) value: Option<Value>,
    /// The greatest stamp of a live leaf here or below.
    pub(super) newest: Option<Stamp>,
    /// Whether the value is a leaf that is no map.
    pub(super) is_scalar: bool,
}

impl Node {
    /// Reads the leaves at and below a path.
    pub(super) fn load(view: &dyn View, path: &Path) -> Result<Self, ReadError> {
        let depth = path.components().len();
        let mut root = Self::default();
        let mut damaged = None;
        visit_prefix(view, Area::State, &path.encode()?, &mut |key, row| {
            let (Ok(leaf), Some(slot)) = (Path::decode(key), Slot::unpack(row)) else {
                damaged = Some(RowError { key: key.to_vec() });
                return ControlFlow::Break(());
            };
            let mut node = &mut root;
            for component in leaf.components().iter().skip(depth) {
                node = node.children.entry(component.clone()).or_default();
            }
            node.leaf = Some(slot);
            ControlFlow::Continue(())
        })?;
        damaged.map_or(Ok(root), |error| Err(error.into()))
    }

    /// Decides what shows here; `None` if a row is damaged.
    pub(super) fn show(&self) -> Option<Shown> {
        let mut below = None;
        let mut map = BTreeMap::new();
        for (component, child) in &self.children {
            let shown = child.show()?;
            below = below.max(shown.newest);
            if let Some(value) = shown.value {
                map.insert(component.clone(), value);
            }
        }
        let map = Value::Map(map);
        let Some((stamp, value)) = self.leaf.as_ref().and_then(Slot::winner) else {
            let value = below.is_some().then_some(map);
            return Some(Shown { value, newest: below, is_scalar: false });
        };
        let newest = below.max(Some(stamp));
        if value == EMPTY_MAP || below > Some(stamp) {
            return Some(Shown { value: Some(map), newest, is_scalar: false });
        }
        Some(Shown { value: Some(Value::decode(value).ok()?), newest, is_scalar: true })
    }

    /// Adds every version here and below that does not show; `None` if a row is damaged.
    pub(super) fn conflicts(
        &self,
        path: &Path,
        hidden: bool,
        found: &mut Vec<PathConflict>,
    ) -> Option<()> {
        let is_scalar = self.show()?.is_scalar;
        if let Some(leaf) = &self.leaf {
            let winner = leaf.winner().map(|(stamp, _)| stamp);
            let is_map = leaf.winner().is_some_and(|(_, value)| value == EMPTY_MAP);
            // The marker of a map that shows, and a leaf that shows, are no conflict.
            let shows = !hidden && (is_scalar || is_map);
            let lost = leaf.live().rev().filter(|(stamp, _)| !(shows && Some(*stamp) == winner));
            let losers = lost
                .map(|(stamp, value)| Some(Version { stamp, value: Value::decode(value).ok()? }));
            let losers: Vec<Version> = losers.collect::<Option<_>>()?;
            if !losers.is_empty() {
                found.push(PathConflict { path: path.clone(), losers });
            }
        }
        for (component, child) in &self.children {
            child.conflicts(&path.child(component.as_str()), hidden || is_scalar, found)?;
        }
        Some(())
    }
}
