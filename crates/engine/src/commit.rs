//! Entries of one's own: their parents are the tips, so local commits never fork.
//!
//! Invariant: a commit that fails leaves nothing staged.

use std::sync::Arc;

use thiserror::Error;
use weald_auth::SETTINGS_STORE;
use weald_dag::{
    Clock, Entry, EntryError, EntryId, Fields, Known, Overlay, Parcel, Place, Refusal,
    SIGNATURE_LEN, SecretKey, Section, Signature, Snapshot, StoreError, Verdict,
};

use crate::door::{self, Entered, Maker};
use crate::fold::{Folded, StoreTypes};
use crate::parents;
use crate::replica::{Placed, Replica};
use crate::secrets::Shown;
use crate::view::{StorePlace, space_of};

/// Signs the ids of entries, each by its key, in order. It may use several threads.
pub type Sign<'a> = dyn Fn(&[(Arc<SecretKey>, EntryId)]) -> Vec<Signature> + 'a;

/// A row that must be as it was when the transaction began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Required {
    /// The store's name.
    pub store: String,
    /// The name of the store's type.
    pub type_name: String,
    /// The key of the row, relative to the store.
    pub key: Vec<u8>,
    /// What was there.
    pub row: Option<Vec<u8>>,
}

/// One entry to be made.
#[derive(Clone, Debug)]
pub struct Commit {
    /// Local number of the database.
    pub database: u32,
    /// Who signs it.
    pub key: Arc<SecretKey>,
    /// Store and payload of each section, ascending by store.
    pub sections: Vec<(String, Vec<u8>)>,
    /// Rows that must not have changed.
    pub required: Vec<Required>,
}

/// Why a commit made no entry.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CommitError {
    /// A commit needs a database.
    #[error("this store holds no such database; create it or join it first")]
    UnknownDatabase,
    /// A database is made once.
    #[error("this store holds the database already; give the new one another nonce")]
    AlreadyHeld,
    /// Nobody could ever change the settings of the database.
    #[error("the settings of the new database leave no administrator; grant Admin to a key")]
    NoAdministrator,
    /// The first sync of the database has not finished.
    #[error("the database is still being fetched for the first time; commit when that is done")]
    Incomplete,
    /// Everything descends from the entry that a commit was not to descend from.
    #[error("every entry descends from entry {}; name one that is not the first", entry.short())]
    NothingBeside {
        /// The entry.
        entry: EntryId,
    },
    /// The signing key may not do this.
    #[error("the key may not do this: {reason}")]
    NotPermitted {
        /// What was needed and what the key holds.
        reason: String,
    },
    /// A row that was to stay as it was has changed.
    #[error(
        "a row of store '{store}' changed since the transaction began; read it again and retry"
    )]
    Changed {
        /// The store.
        store: String,
    },
    /// The entry breaks a rule of the format.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// A section breaks a rule of its type.
    #[error("the operations on store '{store}' cannot be applied: {reason}")]
    Void {
        /// The store.
        store: String,
        /// What rule they break.
        reason: String,
    },
    /// The store is sealed, and its key is not there.
    #[error("the store '{store}' is locked; unlock it, then write again")]
    Locked {
        /// The store.
        store: String,
    },
    /// No later time can be written.
    #[error("the clock has reached the end of time; set it right")]
    EndOfTime,
    /// The rows could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An entry that has its place and waits for its signature.
pub(crate) struct Unsigned {
    pub(crate) key: Arc<SecretKey>,
    pub(crate) folded: Folded,
    placed: Placed,
}

impl Unsigned {
    /// Stages the row again, signed; it may stand otherwise than when it was made.
    pub(crate) fn stage(
        mut self,
        replica: &mut Replica,
        rows: &mut Overlay,
        signature: Signature,
    ) -> Folded {
        self.placed.parcel.signature = signature;
        replica.stage(rows, self.placed);
        self.folded
    }
}

