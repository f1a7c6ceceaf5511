//! State as it was, or would be, with some entries only.
//!
//! Invariant: a view of the past has the very rows that a fresh fold of the ancestors of its tips has,
//! and nothing of it is written anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use weald_auth::SETTINGS_STORE;
use weald_crdt::{Applied, Area, StoreType, Touched, View, ViewError, ViewMut};
use weald_dag::{
    Graph, KeyRange, Number, Order, Overlay, Snapshot, Space, Standing, StoreError, Stored, Visit,
};

use crate::fold::{StoreTypes, store_error};
use crate::index;
use crate::secrets::Shown;
use crate::stale::clear;
use crate::view::{StorePlace, StoreViewMut, space_of, stamp_of};

/// The areas of a store.
pub(crate) const AREAS: [Area; 5] =
    [Area::State, Area::Buried, Area::Dangling, Area::History, Area::Local];

type Ids = BTreeSet<[u8; 32]>;

/// Returns state as it would be if only the ancestors of `tips` that are visible now were there, each
/// of `tips` among them.
///
/// What came later is taken back row by row, or, where that is more, what was before is folded
/// anew: the cost is that of the smaller part. Indexes count as not built, so that queries do
/// not use those of now.
///
/// # Errors
/// Any [`StoreError`].
pub fn past(
    snapshot: Arc<dyn Snapshot>,
    database: u32,
    types: &StoreTypes,
    tips: &[Number],
) -> Result<Overlay, StoreError> {
    let graph = Graph::new(&*snapshot, database);
    let Some((_, head)) = graph.head()? else { return Ok(Overlay::new(snapshot)) };
    let later = graph.difference(&head.tips, tips)?;
    let needed = usize::try_from(head.needed).unwrap_or(usize::MAX);
    if later.len() > needed.saturating_sub(later.len()) {
        return anew(snapshot, database, types, tips);
    }
    let mut rows = Overlay::new(snapshot);
    let mut left_out = LeftOut { database, types, ids: Ids::new(), touched: BTreeMap::new() };
    for number in later {
        let stored = Graph::new(&rows, database).stored(number)?;
        left_out.note(&stored)?;
    }
    left_out.take_back(&mut rows)?;
    index::suspend(&mut rows, database)?;
    Ok(rows)
}

/// Folds the ancestors of `tips` over nothing.
fn anew(
    snapshot: Arc<dyn Snapshot>,
    database: u32,
    types: &StoreTypes,
    tips: &[Number],
) -> Result<Overlay, StoreError> {
    let ancestors = Graph::new(&*snapshot, database).ancestors(tips)?;
    let mut rows = Overlay::new(Arc::new(Blank { base: snapshot, database }));
    let only = ancestors.iter().copied().collect();
    let among = Among::Only(&only);
    for number in ancestors {
        let stored = Graph::new(&rows, database).stored(number)?;
        each_section(&stored, database, types, &mut |section| {
            apply(&mut rows, section, &stored, among)
        })?;
    }
    index::suspend(&mut rows, database)?;
    Ok(rows)
}

/// Entries that a view of the past does without, and what they touched.
struct LeftOut<'a> {
    database: u32,
    types: &'a StoreTypes,
    ids: Ids,
    touched: BTreeMap<StorePlace, (&'static str, Touched)>,
}

impl LeftOut<'_> {
    fn note(&mut self, stored: &Stored) -> Result<(), StoreError> {
        self.ids.insert(*stored.parcel.entry.id().as_bytes());
        let touched = &mut self.touched;
        each_section(stored, self.database, self.types, &mut |section| {
            let stamp = stamp_of(&stored.parcel.entry, is_visible(stored));
            // A void section has touched nothing.
            let store_type = section.store_type;
            let Ok(more) = store_type.touched(section.payload, &stamp) else { return Ok(()) };
            let all = touched.entry(section.place.clone());
            let nothing = || (store_type.name(), Touched::Rows(BTreeSet::new()));
            let (_, all) = all.or_insert_with(nothing);
            match (all, more) {
                (Touched::Rows(rows), Touched::Rows(more)) => rows.extend(more),
                (all, Touched::Store) => *all = Touched::Store,
                (Touched::Store, Touched::Rows(_)) => {}
            }
            Ok(())
        })
    }

    fn take_back(self, rows: &mut Overlay) -> Result<(), StoreError> {
        let mut whole = BTreeSet::new();
        for (place, (type_name, touched)) in &self.touched {
            let Some(store_type) = self.types.get(type_name) else { continue };
            match touched {
                Touched::Store => {
                    clear(rows, place)?;
                    whole.insert(place);
                }
                Touched::Rows(keys) => {
                    let view = StoreViewMut::new(rows, place.clone()).given_to(&**store_type);
                    let mut view = PastView { view, among: Among::Without(&self.ids) };
                    let refolded =
                        store_type.refold(keys, &BTreeSet::new(), &mut view, &mut Vec::new());
                    refolded.map_err(|error| store_error(&error))?;
                }
            }
        }
        if whole.is_empty() { Ok(()) } else { self.fold_whole(rows, &whole) }
    }

    /// Folds stores again that cannot take back a part.
    fn fold_whole(
        &self,
        rows: &mut Overlay,
        whole: &BTreeSet<&StorePlace>,
    ) -> Result<(), StoreError> {
        for number in Graph::new(rows, self.database).numbers_from(Number(0))? {
            let stored = Graph::new(rows, self.database).stored(number)?;
            if self.ids.contains(stored.parcel.entry.id().as_bytes()) {
                continue;
            }
            each_section(&stored, self.database, self.types, &mut |section| {
                if !whole.contains(section.place) {
                    return Ok(());
                }
                apply(rows, section, &stored, Among::Without(&self.ids))
            })?;
        }
        Ok(())
    }
}

