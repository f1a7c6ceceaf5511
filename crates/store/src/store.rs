//! The storage seam over one redb file.
//!
//! Invariant: a snapshot that is handed out after `apply` returned shows its rows, and after a
//! failed write nothing more is done with the file until it was opened and checked again.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redb::{CommitError, CompactionError, Database, ReadableDatabase, WriteTransaction};
use thiserror::Error;
use weald_dag::{Batch, Durability, Snapshot, Space, Store, StoreError};

use crate::fault;
use crate::open::{self, DATA_FILE, OpenError, Opened, Opener, Options, When};
use crate::owner::Owner;
use crate::rows::{WriteFailure, write};
use crate::settle::Settle;
use crate::snapshot::RedbSnapshot;

/// From how many rows on a batch leaves the file ready for a quick opening after a crash. At this
/// size that costs nothing to speak of.
pub const QUICK_REPAIR_ROWS: usize = 4_096;

/// How long the file is left alone after it could not be opened again; each further failure in a
/// row doubles it, up to [`REOPEN_PAUSE_MAX`].
pub const REOPEN_PAUSE: Duration = Duration::from_millis(100);
/// The longest time between two attempts to open the file again.
pub const REOPEN_PAUSE_MAX: Duration = Duration::from_secs(10);

/// An ordered byte map in one file of a directory that this process owns.
///
/// Dropping it makes eventual batches durable, leaves the file ready for a quick opening and
/// gives up the directory. Snapshots that outlive it give errors.
///
/// After a failed write it closes the file, opens it again and goes on with what is durable: the
/// failed batch is there whole or not at all, eventual batches that were not settled may be gone,
/// and snapshots from before may give errors. While the file cannot be opened every call returns
/// an error that says what to do, and tries once more if [`REOPEN_PAUSE`] is over: a disk that
/// comes back is used again, and one that does not is not worn out by who asks often.
pub struct RedbStore {
    current: Mutex<Current>,
    /// Orders the writers, and keeps the names of the tables they write.
    names: Mutex<BTreeMap<Space, String>>,
    opener: Opener,
    path: Option<PathBuf>,
    /// Last, so that it is given up after the file was closed.
    _owner: Option<Owner>,
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore").field("path", &self.path).finish_non_exhaustive()
    }
}

/// What readers share.
struct Current {
    /// `None` after a failed write, until the file is open again.
    database: Option<Database>,
    /// The one snapshot for all readers since the last batch.
    snapshot: Option<Arc<RedbSnapshot>>,
    repaired: bool,
    /// How long the file is left alone after the first failure to open it again.
    pause: Duration,
    /// The last failure to open the file again, until it is open.
    failed: Option<Failed>,
}

/// A failure to open the file again.
struct Failed {
    error: StoreError,
    at: Instant,
    /// How long to leave the file alone from then on.
    pause: Duration,
}

