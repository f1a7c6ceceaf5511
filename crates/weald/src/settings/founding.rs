//! What a new database is made with.
//!
//! Invariant: the creator is an administrator at priority 0, and only a recovery key is stronger.

use std::sync::Arc;

use weald_auth::{Level, Operation, Subject, encode_operations};
use weald_dag::{PublicKey, SecretKey};
use weald_engine::Founding;

use super::NAME;
use crate::database::DatabaseError;
use crate::entropy;

/// What people call the recovery key of a database, among its members.
const RECOVERY_NAME: &str = "recovery key";

/// What a new database is made with.
#[derive(Clone, Debug, Default)]
pub struct DatabaseSettings {
    operations: Vec<Operation>,
    key: Option<PublicKey>,
    recovery: Option<PublicKey>,
}

impl DatabaseSettings {
    /// Starts with a name; only the creator may do anything.
    pub fn named(name: impl Into<String>) -> Self {
        Self::default().set(NAME, name)
    }

    /// Gives a level to a key, and a name that people call it by. Nobody by default.
    #[must_use]
    pub fn grant(mut self, key: PublicKey, level: Level, name: Option<&str>) -> Self {
        let (subject, name) = (Subject::Key(key), name.map(str::to_owned));
        self.operations.push(Operation::Grant { subject, level, name, expires: None });
        self
    }

    /// Gives a level to everybody; `Read` or `Write`. None by default.
    #[must_use]
    pub fn grant_anyone(mut self, level: Level) -> Self {
        let subject = Subject::Anyone;
        self.operations.push(Operation::Grant { subject, level, name: None, expires: None });
        self
    }

    /// Sets a setting of the app. None by default.
    #[must_use]
    pub fn set(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.operations.push(Operation::Set { key: key.into(), value: value.into() });
        self
    }

    /// Chooses the user's key that creates the database; its default key by default.
    #[must_use]
    pub const fn created_by(mut self, key: PublicKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Makes a key the strongest of all, stronger than the creator's: the public half of a
    /// [`crate::KeyPhrase`], whose secret half rests where no thief of a device finds it. None by
    /// default, and it cannot be added later. [`crate::User::create_database_with_recovery`] makes
    /// one.
    #[must_use]
    pub const fn with_recovery_key(mut self, key: PublicKey) -> Self {
        self.recovery = Some(key);
        self
    }

    pub(crate) const fn key(&self) -> Option<PublicKey> {
        self.key
    }

    /// The root of the database: the recovery key first, if there is one, and then the creator.
    pub(crate) fn founding(
        self,
        key: Arc<SecretKey>,
        creator: &str,
    ) -> Result<Founding, DatabaseError> {
        let admin = |key, name: &str| {
            let (subject, name) = (Subject::Key(key), Some(name.to_owned()));
            Operation::Grant { subject, level: Level::Admin(0), name, expires: None }
        };
        let mut operations = Vec::with_capacity(self.operations.len() + 2);
        operations.extend(self.recovery.map(|key| admin(key, RECOVERY_NAME)));
        operations.push(admin(key.public(), creator));
        operations.extend(self.operations);
        // Checked here too, so that the error is told as one of settings.
        encode_operations(&operations)?;
        Ok(Founding { key, nonce: entropy::bytes()?, operations, system: false })
    }
}
