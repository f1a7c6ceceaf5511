//! Taking back what updates did to a text: what they typed goes, what they deleted comes back
//! between the neighbours that it had, and marks are what they were.
//!
//! Invariant: what others typed stays; what comes back is a new character that stands for the old
//! one, so that it is found when more is taken back.

use std::collections::{BTreeMap, BTreeSet};

use super::TextType;
use super::draft::TextDraft;
use super::error::TextError;
use super::guard::Broken;
use super::model::{Fate, Item, Model};
use super::replica::ReplicaError;
use super::rows::{self, Stored};
use super::update::{Id, Operation, Update};
use super::version::{Version, Versions};
use crate::error::{Error, ReadError, WriteError};
use crate::transaction::Transaction;

/// Which characters stand for others that were deleted and came back, as runs: what the first of
/// them stands for, and how many they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Returned(BTreeMap<Id, (Id, u32)>);

impl Returned {
    /// Returns the character that one stands for: itself, if it did not come back.
    pub(super) fn first(&self, id: Id) -> Id {
        let run = self.0.range(..=id).next_back().filter(|(start, _)| start.peer == id.peer);
        let Some((start, (first, length))) = run else { return id };
        let offset = id.counter - start.counter;
        if offset < *length { after(*first, offset) } else { id }
    }

    fn add(&mut self, id: Id, first: Id) {
        if let Some((start, (of, length))) = self.0.range_mut(..=id).next_back()
            && after(*start, *length) == id
            && after(*of, *length) == first
        {
            *length += 1;
            return;
        }
        self.0.insert(id, (first, 1));
    }
}

fn after(id: Id, offset: u32) -> Id {
    Id { counter: id.counter.saturating_add(offset), ..id }
}

/// A section on a text that is to be taken back.
pub(crate) struct TextSection {
    pub(crate) entry: [u8; 32],
    pub(crate) author: [u8; 32],
    pub(crate) payload: Vec<u8>,
}

impl Transaction {
    /// Stages what takes sections on a text, in the order of their stamps, back together. Returns
    /// whether something was left, as others have changed it since.
    ///
    /// The cost is that of the text, and where they deleted or marked something, of its history.
    pub(crate) fn take_back_text(
        &mut self,
        name: &str,
        sections: &[TextSection],
        returned: &mut Returned,
    ) -> Result<bool, Error> {
        self.text(name)?;
        let decoded = sections.iter().map(|one| Update::decode(&one.payload, &one.author));
        // What breaks a rule of the type has changed nothing.
        let updates: Vec<Update> = decoded.filter_map(Result::ok).collect();
        let deletes = updates.iter().flat_map(|one| &one.operations);
        let deletes = deletes.filter(|one| matches!(one, Operation::Delete { .. })).count() > 0;
        let others = if deletes { self.other_updates(name, sections)? } else { Vec::new() };
        let draft = self.text_draft(name)?;
        let worked_out =
            Retreat::new(draft, &updates, &others, returned).and_then(Retreat::work_out);
        let (model, changed) =
            worked_out.map_err(|broken| WriteError::from(TextError::from(broken)))?;
        draft.become_as(&model, returned).map_err(WriteError::from)?;
        Ok(changed)
    }

    fn other_updates(&self, name: &str, sections: &[TextSection]) -> Result<Vec<Stored>, Error> {
        let view = self.view(name, TextType::NAME)?;
        let others = rows::read_all(&view).map_err(ReplicaError::from);
        let mut others = others.map_err(ReadError::from)?;
        let entries: BTreeSet<&[u8]> = sections.iter().map(|one| one.entry.as_slice()).collect();
        others.retain(|stored| !entries.contains(rows::entry_of(&stored.key)));
        Ok(others)
    }
}

/// Works out what a text is to be.
struct Retreat<'a> {
    versions: Versions<'a>,
    updates: Vec<&'a Update>,
    returned: &'a Returned,
    model: Model,
    /// What the updates typed.
    typed: BTreeSet<Id>,
    /// What cannot come back: others deleted it too, or it is not shown.
    gone: BTreeSet<Id>,
    changed: bool,
}

impl<'a> Retreat<'a> {
    fn new(
        draft: &'a TextDraft,
        updates: &'a [Update],
        others: &[Stored],
        returned: &'a Returned,
    ) -> Result<Self, Broken> {
        let document = &draft.replica.document;
        let here = |one: &&Update| one.end() <= document.end_of(one.peer);
        let updates: Vec<&Update> = updates.iter().filter(here).collect();
        let typed = updates.iter().flat_map(|one| ids(one, true)).map(|id| returned.first(id));
        let typed: BTreeSet<Id> = typed.collect();
        let deleted: BTreeSet<Id> = updates.iter().flat_map(|one| ids(one, false)).collect();
        let elsewhere = others.iter().flat_map(|stored| ids(&stored.update, false));
        let elsewhere: BTreeSet<Id> = elsewhere.filter(|id| deleted.contains(id)).collect();
        let mut changed = false;
        let mut gone = BTreeSet::new();
        for id in deleted {
            let first = returned.first(id);
            if typed.contains(&first) {
                continue;
            }
            let others_too = elsewhere.contains(&id);
            if others_too || draft.replica.hides(&id) || draft.replica.hides(&first) {
                changed |= others_too;
                gone.insert(first);
            }
        }
        let model = Model::of(&Version::of(document, returned)?, &typed);
        let versions = Versions::of(document);
        Ok(Self { versions, updates, returned, model, typed, gone, changed })
    }

