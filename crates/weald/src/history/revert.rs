//! Going back: a new entry that takes back what others did, as far as it still stands.
//!
//! Invariant: history is not touched; what somebody has changed since is left and told of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weald_auth::SETTINGS_STORE;
use weald_crdt::doc::{LeafChange, LeafState};
use weald_crdt::{
    Area, CounterType, DocType, Key, Path, SectionDraft, SetType, TableType, Value, counter, doc,
};
use weald_dag::{EntryId, Graph, Overlay, PublicKey, Stored};
use weald_engine::{StorePlace, StoreView, space_of};

use super::counter_inverse::{self, CounterInverse};
use super::doc_inverse::Comparison;
use super::past::numbers;
use super::run::{Outcome, Run, Whose};
use super::steps::{RowPlace, Steps};
use super::table_inverse::{RowInverse, inverse};
use crate::conflict::RowKey;
use crate::database::Database;
use crate::error::{Error, ReadError, WriteError};
use crate::rows::Rows;
use crate::transaction::Transaction;

/// Why something was not taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SkipReason {
    /// It was changed since.
    Changed,
    /// Nothing of this kind can be taken back: items of logs, settings, and rows of types that have
    /// no inverse.
    Irreversible,
}

/// Something that was left as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// The store.
    pub store: String,
    /// The row of a table, of which all or some fields were left, or the place in a document.
    pub key: RowKey,
    /// Why.
    pub reason: SkipReason,
}

/// What a revert has done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reverted {
    /// The entry that takes the other back; `None` when there was nothing left to take back.
    pub entry: Option<EntryId>,
    /// What was left as it is.
    pub skipped: Vec<Skipped>,
}

impl Database {
    /// Takes back what an entry did, by a new entry, as far as nobody has changed it since.
    ///
    /// In tables field by field: fields get the values that they had, a row that the entry made is
    /// deleted, one that it deleted comes back. In documents place by place, at the cost of the
    /// document; a list that was changed since is one place. To counters the opposite is added, and
    /// sets lose what it added. What was changed since by anybody, and what cannot be taken back, is
    /// left and told of.
    ///
    /// # Errors
    /// [`crate::DatabaseError::UnknownEntry`] for an entry that is not here, or why the commit failed.
    pub fn revert(&self, entry: EntryId) -> Result<Reverted, Error> {
        let committed = self.write(|tx| take_back(tx, &[entry], None))?;
        Ok(Reverted { entry: committed.id, skipped: committed.value })
    }
}

/// Stages what takes entries back together. Changes by `own`, other than theirs, do not count as
/// somebody else's.
pub(super) fn take_back(
    tx: &mut Transaction,
    entries: &[EntryId],
    own: Option<PublicKey>,
) -> Result<Vec<Skipped>, Error> {
    let (core, rows, database) = (Arc::clone(tx.core()), tx.begun().clone(), tx.database());
    let numbers = numbers(&rows, database, entries)?;
    let graph = Graph::new(&rows, database);
    let entries = entries.iter().copied().collect();
    let steps = Steps::new(&rows, database, &core.types);
    let mut inverse = Inverse { rows: &rows, database, entries, own, steps, skipped: Vec::new() };
    let mut touched = BTreeSet::new();
    for number in numbers {
        inverse.touched(&graph.stored(number)?, &mut touched)?;
    }
    let mut docs: BTreeMap<String, Vec<RowPlace>> = BTreeMap::new();
    for place in touched {
        match place.type_name.as_str() {
            TableType::NAME => inverse.table_row(tx, &place)?,
            CounterType::NAME => inverse.counter(tx, &place)?,
            SetType::NAME => inverse.member(tx, &place)?,
            DocType::NAME => docs.entry(place.store.clone()).or_default().push(place),
            _ => inverse.skip(place.store.clone(), place.named(), SkipReason::Irreversible),
        }
    }
    for (store, leaves) in docs {
        inverse.doc(tx, &store, &leaves)?;
    }
    Ok(inverse.skipped)
}

/// Works out what takes entries back.
struct Inverse<'a> {
    rows: &'a Rows,
    database: u32,
    entries: BTreeSet<EntryId>,
    own: Option<PublicKey>,
    steps: Steps<'a>,
    skipped: Vec<Skipped>,
}

