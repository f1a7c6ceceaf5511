//! The rows of one store of a database, as the merging types see them.
//!
//! Invariant: a store's rows carry its name and type in front, so no two stores share a key.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use weald_crdt::{
    Applied, Area, EntryStamp, SEALED_TYPE, StoreType, View, ViewError, ViewMut, section_type,
};
use weald_dag::{
    Entry, EntryId, Graph, KeyRange, Number, Order, Overlay, Parcel, Snapshot, Space, Standing,
    StoreError, Stored, Visit,
};

use crate::fold::StoreTypes;
use crate::locked::{is_sealed, is_waiting, sealed_prefix};
use crate::secrets::{Opened, Secrets};
use crate::unfolded;

/// The space that an area of a database's stores rests in.
pub const fn space_of(area: Area, database: u32) -> Space {
    match area {
        Area::State => Space::new("state", database),
        Area::Buried => Space::new("buried", database),
        Area::Dangling => Space::new("dangling", database),
        Area::History => Space::new("history", database),
        Area::Local => Space::new("local", database),
    }
}

/// Keys up to this length are put together without a buffer of their own.
const SHORT_KEY_BYTES: usize = 96;

/// Names one store of one database.
#[derive(Clone)]
pub struct StorePlace {
    database: u32,
    prefix: Arc<[u8]>,
    secrets: Option<Arc<dyn Secrets>>,
}

/// What stands where the length of a type's name stands, for a sealed store.
const SEALED: u8 = u8::MAX;

impl fmt::Debug for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorePlace")
            .field("database", &self.database)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl PartialEq for StorePlace {
    fn eq(&self, other: &Self) -> bool {
        (self.database, &self.prefix) == (other.database, &other.prefix)
    }
}

impl Eq for StorePlace {}

impl PartialOrd for StorePlace {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for StorePlace {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.database, &self.prefix).cmp(&(other.database, &other.prefix))
    }
}

impl StorePlace {
    /// Names the store `name` of the type `type_name` in the database with this local number.
    pub fn new(database: u32, name: &str, type_name: &str) -> Self {
        let mut prefix = Vec::with_capacity(name.len() + type_name.len() + 2);
        for part in [name, type_name] {
            // Names of stores and types are at most 128 bytes long.
            prefix.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
            prefix.extend_from_slice(part.as_bytes());
        }
        Self { database, prefix: prefix.into(), secrets: None }
    }

    /// Names the sealed store `name` of the type `type_name`. Its rows are apart from those of a
    /// store in the clear, and no range over more than one store shows them.
    pub fn sealed(database: u32, name: &str, type_name: &str, secrets: &Arc<dyn Secrets>) -> Self {
        let clear = Self::new(database, name, type_name);
        let type_at = (name.len() + 1).min(clear.prefix.len());
        let (name, type_name) = clear.prefix.split_at(type_at);
        let prefix = [name, &[SEALED], type_name].concat();
        Self { database, prefix: prefix.into(), secrets: Some(Arc::clone(secrets)) }
    }

    /// Names a store as its sections on this replica do: sealed, if it is.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn of(
        rows: &dyn Snapshot,
        types: &StoreTypes,
        database: u32,
        (name, type_name): (&str, &str),
    ) -> Result<Self, StoreError> {
        match types.secrets() {
            Some(secrets) if is_sealed(rows, database, name)? => {
                Ok(Self::sealed(database, name, type_name, secrets))
            }
            _ => Ok(Self::new(database, name, type_name)),
        }
    }

    /// Returns whether the store is sealed.
    pub const fn is_sealed(&self) -> bool {
        self.secrets.is_some()
    }

    /// Returns the local number of the database.
    pub(crate) const fn database(&self) -> u32 {
        self.database
    }

    /// Returns the key that a row of the store has among the rows of the database.
    pub fn key(&self, key: &[u8]) -> Vec<u8> {
        [&*self.prefix, key].concat()
    }

    /// Calls `run` with the key that a row of the store has among the rows of the database.
    fn with_key<R>(&self, key: &[u8], run: impl FnOnce(&[u8]) -> R) -> R {
        let mut short = [0; SHORT_KEY_BYTES];
        let length = self.prefix.len() + key.len();
        let Some((prefix, rest)) =
            short.get_mut(..length).and_then(|short| short.split_at_mut_checked(self.prefix.len()))
        else {
            return run(&self.key(key));
        };
        prefix.copy_from_slice(&self.prefix);
        rest.copy_from_slice(key);
        run(short.get(..length).unwrap_or_default())
    }

    /// Returns whether it is a store of this name.
    fn is_of(&self, name: &str) -> bool {
        self.prefix.strip_prefix(sealed_prefix(name).as_slice()).is_some()
    }

    /// Returns the key that a row among the rows of the database has in the store.
    pub(crate) fn relative<'a>(&self, key: &'a [u8]) -> Option<&'a [u8]> {
        key.strip_prefix(&*self.prefix)
    }

    /// Returns the range of keys of a range of the store's rows.
    pub(crate) fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> KeyRange {
        let whole = KeyRange::prefix(&self.prefix);
        let place = |bound, outside| match bound {
            Bound::Included(key) => Bound::Included(self.key(key)),
            Bound::Excluded(key) => Bound::Excluded(self.key(key)),
            Bound::Unbounded => outside,
        };
        KeyRange { from: place(from, whole.from), to: place(to, whole.to) }
    }
}

