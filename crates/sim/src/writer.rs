//! The writer of a site: it takes what waits as one group, and answers after the flush.
//!
//! Invariant: nothing is answered before its rows are flushed; a crash loses a group whole or keeps
//! it whole.

use std::collections::VecDeque;
use std::sync::Arc;

use weald_dag::{
    Batch, DatabaseId, Domain, Durability, EntryId, Number, Overlay, Parcel, SecretKey, Signature,
    Store, StoreError, Verdict, Verified, verify,
};
use weald_engine::{Commit, Engine, Folded, Founding, HiddenMax, StoreTypes, held};
use weald_sync::BatchId;

use crate::disk::Disk;
use crate::network::LinkId;

/// One thing that the writer is to do.
pub(crate) enum Job {
    /// Makes an entry.
    Commit { database: DatabaseId, key: Arc<SecretKey>, sections: Vec<(String, Vec<u8>)> },
    /// Takes an entry that was made elsewhere, by hand.
    Adopt { database: DatabaseId, made: Box<Verified> },
    /// Takes entries that a session received.
    Ingest { link: LinkId, batch: BatchId, database: DatabaseId, parcels: Vec<Parcel> },
    /// Drops what is hidden and not needed.
    Prune { database: DatabaseId, number: u32 },
    /// Notes that a database is whole.
    Complete { database: DatabaseId },
}

/// What became of a job.
pub(crate) enum Answer {
    /// A commit is durable.
    Committed { database: DatabaseId, id: EntryId, number: Number },
    /// A commit made no entry.
    NotCommitted { database: DatabaseId, reason: String },
    /// A batch was judged and what is good in it is durable.
    Ingested {
        link: LinkId,
        batch: BatchId,
        database: DatabaseId,
        verdicts: Vec<(EntryId, Verdict)>,
        stored: Vec<Number>,
    },
    /// What was hidden and not needed is gone.
    Pruned { entries: u64 },
    /// A database is whole.
    Completed { database: DatabaseId },
}

struct Group {
    /// The rows, until they are applied.
    rows: Option<Batch>,
    answers: Vec<Answer>,
}

/// The disk of a site, its door, and what waits to go through it.
pub(crate) struct Writer {
    disk: Arc<Disk>,
    engine: Engine,
    queue: VecDeque<Job>,
    group: Option<Group>,
    early_rows: bool,
    hidden_max: HiddenMax,
}

fn sign(ids: &[(Arc<SecretKey>, EntryId)]) -> Vec<Signature> {
    ids.iter().map(|(key, id)| key.sign(Domain::Entry, id.as_bytes())).collect()
}

fn fresh_engine(hidden_max: HiddenMax) -> Engine {
    let mut engine = Engine::new(StoreTypes::built_in());
    engine.keep_hidden(hidden_max);
    engine
}

impl Writer {
    /// Starts on an empty disk. With `early_rows` a group is seen before it is flushed; of what came
    /// hidden and nobody needs, `hidden_max` is kept.
    pub(crate) fn new(early_rows: bool, hidden_max: HiddenMax) -> Self {
        let (disk, engine) = (Arc::new(Disk::new()), fresh_engine(hidden_max));
        Self { disk, engine, queue: VecDeque::new(), group: None, early_rows, hidden_max }
    }

    /// Has it keep as much of what is hidden and not needed as is usual.
    pub(crate) fn make_room(&mut self) {
        self.hidden_max = HiddenMax::default();
        self.engine.keep_hidden(self.hidden_max);
    }

    /// Returns how much waits for the writer.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Returns the disk.
    pub(crate) const fn disk(&self) -> &Arc<Disk> {
        &self.disk
    }

    /// Makes a database before the world begins.
    ///
    /// # Errors
    /// [`weald_engine::CommitError`].
    pub(crate) fn found(
        &mut self,
        founding: Founding,
        wall_millis: u64,
    ) -> Result<DatabaseId, weald_engine::CommitError> {
        let mut rows = Overlay::new(self.disk.snapshot()?);
        let (held, _) = self.engine.found(&mut rows, founding, wall_millis, &sign)?;
        self.engine.finish(&mut rows);
        self.disk.apply(rows.into_batch(), Durability::Immediate)?;
        Ok(held.id)
    }

    /// Queues a job.
    pub(crate) fn submit(&mut self, job: Job) {
        self.queue.push_back(job);
    }

    /// Returns whether a group is on its way to the disk.
    pub(crate) const fn is_busy(&self) -> bool {
        self.group.is_some()
    }

