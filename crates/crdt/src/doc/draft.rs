//! The operations of a transaction on one document.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::layout::DocLayout;
use super::operation::Operation;
use super::{DocType, VERSION, read};
use crate::cbor::EMPTY_MAP;
use crate::draft::DraftError;
use crate::fold::{self, Section, Slot};
use crate::limits::MAX_NESTING;
use crate::names::{chunks, name_what_fits};
use crate::path::Path;
use crate::read::ReadError;
use crate::section::SectionWriter;
use crate::stamp::{Dot, EntryStamp, Stamp};
use crate::value::{Value, ValueError};
use crate::view::{Area, RowError, ViewMut, visit_prefix};

/// What becomes of a leaf, by its encoded path: its encoded value, or `None` to remove it.
pub(super) type Leaves = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A leaf to write or remove: its encoded path, its value, and the heads it has.
type LeafPlan<'a> = (&'a [u8], Option<&'a [u8]>, Vec<Stamp>);

/// Collects what a transaction does to a document.
#[derive(Clone, Debug, Default)]
pub struct DocDraft {
    section: SectionWriter,
}

impl DocDraft {
    /// Starts without operations.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the value at a path: a map leaf by leaf, anything else as one. What was seen at and below
    /// the path is replaced; maps on the way come into being.
    ///
    /// # Errors
    /// [`DraftError::ThroughScalar`] if a value that is not a map shows above, [`DraftError::NotAMap`]
    /// for a root that is no map; other [`DraftError`]s for a path or value that cannot be stored,
    /// or a section over its limits.
    pub fn set(
        &mut self,
        view: &mut dyn ViewMut,
        path: &Path,
        value: &Value,
    ) -> Result<(), DraftError> {
        if path.is_root() && value.as_map().is_none() {
            return Err(DraftError::NotAMap { found: value.kind() });
        }
        refuse_through_scalar(&*view, path)?;
        let mut leaves = seen(&*view, path)?;
        flatten(path, value, &mut leaves)?;
        self.stage(view, &leaves)
    }

    /// Removes what is at and below a path, and returns whether there was anything. The map around
    /// it stays, also if it becomes empty.
    ///
    /// # Errors
    /// [`DraftError::Root`] for the whole document, [`DraftError::ThroughScalar`] if a value that is
    /// not a map shows above; other [`DraftError`]s as for [`DocDraft::set`].
    pub fn remove(&mut self, view: &mut dyn ViewMut, path: &Path) -> Result<bool, DraftError> {
        let parent = path.parent().ok_or(DraftError::Root)?;
        refuse_through_scalar(&*view, path)?;
        let mut leaves = seen(&*view, path)?;
        if leaves.is_empty() {
            return Ok(false);
        }
        if !parent.is_root() && !has_more(&*view, &parent, leaves.len())? {
            leaves.insert(parent.encode()?, Some(EMPTY_MAP.to_vec()));
        }
        self.stage(view, &leaves)?;
        Ok(true)
    }

    /// Returns whether there is no operation.
    pub fn is_empty(&self) -> bool {
        self.section.count() == 0
    }

    /// Returns the payload of the section.
    pub fn encode(&self) -> Vec<u8> {
        self.section.encode(DocType::NAME, VERSION)
    }

    /// Records operations and applies them to the transaction's rows, or does neither.
    pub(super) fn stage(
        &mut self,
        view: &mut dyn ViewMut,
        leaves: &Leaves,
    ) -> Result<(), DraftError> {
        let mut plans = Vec::with_capacity(leaves.len());
        for (path, value) in leaves {
            plans.push((path.as_slice(), value.as_deref(), read::leaf(&*view, path)?.stamps()));
        }
        let heads = || plans.iter().flat_map(|(.., heads)| heads).copied().collect();
        let alone = self.is_empty();
        name_what_fits(heads, alone, |oldest| self.write(view, &plans, oldest))
    }

