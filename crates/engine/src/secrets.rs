//! What the engine is told of sealed sections: their clear content, for stores that are unlocked.
//!
//! Invariant: without the key a sealed section is neither refused nor void: it waits.

use std::borrow::Cow;

use weald_crdt::{SEALED_TYPE, section_type};
use weald_dag::PublicKey;

use crate::fold::StoreTypes;
use crate::view::StorePlace;

/// Opens the sections of sealed stores, for as long as their keys are there.
pub trait Secrets: Send + Sync {
    /// Opens a sealed section of a store of the database with this local number.
    fn open(&self, database: u32, store: &str, author: &PublicKey, payload: &[u8]) -> Opened;
}

/// What a sealed section holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// A section of another type, in the clear.
    Section(Vec<u8>),
    /// The key of its epoch is not there.
    Locked,
    /// The key is there, and the section does not open with it: it was made up, changed or moved.
    Void(String),
}

/// The payload of a section as its type is to see it.
pub(crate) enum Shown<'a> {
    /// One that is in the clear, or was sealed and is opened.
    Section { place: StorePlace, type_name: Cow<'a, str>, payload: Cow<'a, [u8]> },
    /// It is sealed, and its key is not there.
    Locked,
    /// It adds nothing.
    Void(String),
}

impl StoreTypes {
    /// Returns what a section says and where its rows belong.
    pub(crate) fn shown<'a>(
        &self,
        database: u32,
        store: &str,
        author: &PublicKey,
        payload: &'a [u8],
    ) -> Shown<'a> {
        let type_name = match section_type(payload) {
            Ok(SEALED_TYPE) => return self.opened(database, store, author, payload),
            Ok(type_name) => type_name,
            Err(void) => return Shown::Void(void.to_string()),
        };
        let place = StorePlace::new(database, store, type_name);
        Shown::Section { place, type_name: type_name.into(), payload: payload.into() }
    }

    /// Returns the name of a section's type, and the section as that type is to see it: opened, if it
    /// was sealed and its key is there; `None` if it is sealed and does not open.
    pub fn open_section<'a>(
        &self,
        (database, store): (u32, &str),
        author: &PublicKey,
        payload: &'a [u8],
    ) -> Option<(Cow<'a, str>, Cow<'a, [u8]>)> {
        match self.shown(database, store, author, payload) {
            Shown::Section { type_name, payload, .. } => Some((type_name, payload)),
            Shown::Locked | Shown::Void(_) => None,
        }
    }

    fn opened(
        &self,
        database: u32,
        store: &str,
        author: &PublicKey,
        payload: &[u8],
    ) -> Shown<'static> {
        let Some(secrets) = self.secrets() else { return Shown::Locked };
        let payload = match secrets.open(database, store, author, payload) {
            Opened::Section(payload) => payload,
            Opened::Locked => return Shown::Locked,
            Opened::Void(reason) => return Shown::Void(reason),
        };
        let type_name = match section_type(&payload) {
            Ok(SEALED_TYPE) => return Shown::Void("a sealed section holds another one".into()),
            Ok(type_name) => type_name.to_owned(),
            Err(void) => return Shown::Void(void.to_string()),
        };
        let place = StorePlace::sealed(database, store, &type_name, secrets);
        Shown::Section { place, type_name: type_name.into(), payload: payload.into() }
    }
}
