//! One change of one row: who, when, and what was there before and after.
//!
//! Invariant: a revision tells of a change; an entry that left a row as it was has none for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use json_patch::Patch;
use weald_auth::Authority;
use weald_crdt::{Value, ValueError};
use weald_dag::{EntryId, PublicKey, Stored, Time};

use super::patches::patch;
use crate::conflict::RowKey;
use crate::watch::ChangeKind;

/// A change of a row, or of a whole document, by one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Revision {
    /// The entry that did it.
    pub entry: EntryId,
    /// Who signed the entry.
    pub author: PublicKey,
    /// What the settings call the author now; `None` if they give no name.
    pub author_name: Option<String>,
    /// When it was, by the author's clock.
    pub time: Time,
    /// The store.
    pub store: String,
    /// The row; a document as a whole has the root path.
    pub key: RowKey,
    /// What happened to it. A document is never created or removed: without leaves it is an empty map.
    pub kind: ChangeKind,
    /// What it said before; `None` if there was no row.
    pub before: Option<Value>,
    /// What it said after; `None` if there is no row.
    pub after: Option<Value>,
}

impl Revision {
    /// Returns the JSON patch (RFC 6902) that leads from before to after.
    ///
    /// A row that came into being is one `add` of all of it at the root, one that went away one
    /// `replace` of the root by `null`. Values have the JSON form of [`Value::to_json`].
    ///
    /// # Errors
    /// [`ValueError::NotANumber`] for a float that is none, which no store keeps.
    pub fn forward(&self) -> Result<Patch, ValueError> {
        patch(self.before.as_ref(), self.after.as_ref())
    }

    /// Returns the JSON patch (RFC 6902) that leads back from after to before, as
    /// [`Revision::forward`] does the other way.
    ///
    /// # Errors
    /// [`ValueError::NotANumber`] for a float that is none, which no store keeps.
    pub fn reverse(&self) -> Result<Patch, ValueError> {
        patch(self.after.as_ref(), self.before.as_ref())
    }
}

/// What people call the authors of entries, as the settings say now, of former members too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names(Arc<BTreeMap<PublicKey, String>>);

impl Names {
    pub(crate) fn of(authority: Option<Arc<Authority>>) -> Self {
        let named = authority.map(|authority| {
            let names = authority.current().names().into_iter();
            names.map(|(key, name)| (key, name.to_owned())).collect()
        });
        Self(Arc::new(named.unwrap_or_default()))
    }

    pub(crate) fn get(&self, key: &PublicKey) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Returns how a key is called in a sentence.
    pub(crate) fn called(&self, key: &PublicKey) -> String {
        match self.get(key) {
            Some(name) => format!("{name} ({})", key.short()),
            None => format!("the key {}", key.short()),
        }
    }
}

/// Who made an entry, and when.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    entry: EntryId,
    author: PublicKey,
    author_name: Option<String>,
    time: Time,
}

impl Origin {
    pub(crate) fn of(stored: &Stored, names: &Names) -> Self {
        let entry = &stored.parcel.entry;
        let author = entry.author();
        let author_name = names.get(&author).map(str::to_owned);
        Self { entry: entry.id(), author, author_name, time: entry.time() }
    }

    pub(crate) fn revision(
        self,
        store: String,
        key: RowKey,
        kind: ChangeKind,
        (before, after): (Option<Value>, Option<Value>),
    ) -> Revision {
        let Self { entry, author, author_name, time } = self;
        Revision { entry, author, author_name, time, store, key, kind, before, after }
    }
}
