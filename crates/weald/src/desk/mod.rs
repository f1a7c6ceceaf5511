//! The work of the writer thread: jobs go through the engine, callers are answered when their rows
//! are durable, and then everybody else is told.
//!
//! Invariant: whoever is told of an entry could read it from the disk after a power cut, and
//! entries are told in the order of their commits.

mod indexing;
mod job;
mod sealing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use weald_auth::Authority;
use weald_dag::{DatabaseId, EntryId, Graph, Overlay, PublicKey, Refusal, StoreError, Verdict};
use weald_engine::{CommitError, Engine, Folded, IndexError, RowChange, StoreTypes};
use weald_store::{WeakWriter, Work, WorkPanic};

pub(crate) use indexing::IndexBoard;
use indexing::{IndexWork, Indexing};
pub(crate) use job::{
    Along, Change, Complete, Decide, Declare, Discard, Found, Job, Keep, Make, OwnRow, Rebuild,
    Receipt, Seal, SealStep, Take,
};
use job::{Outcome, in_order};

use crate::access::Access;
use crate::clock::wall_millis;
use crate::conflict::{ConflictedValue, RowKey};
use crate::core::author_of;
use crate::explain::{Refusals, RefusedEntry};
use crate::feed::Feeds;
use crate::key_ring::KeyRing;
use crate::requests::{InviteError, Seat, UseInvite, take_seat};
use crate::sealed::Vault;
use crate::settings::{self, SettingsError};
use crate::sign::sign;
use crate::watch::{EntryTold, Told, Versions, Watchers, tell};

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

/// What is to be said once the outcome of a group is known.
#[derive(Default)]
pub(crate) struct Done {
    outcomes: Vec<Outcome>,
    told: Vec<Told>,
    authorities: Vec<(u32, DatabaseId, Arc<Authority>)>,
    /// Databases that were opened or completed, whose settings may want something done.
    tended: Vec<(u32, Arc<Authority>)>,
    /// Databases whose settings changed, by their local number.
    settings: BTreeMap<u32, DatabaseId>,
    index_work: Vec<IndexWork>,
    refused: Vec<(DatabaseId, RefusedEntry)>,
    /// Databases whose log of keys changed.
    keys: BTreeSet<u32>,
    /// Databases whose settings were changed here.
    share: BTreeSet<u32>,
}

impl Done {
    fn refuse(
        &mut self,
        database: DatabaseId,
        entry: EntryId,
        author: PublicKey,
        from: PublicKey,
        reason: Refusal,
    ) {
        let at_millis = wall_millis();
        let refused = RefusedEntry { entry, author, from, reason, at_millis, times: 1 };
        self.refused.push((database, refused));
    }

    fn fold(&mut self, number: u32, origin: Option<PublicKey>, folded: Folded) {
        if sealing::changes_keys(&folded) {
            self.keys.insert(number);
        }
        if folded.settings && origin.is_none() {
            self.share.insert(number);
        }
        if folded.settings {
            self.settings.insert(number, folded.database);
        }
        self.told.push(entry_told(origin, folded));
    }

    /// Turns every success into a failure and forgets what was to be told.
    fn fail(&mut self, error: &StoreError) {
        self.told.clear();
        self.refused.clear();
        self.authorities.clear();
        self.tended.clear();
        self.keys.clear();
        self.share.clear();
        self.index_work.iter_mut().for_each(|work| work.outcome = Err(error.clone()));
        for outcome in std::mem::take(&mut self.outcomes) {
            outcome.send_failed(error);
        }
    }
}