    /// Returns what the text is to be, and whether something was left.
    fn work_out(mut self) -> Result<(Model, bool), Broken> {
        self.bring_back()?;
        self.unmark()?;
        Ok((self.model, self.changed))
    }

    /// Brings back what was deleted, at best all by the version before the first of the updates.
    fn bring_back(&mut self) -> Result<(), Broken> {
        let updates = self.updates.clone();
        let mut left: BTreeSet<Id> = BTreeSet::new();
        for update in &updates {
            let deleted = ids(update, false).map(|id| self.returned.first(id));
            left.extend(deleted.filter(|id| !self.typed.contains(id) && !self.gone.contains(id)));
        }
        let first = updates.first().map_or(&[][..], |first| first.deps.as_slice());
        if !left.is_empty() {
            self.bring_back_from(first, &mut left, true)?;
        }
        // What others typed meanwhile is not in that one.
        for update in updates {
            if ids(update, false).any(|id| left.contains(&self.returned.first(id))) {
                self.bring_back_from(&update.deps, &mut left, false)?;
            }
        }
        Ok(())
    }

    fn bring_back_from(
        &mut self,
        version: &[Id],
        left: &mut BTreeSet<Id>,
        is_first: bool,
    ) -> Result<(), Broken> {
        let version = self.versions.at(version, self.returned)?;
        self.model.bring_back(&version, left, is_first);
        left.retain(|id| !self.model.contains(id));
        Ok(())
    }

    /// Makes marks what they were before each of the updates, the last one first.
    fn unmark(&mut self) -> Result<(), Broken> {
        for update in self.updates.clone().into_iter().rev() {
            let keys: BTreeSet<&String> = update.operations.iter().filter_map(key_of).collect();
            let Some(last) = update.end().checked_sub(1).filter(|_| !keys.is_empty()) else {
                continue;
            };
            let last = Id { peer: update.peer, counter: last };
            let before = self.versions.at(&update.deps, self.returned)?;
            let after = self.versions.at(&[last], self.returned)?;
            self.changed |= self.model.unmark(&before, &after, &keys);
        }
        Ok(())
    }
}

fn key_of(operation: &Operation) -> Option<&String> {
    match operation {
        Operation::Mark { key, .. } => Some(key),
        _ => None,
    }
}

/// Names what an update typed, or what it deleted.
fn ids(update: &Update, typed: bool) -> impl Iterator<Item = Id> + '_ {
    let mut counter = update.start;
    update.operations.iter().flat_map(move |operation| {
        let start = Id { peer: update.peer, counter };
        let length = operation.length();
        counter = counter.saturating_add(length);
        let (from, length) = match operation {
            Operation::Insert { .. } if typed => (start, length),
            Operation::Delete { first, .. } if !typed => (*first, length),
            _ => (start, 0),
        };
        (0..length).map(move |offset| after(from, offset))
    })
}

impl TextDraft {
    /// Makes the text what a model of it says, and notes what came back.
    fn become_as(&mut self, model: &Model, returned: &mut Returned) -> Result<(), TextError> {
        let (mut at, mut edited) = (0, false);
        for run in model.items.chunk_by(|a, b| a.fate == b.fate) {
            let fate = run.first().map_or(Fate::Stays, |item| item.fate);
            edited |= fate != Fate::Stays;
            match fate {
                Fate::Stays => at += run.len(),
                Fate::Goes => {
                    let bytes = self.room_for(0)?;
                    let done = self.replica.document.delete(at..at + run.len());
                    self.edited_by_place(bytes, done)?;
                }
                Fate::Comes => {
                    self.come(at, run, returned)?;
                    at += run.len();
                }
            }
        }
        let marked = model.is_marked && self.mark_as(model)?;
        if edited || marked {
            self.edited(self.bytes, Ok(()))?;
        }
        Ok(())
    }

    fn come(&mut self, at: usize, run: &[Item], returned: &mut Returned) -> Result<(), TextError> {
        let text: String = run.iter().map(|item| item.character).collect();
        let bytes = self.room_for(text.len())?;
        let done = self.replica.document.insert(at, &text);
        self.edited_by_place(bytes, done)?;
        let side = loro::cursor::Side::Middle;
        let id = self.replica.document.id_at(at, side)?.ok_or(TextError::Damaged)?;
        for (item, offset) in run.iter().zip(0..) {
            returned.add(after(id, offset), item.id);
        }
        Ok(())
    }

    /// Gives the characters the marks of the model; returns whether there were others.
    fn mark_as(&mut self, model: &Model) -> Result<bool, TextError> {
        let now = Version::of(&self.replica.document, &Returned::default())?;
        let differences = model.marks_beside(&now);
        for (key, range, value) in &differences {
            let bytes = self.room_for(key.len() + value.as_text().map_or(0, str::len))?;
            let document = &self.replica.document;
            let done = match value {
                weald_crdt::Value::Null => document.unmark(range.clone(), key),
                value => document.mark(range.clone(), key, super::convert::loro_value(value)),
            };
            self.edited_by_place(bytes, done)?;
        }
        Ok(!differences.is_empty())
    }
}
