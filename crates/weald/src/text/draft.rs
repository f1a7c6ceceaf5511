//! The edits of a transaction on one text, made on a text of its own.
//!
//! Invariant: an edit that is not taken changes nothing; all edits together are one update.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use weald_crdt::{MAX_PAYLOAD_BYTES, Value};
use weald_dag::{EntryId, PublicKey};
use weald_engine::CommitError;

use super::convert::loro_value;
use super::error::TextError;
use super::guard::Broken;
use super::replica::Replica;
use super::stretch::check_mark;
use super::update::{Nonce, Update, peer_of};
use crate::core::Core;
use crate::entropy;
use crate::error::WriteError;

/// About what a section takes beside its operations.
const FRAME_BYTES: usize = 256;
/// What an operation takes at most beside text, key and value.
pub(super) const OPERATION_BYTES: usize = 32;

/// Who writes to a text: a peer of Loro's that no other transaction uses at the same time.
#[derive(Clone, Copy)]
pub(super) struct Session {
    author: [u8; 32],
    nonce: Nonce,
    peer: u64,
}

impl Session {
    fn begin(author: [u8; 32]) -> Result<Self, WriteError> {
        loop {
            let nonce = entropy::bytes()?;
            if let Some(peer) = peer_of(&author, &nonce) {
                return Ok(Self { author, nonce, peer });
            }
        }
    }
}

/// The edits of a transaction on one text.
pub(crate) struct TextDraft {
    pub(super) replica: Replica,
    session: Session,
    start: u32,
    pub(super) bytes: usize,
    is_edited: bool,
    is_broken: bool,
}

impl TextDraft {
    pub(super) fn begin(mut replica: Replica, author: &PublicKey) -> Result<Self, WriteError> {
        let author = *author.as_bytes();
        let session = match replica.session.filter(|session| session.author == author) {
            Some(session) => session,
            None => Session::begin(author)?,
        };
        replica.session = Some(session);
        replica.document.edit_as(session.peer).map_err(TextError::from)?;
        let start = replica.document.end_of(session.peer);
        let (bytes, is_edited, is_broken) = (FRAME_BYTES, false, false);
        Ok(Self { replica, session, start, bytes, is_edited, is_broken })
    }

    pub(super) fn insert(&mut self, at: usize, text: &str) -> Result<(), TextError> {
        self.check(&(at..at))?;
        if text.is_empty() {
            return Ok(());
        }
        let bytes = self.room_for(text.len())?;
        let place = self.replica.place_behind(at);
        let done = self.replica.document.insert(place, text);
        self.edited(bytes, done)
    }

    pub(super) fn delete(&mut self, range: &Range<usize>) -> Result<(), TextError> {
        self.check(range)?;
        if range.is_empty() {
            return Ok(());
        }
        let bytes = self.room_for(0)?;
        let mut places = self.replica.places_of(range).into_iter();
        let done = places.try_for_each(|place| self.replica.document.delete(place));
        self.edited(bytes, done)
    }

    pub(super) fn splice(&mut self, range: &Range<usize>, text: &str) -> Result<(), TextError> {
        self.check(range)?;
        self.room_for(text.len() + OPERATION_BYTES)?;
        self.delete(range)?;
        self.insert(range.start, text)
    }

    /// Marks a range, or takes a mark away from it with `Null`.
    pub(super) fn mark(
        &mut self,
        range: &Range<usize>,
        key: &str,
        value: &Value,
    ) -> Result<(), TextError> {
        self.check(range)?;
        if range.is_empty() {
            return Err(TextError::EmptyRange);
        }
        check_mark(key, value)?;
        let bytes = self.room_for(key.len() + value.as_text().map_or(0, str::len))?;
        let place = self.replica.place_of(range.start)..self.replica.place_behind(range.end);
        let document = &self.replica.document;
        let done = match value {
            Value::Null => document.unmark(place, key),
            value => document.mark(place, key, loro_value(value)),
        };
        self.edited(bytes, done)
    }

