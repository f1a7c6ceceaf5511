//! The operations of a transaction on one document.

use std::ops::ControlFlow;

use super::layout::DocLayout;
use super::list::{self, Order};
use super::plan::Plan;
use super::position::{Place, Position, between, run};
use super::read::{self, Lost};
use super::tree::Kind;
use super::{DocType, VERSION};
use crate::cbor::{EMPTY_LIST, EMPTY_MAP};
use crate::draft::DraftError;
use crate::fold::{self, Section};
use crate::names::name_what_fits;
use crate::path::{ElementId, Path, Step, strip_counter};
use crate::read::ReadError;
use crate::section::SectionWriter;
use crate::stamp::{Dot, EntryStamp, Stamp};
use crate::value::Value;
use crate::view::{Area, View, ViewMut, visit_prefix};

/// How many elements on each side are moved apart at first where there is no room between two; if
/// that does not do, four times as many, and so on.
const REBALANCED_ELEMENTS: usize = 8;

/// Collects what a transaction does to a document.
#[derive(Clone, Debug, Default)]
pub struct DocDraft {
    section: SectionWriter,
    /// The list that was written last, as it is now.
    order: Option<(Path, Order)>,
}

impl DocDraft {
    /// Starts without operations.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the value at a path: maps leaf by leaf, lists element by element. What was seen at and
    /// below the path is replaced; maps on the way come into being.
    ///
    /// # Errors
    /// [`DraftError::ThroughScalar`], [`DraftError::WrongKind`], [`DraftError::OutOfRange`] and
    /// [`DraftError::NoElement`] for a path that does not lead on, [`DraftError::NotAMap`] for a root
    /// that is no map; other [`DraftError`]s for a path or value that cannot be stored, or a section
    /// over its limits.
    pub fn set(
        &mut self,
        view: &mut dyn ViewMut,
        path: &Path,
        value: &Value,
    ) -> Result<(), DraftError> {
        if path.is_root() && value.as_map().is_none() {
            return Err(DraftError::NotAMap { found: value.kind() });
        }
        let path = way(&*view, path)?;
        let mut plan = Plan::removing(&*view, &path)?;
        plan.set(&*view, &path, value)?;
        self.stage(view, &plan).map(drop)
    }

    /// Removes what is at and below a path, and returns whether there was anything. The map or list
    /// around it stays, also if it becomes empty.
    ///
    /// # Errors
    /// [`DraftError::Root`] for the whole document; other [`DraftError`]s as for [`DocDraft::set`].
    pub fn remove(&mut self, view: &mut dyn ViewMut, path: &Path) -> Result<bool, DraftError> {
        if path.is_root() {
            return Err(DraftError::Root);
        }
        let path = match way(&*view, path) {
            Err(DraftError::NoElement { at }) if at == *path => return Ok(false),
            way => way?,
        };
        let (Some(step), Some(around)) = (path.steps().last(), path.parent()) else {
            return Err(DraftError::Root);
        };
        let mut plan = Plan::removing(&*view, &path)?;
        if plan.is_empty() {
            return Ok(false);
        }
        let kind = Kind::around(step);
        if !around.is_root() && !has_more(&*view, &around, kind, &path)? {
            let marker = if kind == Kind::List { EMPTY_LIST } else { EMPTY_MAP };
            plan.leaf(&*view, &around, marker)?;
        }
        self.stage(view, &plan)?;
        Ok(true)
    }

    /// Adds to the counter at a path; where nothing is, one comes into being and starts at zero.
    ///
    /// # Errors
    /// [`DraftError::WrongKind`] if something else is there; other [`DraftError`]s as for
    /// [`DocDraft::set`].
    pub fn increment(
        &mut self,
        view: &mut dyn ViewMut,
        path: &Path,
        amount: i64,
    ) -> Result<(), DraftError> {
        let path = way(&*view, path)?;
        match read::kind(&*view, &path).map_err(from_read)? {
            Kind::Nothing | Kind::Counter => {}
            found => return Err(wrong_kind(path, Kind::Counter, found)),
        }
        let mut plan = Plan::default();
        plan.add(&*view, path, amount)?;
        self.stage(view, &plan).map(drop)
    }

    /// Inserts an element into the list at a path, before the one that has this index, or at the end
    /// for the length of the list. Where nothing is, a list comes into being.
    ///
    /// # Errors
    /// [`DraftError::WrongKind`] if something else is there, [`DraftError::OutOfRange`] for an index
    /// beyond the end; other [`DraftError`]s as for [`DocDraft::set`].
    pub fn insert(
        &mut self,
        view: &mut dyn ViewMut,
        path: &Path,
        index: usize,
        value: &Value,
    ) -> Result<(), DraftError> {
        let (path, order) = self.open_list(&*view, path)?;
        let inserted = self.insert_at(view, &path, &order, index, value)?;
        self.order = inserted.map(|(place, element)| {
            let mut order = order;
            order.insert(index, (place, element));
            (path, order)
        });
        Ok(())
    }