/// Returns whether the key of a row, among the rows of a database, is of a sealed store.
pub fn is_of_sealed(key: &[u8]) -> bool {
    let mark = key.first().and_then(|length| key.get(1 + usize::from(*length)));
    mark == Some(&SEALED)
}

/// Returns the name of the sealed store that the key of a row is of.
pub fn sealed_name(key: &[u8]) -> Option<&str> {
    let (length, rest) = key.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    if rest.first() == Some(&SEALED) { std::str::from_utf8(name).ok() } else { None }
}

/// Returns the name of the type of a store with this name that has rows; of several, made apart, the
/// first by length and bytes of the type's name.
///
/// # Errors
/// Any [`StoreError`].
pub fn type_in_use(
    rows: &dyn Snapshot,
    database: u32,
    name: &str,
) -> Result<Option<String>, StoreError> {
    let mut prefix = vec![u8::try_from(name.len()).unwrap_or(u8::MAX)];
    prefix.extend_from_slice(name.as_bytes());
    let (mut found, start) = (None, prefix.len());
    let space = space_of(Area::State, database);
    rows.range(space, KeyRange::prefix(&prefix), Order::Ascending, &mut |key, _| {
        let named = key.get(start..).and_then(<[u8]>::split_first);
        if named.is_some_and(|(mark, _)| *mark == SEALED) {
            return ControlFlow::Continue(());
        }
        let type_name = named.and_then(|(length, rest)| rest.get(..usize::from(*length)));
        found = type_name.and_then(|name| String::from_utf8(name.to_vec()).ok());
        ControlFlow::Break(())
    })?;
    Ok(found)
}

fn failed(error: weald_dag::StoreError) -> ViewError {
    ViewError::new(error)
}

/// A store in a snapshot.
pub struct StoreView<'a, S> {
    rows: &'a S,
    place: StorePlace,
}

impl<'a, S: Snapshot> StoreView<'a, S> {
    /// Views the store at `place`.
    pub const fn new(rows: &'a S, place: StorePlace) -> Self {
        Self { rows, place }
    }
}

impl<S: Snapshot> View for StoreView<'_, S> {
    fn applied(&self, entry: &[u8; 32]) -> Result<Option<Applied>, ViewError> {
        applied(self.rows, &self.place, entry)
    }

    fn get(&self, area: Area, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        let space = space_of(area, self.place.database);
        self.place.with_key(key, |key| self.rows.get(space, key)).map_err(failed)
    }

    fn read(&self, area: Area, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<(), ViewError> {
        let space = space_of(area, self.place.database);
        self.place.with_key(key, |key| self.rows.read(space, key, visit)).map_err(failed)
    }

    fn range(
        &self,
        area: Area,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        reverse: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), ViewError> {
        let space = space_of(area, self.place.database);
        let order = if reverse { Order::Descending } else { Order::Ascending };
        let prefix = self.place.prefix.len();
        let mut inside = |key: &[u8], value: &[u8]| match key.get(prefix..) {
            Some(key) => visit(key, value),
            None => ControlFlow::Continue(()),
        };
        self.rows.range(space, self.place.range(from, to), order, &mut inside).map_err(failed)
    }
}

/// Returns the section of the entry that was given to this very store: the entry is needed, and its
/// section of that name has a payload of that type, void or not, that does not wait for an update.
fn applied(
    rows: &dyn Snapshot,
    place: &StorePlace,
    entry: &[u8; 32],
) -> Result<Option<Applied>, ViewError> {
    let graph = Graph::new(rows, place.database);
    let number = graph.number(&EntryId::from_bytes(*entry)).map_err(failed)?;
    let Some(number) = number else { return Ok(None) };
    let Stored { local, parcel, .. } = graph.stored(number).map_err(failed)?;
    if !local.standing.is_needed() {
        return Ok(None);
    }
    let Parcel { entry, mut payloads, .. } = parcel;
    let stamp = stamp_of(&entry, local.standing == Standing::Visible);
    if place.is_sealed() {
        let payload = applied_sealed(rows, place, &entry, &payloads, number)?;
        return Ok(payload.map(|payload| Applied { stamp, payload }));
    }
    let mut held = entry.sections().iter().zip(&payloads);
    let here = held.position(|(section, payload)| {
        let type_name = payload.as_deref().and_then(|payload| section_type(payload).ok());
        type_name
            .is_some_and(|name| StorePlace::new(place.database, &section.store, name) == *place)
    });
    let Some(section) = here else { return Ok(None) };
    if unfolded::is_waiting(rows, place.database, number, section).map_err(failed)? {
        return Ok(None);
    }
    let payload = payloads.get_mut(section).and_then(Option::take);
    Ok(payload.map(|payload| Applied { stamp, payload }))
}