    /// Returns whether nothing waits and nothing is on its way.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty() && !self.is_busy()
    }

    /// Stages all that waits as one group, and returns whether there was anything.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub(crate) fn start(&mut self, wall_millis: u64, seed: [u8; 32]) -> Result<bool, StoreError> {
        if self.is_busy() || self.queue.is_empty() {
            return Ok(false);
        }
        let mut rows = Overlay::new(self.disk.snapshot()?);
        let mut answers = Vec::with_capacity(self.queue.len());
        while let Some(job) = self.queue.pop_front() {
            answers.push(self.stage(&mut rows, job, wall_millis, seed)?);
        }
        self.engine.finish(&mut rows);
        let rows = rows.into_batch();
        let group = if self.early_rows {
            self.disk.apply(rows, Durability::Eventual)?;
            Group { rows: None, answers }
        } else {
            Group { rows: Some(rows), answers }
        };
        self.group = Some(group);
        Ok(true)
    }

    /// Flushes the group and returns its answers.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub(crate) fn finish(&mut self) -> Result<Vec<Answer>, StoreError> {
        let Some(group) = self.group.take() else { return Ok(Vec::new()) };
        if let Some(rows) = group.rows {
            self.disk.apply(rows, Durability::Immediate)?;
        }
        self.disk.flush();
        Ok(group.answers)
    }

    /// Forgets what is kept of the rows, after others than the writer changed them.
    pub(crate) fn forget(&mut self) {
        self.engine = fresh_engine(self.hidden_max);
    }

    /// Loses power, with the group flushed just before or not at all; nobody gets an answer.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub(crate) fn crash(&mut self, flushed: bool) -> Result<(), StoreError> {
        if flushed {
            self.finish()?;
        }
        self.group = None;
        self.queue.clear();
        self.forget();
        self.disk.crash()
    }

    fn stage(
        &mut self,
        rows: &mut Overlay,
        job: Job,
        wall_millis: u64,
        seed: [u8; 32],
    ) -> Result<Answer, StoreError> {
        match job {
            Job::Commit { database, key, sections } => {
                self.commit(rows, database, key, sections, wall_millis)
            }
            Job::Adopt { database, made } => {
                let id = made.entry().id();
                let ingested = self.engine.ingest(rows, database, vec![*made], wall_millis)?;
                Ok(match ingested.verdicts.first() {
                    Some((_, Verdict::Stored(number))) => {
                        Answer::Committed { database, id, number: *number }
                    }
                    other => Answer::NotCommitted { database, reason: format!("{other:?}") },
                })
            }
            Job::Ingest { link, batch, database, parcels } => {
                let ids: Vec<EntryId> = parcels.iter().map(|parcel| parcel.entry.id()).collect();
                let mut good = Vec::with_capacity(parcels.len());
                let checked = verify(parcels, seed).into_iter();
                let faults: Vec<_> = checked
                    .map(|checked| match checked {
                        Ok(verified) => {
                            good.push(verified);
                            None
                        }
                        Err(fault) => Some(fault),
                    })
                    .collect();
                let ingested = self.engine.ingest(rows, database, good, wall_millis)?;
                let mut judged = ingested.verdicts.into_iter();
                let verdicts = ids.into_iter().zip(faults).filter_map(|(id, fault)| match fault {
                    Some(fault) => Some((id, Verdict::Fault(fault))),
                    None => judged.next(),
                });
                let verdicts = verdicts.collect();
                let stored = ingested.folded.iter().map(|folded| folded.number).collect();
                Ok(Answer::Ingested { link, batch, database, verdicts, stored })
            }
            Job::Prune { database, number } => match held(rows, &database)? {
                Some(held) if held.number == number => {
                    Ok(Answer::Pruned { entries: self.engine.prune(rows, number)? })
                }
                _ => Ok(Answer::Pruned { entries: 0 }),
            },
            Job::Complete { database } => {
                self.engine.complete(rows, database)?;
                Ok(Answer::Completed { database })
            }
        }
    }

    fn commit(
        &mut self,
        rows: &mut Overlay,
        database: DatabaseId,
        key: Arc<SecretKey>,
        sections: Vec<(String, Vec<u8>)>,
        wall_millis: u64,
    ) -> Result<Answer, StoreError> {
        let Some(held) = held(rows, &database)? else {
            let reason = "the database is not held".to_owned();
            return Ok(Answer::NotCommitted { database, reason });
        };
        let commit = Commit { database: held.number, key, sections, required: Vec::new() };
        let made = self.engine.commit(rows, vec![commit], wall_millis, &sign)?;
        Ok(match made.into_iter().next() {
            Some(Ok(Folded { id, number, .. })) => Answer::Committed { database, id, number },
            Some(Err(error)) => Answer::NotCommitted { database, reason: error.to_string() },
            None => Answer::NotCommitted { database, reason: "nothing was made".to_owned() },
        })
    }
}
