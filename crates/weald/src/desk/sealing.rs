//! What the desk does for sealed stores.
//!
//! Invariant: a commit to a sealed store is sealed on all that is staged before it, settings among it.

use weald_dag::{DatabaseId, Overlay, StoreError};
use weald_engine::{CommitError, Folded, RowChange, Unlocked};

use super::{Desk, Done, Make, Outcome, Seal, SealStep, wall_millis};
use crate::sealed::{self, KEYS};
use crate::sign::sign;
use crate::watch::Told;

impl Desk {
    /// Makes commits in order, and seals those to sealed stores each at its turn.
    pub(super) fn make_in_turn(
        &mut self,
        group: Vec<Make>,
        rows: &mut Overlay,
        done: &mut Done,
    ) -> Result<(), StoreError> {
        let mut ready = Vec::with_capacity(group.len());
        let mut group = group.into_iter();
        while let Some(mut job) = group.next() {
            let is_sealed = match sealed::concerns(rows, &job.commit) {
                Ok(is_sealed) => is_sealed,
                Err(error) => {
                    let lost = ready.into_iter().chain([job]).chain(group);
                    let failed = |job: Make| Outcome::Make(job.answer, Err(error.clone().into()));
                    done.outcomes.extend(lost.map(failed));
                    return Err(error);
                }
            };
            if is_sealed {
                self.make(std::mem::take(&mut ready), rows, done)?;
                if let Err(error) =
                    sealed::seal(&self.shared.vault, &mut self.engine, rows, &mut job.commit)
                {
                    done.outcomes.push(Outcome::Make(job.answer, Err(error)));
                    continue;
                }
            }
            ready.push(job);
        }
        if ready.is_empty() { Ok(()) } else { self.make(ready, rows, done) }
    }

    pub(super) fn seal(
        &mut self,
        job: Seal,
        rows: &mut Overlay,
        done: &mut Done,
    ) -> Result<(), StoreError> {
        let Seal { database, step, answer } = job;
        let outcome = match step {
            SealStep::Prepare { store, rest } => {
                self.engine.prepare_unlock(rows, (database, &store), rest)
            }
            SealStep::Fold { store } => {
                let unlocked = self.engine.unlock(rows, (database, &store));
                unlocked.and_then(|unlocked| {
                    let held = weald_engine::all_held(rows)?.into_iter();
                    if let Some(held) = held.into_iter().find(|held| held.number == database) {
                        done.unlocked(held.id, unlocked);
                    }
                    Ok(())
                })
            }
            SealStep::Settle => Ok(()),
        };
        done.outcomes.push(Outcome::Plain(answer, outcome.clone()));
        outcome
    }

    /// Gives present readers the keys that they lack, after the settings changed.
    pub(super) fn share_keys(
        &mut self,
        (database, anew): (u32, bool),
        rows: &mut Overlay,
        done: &mut Done,
    ) -> Result<(), StoreError> {
        let vault = &self.shared.vault;
        let made = match sealed::share(vault, &mut self.engine, rows, (database, anew)) {
            Ok(None) => return Ok(()),
            Ok(Some(commit)) => self.engine.commit(rows, vec![commit], wall_millis(), &sign)?,
            Err(error) => vec![Err(error)],
        };
        for made in made {
            match made {
                Ok(folded) => done.fold(database, None, folded),
                Err(CommitError::Store(error)) => return Err(error),
                // The next commit to a sealed store tries again, and says why it cannot be.
                Err(error) => tracing::warn!(%error, "keys of sealed stores were not shared"),
            }
        }
        Ok(())
    }

    /// Follows what changed in the log of keys.
    pub(super) fn refresh_keys(
        &mut self,
        rows: &mut Overlay,
        done: &mut Done,
    ) -> Result<(), StoreError> {
        for number in std::mem::take(&mut done.keys) {
            let unlocked = sealed::refresh(&self.shared.vault, &mut self.engine, rows, number)?;
            if let Some((database, unlocked)) = unlocked {
                done.unlocked(database, unlocked);
            }
        }
        Ok(())
    }
}

impl Done {
    fn unlocked(&mut self, database: DatabaseId, unlocked: Vec<Unlocked>) {
        let told = unlocked.into_iter().map(|unlocked| Told::Unlocked { database, unlocked });
        self.told.extend(told);
    }
}

/// Returns whether an entry changed the log of keys.
pub(super) fn changes_keys(folded: &Folded) -> bool {
    let is_of_keys = |change: &RowChange| change.store == KEYS;
    folded.changes.iter().any(is_of_keys)
        || folded.shift.as_ref().is_some_and(|shift| shift.changes.iter().any(is_of_keys))
}
