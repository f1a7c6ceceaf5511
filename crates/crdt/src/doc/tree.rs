//! The leaves below a path as a tree, which decides what shows where scalar, map, list and counter
//! meet: the kind of which the greatest stamp is live, at the place or below it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::layout::{DocLayout, place};
use super::position::Place;
use crate::cbor::{EMPTY_LIST, EMPTY_MAP};
use crate::fold::{Layout, Slot};
use crate::path::{Path, Step, strip_counter};
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

/// What can be at a place of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Nothing,
    Scalar,
    Map,
    List,
    Counter,
}

impl Kind {
    /// Returns the kind of a leaf with this encoded value.
    pub(super) fn of_leaf(value: &[u8]) -> Self {
        match value {
            EMPTY_MAP => Self::Map,
            EMPTY_LIST => Self::List,
            _ => Self::Scalar,
        }
    }

    /// Returns what must be at a place for this step to lead on from there.
    pub(super) fn around(step: &Step) -> Self {
        match step {
            Step::Key(_) => Self::Map,
            Step::Element(_) | Step::Index(_) => Self::List,
        }
    }

    /// Returns the name of the kind, for messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Scalar => "a plain value",
            Self::Map => "a map",
            Self::List => "a list",
            Self::Counter => "a counter",
        }
    }
}

/// A place in a document: the leaf and the counter there, and what is below.
#[derive(Default)]
pub(super) struct Node {
    leaf: Option<Slot>,
    counter: Option<Slot>,
    /// Where it stands, if it is an element of a list.
    place: Option<Place>,
    children: BTreeMap<Step, Node>,
}

/// What shows at a place.
pub(super) struct Shown {
    /// The value, or `None` if nothing is there.
    pub(super) value: Option<Value>,
    /// The greatest stamp that is live here or below.
    pub(super) newest: Option<Stamp>,
    pub(super) kind: Kind,
}

impl Node {
    /// Reads the leaves at and below a path.
    pub(super) fn load(view: &dyn View, path: &Path) -> Result<Self, ReadError> {
        let (mut root, mut damaged) = (Self::default(), None);
        let start = path.encode()?;
        visit_prefix(view, Area::State, &start, &mut |key, row| {
            if root.take(path.steps().len(), key, row).is_some() {
                return ControlFlow::Continue(());
            }
            damaged = Some(RowError { key: key.to_vec() });
            ControlFlow::Break(())
        })?;
        if let Some(error) = damaged {
            return Err(error.into());
        }
        root.find_places(view, path)?;
        Ok(root)
    }

    /// Adds the row at a key, which leads `depth` steps to this node; `None` if it is damaged.
    fn take(&mut self, depth: usize, key: &[u8], row: &[u8]) -> Option<()> {
        let slots = DocLayout.unpack(key, row)?;
        let counter = strip_counter(key);
        let path = Path::decode(counter.unwrap_or(key)).ok()?;
        let mut node = self;
        for step in path.steps().get(depth..)? {
            node = node.children.entry(step.clone()).or_default();
        }
        if counter.is_some() {
            node.counter = Some(slots.main);
        } else {
            node.place = place(&slots);
            node.leaf = Some(slots.main);
        }
        Some(())
    }

    /// Finds where the elements stand whose own value is gone, but not all that is below.
    fn find_places(&mut self, view: &dyn View, path: &Path) -> Result<(), ReadError> {
        for (step, child) in &mut self.children {
            let path = path.child(step.clone());
            if matches!(step, Step::Element(_)) && child.leaf.is_none() {
                child.place = place_of(view, &path)?;
            }
            child.find_places(view, &path)?;
        }
        Ok(())
    }

    /// Decides what shows here; `None` if a row is damaged.
    pub(super) fn show(&self) -> Option<Shown> {
        let (mut map, mut list) = (BTreeMap::new(), BTreeMap::new());
        let mut newest = Newest(None, Kind::Nothing);
        for (step, child) in &self.children {
            let shown = child.show()?;
            newest.see(Kind::around(step), shown.newest);
            let Some(value) = shown.value else { continue };
            match (step, &child.place) {
                (Step::Key(key), _) => drop(map.insert(key.clone(), value)),
                (Step::Element(element), Some(place)) => {
                    list.insert((place, *element), value);
                }
                _ => {}
            }
        }
        for (stamp, value) in self.leaf.iter().flat_map(Slot::live) {
            newest.see(Kind::of_leaf(value), Some(stamp));
        }
        newest.see(Kind::Counter, self.counter.as_ref().and_then(Slot::winner).map(|head| head.0));
        let Newest(newest, kind) = newest;
        let value = match kind {
            Kind::Nothing => None,
            Kind::Scalar => Some(Value::decode(self.scalar()?).ok()?),
            Kind::Map => Some(Value::Map(map)),
            Kind::List => Some(Value::List(list.into_values().collect())),
            Kind::Counter => Some(Value::from_wide(self.counter.as_ref()?.total().sum)),
        };
        Some(Shown { value, newest, kind })
    }

    /// Returns the latest value here that is neither map nor list.
    fn scalar(&self) -> Option<&[u8]> {
        let mut live = self.leaf.as_ref()?.live().rev().map(|(_, value)| value);
        live.find(|value| Kind::of_leaf(value) == Kind::Scalar)
    }

    /// Returns what the counter here counts.
    pub(super) fn counted(&self) -> i128 {
        self.counter.as_ref().map_or(0, |counter| counter.total().sum)
    }

    /// Adds every version here and below that does not show; `None` if a row is damaged.
    pub(super) fn conflicts(
        &self,
        path: &Path,
        hidden: bool,
        found: &mut Vec<PathConflict>,
    ) -> Option<()> {
        let kind = if hidden { Kind::Nothing } else { self.show()?.kind };
        let mut losers = Vec::new();
        let mut shown = (kind == Kind::Scalar).then(|| self.scalar()).flatten();
        for (stamp, value) in self.leaf.iter().flat_map(|leaf| leaf.live().rev()) {
            // The marker of a map or list that shows, and the value that shows, are no conflict.
            let is_shown =
                Kind::of_leaf(value) == kind && (kind != Kind::Scalar || shown.take().is_some());
            if !is_shown {
                losers.push(Version { stamp, value: Value::decode(value).ok()? });
            }
        }
        if let Some(counter) = self.counter.as_ref().filter(|_| kind != Kind::Counter) {
            let (stamp, _) = counter.winner()?;
            losers.push(Version { stamp, value: Value::from_wide(counter.total().sum) });
            losers.sort_unstable_by_key(|version| std::cmp::Reverse(version.stamp));
        }
        if !losers.is_empty() {
            found.push(PathConflict { path: path.clone(), losers });
        }
        for (step, child) in &self.children {
            let stands = !matches!(step, Step::Element(_)) || child.place.is_some();
            let hidden = Kind::around(step) != kind || !stands;
            child.conflicts(&path.child(step.clone()), hidden, found)?;
        }
        Some(())
    }
}

/// Returns where an element stands, whether or not its own value is there.
pub(super) fn place_of(view: &dyn View, element: &Path) -> Result<Option<Place>, ReadError> {
    Ok(place(&crate::fold::load(&DocLayout, view, &element.encode()?)?.slots))
}

/// The greatest stamp so far, and its kind.
struct Newest(Option<Stamp>, Kind);

impl Newest {
    fn see(&mut self, kind: Kind, stamp: Option<Stamp>) {
        if stamp > self.0 {
            *self = Self(stamp, kind);
        }
    }
}
