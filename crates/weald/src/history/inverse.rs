//! What takes entries back: row by row, and place by place in documents.
//!
//! Invariant: it is worked out in one snapshot, that of the transaction which it is staged in.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use weald_auth::SETTINGS_STORE;
use weald_crdt::doc::{LeafChange, LeafState};
use weald_crdt::{
    Area, CounterType, DocType, Key, Path, SectionDraft, SetType, TableType, Value, counter, doc,
};
#[cfg(feature = "text")]
use weald_dag::Number;
use weald_dag::{EntryId, Graph, Overlay, PublicKey, StoreError, Stored};
#[cfg(feature = "text")]
use weald_engine::StoreTypes;
use weald_engine::{StorePlace, StoreView, space_of};

use super::counter_inverse::{self, CounterInverse};
use super::doc_inverse::Comparison;
use super::past::numbers;
use super::revert::{SkipReason, Skipped};
use super::run::{Outcome, Run, Whose};
use super::steps::{RowPlace, Steps, is_text};
#[cfg(feature = "text")]
use super::steps::{sections, stamp_of};
use super::table_inverse::{RowInverse, inverse};
use crate::conflict::RowKey;
use crate::error::{Error, ReadError, WriteError};
use crate::rows::Rows;
#[cfg(feature = "text")]
use crate::text::{TextSection, TextType};
use crate::transaction::Transaction;

/// What is known of what was taken back before, so that more can be.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    /// The characters that came back, by text.
    #[cfg(feature = "text")]
    texts: BTreeMap<String, crate::text::Returned>,
}

/// What is taken back in one piece.
pub(super) enum Part {
    Row(RowPlace),
    /// What was done to a text.
    #[cfg(feature = "text")]
    Text(String, Vec<TextSection>),
    /// The rows of a document.
    Doc(String, Vec<RowPlace>),
}

/// Returns what visible entries did to texts, by store, in the order of stamps.
#[cfg(feature = "text")]
fn text_sections(
    graph: &Graph<'_>,
    numbers: &[Number],
    (database, types): (u32, &StoreTypes),
) -> Result<BTreeMap<String, Vec<TextSection>>, Error> {
    let mut entries = BTreeMap::new();
    for number in numbers {
        let stored = graph.stored(*number)?;
        let stamp = stamp_of(&stored);
        entries.insert((stamp.time, stamp.entry), stored);
    }
    let mut texts: BTreeMap<String, Vec<TextSection>> = BTreeMap::new();
    for stored in entries.values() {
        let stamp = stamp_of(stored);
        for (store, type_name, payload) in sections(stored, database, types) {
            if type_name == TextType::NAME && stamp.is_visible {
                let (entry, author, payload) = (stamp.entry, stamp.author, payload.into_owned());
                let section = TextSection { entry, author, payload };
                texts.entry(store.to_owned()).or_default().push(section);
            }
        }
    }
    Ok(texts)
}

/// Works out what takes entries back.
pub(super) struct Inverse<'a> {
    rows: &'a Rows,
    database: u32,
    entries: BTreeSet<EntryId>,
    own: Option<PublicKey>,
    steps: Steps<'a>,
    pub(super) skipped: Vec<Skipped>,
}

impl<'a> Inverse<'a> {
    pub(super) fn new(
        rows: &'a Rows,
        database: u32,
        entries: &[EntryId],
        own: Option<PublicKey>,
        steps: Steps<'a>,
    ) -> Self {
        let entries = entries.iter().copied().collect();
        Self { rows, database, entries, own, steps, skipped: Vec::new() }
    }

    /// Returns what entries did, part by part.
    pub(super) fn parts(&mut self, entries: &[EntryId]) -> Result<VecDeque<Part>, Error> {
        let graph = Graph::new(self.rows, self.database);
        let mut touched = BTreeSet::new();
        let numbers = numbers(self.rows, self.database, entries)?;
        for number in &numbers {
            self.touched(&graph.stored(*number)?, &mut touched)?;
        }
        let (mut parts, mut docs) = (VecDeque::new(), BTreeMap::<_, Vec<_>>::new());
        for place in touched {
            match place.type_name.as_str() {
                DocType::NAME => docs.entry(place.store.clone()).or_default().push(place),
                _ => parts.push_back(Part::Row(place)),
            }
        }
        parts.extend(docs.into_iter().map(|(store, rows)| Part::Doc(store, rows)));
        #[cfg(feature = "text")]
        for (store, sections) in
            text_sections(&graph, &numbers, (self.database, self.steps.types()))?
        {
            parts.push_back(Part::Text(store, sections));
        }
        Ok(parts)
    }

