//! What a write comes to: leaves to set and remove, elements to insert and move, counters to reset
//! and add to. From it the operations are made, naming the heads that were seen.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::layout::{DocLayout, POSITION};
use super::operation::{Action, Operation};
use super::position::{Position, run};
use crate::cbor::{EMPTY_LIST, EMPTY_MAP};
use crate::draft::DraftError;
use crate::fold;
use crate::limits::MAX_NESTING;
use crate::names::{chunks, newest};
use crate::path::{ElementId, Path, Step, strip_counter};
use crate::stamp::{Dot, EntryStamp, Stamp};
use crate::value::{Value, ValueError};
use crate::view::{Area, View, visit_prefix};

/// A leaf or a counter, and what becomes of it.
struct Leaf {
    path: Path,
    is_counter: bool,
    heads: Vec<Stamp>,
    /// The encoded value to set, or `None` to remove or reset.
    value: Option<Vec<u8>>,
}

/// An element to be moved.
struct Moved {
    path: Path,
    heads: Vec<Stamp>,
    position: Vec<u8>,
}

/// An element to be inserted.
struct Inserted<'a> {
    list: Path,
    position: Position,
    value: &'a Value,
}

/// What a write comes to.
#[derive(Default)]
pub(super) struct Plan<'a> {
    leaves: BTreeMap<Vec<u8>, Leaf>,
    moved: Vec<Moved>,
    inserted: Vec<Inserted<'a>>,
    added: Vec<(Path, Vec<Stamp>, i64)>,
}

impl<'a> Plan<'a> {
    /// Plans to remove what is live at and below a path.
    pub(super) fn removing(view: &dyn View, path: &Path) -> Result<Self, DraftError> {
        let mut keys = Vec::new();
        visit_prefix(view, Area::State, &path.encode()?, &mut |key, _| {
            keys.push(key.to_vec());
            ControlFlow::Continue(())
        })?;
        let mut plan = Self::default();
        for key in keys {
            plan.clear(view, &key)?;
        }
        Ok(plan)
    }

    /// Plans to remove the leaf, or reset the counter, of the row at a key.
    pub(super) fn clear(&mut self, view: &dyn View, key: &[u8]) -> Result<(), DraftError> {
        let counter = strip_counter(key);
        let (path, is_counter) = (Path::decode(counter.unwrap_or(key))?, counter.is_some());
        let heads = fold::load(&DocLayout, view, key)?.slots.main.stamps();
        self.leaves.insert(key.to_vec(), Leaf { path, is_counter, heads, value: None });
        Ok(())
    }

    /// Returns whether nothing is to be removed.
    pub(super) fn is_empty(&self) -> bool {
        self.leaves.is_empty()
    }

    /// Returns whether elements are to be moved.
    pub(super) fn moves(&self) -> bool {
        !self.moved.is_empty()
    }

    /// Plans to set a leaf.
    pub(super) fn leaf(
        &mut self,
        view: &dyn View,
        path: &Path,
        value: &[u8],
    ) -> Result<(), DraftError> {
        let key = path.encode()?;
        let value = Some(value.to_vec());
        if let Some(leaf) = self.leaves.get_mut(&key) {
            leaf.value = value;
            return Ok(());
        }
        let heads = fold::load(&DocLayout, view, &key)?.slots.main.stamps();
        let leaf = Leaf { path: path.clone(), is_counter: false, heads, value };
        self.leaves.insert(key, leaf);
        Ok(())
    }

    /// Plans to set a value: maps leaf by leaf, lists element by element. An empty map has its marker,
    /// but for the root; a list and a map that is an element always have theirs.
    pub(super) fn set(
        &mut self,
        view: &dyn View,
        path: &Path,
        value: &'a Value,
    ) -> Result<(), DraftError> {
        let is_element = matches!(path.steps().last(), Some(Step::Element(_)));
        match value {
            Value::Map(map) => {
                if (map.is_empty() && !path.is_root()) || is_element {
                    self.leaf(view, path, &leaf_of(path, value)?)?;
                }
                for (key, value) in map {
                    self.set(view, &path.child(key), value)?;
                }
                Ok(())
            }
            Value::List(items) => {
                self.leaf(view, path, &leaf_of(path, value)?)?;
                let positions = run(None, None, items.len()).unwrap_or_default();
                for (position, value) in positions.into_iter().zip(items) {
                    self.insert(path.clone(), position, value);
                }
                Ok(())
            }
            _ => self.leaf(view, path, &leaf_of(path, value)?),
        }
    }

    /// Plans to insert an element into a list.
    pub(super) fn insert(&mut self, list: Path, position: Position, value: &'a Value) {
        self.inserted.push(Inserted { list, position, value });
    }

    /// Plans to move an element.
    pub(super) fn shift(
        &mut self,
        view: &dyn View,
        path: Path,
        position: &Position,
    ) -> Result<(), DraftError> {
        let slots = fold::load(&DocLayout, view, &path.encode()?)?.slots;
        let heads = slots.fields.get(POSITION).map(fold::Slot::stamps).unwrap_or_default();
        self.moved.push(Moved { path, heads, position: position.pack() });
        Ok(())
    }

