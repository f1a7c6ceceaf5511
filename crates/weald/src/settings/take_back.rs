//! Taking back what somebody weaker has limited, after this device has heard of it.
//!
//! Invariant: the entry does not descend from the one that it takes back; what a limit has seen
//! stays, so on top of it nothing could be taken back.

use std::sync::Arc;

use weald_auth::{Action, Level, Operation, SETTINGS_STORE, Subject, decode_operations};
use weald_dag::{EntryId, Graph, Parcel, PublicKey, Standing};

use super::change::{change_beside, commit};
use super::decide::leaves_nobody;
use super::outlook::outlook;
use super::{Settings, SettingsError, SettingsReceipt};
use crate::clock::wall_millis;
use crate::database::DatabaseError;
use crate::desk::Decide;
use crate::error::Error;

impl Settings {
    /// Takes back a limit of a weaker administrator: what it has hidden is shown again, unless
    /// something else hides it.
    ///
    /// The author of the limit is left at most `leave`, less than Admin, in all that it did since,
    /// and whatever it changed in the settings since then is hidden with the limit. Grant it Admin
    /// anew afterwards if it was an honest mistake. Entries of others stay. It costs what came after the
    /// limit.
    ///
    /// # Errors
    /// [`DatabaseError::UnknownEntry`], [`SettingsError::NotALimit`],
    /// [`SettingsError::StillAdministrator`], [`SettingsError::OutranksNobody`] unless the author is
    /// weaker than the key of this handle, [`SettingsError::LastAdministrator`], and [`weald_engine::CommitError::NotPermitted`] when that
    /// key was no administrator yet beside the limit.
    pub fn take_back(
        &self,
        limit: &EntryId,
        leave: Option<Level>,
    ) -> Result<SettingsReceipt, Error> {
        if let Some(leave) = leave.filter(|leave| leave.allows(Action::Administer)) {
            return Err(SettingsError::StillAdministrator { leave }.into());
        }
        let subject = Subject::Key(self.author_of_limit(limit)?);
        let (database, key) = (self.database.number(), Arc::clone(self.database.secret()));
        let decide: Decide = Box::new(move |authority| {
            let (actor, now_millis) = (key.public(), wall_millis());
            let current = authority.current().at(now_millis);
            // A limit on oneself takes back nothing, but all that one holds.
            if subject == Subject::Key(actor) || !current.outranks(&actor, subject) {
                return Err(SettingsError::OutranksNobody { subject });
            }
            let operations = [Operation::Limit { subject, to: leave }];
            // On top of all it takes from no more administrators who last than it does beside.
            if let Ok(after) = outlook(authority, actor, &operations, now_millis)
                && leaves_nobody(authority, &after, now_millis)
            {
                return Err(SettingsError::LastAdministrator);
            }
            commit(database, &key, &operations)
        });
        Ok(change_beside(self.database.core(), database, *limit, decide)?)
    }

    fn author_of_limit(&self, limit: &EntryId) -> Result<PublicKey, Error> {
        let rows = self.database.core().rows()?;
        let graph = Graph::new(&rows, self.database.number());
        let number = graph.number(limit)?.ok_or(DatabaseError::UnknownEntry { entry: *limit })?;
        let stored = graph.stored(number)?;
        let author = stored.parcel.entry.author();
        let limits = operations_of(&stored.parcel).iter().any(|operation| match operation {
            Operation::Limit { subject, .. } => *subject != Subject::Key(author),
            _ => false,
        });
        match limits && stored.local.standing == Standing::Visible {
            true => Ok(author),
            false => Err(SettingsError::NotALimit { entry: *limit }.into()),
        }
    }
}

/// Returns what an entry says in the settings; what was let in always decodes.
fn operations_of(parcel: &Parcel) -> Vec<Operation> {
    let mut sections = parcel.entry.sections().iter().zip(&parcel.payloads);
    let settings = sections.find(|(section, _)| section.store == SETTINGS_STORE);
    let payload = settings.and_then(|(_, payload)| payload.as_deref());
    payload.and_then(|payload| decode_operations(payload).ok()).unwrap_or_default()
}