    /// Appends an element to the list at a path. Where nothing is, a list comes into being.
    ///
    /// # Errors
    /// Those of [`DocDraft::insert`].
    pub fn push(
        &mut self,
        view: &mut dyn ViewMut,
        path: &Path,
        value: &Value,
    ) -> Result<(), DraftError> {
        let (path, order) = self.open_list(&*view, path)?;
        let end = order.len();
        let inserted = self.insert_at(view, &path, &order, end, value)?;
        self.order = inserted.map(|(place, element)| {
            let mut order = order;
            order.push((place, element));
            (path, order)
        });
        Ok(())
    }

    /// Moves an element of the list at a path, so that it has the index `to` afterwards. It stays the
    /// same element: what others change in it meanwhile comes along.
    ///
    /// # Errors
    /// Those of [`DocDraft::insert`].
    pub fn move_to(
        &mut self,
        view: &mut dyn ViewMut,
        path: &Path,
        from: usize,
        to: usize,
    ) -> Result<(), DraftError> {
        let (path, mut order) = self.open_list(&*view, path)?;
        let length = order.len();
        if let Some(index) = [from, to].into_iter().find(|index| *index >= length) {
            return Err(DraftError::OutOfRange { index, length });
        }
        if from == to {
            return Ok(());
        }
        let (_, element) = order.remove(from);
        let mut plan = Plan::default();
        let position = make_room(&*view, &path, &order, to, &mut plan)?;
        plan.shift(&*view, path.child(element), &position)?;
        self.stage(view, &plan).map(drop)
    }

    /// Returns whether there is no operation.
    pub fn is_empty(&self) -> bool {
        self.section.count() == 0
    }

    /// Returns the payload of the section.
    pub fn encode(&self) -> Vec<u8> {
        self.section.encode(DocType::NAME, VERSION)
    }

    /// Returns the path to the list at a path without steps by index; nothing may be there yet.
    ///
    /// # Errors
    /// [`DraftError::WrongKind`] if something else is there; other [`DraftError`]s for a path that
    /// does not lead on.
    pub fn locate_list(&self, view: &dyn View, path: &Path) -> Result<Path, DraftError> {
        let path = way(view, path)?;
        match read::kind(view, &path).map_err(from_read)? {
            Kind::List | Kind::Nothing => Ok(path),
            found => Err(wrong_kind(path, Kind::List, found)),
        }
    }

    /// Returns the list at a path in order, without elements if nothing is there.
    fn open_list(&mut self, view: &dyn View, path: &Path) -> Result<(Path, Order), DraftError> {
        if let Some((_, order)) = self.order.take_if(|(known, _)| known == path) {
            return Ok((path.clone(), order));
        }
        let path = self.locate_list(view, path)?;
        let order = list::order(view, &path).map_err(from_read)?;
        Ok((path, order))
    }

    /// Stages an insertion, and returns the element unless others were moved for it.
    fn insert_at(
        &mut self,
        view: &mut dyn ViewMut,
        path: &Path,
        order: &Order,
        index: usize,
        value: &Value,
    ) -> Result<Option<(Place, ElementId)>, DraftError> {
        let length = order.len();
        if index > length {
            return Err(DraftError::OutOfRange { index, length });
        }
        let mut plan = Plan::default();
        if order.is_empty() {
            plan.leaf(&*view, path, EMPTY_LIST)?;
        }
        let position = make_room(&*view, path, order, index, &mut plan)?;
        let is_alone = !plan.moves();
        plan.insert(path.clone(), position.clone(), value);
        let inserted = self.stage(view, &plan)?;
        Ok(inserted.first().filter(|_| is_alone).map(|index| {
            let stamp = EntryStamp::PROVISIONAL.at(*index);
            (Place::new(&position, &stamp), ElementId::new(stamp.dot()))
        }))
    }

    /// Records operations and applies them to the transaction's rows, or does neither. Returns the
    /// indexes of the insertions.
    pub(super) fn stage(
        &mut self,
        view: &mut dyn ViewMut,
        plan: &Plan<'_>,
    ) -> Result<Vec<u32>, DraftError> {
        let (alone, mut inserted) = (self.is_empty(), Vec::new());
        name_what_fits(
            || plan.heads(),
            alone,
            |oldest| {
                inserted = self.write(view, plan, oldest)?;
                Ok(())
            },
        )?;
        self.order = None;
        Ok(inserted)
    }

