//! What a reader sees of a text: without what hidden entries wrote.
//!
//! Invariant: positions outside count characters that are shown; those of Loro count all.

use std::collections::BTreeMap;
use std::ops::Range;

use loro::TextDelta;
use weald_crdt::Value;

use super::convert::value_of;
use super::cursor::{Anchor, Side, TextCursor};
use super::error::TextError;
use super::replica::Replica;
use super::update::Id;

/// A stretch of a text with the same marks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextSpan {
    /// The characters.
    pub text: String,
    /// The marks on all of them, by key.
    pub marks: BTreeMap<String, Value>,
}

impl Replica {
    /// Returns the number of characters shown.
    pub(super) fn len(&self) -> Result<usize, TextError> {
        let hidden: usize = self.veil().iter().map(ExactSizeIterator::len).sum();
        Ok(self.document.len()?.saturating_sub(hidden))
    }

    /// Returns the text.
    pub(super) fn text(&self) -> Result<String, TextError> {
        let text = self.document.read()?;
        if !self.is_veiled() {
            return Ok(text);
        }
        let shown = text.chars().enumerate().filter(|(at, _)| !self.is_hidden(*at));
        Ok(shown.map(|(_, character)| character).collect())
    }

    /// Returns the text in stretches of equal marks.
    pub(super) fn spans(&self) -> Result<Vec<TextSpan>, TextError> {
        let mut spans: Vec<TextSpan> = Vec::new();
        let mut at = 0;
        for part in self.document.delta()? {
            let TextDelta::Insert { insert, attributes } = part else { continue };
            let text: String = insert
                .chars()
                .zip(at..)
                .filter(|(_, at)| !self.is_hidden(*at))
                .map(|(character, _)| character)
                .collect();
            at += insert.chars().count();
            let marks = attributes.unwrap_or_default();
            let marks =
                marks.iter().filter_map(|(key, value)| Some((key.clone(), value_of(value)?)));
            let marks: BTreeMap<_, _> = marks.filter(|(_, value)| *value != Value::Null).collect();
            match spans.last_mut() {
                Some(last) if last.marks == marks => last.text.push_str(&text),
                _ if !text.is_empty() => spans.push(TextSpan { text, marks }),
                _ => {}
            }
        }
        Ok(spans)
    }

    /// Returns a cursor at a position.
    pub(super) fn cursor(&self, at: usize, side: Side) -> Result<TextCursor, TextError> {
        let length = self.len()?;
        if at > length {
            return Err(TextError::OutOfRange { position: at, length });
        }
        let anchor = match side {
            Side::Left if at == 0 => Anchor::Start,
            Side::Right if at == length => Anchor::End,
            Side::Left => Anchor::after(&self.id(at - 1)?),
            Side::Right => Anchor::before(&self.id(at)?),
        };
        Ok(TextCursor(anchor))
    }

    fn id(&self, at: usize) -> Result<Id, TextError> {
        let id = self.document.id_at(self.place_of(at), loro::cursor::Side::Middle)?;
        id.ok_or(TextError::Damaged)
    }

    /// Returns where a cursor is now; where its character was, if that is gone.
    pub(super) fn position(&self, cursor: &TextCursor) -> Result<usize, TextError> {
        let (id, after) = match cursor.0 {
            Anchor::Start => return Ok(0),
            Anchor::End => return self.len(),
            Anchor::After { peer, counter } => (Id { peer, counter }, true),
            Anchor::Before { peer, counter } => (Id { peer, counter }, false),
        };
        let middle = loro::cursor::Side::Middle;
        let at = self.document.position(&id, middle)?.ok_or(TextError::UnknownCursor)?;
        let stands = at < self.document.len()? && self.document.id_at(at, middle)? == Some(id);
        let at = if after && stands { at + 1 } else { at };
        let hidden = self.veil().iter().map(|range| at.clamp(range.start, range.end) - range.start);
        Ok(at - hidden.sum::<usize>())
    }

    fn is_hidden(&self, at: usize) -> bool {
        let before = self.veil().partition_point(|range| range.end <= at);
        self.veil().get(before).is_some_and(|range| range.contains(&at))
    }

    /// Returns the place of a shown character.
    pub(super) fn place_of(&self, mut at: usize) -> usize {
        for range in self.veil() {
            if range.start > at {
                break;
            }
            at += range.len();
        }
        at
    }

    /// Returns the place behind the shown character before a position.
    pub(super) fn place_behind(&self, at: usize) -> usize {
        at.checked_sub(1).map_or(0, |before| self.place_of(before) + 1)
    }

    /// Returns the places of shown characters as ranges without hidden ones, the last first.
    pub(super) fn places_of(&self, range: &Range<usize>) -> Vec<Range<usize>> {
        if !self.is_veiled() {
            return vec![range.clone()];
        }
        let mut places: Vec<Range<usize>> = Vec::new();
        for place in range.clone().rev().map(|at| self.place_of(at)) {
            match places.last_mut() {
                Some(last) if last.start == place + 1 => last.start = place,
                _ => places.push(place..place + 1),
            }
        }
        places
    }
}
