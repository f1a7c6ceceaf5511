//! The work of the writer thread: jobs go through the engine, callers are answered when their rows
//! are durable, and then everybody else is told.
//!
//! Invariant: whoever is told of an entry could read it from the disk after a power cut, and
//! entries are told in the order of their commits.

mod changing;
mod done;
mod indexing;
mod job;
mod making;
mod sealing;
mod taking;
#[cfg(test)]
mod tests;
mod versions;

use std::sync::{Arc, OnceLock};

use weald_dag::{Overlay, StoreError};
use weald_engine::{Engine, IndexError};
use weald_store::{WeakWriter, Work, WorkPanic};

use done::Done;
pub(crate) use indexing::IndexBoard;
use indexing::{IndexWork, Indexing};
use job::Outcome;
pub(crate) use job::{
    Along, Change, Complete, Decide, Declare, Discard, Found, Job, Keep, Make, OwnRow, Rebuild,
    Receipt, Remember, Seal, SealStep, Take,
};

use crate::access::Access;
use crate::clock::wall_millis;
use crate::explain::Refusals;
use crate::feed::Feeds;
use crate::key_ring::KeyRing;
use crate::sealed::Vault;
use crate::settings;
use crate::watch::{Told, Watchers, tell};

/// Runs the engine on the writer thread.
pub(crate) struct Desk {
    engine: Engine,
    shared: Shared,
    indexing: Indexing,
}

/// What the writer thread shares with all others.
#[derive(Clone, Default)]
pub(crate) struct Shared {
    pub(crate) access: Arc<Access>,
    pub(crate) watchers: Arc<Watchers>,
    pub(crate) feeds: Arc<Feeds>,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) key_ring: Arc<KeyRing>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) index_board: Arc<IndexBoard>,
    /// The way back to the writer thread; set once, before any job.
    pub(crate) writer: Arc<OnceLock<WeakWriter<Job>>>,
}

impl Desk {
    pub(crate) fn new(engine: Engine, shared: Shared) -> Self {
        let indexing = Indexing::new(Arc::clone(&shared.index_board), Arc::clone(&shared.writer));
        Self { engine, shared, indexing }
    }

    fn run(&mut self, job: Job, rows: &mut Overlay, done: &mut Done) -> Result<(), StoreError> {
        match job {
            Job::Found(job) => self.found(*job, rows, done),
            Job::Make(job) => self.make_in_turn(vec![*job], rows, done),
            Job::Keep(job) => self.keep(*job, rows, done),
            Job::Change(job) => self.change(*job, rows, done),
            Job::Seal(job) => self.seal(job, rows, done),
            Job::ShareKeys { database, anew } => self.share_keys((database, anew), rows, done),
            Job::Take(job) => self.take(*job, rows, done),
            Job::UseInvite(job) => self.use_invite(*job, rows, done),
            Job::Complete(Complete { database, answer }) => {
                let completed = self.engine.complete(rows, database);
                if let Ok(true) = completed {
                    done.told.push(Told::Complete { database });
                    if let Some(held) = weald_engine::held(rows, &database)? {
                        self.tend(held.number, rows, done)?;
                    }
                }
                let outcome = completed.map(drop);
                done.outcomes.push(Outcome::Plain(answer, outcome.clone()));
                outcome
            }
            Job::Rebuild(Rebuild { database, answer }) => {
                let outcome = self.engine.rebuild(rows, database).map(drop);
                let failure = outcome.clone();
                done.outcomes.push(Outcome::Plain(answer, outcome));
                failure
            }
            Job::Remember(Remember { rows: own, answer }) => {
                making::put_rows(rows, own);
                done.outcomes.push(Outcome::Plain(answer, Ok(())));
                Ok(())
            }
            Job::Declare(job) => self.declare(*job, rows, done),
            Job::Discard(job) => self.discard(*job, rows, done),
            Job::BuildIndexes(database) => {
                self.indexing.begun(database);
                let step = self.engine.index_step(rows, database);
                let failure = step.as_ref().map(drop).map_err(Clone::clone);
                let outcome = step.map(|step| step.more);
                done.index_work.push(IndexWork { database, outcome });
                failure
            }
            Job::CatchUp => self.engine.catch_up(rows).map(drop),
            Job::Tend(database) => self.tend(database, rows, done),
        }
    }

    fn declare(
        &mut self,
        job: Declare,
        rows: &mut Overlay,
        done: &mut Done,
    ) -> Result<(), StoreError> {
        let Declare { database, declaration, answer } = job;
        let outcome = self.engine.declare_index(rows, database, declaration);
        let failure = match &outcome {
            Err(IndexError::Store(error)) => Err(error.clone()),
            _ => Ok(()),
        };
        let unbuilt = outcome.as_ref().is_ok_and(|definition| !definition.is_ready());
        done.index_work.push(IndexWork { database, outcome: Ok(unbuilt) });
        done.outcomes.push(Outcome::Declare(answer, outcome));
        failure
    }

