//! Rows of the system database `_sync` that are written one after the other, by whoever has a reason.
//!
//! Invariant: a row is written on top of the one before it, and a call returns when it is durable. Neither
//! the store nor the writer thread is kept alive.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde::Serialize;
use weald_crdt::{Key, TableDraft, TableType, Value};
use weald_dag::{Overlay, SecretKey, Snapshot, StoreError};
use weald_engine::{Commit, StorePlace, StoreViewMut};
use weald_store::{Settle, WeakWriter, Writer};

use crate::core::{Core, lost};
use crate::desk::{Job, Make};
use crate::error::Error;
use crate::reply::{Reply, reply};

/// The way to the rows of `_sync`.
pub(crate) struct SyncRows {
    store: Weak<dyn Settle>,
    writer: WeakWriter<Job>,
    device: Arc<SecretKey>,
    /// The local number of the database.
    database: u32,
    writing: Mutex<()>,
}

impl SyncRows {
    pub(crate) fn new(core: &Core, database: u32) -> Result<Self, StoreError> {
        let (store, writer) = (Arc::downgrade(&core.store()?), core.writer().downgrade());
        let device = Arc::clone(&core.device);
        Ok(Self { store, writer, device, database, writing: Mutex::default() })
    }

    /// Returns a view of the store as it is now.
    pub(crate) fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        self.store.upgrade().ok_or(StoreError::Closed)?.snapshot()
    }

    /// Hands a job to the writer thread.
    pub(crate) fn submit(&self, job: Job) -> Result<(), StoreError> {
        let writer: Writer<Job> = self.writer.upgrade().ok_or(StoreError::Closed)?;
        writer.submit(job).map_err(|_| StoreError::Closed)
    }

    /// Writes a whole row in place of the one that may be there.
    ///
    /// It blocks until that is durable, so it is not for an executor's thread.
    pub(crate) fn put(&self, table: &str, key: &Key, row: &impl Serialize) -> Result<(), Error> {
        let value = Value::from_serde(row).map_err(|error| Error::Write(error.into()))?;
        self.write(table, |draft, view| {
            draft.put(view, key, &value).map_err(|error| Error::Write(error.into()))?;
            Ok(true)
        })
    }

    /// Deletes a row if it is there. It blocks as [`put`](Self::put) does.
    pub(crate) fn delete(&self, table: &str, key: &Key) -> Result<(), Error> {
        self.write(table, |draft, view| {
            draft.delete(view, key).map_err(|error| Error::Write(error.into()))
        })
    }

    /// Deletes a row without waiting, also on the writer thread; it may stay where another is being written.
    pub(crate) fn delete_soon(&self, table: &str, key: &Key) {
        let Ok(_writing) = self.writing.try_lock() else { return };
        let commit = self.staged(table, |draft, view| {
            draft.delete(view, key).map_err(|error| Error::Write(error.into()))
        });
        let submitted = commit.and_then(|commit| {
            let Some(commit) = commit else { return Ok(()) };
            let (answer, _reply) = reply();
            Ok(self.submit(Job::Make(Box::new(Make { commit, answer })))?)
        });
        if let Err(error) = submitted {
            tracing::warn!(%error, "a row of sync could not be deleted: it is tried after a restart");
        }
    }

    fn write(
        &self,
        table: &str,
        stage: impl FnOnce(&mut TableDraft, &mut StoreViewMut<'_>) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        // What is staged names what was there before: two at once would stand side by side.
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(commit) = self.staged(table, stage)? else { return Ok(()) };
        let (answer, reply) = reply();
        self.submit(Job::Make(Box::new(Make { commit, answer })))?;
        Ok(waited(reply).map(drop)?)
    }

    /// Makes the commit of what is staged, if anything is.
    fn staged(
        &self,
        table: &str,
        stage: impl FnOnce(&mut TableDraft, &mut StoreViewMut<'_>) -> Result<bool, Error>,
    ) -> Result<Option<Commit>, Error> {
        let mut staged = Overlay::new(self.snapshot()?);
        let place = StorePlace::new(self.database, table, TableType::NAME);
        let mut draft = TableDraft::new();
        if !stage(&mut draft, &mut StoreViewMut::new(&mut staged, place))? {
            return Ok(None);
        }
        Ok(Some(Commit {
            database: self.database,
            key: Arc::clone(&self.device),
            sections: vec![(table.to_owned(), draft.encode())],
            required: Vec::new(),
        }))
    }
}

/// Waits for the writer thread's answer.
pub(crate) fn waited<T, E: From<StoreError>>(reply: Reply<Result<T, E>>) -> Result<T, E> {
    reply.wait().unwrap_or_else(|| Err(lost().into()))
}