/// Returns the section of an entry on a sealed store, opened, if it does not wait.
fn applied_sealed(
    rows: &dyn Snapshot,
    place: &StorePlace,
    entry: &Entry,
    payloads: &[Option<Vec<u8>>],
    number: Number,
) -> Result<Option<Vec<u8>>, ViewError> {
    let (Some(secrets), database) = (&place.secrets, place.database) else { return Ok(None) };
    for (at, (section, payload)) in entry.sections().iter().zip(payloads).enumerate() {
        let store = &section.store;
        let sealed = payload.as_deref().filter(|payload| section_type(payload) == Ok(SEALED_TYPE));
        let Some(sealed) = sealed.filter(|_| place.is_of(store)) else { continue };
        // A store has one section in an entry.
        let opened = match secrets.open(database, store, &entry.author(), sealed) {
            Opened::Section(opened) => opened,
            Opened::Locked | Opened::Void(_) => return Ok(None),
        };
        let type_name = section_type(&opened).unwrap_or_default();
        let is_here = StorePlace::sealed(database, store, type_name, secrets) == *place;
        let waits = unfolded::is_waiting(rows, database, number, at).map_err(failed)?
            || is_waiting(rows, database, store, number, at).map_err(failed)?;
        return Ok((is_here && !waits).then_some(opened));
    }
    Ok(None)
}

/// Returns an entry as the merging types know it.
pub(crate) fn stamp_of(entry: &Entry, is_visible: bool) -> EntryStamp {
    EntryStamp {
        time: entry.time().raw(),
        entry: *entry.id().as_bytes(),
        author: *entry.author().as_bytes(),
        is_visible,
    }
}

/// A store in an overlay, whose rows can be staged.
pub struct StoreViewMut<'a> {
    rows: &'a mut Overlay,
    place: StorePlace,
    /// Whether its type is given sections of visible entries alone.
    only_visible: bool,
    /// What each row of state that was written held before, if that is asked for.
    before: Option<BTreeMap<Vec<u8>, Option<Vec<u8>>>>,
}

impl<'a> StoreViewMut<'a> {
    /// Views the store at `place`.
    pub const fn new(rows: &'a mut Overlay, place: StorePlace) -> Self {
        Self { rows, place, only_visible: false, before: None }
    }

    /// Views the store at `place`, and remembers what rows of state held before they were written.
    pub(crate) const fn recording(rows: &'a mut Overlay, place: StorePlace) -> Self {
        Self { rows, place, only_visible: false, before: Some(BTreeMap::new()) }
    }

    /// Views it as a type that is given this.
    pub(crate) fn given_to(mut self, store_type: &dyn StoreType) -> Self {
        self.only_visible = !store_type.folds_hidden();
        self
    }

    /// Returns what a row of state held before it was written; `None` also if it was not.
    pub(crate) fn before(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        self.before.as_mut()?.remove(key)?
    }

    /// Returns whether rows are remembered.
    pub(crate) const fn records(&self) -> bool {
        self.before.is_some()
    }

    fn remember(&mut self, area: Area, key: &[u8]) {
        let Some(before) = &mut self.before else { return };
        if area == Area::State && !before.contains_key(key) {
            let space = space_of(area, self.place.database);
            // A row that cannot be read was read by the type before, which has failed then.
            let row = self.rows.get(space, &self.place.key(key)).unwrap_or_default();
            before.insert(key.to_vec(), row);
        }
    }

    /// Returns the local number of an entry that is stored.
    pub(crate) fn number(&self, entry: &[u8; 32]) -> Result<Option<Number>, ViewError> {
        let graph = Graph::new(self.rows, self.place.database);
        graph.number(&EntryId::from_bytes(*entry)).map_err(failed)
    }

    fn reader(&self) -> StoreView<'_, Overlay> {
        StoreView::new(self.rows, self.place.clone())
    }
}

impl View for StoreViewMut<'_> {
    fn applied(&self, entry: &[u8; 32]) -> Result<Option<Applied>, ViewError> {
        let found = applied(self.rows, &self.place, entry)?;
        Ok(found.filter(|applied| applied.stamp.is_visible || !self.only_visible))
    }

    fn get(&self, area: Area, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        let space = space_of(area, self.place.database);
        self.place.with_key(key, |key| self.rows.get(space, key)).map_err(failed)
    }

    fn read(&self, area: Area, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<(), ViewError> {
        let space = space_of(area, self.place.database);
        self.place.with_key(key, |key| self.rows.read(space, key, visit)).map_err(failed)
    }

    fn range(
        &self,
        area: Area,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        reverse: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), ViewError> {
        self.reader().range(area, from, to, reverse, visit)
    }
}

impl ViewMut for StoreViewMut<'_> {
    fn put(&mut self, area: Area, key: &[u8], value: Vec<u8>) {
        self.remember(area, key);
        let space = space_of(area, self.place.database);
        self.place.with_key(key, |key| self.rows.put(space, key, value));
    }

    fn remove(&mut self, area: Area, key: &[u8]) {
        self.remember(area, key);
        let space = space_of(area, self.place.database);
        self.place.with_key(key, |key| self.rows.remove(space, key));
    }
}
