//! Undo and redo of what one user did through one handle.
//!
//! Invariant: every undo and redo makes entries of its own that take back others; what somebody else
//! has changed since is skipped, whenever it came here.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use weald_dag::EntryId;

use super::inverse::Memory;
use super::revert::{Reverted, Skipped, take_back};
use crate::database::{Database, DatabaseError};
use crate::error::Error;
use crate::transaction::{Committed, Transaction};

/// How many steps can be undone; older ones are forgotten.
pub const UNDO_STEPS_MAX: usize = 256;

/// How many entries one step of a group may take; what comes after begins another one.
pub const UNDO_GROUP_ENTRIES_MAX: usize = 1_024;

/// Something that can be undone or redone as one.
#[derive(Clone, Debug)]
struct Step {
    label: String,
    entries: Vec<EntryId>,
    /// When the last of them was made, in milliseconds since 1970.
    last_millis: u64,
}

/// What an undo or redo has done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Undone {
    /// The label of the step.
    pub label: String,
    /// The entries that were made: one, or more where they are too large for one; none when nothing
    /// was left to take back.
    pub entries: Vec<EntryId>,
    /// What was left as it is, as others have changed it since or it cannot be taken back.
    pub skipped: Vec<Skipped>,
}

/// Keeps what was written through it, to undo and redo it step by step.
///
/// It lives in memory and belongs to one user at one place, such as a window. Only what was written
/// through it, or [recorded](UndoStack::record), is undone; what the same key wrote elsewhere is not,
/// and does not count as changed by somebody else.
pub struct UndoStack {
    database: Database,
    undo: VecDeque<Step>,
    redo: Vec<Step>,
    group: Group,
    within: Option<Duration>,
    memory: Memory,
}

/// Whether what is written next belongs to the step before.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Group {
    /// It is a step of its own, but for the time window.
    None,
    /// A group was begun and has no step yet.
    Begun(String),
    /// The last step is the group's.
    Open,
}

impl fmt::Debug for UndoStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UndoStack")
            .field("undo", &self.undo.len())
            .field("redo", &self.redo.len())
            .finish_non_exhaustive()
    }
}

impl UndoStack {
    /// Starts with nothing to undo.
    pub fn new(database: &Database) -> Self {
        let (undo, redo) = (VecDeque::new(), Vec::new());
        let (database, group) = (database.clone(), Group::None);
        Self { database, undo, redo, group, within: None, memory: Memory::default() }
    }

    /// Makes one step of writes with the same label that follow each other within this time, such as
    /// typing. Every write is a step of its own by default.
    #[must_use]
    pub const fn group_within(mut self, window: Duration) -> Self {
        self.within = Some(window);
        self
    }

    /// Writes as [`Database::write`] does, and keeps it as a step with a label for people. What was
    /// undone before cannot be redone any more.
    ///
    /// # Errors
    /// That of the closure, or why the commit failed; nothing has changed then, here neither.
    pub fn write<T>(
        &mut self,
        label: &str,
        run: impl FnOnce(&mut Transaction) -> Result<T, Error>,
    ) -> Result<Committed<T>, Error> {
        let committed = self.database.write(run)?;
        if let Some(entry) = committed.id {
            self.record(label, entry)?;
        }
        Ok(committed)
    }

    /// Keeps an entry that was committed otherwise as a step, as [`UndoStack::write`] does.
    ///
    /// # Errors
    /// [`DatabaseError::UnknownEntry`] for an entry that is not here, or any [`weald_dag::StoreError`].
    pub fn record(&mut self, label: &str, entry: EntryId) -> Result<(), Error> {
        let time = self.database.time_of(&entry)?;
        let millis = time.ok_or(DatabaseError::UnknownEntry { entry })?.millis();
        self.redo.clear();
        if self.joins(label, millis)
            && let Some(last) = self.undo.back_mut()
        {
            last.entries.push(entry);
            last.last_millis = millis;
            return Ok(());
        }
        let mut label = label.to_owned();
        match std::mem::replace(&mut self.group, Group::Open) {
            Group::None => self.group = Group::None,
            Group::Begun(name) => label = name,
            // The group is too large for one step.
            Group::Open => label = self.undo.back().map_or(label, |last| last.label.clone()),
        }
        self.push(Step { label, entries: vec![entry], last_millis: millis });
        Ok(())
    }