fn entry_told(origin: Option<PublicKey>, folded: Folded) -> Told {
    let (versions, shift_versions) = (Vec::new(), Vec::new());
    Told::Entry(Box::new(EntryTold { origin, folded, versions, shift_versions }))
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
            Job::ShareKeys(database) => self.share_keys(database, rows, done),
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

    fn found(&mut self, job: Found, rows: &mut Overlay, done: &mut Done) -> Result<(), StoreError> {
        let Found { founding, along, answer } = job;
        let outcome = self.found_along(founding, along, rows, done);
        let failure = match &outcome {
            Err(CommitError::Store(error)) => Err(error.clone()),
            _ => Ok(()),
        };
        done.outcomes.push(Outcome::Found(answer, outcome));
        failure
    }

    /// Makes a database and the commit that belongs to it.
    fn found_along(
        &mut self,
        founding: weald_engine::Founding,
        along: Option<Along>,
        rows: &mut Overlay,
        done: &mut Done,
    ) -> Result<weald_engine::Held, CommitError> {
        let system = founding.system;
        let (held, folded) = self.engine.found(rows, founding, wall_millis(), &sign)?;
        if system {
            self.shared.feeds.hide(held.id);
        }
        done.fold(held.number, None, folded);
        let Some(along) = along else { return Ok(held) };
        let commit = along(&held)?;
        let number = commit.database;
        for made in self.engine.commit(rows, vec![commit], wall_millis(), &sign)? {
            done.fold(number, None, made?);
        }
        Ok(held)
    }

    fn make(
        &mut self,
        group: Vec<Make>,
        rows: &mut Overlay,
        done: &mut Done,
    ) -> Result<(), StoreError> {
        let (commits, answers): (Vec<_>, Vec<_>) =
            group.into_iter().map(|job| (job.commit, job.answer)).unzip();
        let numbers: Vec<u32> = commits.iter().map(|commit| commit.database).collect();
        match self.engine.commit(rows, commits, wall_millis(), &sign) {
            Ok(made) => {
                for ((made, answer), number) in made.into_iter().zip(answers).zip(numbers) {
                    let outcome = made.map(|folded| {
                        let receipt = Receipt::of(&folded);
                        done.fold(number, None, folded);
                        receipt
                    });
                    done.outcomes.push(Outcome::Make(answer, outcome));
                }
                Ok(())
            }
            Err(error) => {
                let failed = |answer| Outcome::Make(answer, Err(error.clone().into()));
                done.outcomes.extend(answers.into_iter().map(failed));
                Err(error)
            }
        }
    }

    fn keep(&mut self, job: Keep, rows: &mut Overlay, done: &mut Done) -> Result<(), StoreError> {
        self.make(vec![job.make], rows, done)?;
        if let Some(Outcome::Make(_, Ok(_))) = done.outcomes.last() {
            for (space, key, row) in job.rows {
                match row {
                    Some(row) => rows.put(space, key, row),
                    None => rows.remove(space, key),
                }
            }
        }
        Ok(())
    }

    /// Notes that what is due in the settings of a database is to be seen to.
    fn tend(&mut self, database: u32, rows: &Overlay, done: &mut Done) -> Result<(), StoreError> {
        let authority = self.engine.authority(rows, database)?;
        done.tended.extend(authority.map(|authority| (database, authority)));
        Ok(())
    }

    fn change(
        &mut self,
        job: Change,
        rows: &mut Overlay,
        done: &mut Done,
    ) -> Result<(), StoreError> {
        let Change { database, decide, answer } = job;
        let outcome = self.changed(database, decide, rows, done);
        let failure = match &outcome {
            Err(SettingsError::Commit(CommitError::Store(error))) => Err(error.clone()),
            _ => Ok(()),
        };
        done.outcomes.push(Outcome::Change(answer, outcome));
        failure
    }

    /// Makes the one commit that is decided on the settings as they are staged now.
    fn changed(
        &mut self,
        database: u32,
        decide: Decide,
        rows: &mut Overlay,
        done: &mut Done,
    ) -> Result<Option<Receipt>, SettingsError> {
        let authority = self.engine.authority(rows, database)?;
        let authority = authority.ok_or(CommitError::UnknownDatabase)?;
        let Some(commit) = decide(&authority)? else { return Ok(None) };
        let mut made = self.engine.commit(rows, vec![commit], wall_millis(), &sign)?;
        let Some(folded) = made.pop().transpose()? else { return Ok(None) };
        let receipt = Receipt::of(&folded);
        done.fold(database, None, folded);
        Ok(Some(receipt))
    }

    fn use_invite(
        &mut self,
        job: UseInvite,
        rows: &mut Overlay,
        done: &mut Done,
    ) -> Result<(), StoreError> {
        let outcome = self.seat(&job, rows, done);
        let failure = match &outcome {
            Err(InviteError::Commit(CommitError::Store(error))) => Err(error.clone()),
            _ => Ok(()),
        };
        done.outcomes.push(Outcome::UseInvite(job.answer, outcome));
        failure
    }

    fn seat(
        &mut self,
        job: &UseInvite,
        rows: &mut Overlay,
        done: &mut Done,
    ) -> Result<Seat, InviteError> {
        let now = wall_millis();
        let authority = self.engine.authority(rows, job.number)?;
        let authority = authority.ok_or(CommitError::UnknownDatabase)?;
        let commit = match take_seat(job, &authority, now)? {
            Ok(commit) => commit,
            Err(held) => return Ok(Seat::Held(held)),
        };
        let made = self.engine.commit(rows, vec![commit], now, &sign)?.pop();
        let folded = made.ok_or(CommitError::UnknownDatabase)??;
        let id = folded.id;
        done.fold(job.number, None, folded);
        Ok(Seat::Taken(id))
    }

    fn take(&mut self, job: Take, rows: &mut Overlay, done: &mut Done) -> Result<(), StoreError> {
        let Take { from, database, parcels, faults, answer } = job;
        let authors: Vec<_> = parcels.iter().map(|parcel| parcel.parcel().entry.author()).collect();
        let taken = self.engine.ingest(rows, database, parcels, wall_millis());
        let failure = taken.as_ref().map(drop).map_err(Clone::clone);
        let outcome = taken.and_then(|ingested| {
            if ingested.folded.iter().any(|folded| folded.settings)
                && let Some(held) = weald_engine::held(rows, &database)?
            {
                done.settings.insert(held.number, database);
            }
            if ingested.folded.iter().any(sealing::changes_keys)
                && let Some(held) = weald_engine::held(rows, &database)?
            {
                done.keys.insert(held.number);
            }
            for ((entry, verdict), author) in ingested.verdicts.iter().zip(authors) {
                if let Verdict::Refused(reason) = verdict {
                    let (entry, reason) = (*entry, reason.clone());
                    // Of databases that are not here nothing is remembered, however many are made up.
                    if weald_engine::held(rows, &database)?.is_some() {
                        done.refuse(database, entry, author, from, reason.clone());
                    }
                    done.told.push(Told::Refused { database, from, entry, reason });
                }
            }
            let folded = ingested.folded.into_iter();
            done.told.extend(folded.map(|folded| entry_told(Some(from), folded)));
            Ok(in_order(ingested.verdicts, faults))
        });
        done.outcomes.push(Outcome::Take(answer, outcome));
        failure
    }

    /// Adds the versions that stand side by side to what is told of rows whose values were recorded.
    fn add_versions(&self, rows: &Overlay, done: &mut Done) {
        for told in &mut done.told {
            let Told::Entry(told) = told else { continue };
            let (types, folded) = (self.engine.types(), &told.folded);
            let shifted = folded.shift.as_ref().map_or(&[][..], |shift| &shift.changes);
            let of = |changes| versions(rows, types, &folded.database, changes);
            match of(&folded.changes).and_then(|own| Ok((own, of(shifted)?))) {
                Ok(found) => (told.versions, told.shift_versions) = found,
                Err(error) => tracing::warn!(%error, "the versions of a conflict cannot be told"),
            }
        }
    }

    /// Stages what a group leaves for its end.
    fn finish(&mut self, rows: &mut Overlay, done: &mut Done) -> Result<(), StoreError> {
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

/// Returns the versions of the rows in conflict, by their places among the changes.
fn versions(
    rows: &Overlay,
    types: &StoreTypes,
    database: &DatabaseId,
    changes: &[RowChange],
) -> Result<Versions, StoreError> {
    let mut versions = Vec::new();
    for (place, row) in changes.iter().enumerate() {
        let after = row.values.as_ref().and_then(|values| values.after.as_deref());
        let (Some(after), Some(_)) = (after, &row.change.conflict) else { continue };
        let Some(store_type) = types.get(&row.type_name) else { continue };
        let Some(held) = weald_engine::held(rows, database)? else { continue };
        let graph = Graph::new(rows, held.number);
        let author_of = &mut |entry: &EntryId| author_of(&graph, entry);
        let key = RowKey::of(&row.type_name, &row.change.key);
        let found = store_type.conflicts(&row.change.key, after).into_iter();
        let found = found.map(|slot| ConflictedValue::of(&row.store, &key, slot, author_of));
        versions.push((place, found.collect::<Result<_, _>>()?));
    }
    Ok(versions)
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
            for database in done.share {
                // A closing instance takes no more jobs: the next commit shares them.
                if writer.submit(Job::ShareKeys(database)).is_err() {
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
            | Job::ShareKeys(_)
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