    fn write(
        &mut self,
        view: &mut dyn ViewMut,
        plan: &Plan<'_>,
        oldest: &Stamp,
    ) -> Result<Vec<u32>, DraftError> {
        let first = self.section.next_index();
        let operations = plan.operations(first, oldest)?;
        let mut rows = Vec::with_capacity(operations.list.len());
        for (index, operation) in (first..).zip(&operations.list) {
            rows.push(
                operation.borrowed().on_row(Dot { entry: EntryStamp::PROVISIONAL.entry, index })?,
            );
        }
        let mark = self.section.mark();
        operations.list.iter().for_each(|operation| operation.encode(&mut self.section));
        let staged = self.section.check().map_err(DraftError::from).and_then(|()| {
            let payload = || self.encode();
            let own = Section { entry: &EntryStamp::PROVISIONAL, payload: &payload };
            Ok(fold::apply(&DocLayout, &own, first, &rows, view, &mut Vec::new(), None)?)
        });
        match staged {
            Ok(()) => Ok(operations.inserted),
            Err(error) => {
                self.section.reset(mark);
                Err(error)
            }
        }
    }
}

/// Returns the path without steps by index, if it leads somewhere.
fn way(view: &dyn View, path: &Path) -> Result<Path, DraftError> {
    let path = match read::resolve(view, path).map_err(from_read)? {
        Ok(path) => path,
        Err(Lost::OutOfRange { index, length }) => {
            return Err(DraftError::OutOfRange { index, length });
        }
        Err(Lost::NotAList { at, found }) => return Err(wrong_kind(at, Kind::List, found)),
    };
    match read::obstacle(view, &path).map_err(from_read)? {
        None => Ok(path),
        Some((at, Kind::Nothing)) => Err(DraftError::NoElement { at }),
        Some((at, Kind::Scalar | Kind::Counter)) => Err(DraftError::ThroughScalar { at }),
        Some((at, Kind::List)) => Err(wrong_kind(at, Kind::Map, Kind::List)),
        Some((at, Kind::Map)) => Err(wrong_kind(at, Kind::List, Kind::Map)),
    }
}

fn wrong_kind(at: Path, expected: Kind, found: Kind) -> DraftError {
    DraftError::WrongKind { at, expected: expected.name(), found: found.name() }
}

/// Returns a position before the element with this index, and plans to move others apart if there
/// is no room.
fn make_room(
    view: &dyn View,
    list: &Path,
    order: &Order,
    index: usize,
    plan: &mut Plan<'_>,
) -> Result<Position, DraftError> {
    let place = |at: Option<usize>| Some(&order.get(at?)?.0);
    let position = between(place(index.checked_sub(1)), place(Some(index)));
    if let Some(position) = position.filter(|position| !position.is_long()) {
        return Ok(position);
    }
    let mut width = REBALANCED_ELEMENTS;
    loop {
        let (from, to) = window(order, index, width);
        let run = run(place(from.checked_sub(1)), place(Some(to)), to - from + 1);
        let is_whole = from == 0 && to == order.len();
        let mut run = run.filter(|run| is_whole || !run.iter().any(Position::is_long));
        if let Some(positions) = &mut run {
            let own = positions.remove(index - from);
            let moved = order.iter().skip(from).zip(positions.iter());
            for ((_, element), position) in moved {
                plan.shift(view, list.child(*element), position)?;
            }
            return Ok(own);
        }
        width = width.saturating_mul(4);
    }
}

/// Returns the elements around an index that are moved apart: those beside them were not put where
/// they are by this transaction, which leaves room.
fn window(order: &Order, index: usize, width: usize) -> (usize, usize) {
    let is_own = |at: usize| order.get(at).is_some_and(|(place, _)| place.is_provisional());
    let mut from = index.saturating_sub(width);
    while from.checked_sub(1).is_some_and(is_own) {
        from -= 1;
    }
    let mut to = order.len().min(index.saturating_add(width));
    while is_own(to) {
        to += 1;
    }
    (from, to)
}

/// Returns whether a map or list has its marker, or something beside what is at and below a path.
fn has_more(view: &dyn View, around: &Path, kind: Kind, path: &Path) -> Result<bool, DraftError> {
    let (key, without) = (around.encode()?, path.encode()?);
    if read::leaf(view, &key)?.live().any(|(_, value)| Kind::of_leaf(value) == kind) {
        return Ok(true);
    }
    let (depth, mut more) = (around.steps().len(), false);
    visit_prefix(view, Area::State, &key, &mut |row, _| {
        if row != key && !row.starts_with(&without) {
            let below = Path::decode(strip_counter(row).unwrap_or(row)).unwrap_or_default();
            let step: Option<&Step> = below.steps().get(depth);
            more = step.is_some_and(|step| Kind::around(step) == kind);
        }
        if more { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(more)
}

fn from_read(error: ReadError) -> DraftError {
    match error {
        ReadError::View(error) => error.into(),
        ReadError::Row(error) => error.into(),
        ReadError::Key(error) => error.into(),
    }
}