fn is_visible(stored: &Stored) -> bool {
    stored.local.standing == Standing::Visible
}

/// A section as its type sees it: opened, if it was sealed.
pub(crate) struct Readable<'a> {
    pub(crate) place: &'a StorePlace,
    /// Its place among the sections of its entry.
    pub(crate) at: usize,
    pub(crate) store_type: &'a dyn StoreType,
    pub(crate) payload: &'a [u8],
}

/// What takes a section.
pub(crate) type TakeSection<'a> = dyn FnMut(&Readable<'_>) -> Result<(), StoreError> + 'a;

/// Calls `take` with each section that this build can fold, and has the key of.
pub(crate) fn each_section(
    stored: &Stored,
    database: u32,
    types: &StoreTypes,
    take: &mut TakeSection<'_>,
) -> Result<(), StoreError> {
    if !stored.local.standing.is_needed() {
        return Ok(());
    }
    let parcel = &stored.parcel;
    for (at, (section, payload)) in parcel.entry.sections().iter().zip(&parcel.payloads).enumerate()
    {
        let Some(payload) = payload.as_ref().filter(|_| section.store != SETTINGS_STORE) else {
            continue;
        };
        let shown = types.shown(database, &section.store, &parcel.entry.author(), payload);
        let Shown::Section { place, type_name, payload } = shown else { continue };
        if let Some(store_type) = types.get(&type_name)
            && (is_visible(stored) || store_type.folds_hidden())
        {
            let (place, store_type) = (&place, &**store_type);
            take(&Readable { place, at, store_type, payload: &payload })?;
        }
    }
    Ok(())
}

fn apply(
    rows: &mut Overlay,
    section: &Readable<'_>,
    stored: &Stored,
    among: Among<'_>,
) -> Result<(), StoreError> {
    let view = StoreViewMut::new(rows, section.place.clone()).given_to(section.store_type);
    let mut view = PastView { view, among };
    give(&mut view, section.store_type, stored, section.payload)
}

/// Gives a section of a stored entry to the type of its store, by how the entry stands now.
pub(crate) fn apply_stored(
    rows: &mut Overlay,
    place: StorePlace,
    store_type: &dyn StoreType,
    stored: &Stored,
    payload: &[u8],
) -> Result<(), StoreError> {
    give(&mut StoreViewMut::new(rows, place).given_to(store_type), store_type, stored, payload)
}

fn give(
    view: &mut dyn ViewMut,
    store_type: &dyn StoreType,
    stored: &Stored,
    payload: &[u8],
) -> Result<(), StoreError> {
    let stamp = stamp_of(&stored.parcel.entry, is_visible(stored));
    match store_type.apply(payload, &stamp, view, &mut Vec::new()) {
        Ok(()) | Err(weald_crdt::ApplyError::Void(_)) => Ok(()),
        Err(weald_crdt::ApplyError::View(error)) => Err(store_error(&error)),
    }
}

/// Which entries a view of the past is of.
#[derive(Clone, Copy)]
enum Among<'a> {
    /// All but these.
    Without(&'a Ids),
    /// These.
    Only(&'a BTreeSet<Number>),
}

/// A store whose view of what was applied is of some entries.
struct PastView<'a> {
    view: StoreViewMut<'a>,
    among: Among<'a>,
}

impl View for PastView<'_> {
    fn get(&self, area: Area, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        self.view.get(area, key)
    }

    fn range(
        &self,
        area: Area,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        reverse: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), ViewError> {
        self.view.range(area, from, to, reverse, visit)
    }

    fn applied(&self, entry: &[u8; 32]) -> Result<Option<Applied>, ViewError> {
        let is_among = match self.among {
            Among::Without(ids) => !ids.contains(entry),
            Among::Only(numbers) => {
                self.view.number(entry)?.is_some_and(|number| numbers.contains(&number))
            }
        };
        if is_among { self.view.applied(entry) } else { Ok(None) }
    }
}

impl ViewMut for PastView<'_> {
    fn put(&mut self, area: Area, key: &[u8], value: Vec<u8>) {
        self.view.put(area, key, value);
    }

    fn remove(&mut self, area: Area, key: &[u8]) {
        self.view.remove(area, key);
    }
}

/// A snapshot without the state of one database.
struct Blank {
    base: Arc<dyn Snapshot>,
    database: u32,
}

impl Blank {
    fn hides(&self, space: Space) -> bool {
        AREAS.iter().any(|area| space_of(*area, self.database) == space)
    }
}

impl Snapshot for Blank {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if self.hides(space) { Ok(None) } else { self.base.get(space, key) }
    }

    fn range(
        &self,
        space: Space,
        range: KeyRange,
        order: Order,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        if self.hides(space) { Ok(()) } else { self.base.range(space, range, order, visit) }
    }
}