    fn discard(
        &mut self,
        job: Discard,
        rows: &mut Overlay,
        done: &mut Done,
    ) -> Result<(), StoreError> {
        let Discard { database, store: (store, type_name), name, answer } = job;
        let dropped = self.engine.drop_index(rows, database, (&store, type_name), &name);
        let failure = dropped.as_ref().map(drop).map_err(Clone::clone);
        let outcome = Ok(matches!(dropped, Ok(true)));
        done.index_work.push(IndexWork { database, outcome });
        done.outcomes.push(Outcome::Discard(answer, dropped.map_err(IndexError::from)));
        failure
    }

    /// Stages what a group leaves for its end.
    fn finish(&mut self, rows: &mut Overlay, done: &mut Done) -> Result<(), StoreError> {
        // What the log of keys comes to rests on who was granted what.
        done.settings.keys().for_each(|number| self.shared.vault.forget_records(*number));
        self.refresh_keys(rows, done)?;
        self.engine.finish(rows);
        for (number, id) in std::mem::take(&mut done.settings) {
            if let Some(authority) = self.engine.authority(rows, number)? {
                done.authorities.push((number, id, authority));
            }
        }
        Ok(())
    }
}

impl Work for Desk {
    type Job = Job;
    type Done = Done;

    fn process(&mut self, jobs: Vec<Job>, rows: &mut Overlay) -> Done {
        let mut done = Done::default();
        let recorded = self.shared.watchers.recorded();
        let is_recorded = !recorded.is_empty();
        self.engine.record(recorded);
        let mut jobs = jobs.into_iter().peekable();
        let mut outcome = Ok(());
        while let Some(job) = jobs.next() {
            outcome = match job {
                Job::Make(first) => {
                    let mut group = vec![*first];
                    while let Some(Job::Make(next)) =
                        jobs.next_if(|job| matches!(job, Job::Make(_)))
                    {
                        group.push(*next);
                    }
                    self.make_in_turn(group, rows, &mut done)
                }
                other => self.run(other, rows, &mut done),
            };
            if outcome.is_err() {
                break;
            }
        }
        if let Err(error) = outcome.and_then(|()| self.finish(rows, &mut done)) {
            // Nothing of the group is written, so its callers are told now that it failed.
            rows.clear();
            self.engine.forget();
            self.shared.vault.forget();
            for job in jobs {
                if let Job::BuildIndexes(database) = job {
                    self.indexing.begun(database);
                    done.index_work.push(IndexWork { database, outcome: Ok(false) });
                }
                done.outcomes.extend(job.failed(&error));
            }
            done.fail(&error);
        } else if is_recorded {
            self.add_versions(rows, &mut done);
        }
        done
    }

    fn committed(&mut self, done: Done) {
        let mut tended = done.tended;
        for (number, id, authority) in done.authorities {
            self.shared.access.publish(id, Arc::clone(&authority));
            tended.push((number, authority));
        }
        for (database, refused) in done.refused {
            self.shared.refusals.note(database, refused);
        }
        // Who starts to listen when its own commit has returned is not told of that commit.
        let (watching, feeds) = (self.shared.watchers.watching(), self.shared.feeds.listening());
        for outcome in done.outcomes {
            outcome.send();
        }
        tell(&watching, self.engine.types(), &done.told);
        self.shared.feeds.tell(&feeds, &done.told);
        if let Some(writer) = self.shared.writer.get().and_then(WeakWriter::upgrade) {
            for (database, anew) in done.share {
                // A closing instance takes no more jobs: the next commit shares them.
                if writer.submit(Job::ShareKeys { database, anew }).is_err() {
                    break;
                }
            }
        }
        self.indexing.settle(done.index_work);
        for (number, authority) in tended {
            settings::tend(&self.shared, number, &authority);
        }
    }

    fn failed(&mut self, mut done: Done, error: &StoreError) {
        self.engine.forget();
        self.shared.vault.forget();
        self.shared.access.forget();
        done.fail(error);
        self.indexing.settle(done.index_work);
    }

    fn panicked(&mut self, panic: &WorkPanic) {
        let error = StoreError::OutcomeUnknown { reason: panic.to_string() };
        self.indexing.panicked(&error);
        self.shared.vault.forget();
        self.engine.forget();
        self.shared.access.forget();
    }

    fn bytes(job: &Job) -> usize {
        match job {
            Job::Make(job) => job.commit.sections.iter().map(|(_, payload)| payload.len()).sum(),
            Job::Take(job) => job.parcels.iter().map(|parcel| parcel.parcel().bytes()).sum(),
            Job::Keep(job) => job.rows.iter().map(|(_, key, _)| key.len()).sum(),
            Job::Remember(job) => job.rows.iter().map(own_bytes).sum(),
            Job::Found(_)
            | Job::Change(_)
            | Job::UseInvite(_)
            | Job::Complete(_)
            | Job::Rebuild(_)
            | Job::Declare(_)
            | Job::Discard(_)
            | Job::BuildIndexes(_)
            | Job::Tend(_)
            | Job::Seal(_)
            | Job::ShareKeys { .. }
            | Job::CatchUp => 0,
        }
    }

    fn weight(job: &Job) -> usize {
        match job {
            Job::Take(job) => job.parcels.len().max(1),
            _ => 1,
        }
    }
}

fn own_bytes((_, key, row): &OwnRow) -> usize {
    key.len() + row.as_ref().map_or(0, Vec::len)
}
