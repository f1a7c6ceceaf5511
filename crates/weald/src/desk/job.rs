//! What the writer thread is asked to do, and how each caller is answered.
//!
//! Invariant: a job that was submitted is answered exactly once, or its caller learns that the
//! outcome is unknown.

use std::collections::BTreeMap;

use weald_auth::Authority;
use weald_dag::{DatabaseId, EntryId, Fault, PublicKey, Space, StoreError, Verdict, Verified};
use weald_engine::{
    Commit, CommitError, Folded, Founding, Held, IndexDeclaration, IndexDefinition, IndexError,
};

use crate::conflict::Conflict;
use crate::reply::Answer;
use crate::requests::{InviteError, Seat, UseInvite};
use crate::settings::SettingsError;

/// Makes the commit that belongs to the founding of a database, to be written with it.
pub(crate) type Along = Box<dyn FnOnce(&Held) -> Result<Commit, CommitError> + Send>;

/// A database to be made.
pub(crate) struct Found {
    pub(crate) founding: Founding,
    pub(crate) along: Option<Along>,
    pub(crate) answer: Answer<Result<Held, CommitError>>,
}

/// An entry to be made.
pub(crate) struct Make {
    pub(crate) commit: Commit,
    pub(crate) answer: Answer<Result<Receipt, CommitError>>,
}

/// A row of the instance itself, outside of all databases, and what it is to be; `None` removes it.
pub(crate) type OwnRow = (Space, Vec<u8>, Option<Vec<u8>>);

/// An entry to be made, and rows to be written if it is, and only with it.
pub(crate) struct Keep {
    pub(crate) make: Make,
    pub(crate) rows: Vec<OwnRow>,
}

/// Makes the commit that changes the settings, on what they say at its turn; `None` when there is
/// nothing to change.
pub(crate) type Decide =
    Box<dyn FnOnce(&Authority) -> Result<Option<Commit>, SettingsError> + Send>;

/// Settings to be changed.
pub(crate) struct Change {
    /// The local number of the database.
    pub(crate) database: u32,
    pub(crate) decide: Decide,
    /// The entry that the change is not to descend from; it goes on top of everything otherwise.
    pub(crate) beside: Option<EntryId>,
    pub(crate) answer: Answer<Result<Option<Receipt>, SettingsError>>,
}

/// Entries from elsewhere.
pub(crate) struct Take {
    pub(crate) from: PublicKey,
    pub(crate) database: DatabaseId,
    pub(crate) parcels: Vec<Verified>,
    /// What is wrong with the others, by their place among all that came.
    pub(crate) faults: BTreeMap<usize, Fault>,
    pub(crate) answer: Answer<Result<Vec<(EntryId, Verdict)>, StoreError>>,
}

/// Rows of the instance itself to be written, with no entry.
pub(crate) struct Remember {
    pub(crate) rows: Vec<OwnRow>,
    pub(crate) answer: Answer<Result<(), StoreError>>,
}

/// The first sync of a database has brought all of it.
pub(crate) struct Complete {
    pub(crate) database: DatabaseId,
    pub(crate) answer: Answer<Result<(), StoreError>>,
}

/// The state of a database is to be made again from its entries.
pub(crate) struct Rebuild {
    /// Its local number.
    pub(crate) database: u32,
    pub(crate) answer: Answer<Result<(), StoreError>>,
}

/// A step of unlocking or locking a sealed store.
pub(crate) struct Seal {
    /// The local number of the database.
    pub(crate) database: u32,
    pub(crate) step: SealStep,
    pub(crate) answer: Answer<Result<(), StoreError>>,
}

/// The steps of unlocking a store, each applied before the next, and of locking one.
pub(crate) enum SealStep {
    /// Its rows at rest are made ready for the key of this name.
    Prepare { store: String, rest: [u8; 16] },
    /// What waits is folded.
    Fold { store: String },
    /// All that was submitted before is written.
    Settle,
}

/// An index should be there.
pub(crate) struct Declare {
    /// The local number of the database.
    pub(crate) database: u32,
    pub(crate) declaration: IndexDeclaration,
    pub(crate) answer: Answer<Result<IndexDefinition, IndexError>>,
}

