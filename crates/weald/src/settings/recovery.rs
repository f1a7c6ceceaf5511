//! The recovery key of a database: the strongest of all, kept where no thief of a device finds it.
//!
//! Invariant: its secret half is never stored; it is in memory while the app holds it.

use std::sync::Arc;

use weald_auth::{Member, Subject};
use weald_dag::{DatabaseId, PublicKey};

use super::DatabaseSettings;
use super::change::{change, commit};
use super::decide::{Decision, Wish};
use super::error::SettingsError;
use crate::clock::wall_millis;
use crate::database::{Database, DatabaseError};
use crate::desk::Decide;
use crate::error::Error;
use crate::seal::new_secret;
use crate::user::{KeyPhrase, User};

/// Returns whether a member is the recovery key: the first that the root entry grants, unless that
/// is the creator itself.
pub(super) fn is_recovery_key(member: &Member) -> bool {
    let first = member.rank.generation == 0 && member.rank.index == 0;
    first && member.subject != Subject::Key(member.granted_by)
}

impl User {
    /// Makes a database as [`User::create_database`] does, with a recovery key that is stronger than
    /// the creator's. It is here and nowhere else: show it once, to be written down, and drop it.
    ///
    /// # Errors
    /// As for [`User::create_database`].
    pub fn create_database_with_recovery(
        &self,
        settings: DatabaseSettings,
    ) -> Result<(Database, KeyPhrase), Error> {
        let recovery = KeyPhrase::new(Arc::new(new_secret()?));
        let settings = settings.with_recovery_key(recovery.public());
        Ok((self.create_database(settings)?, recovery))
    }

    /// Takes a database over with its recovery key: one entry gives the user's default key as much
    /// as the recovery key holds, and takes everything from the keys that were stolen. What a thief
    /// has written beside it, wherever it was hung in, is hidden on every device.
    ///
    /// # Errors
    /// [`DatabaseError::NotHere`] until a sync has brought the database,
    /// [`SettingsError::NotTheRecoveryKey`], [`SettingsError::StolenKey`] when the default key is one
    /// of those stolen, or why the commit failed.
    pub fn recover_database(
        &self,
        id: &DatabaseId,
        recovery: &KeyPhrase,
        stolen: &[PublicKey],
    ) -> Result<Database, Error> {
        let key = self.default_key();
        if stolen.contains(&key) {
            return Err(SettingsError::StolenKey { key }.into());
        }
        let core = self.core();
        let held = core.held(id)?.filter(|held| !held.system);
        let number = held.ok_or(DatabaseError::NotHere { id: *id })?.number;
        let (name, stolen) = (self.name().to_owned(), stolen.to_vec());
        let secret = Arc::clone(recovery.secret());
        let decide: Decide = Box::new(move |authority| {
            let (actor, now_millis) = (secret.public(), wall_millis());
            let decision = Decision { authority, actor, now_millis };
            let wish = Wish::Recover { key, name, stolen };
            commit(number, &secret, &decision.operations(wish)?)
        });
        change(core, number, decide)?;
        self.open_database_with(id, &key)
    }
}