/// Makes and folds the entry of a commit on top of the tips, or of what is beside an entry.
pub(crate) fn commit(
    replica: &mut Replica,
    rows: &mut Overlay,
    types: &StoreTypes,
    commit: Commit,
    beside: Option<&EntryId>,
    wall_millis: u64,
) -> Result<Unsigned, CommitError> {
    if !replica.held.complete {
        return Err(CommitError::Incomplete);
    }
    check_required(replica, rows, types, &commit.required)?;
    check_sections(types, replica.held.number, &commit)?;
    let tips = match beside {
        None => parents::newest(replica, rows)?,
        Some(entry) => parents::beside(replica, rows, entry)?,
    };
    let mut parents: Vec<Known> = tips.iter().map(|tip| tip.known).collect();
    parents.sort_unstable_by_key(|parent| parent.number);
    let mut ids: Vec<EntryId> = tips.iter().map(|tip| tip.id).collect();
    ids.sort_unstable();
    let time = Clock::after(replica.clock()).tick(wall_millis, replica.clock());
    let author = commit.key.public();
    let sections = commit.sections.iter();
    let fields = Fields {
        parents: ids,
        time: time.ok_or(CommitError::EndOfTime)?,
        author,
        seq: replica.authors.next(&author),
        sections: sections.map(|(store, payload)| Section::of(store.as_str(), payload)).collect(),
        nonce: None,
    };
    let entry = Entry::encode(fields)?;
    enter(replica, rows, types, Made { key: commit.key, entry, sections: commit.sections }, parents)
}

/// An entry of one's own before it is judged.
pub(crate) struct Made {
    pub(crate) key: Arc<SecretKey>,
    pub(crate) entry: Entry,
    pub(crate) sections: Vec<(String, Vec<u8>)>,
}

/// Lets an entry of one's own in; all of a group are signed at once, afterwards.
pub(crate) fn enter(
    replica: &mut Replica,
    rows: &mut Overlay,
    types: &StoreTypes,
    made: Made,
    parents: Vec<Known>,
) -> Result<Unsigned, CommitError> {
    let Made { key, entry, sections } = made;
    let unsigned = Parcel {
        entry,
        signature: Signature::from_bytes([0; SIGNATURE_LEN]),
        payloads: sections.into_iter().map(|(_, payload)| Some(payload)).collect(),
    };
    let generation = parents.iter().map(|parent| parent.generation + 1).max().unwrap_or(0);
    let place = Place { parents, generation };
    let entered = door::enter(replica, rows, types, unsigned, &place, Maker::Here)?;
    let Entered { folded, placed } = entered.map_err(not_let_in)?;
    Ok(Unsigned { key, folded, placed })
}

fn not_let_in(verdict: Verdict) -> CommitError {
    let void = |reason| CommitError::Void { store: SETTINGS_STORE.into(), reason };
    match verdict {
        Verdict::Refused(Refusal::Authority { reason }) => CommitError::NotPermitted { reason },
        Verdict::Refused(refusal) => void(refusal.to_string()),
        Verdict::NewerVersion { what } => void(what),
        other => void(format!("{other:?}")),
    }
}

/// Checks every section before anything is staged, so that a failing commit stages nothing.
fn check_sections(types: &StoreTypes, database: u32, commit: &Commit) -> Result<(), CommitError> {
    let author = commit.key.public();
    for (store, payload) in &commit.sections {
        if store == SETTINGS_STORE {
            continue;
        }
        let void = |reason| CommitError::Void { store: store.clone(), reason };
        let (name, payload) = match types.shown(database, store, &author, payload) {
            Shown::Section { type_name, payload, .. } => (type_name, payload),
            Shown::Locked => return Err(CommitError::Locked { store: store.clone() }),
            Shown::Void(reason) => return Err(void(reason)),
        };
        let unknown = || void(format!("this build has no type '{name}'"));
        let store_type = types.get(&name).ok_or_else(unknown)?;
        store_type.check(&payload).map_err(|error| void(error.to_string()))?;
    }
    Ok(())
}

fn check_required(
    replica: &Replica,
    rows: &Overlay,
    types: &StoreTypes,
    required: &[Required],
) -> Result<(), CommitError> {
    for Required { store, type_name, key, row } in required {
        let place = StorePlace::of(rows, types, replica.held.number, (store, type_name))?;
        let space = space_of(weald_crdt::Area::State, replica.held.number);
        if rows.get(space, &place.key(key))? != *row {
            return Err(CommitError::Changed { store: store.clone() });
        }
    }
    Ok(())
}