/// Why a store could not be compacted. No row has changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CompactError {
    /// A snapshot is still held.
    #[error("a snapshot is still held; drop every snapshot of the store, then compact again")]
    SnapshotHeld,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RedbStore {
    /// Opens the store in `dir`, and makes it when there is none, readable by its owner only.
    ///
    /// # Errors
    /// An [`OpenError`]; what was in the directory is then as it was.
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let dir = dir.as_ref();
        let (owner, opener, opened) = open::open(dir, &options)?;
        Ok(Self::new(opener, opened, Some(dir.join(DATA_FILE)), Some(owner)))
    }

    /// Opens a store over any device, for tests of what happens when it fails.
    #[cfg(test)]
    pub(crate) fn with_backend(
        opener: Opener,
        pause: Duration,
    ) -> Result<Self, redb::DatabaseError> {
        let opened = opener(When::Closed)?;
        let store = Self::new(opener, opened, None, None);
        store.current().pause = pause;
        Ok(store)
    }

    fn new(opener: Opener, opened: Opened, path: Option<PathBuf>, owner: Option<Owner>) -> Self {
        let current = Current {
            database: Some(opened.database),
            snapshot: None,
            repaired: opened.repaired,
            pause: REOPEN_PAUSE,
            failed: None,
        };
        Self {
            current: Mutex::new(current),
            names: Mutex::new(BTreeMap::new()),
            opener,
            path,
            _owner: owner,
        }
    }

    /// Returns whether the last opening had to check the whole file, because its last owner ended
    /// without settling or closing, or a write failed.
    pub fn was_repaired(&self) -> bool {
        self.current().repaired
    }

    /// Returns how much of the disk the rows take, in bytes: the blocks, not the sparse length.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the file cannot be looked at.
    pub fn file_bytes(&self) -> Result<u64, StoreError> {
        let Some(path) = &self.path else { return Ok(0) };
        let metadata =
            std::fs::metadata(path).map_err(|error| fault::device("measure its file", error))?;
        #[cfg(unix)]
        let bytes = std::os::unix::fs::MetadataExt::blocks(&metadata) * 512;
        #[cfg(not(unix))]
        let bytes = metadata.len();
        Ok(bytes)
    }

    /// Moves rows towards the start of the file and cuts its end off; returns whether it shrank.
    ///
    /// Takes about a second for a million rows, and needs that no snapshot is held.
    ///
    /// # Errors
    /// [`CompactError::SnapshotHeld`], or any error of the store.
    pub fn compact(&mut self) -> Result<bool, CompactError> {
        let current = self.current.get_mut().unwrap_or_else(PoisonError::into_inner);
        current.snapshot = None;
        current.database(&self.opener)?;
        let Some(database) = current.database.as_mut() else {
            return Err(StoreError::Closed.into());
        };
        match database.compact() {
            Ok(shrank) => Ok(shrank),
            Err(CompactionError::TransactionInProgress) => Err(CompactError::SnapshotHeld),
            Err(error) => {
                let error = match error {
                    CompactionError::Storage(error) => fault::storage("compact its file", error),
                    error => fault::other("compact its file", &error.to_string()),
                };
                current.reopen(&self.opener);
                Err(error.into())
            }
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a write transaction, after opening the file again if that is due.
    fn begin(&self) -> Result<WriteTransaction, StoreError> {
        let mut current = self.current();
        // Held, it would keep pages from being used again.
        current.snapshot = None;
        if let Ok(transaction) = current.database(&self.opener)?.begin_write() {
            return Ok(transaction);
        }
        // An earlier failure that nobody was told of; nothing was begun, so try afresh once.
        current.reopen(&self.opener);
        let database = current.database(&self.opener)?;
        database.begin_write().map_err(|error| fault::transaction("begin to write", error))
    }

    /// Ends a write: readers see it, and after a failure the file is opened again.
    fn ended(&self, outcome: Result<(), WriteFailure>) -> Result<(), StoreError> {
        let mut current = self.current();
        current.snapshot = None;
        let Err(failure) = outcome else { return Ok(()) };
        if failure.reopen {
            tracing::warn!(error = %failure.error, "a write failed; the file is opened again");
            current.reopen(&self.opener);
        }
        Err(failure.error)
    }
}

impl Current {
    /// Returns the open file, after opening it again if a write failed.
    fn database(&mut self, opener: &Opener) -> Result<&Database, StoreError> {
        if self.database.is_none() {
            if let Some(failed) = &self.failed
                && failed.at.elapsed() < failed.pause
            {
                return Err(failed.error.clone());
            }
            match open_again(opener) {
                Ok(opened) => self.opened(opened),
                Err(error) => return Err(self.not_opened(error)),
            }
        }
        self.database.as_ref().ok_or(StoreError::Closed)
    }

    fn opened(&mut self, opened: Opened) {
        self.database = Some(opened.database);
        self.repaired = opened.repaired;
        self.failed = None;
    }

    fn not_opened(&mut self, error: StoreError) -> StoreError {
        let pause = match &self.failed {
            Some(before) => before.pause.saturating_mul(2).min(REOPEN_PAUSE_MAX),
            None => self.pause,
        };
        // From the end of the attempt: checking a large file takes long.
        self.failed = Some(Failed { error: error.clone(), at: Instant::now(), pause });
        error
    }

    /// Closes the file and tries to open it again; if that fails, later calls do.
    fn reopen(&mut self, opener: &Opener) {
        self.snapshot = None;
        // Closed before it is opened: redb locks the file.
        self.database = None;
        if let Err(error) = self.database(opener) {
            tracing::error!(%error, "the file could not be opened again after a failed write");
        }
    }
}

/// Opens the file again; what makes redb panic over damaged bytes becomes an error.
fn open_again(opener: &Opener) -> Result<Opened, StoreError> {
    const ACTION: &str = "open its file again after a failed write";
    match catch_unwind(AssertUnwindSafe(|| opener(When::AfterFailure))) {
        Ok(opened) => opened.map_err(|error| fault::database(ACTION, error)),
        Err(payload) => Err(StoreError::Corrupt { what: fault::panic_text(&*payload) }),
    }
}

/// Runs a write to its end; a panic inside redb leaves the outcome unknown.
fn guarded(run: impl FnOnce() -> Result<(), WriteFailure>) -> Result<(), WriteFailure> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| {
        let reason = fault::panic_text(&*payload);
        Err(WriteFailure { error: StoreError::OutcomeUnknown { reason }, reopen: true })
    })
}

/// Commits; a failure that is not a rollback leaves the outcome unknown.
fn commit(transaction: WriteTransaction) -> Result<(), WriteFailure> {
    transaction.commit().map_err(|error| {
        let reason = error.to_string();
        let error = match error {
            CommitError::TransactionPoisoned => fault::other("write rows", &reason),
            _ => StoreError::OutcomeUnknown { reason },
        };
        WriteFailure { error, reopen: true }
    })
}

impl Store for RedbStore {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        let mut current = self.current();
        if let Some(snapshot) = &current.snapshot {
            return Ok(Arc::<RedbSnapshot>::clone(snapshot));
        }
        let transaction = current
            .database(&self.opener)?
            .begin_read()
            .map_err(|error| fault::transaction("begin to read", error))?;
        let snapshot = Arc::new(RedbSnapshot::new(transaction));
        current.snapshot = Some(Arc::clone(&snapshot));
        Ok(snapshot)
    }

    fn apply(&self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let mut transaction = self.begin()?;
        let outcome = guarded(|| {
            match durability {
                Durability::Immediate => {
                    transaction.set_quick_repair(batch.len() >= QUICK_REPAIR_ROWS);
                }
                Durability::Eventual => {
                    transaction.set_durability(redb::Durability::None).map_err(|error| {
                        let error = fault::other("write rows", &error.to_string());
                        WriteFailure { error, reopen: false }
                    })?;
                }
            }
            write(&transaction, &batch, &mut names)?;
            commit(transaction)
        });
        self.ended(outcome)
    }
}

impl Settle for RedbStore {
    fn settle(&self) -> Result<(), StoreError> {
        // Held to the end: it orders the writers.
        let _names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let mut transaction = self.begin()?;
        let outcome = guarded(|| {
            transaction.set_quick_repair(true);
            commit(transaction)
        });
        self.ended(outcome)
    }
}