impl Inverse<'_> {
    fn skip(&mut self, store: String, key: RowKey, reason: SkipReason) {
        self.skipped.push(Skipped { store, key, reason });
    }

    /// Adds the rows that an entry changed.
    fn touched(&mut self, stored: &Stored, touched: &mut BTreeSet<RowPlace>) -> Result<(), Error> {
        let entry = &stored.parcel.entry;
        if entry.sections().iter().any(|section| section.store == SETTINGS_STORE) {
            self.skip(SETTINGS_STORE.into(), RowKey::Other(Vec::new()), SkipReason::Irreversible);
        }
        touched.extend(self.steps.of_entry(stored, None)?.into_iter().map(|(place, _)| place));
        Ok(())
    }

    fn whose(&self, tx: &Transaction, entry: &EntryId) -> Result<Whose, Error> {
        if self.entries.contains(entry) {
            return Ok(Whose::Theirs);
        }
        let Some(own) = self.own else { return Ok(Whose::Foreign) };
        let author = tx.core().author(self.rows, self.database, entry)?;
        Ok(if author == own { Whose::Own } else { Whose::Foreign })
    }

    fn table_row(&mut self, tx: &mut Transaction, place: &RowPlace) -> Result<(), Error> {
        let types = Arc::clone(tx.core());
        let mut steps = Vec::new();
        for step in self.steps.of_row(place)?.iter() {
            let before = place.show(&types.types, step.values.before.as_deref());
            let after = place.show(&types.types, step.values.after.as_deref());
            steps.push((self.whose(tx, &step.entry)?, before, after));
        }
        let (inverse, changed) = inverse(&steps);
        if changed {
            self.skip(place.store.clone(), place.named(), SkipReason::Changed);
        }
        let Ok(key) = Key::decode(&place.key) else { return Ok(()) };
        // The type was checked when the entry was made; a name that is now in use for another, too,
        // is an error.
        match inverse {
            RowInverse::Nothing => {}
            RowInverse::Delete => {
                tx.table::<Value>(&place.store)?.delete(&key)?;
            }
            RowInverse::Restore(row) => tx.table(&place.store)?.put(&key, &row)?,
            RowInverse::Edit(fields) => {
                tx.table::<Value>(&place.store)?;
                if let (SectionDraft::Table(draft), mut view) =
                    tx.draft(&place.store, TableType::NAME)?
                {
                    draft.edit(&mut view, &key, &fields).map_err(WriteError::from)?;
                }
            }
        }
        Ok(())
    }

    fn counter(&mut self, tx: &mut Transaction, place: &RowPlace) -> Result<(), Error> {
        let mut steps = Vec::new();
        for step in self.steps.of_row(place)?.iter() {
            let sum = |row: &Option<Vec<u8>>| row.as_deref().and_then(counter::sum);
            let (before, after) = (sum(&step.values.before), sum(&step.values.after));
            steps.push((self.whose(tx, &step.entry)?, before, after));
        }
        let Ok(key) = Key::decode(&place.key) else { return Ok(()) };
        match counter_inverse::inverse(&steps) {
            CounterInverse::Nothing => {}
            CounterInverse::Changed => {
                self.skip(place.store.clone(), place.named(), SkipReason::Changed);
            }
            CounterInverse::Reset => drop(tx.counter(&place.store)?.reset(&key)?),
            CounterInverse::Add(mut left) => {
                let mut counters = tx.counter(&place.store)?;
                loop {
                    let part = left.clamp(i64::MIN.into(), i64::MAX.into());
                    counters.add(&key, i64::try_from(part).unwrap_or_default())?;
                    left -= part;
                    if left == 0 {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes back what was done to a member of a set.
    fn member(&mut self, tx: &mut Transaction, place: &RowPlace) -> Result<(), Error> {
        let (mut run, mut now) = (Run::new(), false);
        for step in self.steps.of_row(place)?.iter() {
            let before = step.values.before.is_some();
            now = step.values.after.is_some();
            if before != now {
                run.step(self.whose(tx, &step.entry)?, &before, &now);
            }
        }
        let Ok(member) = Value::decode(&place.key) else { return Ok(()) };
        match run.outcome(&now) {
            Outcome::Nothing => {}
            Outcome::Changed => self.skip(place.store.clone(), place.named(), SkipReason::Changed),
            Outcome::Restore(true) => drop(tx.set(&place.store)?.add(&member)?),
            Outcome::Restore(false) => drop(tx.set(&place.store)?.remove(&member)?),
        }
        Ok(())
    }

    /// Takes back what was done to rows of one document.
    fn doc(&mut self, tx: &mut Transaction, store: &str, rows: &[RowPlace]) -> Result<(), Error> {
        let mut runs = Vec::new();
        for place in rows {
            let mut run = Run::new();
            let mut now = DocRow::default();
            for step in self.steps.of_row(place)?.iter() {
                let before = DocRow::of(place, step.values.before.as_deref())?;
                now = DocRow::of(place, step.values.after.as_deref())?;
                if before != now {
                    run.step(self.whose(tx, &step.entry)?, &before, &now);
                }
            }
            runs.push((place, run, now));
        }
        let changed = self.changed_places(store, &runs)?;
        let covering = |key: &[u8]| changed.iter().any(|(place, _)| key.starts_with(place));
        let mut restored = BTreeMap::new();
        for (place, run, now) in &runs {
            match run.outcome_by(|after| after.state.is_same_elsewhere(&now.state)) {
                _ if covering(&place.key) => {}
                Outcome::Nothing => {}
                Outcome::Changed => {
                    self.skip(store.to_owned(), place.named(), SkipReason::Changed);
                }
                Outcome::Restore(before) => {
                    let change = LeafChange { from: now.state.clone(), to: before.state };
                    restored.insert(place.key.clone(), change);
                }
            }
        }
        for (_, path) in changed {
            self.skip(store.to_owned(), RowKey::Doc(path), SkipReason::Changed);
        }
        tx.doc(store)?;
        if let (SectionDraft::Doc(draft), mut view) = tx.draft(store, DocType::NAME)? {
            draft.restore(&mut view, &restored).map_err(WriteError::from)?;
        }
        Ok(())
    }

    /// Returns the places of a document that were changed since, with the start of their keys.
    fn changed_places(
        &self,
        store: &str,
        runs: &[(&RowPlace, Run<DocRow>, DocRow)],
    ) -> Result<Vec<(Vec<u8>, Path)>, Error> {
        let state = space_of(Area::State, self.database);
        let at = StorePlace::new(self.database, store, DocType::NAME);
        let overlay = || Overlay::new(Arc::clone(&self.rows.0));
        let (mut before, mut after) = (overlay(), overlay());
        for (place, run, _) in runs {
            let Some((old, new)) = run.ends() else { continue };
            for (overlay, row) in [(&mut before, &old.row), (&mut after, &new.row)] {
                match row {
                    Some(row) => overlay.put(state, at.key(&place.key), row.clone()),
                    None => overlay.remove(state, at.key(&place.key)),
                }
            }
        }
        let foreign = runs.iter().filter(|(_, run, _)| run.is_foreign());
        let foreign: BTreeSet<&[u8]> = foreign.map(|(place, ..)| place.key.as_slice()).collect();
        let is_foreign = |path: &Path| {
            path.encode().is_ok_and(|place| foreign.iter().any(|key| key.starts_with(&place)))
        };
        let said = |overlay: &Overlay| doc::to_value(&StoreView::new(overlay, at.clone()));
        let now = doc::to_value(&StoreView::new(self.rows, at.clone())).map_err(ReadError::from)?;
        let before = said(&before).map_err(ReadError::from)?;
        let after = said(&after).map_err(ReadError::from)?;
        let mut comparison = Comparison { is_foreign: &is_foreign, changed: Vec::new() };
        comparison.at(&Path::root(), Some(&before), Some(&after), Some(&now));
        let places = comparison.changed.into_iter();
        Ok(places.filter_map(|path| Some((path.encode().ok()?, path))).collect())
    }
}

/// A row of a document at one moment; equal if readers see the same.
#[derive(Clone, Debug, Default)]
struct DocRow {
    row: Option<Vec<u8>>,
    state: LeafState,
}

impl DocRow {
    fn of(place: &RowPlace, row: Option<&[u8]>) -> Result<Self, ReadError> {
        let state = LeafState::of(&place.key, row).map_err(weald_crdt::ReadError::from)?;
        Ok(Self { row: row.map(<[u8]>::to_vec), state })
    }
}

impl PartialEq for DocRow {
    fn eq(&self, other: &Self) -> bool {
        self.state == other.state
    }
}