    /// Stages what takes a part back.
    pub(super) fn part(
        &mut self,
        tx: &mut Transaction,
        part: &Part,
        memory: &mut Memory,
    ) -> Result<(), Error> {
        #[cfg(not(feature = "text"))]
        let _ = memory;
        match part {
            #[cfg(feature = "text")]
            Part::Text(store, sections) => {
                let returned = memory.texts.entry(store.clone()).or_default();
                if tx.take_back_text(store, sections, returned)? {
                    self.skip(store.clone(), RowKey::Text, SkipReason::Changed);
                }
                Ok(())
            }
            Part::Doc(store, rows) => self.doc(tx, store, rows),
            Part::Row(place) => match place.type_name.as_str() {
                TableType::NAME => self.table_row(tx, place),
                CounterType::NAME => self.counter(tx, place),
                SetType::NAME => self.member(tx, place),
                _ => {
                    self.skip(place.store.clone(), place.named(), SkipReason::Irreversible);
                    Ok(())
                }
            },
        }
    }

    fn skip(&mut self, store: String, key: RowKey, reason: SkipReason) {
        self.skipped.push(Skipped { store, key, reason });
    }

    /// Adds the rows that an entry changed.
    fn touched(&mut self, stored: &Stored, touched: &mut BTreeSet<RowPlace>) -> Result<(), Error> {
        let entry = &stored.parcel.entry;
        if entry.sections().iter().any(|section| section.store == SETTINGS_STORE) {
            self.skip(SETTINGS_STORE.into(), RowKey::Other(Vec::new()), SkipReason::Irreversible);
        }
        // Texts are taken back as a whole.
        let wants = |_: &str, type_name: &str| !is_text(type_name);
        touched.extend(self.steps.of_entry(stored, &wants)?.into_iter().map(|(place, _)| place));
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
        let (mut runs, mut restored) = (Vec::new(), BTreeMap::new());
        for place in rows {
            if let Some(change) = self.counted(tx, place)? {
                restored.insert(place.key.clone(), change);
                continue;
            }
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
        for (place, run, now) in &runs {
            match run.outcome_by(|after| after.state.is_same_elsewhere(&now.state)) {
                _ if covering(&place.key) => {}
                Outcome::Nothing => {}
                Outcome::Changed => {
                    self.skip(store.to_owned(), place.named(), SkipReason::Changed);
                }
                Outcome::Restore(before)
                    if before.state != LeafState::default() && self.is_hidden(place, rows)? =>
                {
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

    /// Returns what takes increments of a counter in a document back, beside those of others; `None`
    /// for what is no counter, and for one that came or went, or is hidden by what others wrote.
    fn counted(&mut self, tx: &Transaction, place: &RowPlace) -> Result<Option<LeafChange>, Error> {
        let (mut steps, mut now) = (Vec::new(), LeafState::default());
        for step in self.steps.of_row(place)?.iter() {
            let before = DocRow::of(place, step.values.before.as_deref())?.state;
            now = DocRow::of(place, step.values.after.as_deref())?.state;
            steps.push((self.whose(tx, &step.entry)?, before.sum(), now.sum()));
        }
        let mut theirs = steps.iter().filter(|(whose, ..)| *whose == Whose::Theirs);
        let has_stayed = theirs.all(|(_, _, after)| after.is_some());
        Ok(match (counter_inverse::inverse(&steps), now.sum()) {
            (CounterInverse::Add(by), Some(sum)) if has_stayed && self.shows(place)? => {
                let to = LeafState::counting(sum.saturating_add(by));
                Some(LeafChange { from: now, to })
            }
            _ => None,
        })
    }

    fn doc_place(&self, store: &str) -> Result<StorePlace, StoreError> {
        let named = (store, DocType::NAME);
        StorePlace::of(self.rows, self.steps.types(), self.database, named)
    }

    /// Returns whether a value above a leaf hides it that none of these rows holds: what is written to
    /// the leaf would hide that value in turn.
    fn is_hidden(&self, leaf: &RowPlace, rows: &[RowPlace]) -> Result<bool, Error> {
        let RowKey::Doc(path) = leaf.named() else { return Ok(false) };
        let at = self.doc_place(&leaf.store)?;
        let view = StoreView::new(self.rows, at);
        let mut above = path.parent();
        while let Some(path) = above.filter(|above| !above.is_root()) {
            if let Some(shown) = doc::get(&view, &path).map_err(ReadError::from)? {
                let is_ours = path.encode().is_ok_and(|key| rows.iter().any(|row| row.key == key));
                return Ok(!matches!(shown, Value::Map(_) | Value::List(_)) && !is_ours);
            }
            above = path.parent();
        }
        Ok(false)
    }

    /// Returns whether a counter is what its document shows.
    fn shows(&self, place: &RowPlace) -> Result<bool, Error> {
        let RowKey::Doc(path) = place.named() else { return Ok(false) };
        let at = self.doc_place(&place.store)?;
        let shown = doc::counter(&StoreView::new(self.rows, at), &path);
        Ok(shown.map_err(ReadError::from)?.is_some())
    }

    /// Returns the places of a document that were changed since, with the start of their keys.
    fn changed_places(
        &self,
        store: &str,
        runs: &[(&RowPlace, Run<DocRow>, DocRow)],
    ) -> Result<Vec<(Vec<u8>, Path)>, Error> {
        let state = space_of(Area::State, self.database);
        let at = self.doc_place(store)?;
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
