//! Who may do what, as the settings say now.
//!
//! Invariant: grants that have ended by this device's clock are left out.

use weald_auth::{Action, Invite, Level, Member};
use weald_dag::{EntryId, Graph, PublicKey, StoreError, Time};

use super::Settings;
use crate::clock::wall_millis;
use crate::database::Database;

/// What was taken from a key, or is bounded for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberLimit {
    /// The entry that limits the key.
    pub entry: EntryId,
    /// Who signed that entry.
    pub by: PublicKey,
    /// When it was made, by its author's clock.
    pub since: Time,
    /// What remains at most; nothing of what was held before for a revocation. A later grant of
    /// somebody at least as strong lifts it.
    pub to: Option<Level>,
}

impl Settings {
    /// Returns everyone who holds something, strongest first: level and rank that limits leave,
    /// name, since when and by whom.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn members(&self) -> Result<Vec<Member>, StoreError> {
        Ok(self.authority()?.current().at(wall_millis()).members())
    }

    /// Returns every invite that was not taken back, strongest first; those that are used up or have
    /// ended among them.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn invites(&self) -> Result<Vec<Invite>, StoreError> {
        Ok(self.authority()?.current().at(wall_millis()).invites())
    }

    /// Returns what was taken from a key, member or not, strongest first: of one that holds nothing,
    /// why. Limits that a later grant has lifted are among them.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn limits_on(&self, key: &PublicKey) -> Result<Vec<MemberLimit>, StoreError> {
        let limits = self.authority()?.current().limits_on(key);
        let rows = self.database.core().rows()?;
        let graph = Graph::new(&rows, self.database.number());
        let mut told = Vec::with_capacity(limits.len());
        for (entry, to) in limits {
            // One that is not stored yet is told the next time.
            let Some(number) = graph.number(&entry)? else { continue };
            let stored = graph.entry(number)?;
            told.push(MemberLimit { entry, by: stored.author(), since: stored.time(), to });
        }
        Ok(told)
    }

    /// Returns what the key of this handle may do, with what anyone may.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn my_permission(&self) -> Result<Option<Level>, StoreError> {
        self.permission_of(&self.database.key())
    }

    /// Returns what a key may do, with what anyone may.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn permission_of(&self, key: &PublicKey) -> Result<Option<Level>, StoreError> {
        Ok(self.authority()?.current().at(wall_millis()).level_of(key))
    }

    /// Returns what everybody may do.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn anyone(&self) -> Result<Option<Level>, StoreError> {
        Ok(self.authority()?.current().at(wall_millis()).anyone_level())
    }
}

impl Database {
    /// Returns whether a key may do something now, with what anyone may.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn can(&self, key: &PublicKey, action: Action) -> Result<bool, StoreError> {
        Ok(self.settings().permission_of(key)?.is_some_and(|level| level.allows(action)))
    }

    /// Returns what the key of this handle may do, with what anyone may.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn my_permission(&self) -> Result<Option<Level>, StoreError> {
        self.settings().my_permission()
    }
}