    fn write(
        &mut self,
        view: &mut dyn ViewMut,
        plans: &[LeafPlan<'_>],
        oldest: &Stamp,
    ) -> Result<(), DraftError> {
        let first = self.section.next_index();
        let operations: Vec<Operation<'_>> =
            plans.iter().flat_map(|plan| operations(plan, oldest)).collect();
        let mark = self.section.mark();
        operations.iter().for_each(|operation| operation.encode(&mut self.section));
        let staged = self.section.check().map_err(DraftError::from).and_then(|()| {
            let (payload, mut changes) = (|| self.encode(), Vec::new());
            let own = Section { entry: &EntryStamp::PROVISIONAL, payload: &payload };
            let rows: Vec<_> = operations.iter().cloned().map(Operation::on_row).collect();
            Ok(fold::apply(&DocLayout, &own, first, &rows, view, &mut changes, None)?)
        });
        if staged.is_err() {
            self.section.reset(mark);
        }
        staged
    }
}

/// Returns the operations on a leaf that name its heads since `oldest`; the last one writes the value.
fn operations<'a>((path, value, heads): &LeafPlan<'a>, oldest: &Stamp) -> Vec<Operation<'a>> {
    let heads: Vec<Dot> = heads.iter().filter(|head| *head >= oldest).map(Stamp::dot).collect();
    if heads.is_empty() && value.is_none() {
        return Vec::new();
    }
    let mut operations: Vec<Operation<'a>> =
        chunks(&heads).into_iter().map(|names| Operation { path, names, value: None }).collect();
    if let Some(last) = operations.last_mut() {
        last.value = *value;
    }
    operations
}

fn refuse_through_scalar(view: &dyn ViewMut, path: &Path) -> Result<(), DraftError> {
    match read::blocking_scalar(view, path) {
        Ok(None) => Ok(()),
        Ok(Some(at)) => Err(DraftError::ThroughScalar { at }),
        Err(error) => Err(from_read(error)),
    }
}

/// Returns the live leaves at and below a path, each to be removed.
fn seen(view: &dyn ViewMut, path: &Path) -> Result<Leaves, DraftError> {
    let mut leaves = Leaves::new();
    let mut damaged = None;
    visit_prefix(view, Area::State, &path.encode()?, &mut |key, row| {
        if Slot::unpack(row).is_none() {
            damaged = Some(RowError { key: key.to_vec() });
            return ControlFlow::Break(());
        }
        leaves.insert(key.to_vec(), None);
        ControlFlow::Continue(())
    })?;
    damaged.map_or(Ok(leaves), |error| Err(error.into()))
}

/// Returns whether a map has its marker, or more than `count` live leaves.
fn has_more(view: &dyn ViewMut, map: &Path, count: usize) -> Result<bool, DraftError> {
    let key = map.encode()?;
    if read::leaf(view, &key)?.winner().is_some_and(|(_, value)| value == EMPTY_MAP) {
        return Ok(true);
    }
    let mut left = count;
    let mut more = false;
    visit_prefix(view, Area::State, &key, &mut |leaf, _| {
        if leaf == key {
            return ControlFlow::Continue(());
        }
        match left.checked_sub(1) {
            Some(rest) => left = rest,
            None => more = true,
        }
        if more { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(more)
}

/// Adds the leaves of a value; an empty map has its marker, but for the root.
fn flatten(path: &Path, value: &Value, leaves: &mut Leaves) -> Result<(), DraftError> {
    let depth = path.components().len();
    match value {
        Value::Map(map) if !map.is_empty() => {
            if depth >= MAX_NESTING {
                return Err(ValueError::TooDeep.into());
            }
            for (component, value) in map {
                flatten(&path.child(component.as_str()), value, leaves)?;
            }
        }
        Value::Map(_) if path.is_root() => {}
        leaf => {
            let room = MAX_NESTING.checked_sub(depth).ok_or(ValueError::TooDeep)?;
            let mut encoded = Vec::new();
            leaf.encode_into(&mut encoded, room)?;
            leaves.insert(path.encode()?, Some(encoded));
        }
    }
    Ok(())
}

fn from_read(error: ReadError) -> DraftError {
    match error {
        ReadError::View(error) => error.into(),
        ReadError::Row(error) => error.into(),
        ReadError::Key(error) => error.into(),
    }
}
