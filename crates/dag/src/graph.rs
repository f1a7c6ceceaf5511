//! The entries of one database as they rest in a store.
//!
//! Invariant: numbers are a topological order; every parent of a stored entry is stored with a
//! smaller number.

use std::ops::ControlFlow;

use crate::entry::Entry;
use crate::id::EntryId;
use crate::ingest::Known;
use crate::overlay::Overlay;
use crate::parcel::Parcel;
use crate::row::{self, Front, Head, INLINE_PAYLOAD_MAX, Local, Number, Row, Slot, Standing};
use crate::seam::{Snapshot, StoreError};
use crate::space::{KeyRange, Order};

/// A view of one database's graph in a snapshot.
#[derive(Clone, Copy)]
pub struct Graph<'a> {
    rows: &'a dyn Snapshot,
    database: u32,
}

/// A stored entry with all that is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its place in this replica's order.
    pub number: Number,
    /// What this replica has worked out.
    pub local: Local,
    /// The entry, its signature and those payloads that are held.
    pub parcel: Parcel,
}

impl<'a> Graph<'a> {
    /// Views the database with this local number.
    pub const fn new(rows: &'a dyn Snapshot, database: u32) -> Self {
        Self { rows, database }
    }

    pub(crate) const fn rows(&self) -> &'a dyn Snapshot {
        self.rows
    }

    pub(crate) const fn database(&self) -> u32 {
        self.database
    }

    /// Returns the number of an entry, if it is stored.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn number(&self, id: &EntryId) -> Result<Option<Number>, StoreError> {
        let Some(value) = self.rows.get(row::ids(self.database), id.as_bytes())? else {
            return Ok(None);
        };
        let number = Number::from_key(&value);
        number.map(Some).ok_or_else(|| self.damaged(format!("the number of entry {id:?}")))
    }

    /// Returns the numbers of those of `ids` that are stored, in order.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn numbers(&self, ids: &[EntryId]) -> Result<Vec<Number>, StoreError> {
        ids.iter().filter_map(|id| self.number(id).transpose()).collect()
    }

    /// Returns what is known locally of an entry, without reading its body.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when there is no such entry.
    pub fn local(&self, number: Number) -> Result<Local, StoreError> {
        Ok(self.front(number)?.local)
    }

    /// Returns whether an entry is visible, needed or neither.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when there is no such entry.
    pub fn standing(&self, number: Number) -> Result<Standing, StoreError> {
        let missing = || self.damaged(format!("entry number {} is missing", number.0));
        self.standing_if_stored(number)?.ok_or_else(missing)
    }

    /// Returns how the entry with this number stands; `None` where there is none, because it was
    /// hidden and dropped, or is still to come.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn standing_if_stored(&self, number: Number) -> Result<Option<Standing>, StoreError> {
        let mut flags = None;
        let (space, key) = (row::entries(self.database), number.key());
        self.rows.read(space, &key, &mut |row| flags = row.first().copied())?;
        Ok(flags.map(Standing::from_flags))
    }

    /// Returns those of some numbers that are still stored, in order. Whoever keeps numbers from one
    /// snapshot to a later one asks this first: what was hidden may have been dropped.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn still_stored(
        &self,
        numbers: impl IntoIterator<Item = Number>,
    ) -> Result<Vec<Number>, StoreError> {
        let mut stored = Vec::new();
        for number in numbers {
            stored.extend(self.standing_if_stored(number)?.map(|_| number));
        }
        Ok(stored)
    }

    fn front(&self, number: Number) -> Result<Front, StoreError> {
        let mut front = None;
        let (space, key) = (row::entries(self.database), number.key());
        self.rows.read(space, &key, &mut |mut row| {
            front = Some(Front::decode(number, &mut row));
        })?;
        let missing = || self.damaged(format!("entry number {} is missing", number.0));
        front
            .ok_or_else(missing)?
            .map_err(|error| self.damaged(format!("entry number {}: {error}", number.0)))
    }

    /// Returns what a child needs to know of an entry, if it is stored.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn known(&self, id: &EntryId) -> Result<Option<Known>, StoreError> {
        let Some(number) = self.number(id)? else {
            return Ok(None);
        };
        let (local, entry) = self.placed(number)?;
        Ok(Some(Known::of(number, &local, &entry)))
    }

    /// Returns an entry without its payloads, and what is known locally of it.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when there is no such entry or its row is damaged.
    pub fn placed(&self, number: Number) -> Result<(Local, Entry), StoreError> {
        let Row { local, entry, .. } = self.row(number, &self.bytes(number)?)?;
        Ok((local, entry))
    }

    /// Returns an entry, its signature and its payloads.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when there is no such entry or its row is damaged.
    pub fn stored(&self, number: Number) -> Result<Stored, StoreError> {
        let bytes = self.bytes(number)?;
        self.decoded(number, &bytes)
    }

    /// Returns an entry without its payloads.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when there is no such entry or its row is damaged.
    pub fn entry(&self, number: Number) -> Result<Entry, StoreError> {
        Ok(self.placed(number)?.1)
    }

    /// Returns the ids of entries, in the order of `numbers`.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when one is not there.
    pub fn ids(&self, numbers: &[Number]) -> Result<Vec<EntryId>, StoreError> {
        numbers.iter().map(|number| Ok(self.entry(*number)?.id())).collect()
    }

    /// Returns the number of the newest entry and the head beside it; `None` in an empty graph.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the newest row carries no head.
    pub fn head(&self) -> Result<Option<(Number, Head)>, StoreError> {
        let mut last = None;
        let space = row::entries(self.database);
        self.rows.range(space, KeyRange::all(), Order::Descending, &mut |key, _| {
            last = Some(Number::from_key(key));
            ControlFlow::Break(())
        })?;
        let Some(number) = last else { return Ok(None) };
        let number = number.ok_or_else(|| self.damaged("the key of the newest entry".into()))?;
        let Front { local, tips_beside } = self.front(number)?;
        let head = match tips_beside {
            None => local.head,
            Some(head) => Some(Head { tips: self.tips_beside(number)?, ..head }),
        };
        let missing = || self.damaged(format!("entry number {} has no head", number.0));
        Ok(Some((number, head.ok_or_else(missing)?)))
    }

    fn tips_beside(&self, number: Number) -> Result<Vec<Number>, StoreError> {
        let row = self.rows.get(row::tips(self.database), row::TIPS_KEY)?;
        let row = row.ok_or_else(|| self.damaged("the tips are missing".into()))?;
        Head::decode_tips(number, &row).map_err(|error| self.damaged(format!("the tips: {error}")))
    }

    /// Visits entries in ascending order from `from` on, until `visit` breaks.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn each_from(
        &self,
        from: Number,
        visit: &mut dyn FnMut(Stored) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let range = KeyRange::from(&from.key());
        let mut failure = None;
        self.rows.range(
            row::entries(self.database),
            range,
            Order::Ascending,
            &mut |key, value| {
                let number =
                    Number::from_key(key).ok_or_else(|| self.damaged("an entry's key".into()));
                match number.and_then(|number| self.decoded(number, value)) {
                    Ok(stored) => visit(stored),
                    Err(error) => {
                        failure = Some(error);
                        ControlFlow::Break(())
                    }
                }
            },
        )?;
        failure.map_or(Ok(()), Err)
    }

    /// Returns the numbers of all entries from `from` on, ascending: there is none where an entry was
    /// dropped that nobody needs.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn numbers_from(&self, from: Number) -> Result<Vec<Number>, StoreError> {
        let (mut found, space) = (Vec::new(), row::entries(self.database));
        self.rows.range(space, KeyRange::from(&from.key()), Order::Ascending, &mut |key, _| {
            found.push(Number::from_key(key));
            ControlFlow::Continue(())
        })?;
        let damaged = || self.damaged("an entry's key".into());
        found.into_iter().collect::<Option<_>>().ok_or_else(damaged)
    }

    fn bytes(&self, number: Number) -> Result<Vec<u8>, StoreError> {
        self.rows
            .get(row::entries(self.database), &number.key())?
            .ok_or_else(|| self.damaged(format!("entry number {} is missing", number.0)))
    }

    fn row(&self, number: Number, bytes: &[u8]) -> Result<Row, StoreError> {
        row::decode(number, bytes)
            .map_err(|error| self.damaged(format!("entry number {}: {error}", number.0)))
    }

    fn decoded(&self, number: Number, bytes: &[u8]) -> Result<Stored, StoreError> {
        let Row { local, entry, signature, slots } = self.row(number, bytes)?;
        let mut payloads = Vec::with_capacity(slots.len());
        for (section, slot) in slots.into_iter().enumerate() {
            payloads.push(match slot {
                Slot::Absent => None,
                Slot::Inline(payload) => Some(payload),
                Slot::Beside => {
                    let key = row::payload_key(number, section);
                    let payload = self.rows.get(row::payloads(self.database), &key)?;
                    let what = || format!("payload {section} of entry number {}", number.0);
                    Some(payload.ok_or_else(|| self.damaged(what()))?)
                }
            });
        }
        Ok(Stored { number, local, parcel: Parcel { entry, signature, payloads } })
    }

    pub(crate) fn damaged(&self, what: String) -> StoreError {
        StoreError::Corrupt { what: format!("database number {}: {what}", self.database) }
    }
}