    /// Returns whether a write belongs to the last step.
    fn joins(&self, label: &str, millis: u64) -> bool {
        let Some(last) = self.undo.back() else { return false };
        let is_near = || {
            let apart = Duration::from_millis(millis.saturating_sub(last.last_millis));
            last.label == label && self.within.is_some_and(|window| apart <= window)
        };
        last.entries.len() < UNDO_GROUP_ENTRIES_MAX
            && match self.group {
                Group::None => is_near(),
                Group::Begun(_) => false,
                Group::Open => true,
            }
    }

    fn push(&mut self, step: Step) {
        self.undo.push_back(step);
        while self.undo.len() > UNDO_STEPS_MAX {
            self.undo.pop_front();
        }
    }

    /// Begins a group: all that is written until [`UndoStack::end_group`] is one step with this label.
    pub fn begin_group(&mut self, label: &str) {
        self.group = Group::Begun(label.to_owned());
    }

    /// Ends a group; what is written next is a step of its own.
    pub fn end_group(&mut self) {
        self.group = Group::None;
        // Nothing joins it by time either.
        if let Some(last) = self.undo.back_mut() {
            last.last_millis = 0;
        }
    }

    /// Returns whether there is a step to undo.
    pub fn can_undo(&self) -> bool {
        !self.undo.is_empty()
    }

    /// Returns whether there is a step to redo.
    pub fn can_redo(&self) -> bool {
        !self.redo.is_empty()
    }

    /// Returns the label of the step that would be undone.
    pub fn undo_label(&self) -> Option<&str> {
        self.undo.back().map(|step| step.label.as_str())
    }

    /// Returns the label of the step that would be redone.
    pub fn redo_label(&self) -> Option<&str> {
        self.redo.last().map(|step| step.label.as_str())
    }

    /// Takes back the last step, as far as nobody else has changed it since; `None` without one.
    ///
    /// # Errors
    /// Why a commit failed; the step stays to be undone.
    pub fn undo(&mut self) -> Result<Option<Undone>, Error> {
        let Some(step) = self.undo.back().cloned() else { return Ok(None) };
        let (undone, inverse) = self.take_back(step)?;
        self.undo.pop_back();
        self.group = Group::None;
        self.redo.extend(inverse);
        Ok(Some(undone))
    }

    /// Takes back the last undo, as far as nobody else has changed it since; `None` without one.
    ///
    /// # Errors
    /// Why a commit failed; the step stays to be redone.
    pub fn redo(&mut self) -> Result<Option<Undone>, Error> {
        let Some(step) = self.redo.last().cloned() else { return Ok(None) };
        let (undone, inverse) = self.take_back(step)?;
        self.redo.pop();
        self.group = Group::None;
        if let Some(step) = inverse {
            self.push(step);
        }
        Ok(Some(undone))
    }

    /// Forgets all steps.
    pub fn clear(&mut self) {
        self.undo.clear();
        self.redo.clear();
        self.group = Group::None;
        self.memory = Memory::default();
    }

    /// Takes a step back; returns what takes that back again, if anything was done.
    fn take_back(&mut self, step: Step) -> Result<(Undone, Option<Step>), Error> {
        let own = self.database.key();
        let mut memory = self.memory.clone();
        let Reverted { entries, skipped } =
            take_back(&self.database, &step.entries, Some(own), &mut memory)?;
        self.memory = memory;
        // Nothing that is written later joins it by time.
        let inverse = Step { label: step.label.clone(), entries: entries.clone(), last_millis: 0 };
        let inverse = Some(inverse).filter(|inverse| !inverse.entries.is_empty());
        Ok((Undone { label: step.label, entries, skipped }, inverse))
    }
}
