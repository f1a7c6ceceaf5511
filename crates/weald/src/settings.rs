//! The settings of a database: its name, who may do what, and what the app keeps there.
//!
//! Invariant: they are entries like all others; what is read here is what all of them together say.

use std::fmt;
use std::sync::Arc;

use weald_auth::{Level, Member, Operation, SETTINGS_STORE, Subject, encode_operations};
use weald_dag::{PublicKey, SecretKey, StoreError};
use weald_engine::{Commit, Founding};

use crate::clock::wall_millis;
use crate::core::lost;
use crate::database::{Database, DatabaseError};
use crate::desk::{Job, Make};
use crate::entropy;
use crate::error::Error;
use crate::reply::reply;

/// The setting that holds the name.
pub(crate) const NAME: &str = "name";

/// What a new database is made with.
#[derive(Clone, Debug, Default)]
pub struct DatabaseSettings {
    operations: Vec<Operation>,
    key: Option<PublicKey>,
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

    pub(crate) const fn key(&self) -> Option<PublicKey> {
        self.key
    }

    /// The root of the database: the creator is its first administrator.
    pub(crate) fn founding(
        self,
        key: Arc<SecretKey>,
        creator: &str,
    ) -> Result<Founding, DatabaseError> {
        let (subject, name) = (Subject::Key(key.public()), Some(creator.to_owned()));
        let mut operations =
            vec![Operation::Grant { subject, level: Level::Admin(0), name, expires: None }];
        operations.extend(self.operations);
        // Checked here too, so that the error is told as one of settings.
        encode_operations(&operations)?;
        Ok(Founding { key, nonce: entropy::bytes()?, operations, system: false })
    }
}

/// Reads and changes the settings of one database.
#[derive(Clone)]
pub struct Settings {
    database: Database,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("database", &self.database.id()).finish_non_exhaustive()
    }
}

impl Settings {
    pub(crate) const fn new(database: Database) -> Self {
        Self { database }
    }

    fn authority(&self) -> Result<Arc<weald_auth::Authority>, StoreError> {
        let core = self.database.core();
        if let Some(known) = core.access.get(&self.database.id()) {
            return Ok(known);
        }
        match core.held(&self.database.id())? {
            Some(held) => core.authority(&held),
            None => Ok(Arc::default()),
        }
    }

    /// Returns the name of the database.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn name(&self) -> Result<Option<String>, StoreError> {
        self.get(NAME)
    }

    /// Returns a setting.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn get(&self, key: &str) -> Result<Option<String>, StoreError> {
        Ok(self.authority()?.current().setting(key).map(str::to_owned))
    }

    /// Returns everyone who was granted something, strongest first.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn members(&self) -> Result<Vec<Member>, StoreError> {
        Ok(self.authority()?.current().at(wall_millis()).members())
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

    /// Gives a level to a subject, and a name that people call it by.
    ///
    /// # Errors
    /// [`weald_engine::CommitError::NotPermitted`] unless the key of this handle is an administrator
    /// at least as strong.
    pub fn grant(&self, subject: Subject, level: Level, name: Option<&str>) -> Result<(), Error> {
        let name = name.map(str::to_owned);
        self.commit(&[Operation::Grant { subject, level, name, expires: None }])
    }

    /// Gives a level to everybody, `Read` or `Write`. Levels only add: a lower one changes nothing.
    ///
    /// # Errors
    /// As for [`Settings::grant`].
    pub fn grant_anyone(&self, level: Level) -> Result<(), Error> {
        self.grant(Subject::Anyone, level, None)
    }

    /// Sets a setting: `"name"`, or one of the app's. Of two the later stands.
    ///
    /// # Errors
    /// [`weald_engine::CommitError::NotPermitted`] unless the key of this handle is an administrator.
    pub fn set(&self, key: &str, value: &str) -> Result<(), Error> {
        self.commit(&[Operation::Set { key: key.to_owned(), value: value.to_owned() }])
    }

    fn commit(&self, operations: &[Operation]) -> Result<(), Error> {
        let payload = encode_operations(operations).map_err(DatabaseError::from)?;
        let commit = Commit {
            database: self.database.number(),
            key: Arc::clone(self.database.secret()),
            sections: vec![(SETTINGS_STORE.to_owned(), payload)],
            required: Vec::new(),
        };
        let (answer, reply) = reply();
        self.database.core().submit(Job::Make(Box::new(Make { commit, answer })))?;
        reply.wait().unwrap_or_else(|| Err(lost().into()))?;
        Ok(())
    }
}