    fn check(&self, range: &Range<usize>) -> Result<(), TextError> {
        let length = self.replica.len()?;
        let Range { start, end } = *range;
        if start > end {
            return Err(TextError::Backwards { start, end });
        }
        if end > length {
            return Err(TextError::OutOfRange { position: end, length });
        }
        Ok(())
    }

    /// Returns how many bytes the edits take with another one.
    pub(super) fn room_for(&self, bytes: usize) -> Result<usize, TextError> {
        let length = self.bytes.saturating_add(bytes).saturating_add(OPERATION_BYTES);
        if length > MAX_PAYLOAD_BYTES { Err(TextError::TooLarge { length }) } else { Ok(length) }
    }

    pub(super) fn edited(
        &mut self,
        bytes: usize,
        done: Result<(), Broken>,
    ) -> Result<(), TextError> {
        let done = done.and_then(|()| self.replica.draw_veil());
        self.edited_by_place(bytes, done)
    }

    /// Notes an edit after which places of hidden characters are not asked for.
    pub(super) fn edited_by_place(
        &mut self,
        bytes: usize,
        done: Result<(), Broken>,
    ) -> Result<(), TextError> {
        self.is_edited = true;
        self.bytes = bytes;
        self.is_broken |= done.is_err();
        Ok(done?)
    }

    /// Returns what was done, and the payload of the section; `None` if it came to nothing, as taking
    /// a mark away where there is none.
    fn finish(&mut self) -> Result<Option<(Update, Vec<u8>)>, Broken> {
        if self.is_broken {
            return Err(Broken);
        }
        let Session { nonce, peer, .. } = self.session;
        let update = self.replica.document.export(peer, nonce, self.start)?;
        let Some(update) = update else { return Ok(None) };
        let payload = update.encode().ok_or(Broken)?;
        Ok(Some((update, payload)))
    }
}

/// The texts that a transaction has opened, by name.
#[derive(Default)]
pub(crate) struct TextDrafts(BTreeMap<String, TextDraft>);

impl TextDrafts {
    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Returns whether a text was edited: one that was only read says nothing of the name.
    pub(crate) fn is_edited(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|draft| draft.is_edited)
    }

    pub(super) fn get(&mut self, name: &str) -> Option<&mut TextDraft> {
        self.0.get_mut(name)
    }

    pub(super) fn add(&mut self, name: &str, draft: TextDraft) {
        self.0.insert(name.to_owned(), draft);
    }

    /// Appends the sections of the texts that were edited; the others are kept for the next use.
    pub(crate) fn finish(
        self,
        core: &Arc<Core>,
        database: u32,
        sections: &mut Vec<(String, Vec<u8>)>,
    ) -> Result<Option<MadeTexts>, CommitError> {
        let mut edited = Vec::new();
        for (name, mut draft) in self.0 {
            if !draft.is_edited {
                core.texts.put(database, &name, draft.replica);
                continue;
            }
            let void = |_| CommitError::Void {
                store: name.clone(),
                reason: TextError::Damaged.to_string(),
            };
            let Some((update, payload)) = draft.finish().map_err(void)? else {
                core.texts.put(database, &name, draft.replica);
                continue;
            };
            sections.push((name.clone(), payload));
            edited.push((name, draft.replica, update));
        }
        let made = MadeTexts { core: Arc::clone(core), database, edited };
        Ok((!made.edited.is_empty()).then_some(made))
    }
}

/// Texts whose edits are on their way.
pub(crate) struct MadeTexts {
    core: Arc<Core>,
    database: u32,
    edited: Vec<(String, Replica, Update)>,
}

impl MadeTexts {
    /// The edits are committed: the texts can be used again.
    pub(crate) fn committed(self, entry: &EntryId) {
        for (name, mut replica, update) in self.edited {
            replica.committed(&update, entry.as_bytes());
            self.core.texts.put(self.database, &name, replica);
        }
    }
}
