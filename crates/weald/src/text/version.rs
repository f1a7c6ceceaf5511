//! A text at some version: its characters, with the marks on each.
//!
//! Invariant: looking into the past does not touch the text that it is the past of.

use std::collections::BTreeMap;
use std::sync::Arc;

use loro::TextDelta;
use weald_crdt::Value;

use super::convert::value_of;
use super::document::Document;
use super::guard::Broken;
use super::inverse::Returned;
use super::update::Id;

/// The marks on a character.
pub(super) type Marks = Arc<BTreeMap<String, Value>>;

/// A character at its place.
#[derive(Clone, Debug)]
pub(super) struct Character {
    /// Its name; of one that came back, that of the one it stands for.
    pub(super) id: Id,
    pub(super) character: char,
    pub(super) marks: Marks,
}

/// All characters, in order.
pub(super) struct Version(pub(super) Vec<Character>);

impl Version {
    /// Reads the characters of a text, whatever version it shows.
    pub(super) fn of(document: &Document, returned: &Returned) -> Result<Self, Broken> {
        let mut ids = document.ids()?.into_iter();
        let mut characters = Vec::with_capacity(ids.len());
        for part in document.delta()? {
            let TextDelta::Insert { insert, attributes } = part else { continue };
            let attributes = attributes.unwrap_or_default();
            let marks =
                attributes.iter().filter_map(|(key, value)| Some((key.clone(), value_of(value)?)));
            let marks: Marks = Arc::new(marks.filter(|(_, value)| *value != Value::Null).collect());
            for (character, id) in insert.chars().zip(ids.by_ref()) {
                let (id, marks) = (returned.first(id), Arc::clone(&marks));
                characters.push(Character { id, character, marks });
            }
        }
        Ok(Self(characters))
    }
}

/// The versions that a text had.
pub(super) struct Versions<'a> {
    document: &'a Document,
    /// Made when the first one is asked for.
    copy: Option<Document>,
}

impl<'a> Versions<'a> {
    pub(super) const fn of(document: &'a Document) -> Self {
        Self { document, copy: None }
    }

    /// Returns what some operations, and all that they have seen, make.
    pub(super) fn at(&mut self, seen: &[Id], returned: &Returned) -> Result<Version, Broken> {
        let copy = match self.copy.take() {
            Some(copy) => copy,
            None => self.document.copy()?,
        };
        copy.turn_to(seen)?;
        let version = Version::of(&copy, returned);
        self.copy = Some(copy);
        version
    }
}
