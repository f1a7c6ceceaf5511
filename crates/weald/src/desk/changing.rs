//! Changes of settings that are decided on what is staged by then.
//!
//! Invariant: what decides sees every entry before its own, so two threads of one instance cannot
//! get round a refusal together.

use weald_dag::{EntryId, Overlay, StoreError};
use weald_engine::CommitError;

use super::job::Outcome;
use super::{Change, Decide, Desk, Done, Receipt};
use crate::clock::wall_millis;
use crate::requests::{InviteError, Seat, UseInvite, take_seat};
use crate::settings::SettingsError;
use crate::sign::sign;

impl Desk {
    /// Notes that what is due in the settings of a database is to be seen to.
    pub(super) fn tend(
        &mut self,
        database: u32,
        rows: &Overlay,
        done: &mut Done,
    ) -> Result<(), StoreError> {
        let authority = self.engine.authority(rows, database)?;
        done.tended.extend(authority.map(|authority| (database, authority)));
        Ok(())
    }

    pub(super) fn change(
        &mut self,
        job: Change,
        rows: &mut Overlay,
        done: &mut Done,
    ) -> Result<(), StoreError> {
        let Change { database, decide, beside, answer } = job;
        let outcome = self.changed(database, (decide, beside), rows, done);
        let failure = match &outcome {
            Err(SettingsError::Commit(CommitError::Store(error))) => Err(error.clone()),
            _ => Ok(()),
        };
        done.outcomes.push(Outcome::Change(answer, outcome));
        failure
    }

    /// Makes the one commit that is decided on the settings as they are staged now.
    pub(super) fn changed(
        &mut self,
        database: u32,
        (decide, beside): (Decide, Option<EntryId>),
        rows: &mut Overlay,
        done: &mut Done,
    ) -> Result<Option<Receipt>, SettingsError> {
        let authority = self.engine.authority(rows, database)?;
        let authority = authority.ok_or(CommitError::UnknownDatabase)?;
        let Some(commit) = decide(&authority)? else { return Ok(None) };
        let now = wall_millis();
        let folded = match beside {
            Some(entry) => self.engine.commit_beside(rows, commit, entry, now, &sign)?,
            None => match self.engine.commit(rows, vec![commit], now, &sign)?.pop() {
                Some(made) => made?,
                None => return Ok(None),
            },
        };
        let receipt = Receipt::of(&folded);
        done.fold(database, None, folded);
        Ok(Some(receipt))
    }

    pub(super) fn use_invite(
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

    pub(super) fn seat(
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
            Err(seat) => return Ok(seat),
        };
        let made = self.engine.commit(rows, vec![commit], now, &sign)?.pop();
        let folded = made.ok_or(CommitError::UnknownDatabase)??;
        let id = folded.id;
        done.fold(job.number, None, folded);
        Ok(Seat::Taken(id))
    }
}
