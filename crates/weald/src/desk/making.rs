//! Databases and entries of one's own, made one after the other.
//!
//! Invariant: a database and the commit that belongs to it, or an entry and the rows beside it, are
//! written together or not at all.

use weald_dag::{Overlay, StoreError};
use weald_engine::{CommitError, Founding, Held};

use super::job::Outcome;
use super::{Along, Desk, Done, Found, Keep, Make, OwnRow, Receipt};
use crate::clock::wall_millis;
use crate::sign::sign;

impl Desk {
    pub(super) fn found(
        &mut self,
        job: Found,
        rows: &mut Overlay,
        done: &mut Done,
    ) -> Result<(), StoreError> {
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
    pub(super) fn found_along(
        &mut self,
        founding: Founding,
        along: Option<Along>,
        rows: &mut Overlay,
        done: &mut Done,
    ) -> Result<Held, CommitError> {
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

    pub(super) fn make(
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

    pub(super) fn keep(
        &mut self,
        job: Keep,
        rows: &mut Overlay,
        done: &mut Done,
    ) -> Result<(), StoreError> {
        self.make(vec![job.make], rows, done)?;
        if let Some(Outcome::Make(_, Ok(_))) = done.outcomes.last() {
            put_rows(rows, job.rows);
        }
        Ok(())
    }
}

/// Writes rows of the instance itself.
pub(super) fn put_rows(rows: &mut Overlay, own: Vec<OwnRow>) {
    for (space, key, row) in own {
        match row {
            Some(row) => rows.put(space, key, row),
            None => rows.remove(space, key),
        }
    }
}