/// An index should not be there any more.
pub(crate) struct Discard {
    /// The local number of the database.
    pub(crate) database: u32,
    /// The name and type of the store.
    pub(crate) store: (String, &'static str),
    pub(crate) name: String,
    pub(crate) answer: Answer<Result<bool, IndexError>>,
}

/// What the writer thread is asked to do.
pub(crate) enum Job {
    Found(Box<Found>),
    Make(Box<Make>),
    Keep(Box<Keep>),
    Change(Box<Change>),
    Take(Box<Take>),
    UseInvite(Box<UseInvite>),
    Complete(Complete),
    Remember(Remember),
    Rebuild(Rebuild),
    Seal(Seal),
    /// Readers of the database with this local number get keys of sealed stores that they lack, and
    /// if it is so said, those who stay get new ones; nobody waits for it.
    ShareKeys {
        database: u32,
        anew: bool,
    },
    Declare(Box<Declare>),
    Discard(Box<Discard>),
    /// The next step of building the indexes of the database with this local number; nobody waits
    /// for it.
    BuildIndexes(u32),
    /// What is due in the settings of the database with this local number is to be seen to; nobody
    /// waits for it.
    Tend(u32),
    /// Sections of types that an earlier build did not know are folded; nobody waits for it.
    CatchUp,
}

/// What a commit has made.
#[derive(Clone, Debug)]
pub(crate) struct Receipt {
    pub(crate) id: EntryId,
    pub(crate) conflicts: Vec<Conflict>,
    /// How many entries are visible by it that were not.
    pub(crate) appeared: u64,
    /// How many entries are hidden by it that were not.
    pub(crate) vanished: u64,
}

impl Receipt {
    pub(crate) fn of(folded: &Folded) -> Self {
        let conflicts = folded.conflicts().map(|(row, found)| Conflict::of(row, found)).collect();
        let (appeared, vanished) =
            folded.shift.as_ref().map_or((0, 0), |shift| (shift.appeared, shift.vanished));
        Self { id: folded.id, conflicts, appeared, vanished }
    }
}

/// An answer with what it says if the group is applied.
pub(crate) enum Outcome {
    Found(Answer<Result<Held, CommitError>>, Result<Held, CommitError>),
    Make(Answer<Result<Receipt, CommitError>>, Result<Receipt, CommitError>),
    Change(Answer<Result<Option<Receipt>, SettingsError>>, Result<Option<Receipt>, SettingsError>),
    Take(
        Answer<Result<Vec<(EntryId, Verdict)>, StoreError>>,
        Result<Vec<(EntryId, Verdict)>, StoreError>,
    ),
    UseInvite(Answer<Result<Seat, InviteError>>, Result<Seat, InviteError>),
    Plain(Answer<Result<(), StoreError>>, Result<(), StoreError>),
    Declare(Answer<Result<IndexDefinition, IndexError>>, Result<IndexDefinition, IndexError>),
    Discard(Answer<Result<bool, IndexError>>, Result<bool, IndexError>),
}

impl Outcome {
    /// The group is durable: says what was decided.
    pub(crate) fn send(self) {
        match self {
            Self::Found(answer, outcome) => answer.send(outcome),
            Self::Make(answer, outcome) => answer.send(outcome),
            Self::Change(answer, outcome) => answer.send(outcome),
            Self::Take(answer, outcome) => answer.send(outcome),
            Self::UseInvite(answer, outcome) => answer.send(outcome),
            Self::Plain(answer, outcome) => answer.send(outcome),
            Self::Declare(answer, outcome) => answer.send(outcome),
            Self::Discard(answer, outcome) => answer.send(outcome),
        }
    }

    /// The group was not applied, or it is unknown: says so instead of any success.
    pub(crate) fn send_failed(self, error: &StoreError) {
        let failed = || CommitError::Store(error.clone());
        match self {
            Self::Found(answer, outcome) => answer.send(outcome.and_then(|_| Err(failed()))),
            Self::Make(answer, outcome) => answer.send(outcome.and_then(|_| Err(failed()))),
            Self::Change(answer, outcome) => {
                answer.send(outcome.and_then(|_| Err(error.clone().into())));
            }
            Self::Take(answer, _) => answer.send(Err(error.clone())),
            Self::UseInvite(answer, outcome) => {
                answer.send(outcome.and_then(|_| Err(error.clone().into())));
            }
            Self::Plain(answer, _) => answer.send(Err(error.clone())),
            Self::Declare(answer, outcome) => {
                answer.send(outcome.and_then(|_| Err(error.clone().into())));
            }
            Self::Discard(answer, outcome) => {
                answer.send(outcome.and_then(|_| Err(error.clone().into())));
            }
        }
    }
}

impl Job {
    /// Gives up a job that was not begun.
    pub(crate) fn failed(self, error: &StoreError) -> Option<Outcome> {
        let failed = || CommitError::Store(error.clone());
        Some(match self {
            Self::Found(job) => Outcome::Found(job.answer, Err(failed())),
            Self::Make(job) => Outcome::Make(job.answer, Err(failed())),
            Self::Keep(job) => Outcome::Make(job.make.answer, Err(failed())),
            Self::Change(job) => Outcome::Change(job.answer, Err(error.clone().into())),
            Self::Take(job) => Outcome::Take(job.answer, Err(error.clone())),
            Self::UseInvite(job) => Outcome::UseInvite(job.answer, Err(error.clone().into())),
            Self::Complete(job) => Outcome::Plain(job.answer, Err(error.clone())),
            Self::Remember(job) => Outcome::Plain(job.answer, Err(error.clone())),
            Self::Rebuild(job) => Outcome::Plain(job.answer, Err(error.clone())),
            Self::Seal(job) => Outcome::Plain(job.answer, Err(error.clone())),
            Self::Declare(job) => Outcome::Declare(job.answer, Err(error.clone().into())),
            Self::Discard(job) => Outcome::Discard(job.answer, Err(error.clone().into())),
            Self::CatchUp | Self::BuildIndexes(_) | Self::ShareKeys { .. } | Self::Tend(_) => {
                return None;
            }
        })
    }
}

/// Puts the verdicts of the door and the faults of the others back into the order in which they came.
pub(crate) fn in_order(
    verdicts: Vec<(EntryId, Verdict)>,
    faults: BTreeMap<usize, Fault>,
) -> Vec<(EntryId, Verdict)> {
    if faults.is_empty() {
        return verdicts;
    }
    let mut all = Vec::with_capacity(verdicts.len() + faults.len());
    let mut verdicts = verdicts.into_iter();
    for (place, fault) in faults {
        let before = place.saturating_sub(all.len());
        all.extend(verdicts.by_ref().take(before));
        all.push((fault.id(), Verdict::Fault(fault)));
    }
    all.extend(verdicts);
    all
}