    /// Plans to add to a counter.
    pub(super) fn add(
        &mut self,
        view: &dyn View,
        path: Path,
        amount: i64,
    ) -> Result<(), DraftError> {
        let heads = fold::load(&DocLayout, view, &path.encode_counter()?)?.slots.main.stamps();
        self.added.push((path, heads, amount));
        Ok(())
    }

    /// Returns all heads that the operations may name.
    pub(super) fn heads(&self) -> BTreeSet<Stamp> {
        let leaves = self.leaves.values().map(|leaf| &leaf.heads);
        let moved = self.moved.iter().map(|moved| &moved.heads);
        let added = self.added.iter().map(|(_, heads, _)| heads);
        leaves.chain(moved).chain(added).flatten().copied().collect()
    }

    /// Returns the operations, the first of which gets the index `first`; they name the heads since
    /// `oldest`.
    pub(super) fn operations(
        &self,
        first: u32,
        oldest: &Stamp,
    ) -> Result<Operations<'_>, DraftError> {
        let mut operations = Operations { first, list: Vec::new(), inserted: Vec::new() };
        for leaf in self.leaves.values() {
            operations.leaf(leaf, oldest);
        }
        for Moved { path, heads, position } in &self.moved {
            for names in chunks(&since(heads, oldest)) {
                let action = Action::Move(Cow::Borrowed(position.as_slice()));
                operations.list.push(Operation { path: path.clone(), names, action });
            }
        }
        for Inserted { list, position, value } in &self.inserted {
            let index = operations.next_index()?;
            operations.inserted.push(index);
            operations.element(list, position, value)?;
        }
        for (path, heads, amount) in &self.added {
            let (names, action) = (newest(heads, oldest), Action::Add(*amount));
            operations.list.push(Operation { path: path.clone(), names, action });
        }
        Ok(operations)
    }
}

/// The operations of a write.
pub(super) struct Operations<'a> {
    first: u32,
    pub(super) list: Vec<Operation<Cow<'a, [u8]>>>,
    /// The indexes of those that insert what was planned to be inserted, in that order.
    pub(super) inserted: Vec<u32>,
}

impl<'a> Operations<'a> {
    fn next_index(&self) -> Result<u32, DraftError> {
        let too_many = crate::section::Void::TooManyOperations { count: self.list.len() };
        let count = u32::try_from(self.list.len()).ok();
        Ok(count.and_then(|count| self.first.checked_add(count)).ok_or(too_many)?)
    }

    /// Adds the operations on a leaf; the last one writes the value.
    fn leaf(&mut self, leaf: &'a Leaf, oldest: &Stamp) {
        let heads = since(&leaf.heads, oldest);
        if heads.is_empty() && leaf.value.is_none() {
            return;
        }
        let nothing = if leaf.is_counter { Action::Reset } else { Action::Remove };
        let on = |names| Operation { path: leaf.path.clone(), names, action: nothing.clone() };
        self.list.extend(chunks(&heads).into_iter().map(on));
        if let (Some(last), Some(value)) = (self.list.last_mut(), &leaf.value) {
            last.action = Action::Set(Cow::Borrowed(value.as_slice()));
        }
    }

    /// Adds an element with all that is in it.
    fn element(
        &mut self,
        list: &Path,
        position: &Position,
        value: &'a Value,
    ) -> Result<(), DraftError> {
        let index = self.next_index()?;
        let own = Dot { entry: EntryStamp::PROVISIONAL.entry, index };
        let path = list.child(ElementId::new(own));
        let leaf = Cow::Owned(leaf_of(&path, value)?);
        let action = Action::Insert(Cow::Owned(position.pack()), leaf);
        self.list.push(Operation { path: list.clone(), names: Vec::new(), action });
        self.inside(&path, value)
    }

    /// Adds what is in a value at a place that is new.
    fn inside(&mut self, path: &Path, value: &'a Value) -> Result<(), DraftError> {
        match value {
            Value::Map(map) => {
                for (key, value) in map {
                    let path = path.child(key);
                    if value.as_map().is_none_or(BTreeMap::is_empty) {
                        let action = Action::Set(Cow::Owned(leaf_of(&path, value)?));
                        self.list.push(Operation { path: path.clone(), names: Vec::new(), action });
                    }
                    self.inside(&path, value)?;
                }
            }
            Value::List(items) => {
                let positions = run(None, None, items.len()).unwrap_or_default();
                for (position, value) in positions.iter().zip(items) {
                    self.element(path, position, value)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Returns the encoded leaf of a value at a path: its marker for a map or list.
fn leaf_of(path: &Path, value: &Value) -> Result<Vec<u8>, ValueError> {
    let room = MAX_NESTING.checked_sub(path.steps().len()).ok_or(ValueError::TooDeep)?;
    match value {
        Value::Map(_) | Value::List(_) if room == 0 => Err(ValueError::TooDeep),
        Value::Map(_) => Ok(EMPTY_MAP.to_vec()),
        Value::List(_) => Ok(EMPTY_LIST.to_vec()),
        scalar => {
            let mut encoded = Vec::new();
            scalar.encode_into(&mut encoded, room)?;
            Ok(encoded)
        }
    }
}

fn since(heads: &[Stamp], oldest: &Stamp) -> Vec<Dot> {
    heads.iter().filter(|head| *head >= oldest).map(Stamp::dot).collect()
}