/// Stages the row that finds an entry by its id.
pub fn index(rows: &mut Overlay, database: u32, id: &EntryId, number: Number) {
    rows.put(row::ids(database), id.as_bytes().as_slice(), number.key());
}

/// Stages the rows of one entry, all but that of [`index`].
pub fn append(rows: &mut Overlay, database: u32, number: Number, local: &Local, parcel: &Parcel) {
    for (section, payload) in parcel.payloads.iter().enumerate() {
        if let Some(payload) = payload.as_ref().filter(|bytes| bytes.len() > INLINE_PAYLOAD_MAX) {
            rows.put(row::payloads(database), row::payload_key(number, section), payload.clone());
        }
    }
    if let Some(head) = local.head.as_ref().filter(|head| !head.is_inline()) {
        rows.put(row::tips(database), row::TIPS_KEY, head.encode_tips(number));
    }
    rows.put(row::entries(database), number.key(), row::encode(number, local, parcel));
}

/// Stages the removal of all rows of an entry. Its number stays a gap; no entry may descend from it,
/// and it must not be the newest, whose row carries the head.
pub fn discard(rows: &mut Overlay, database: u32, number: Number, parcel: &Parcel) {
    for (section, payload) in parcel.payloads.iter().enumerate() {
        if payload.as_ref().is_some_and(|bytes| bytes.len() > INLINE_PAYLOAD_MAX) {
            rows.remove(row::payloads(database), row::payload_key(number, section));
        }
    }
    rows.remove(row::ids(database), parcel.entry.id().as_bytes().as_slice());
    rows.remove(row::entries(database), number.key());
}

/// Stages that a stored entry stands otherwise now; all else in its row stays, its head too.
///
/// # Errors
/// [`StoreError::Corrupt`] when there is no such entry.
pub fn restand(
    rows: &mut Overlay,
    database: u32,
    number: Number,
    standing: Standing,
) -> Result<(), StoreError> {
    let row = rows.get(row::entries(database), &number.key())?;
    let row = row.and_then(|mut row| {
        let flags = row.first_mut()?;
        *flags = standing.instead_of(*flags);
        Some(row)
    });
    let what = || format!("database number {database}: entry number {} is missing", number.0);
    let row = row.ok_or_else(|| StoreError::Corrupt { what: what() })?;
    rows.put(row::entries(database), number.key(), row);
    Ok(())
}
