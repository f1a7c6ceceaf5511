//! Users of a device: their keys, and the databases that they track.
//!
//! Invariant: private keys rest sealed in the system database `_users`, and are in memory only
//! while a handle of the user lives.

mod account;
mod error;
mod phrase;
mod tracking;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use weald_crdt::Timestamp;
use weald_dag::{DatabaseId, PublicKey, SecretKey, StoreError};
use weald_engine::Held;

pub(crate) use account::{create, login, names};
pub use error::UserError;
pub use phrase::{KeyPhrase, PhraseError};
pub use tracking::DatabaseSummary;

use crate::clock::wall_millis;
use crate::core::Core;
use crate::database::{Database, DatabaseError};
use crate::error::Error;
use crate::settings::DatabaseSettings;
use crate::system;

/// The greatest length of a user's name in bytes.
pub const USER_NAME_MAX: usize = 128;

/// A private key of a user; the private half stays inside.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UserKey {
    /// The public half.
    pub key: PublicKey,
    /// What the user calls it.
    pub name: Option<String>,
    secret: Arc<SecretKey>,
}

struct Keys {
    default: PublicKey,
    all: Vec<UserKey>,
}

/// A user that is logged in. Cloning is cheap; every clone keeps the instance open.
#[derive(Clone)]
pub struct User {
    core: Arc<Core>,
    name: Arc<str>,
    keys: Arc<RwLock<Keys>>,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}

impl User {
    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the key that signs unless another is chosen.
    pub fn default_key(&self) -> PublicKey {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).default
    }

    /// Returns all keys.
    pub fn keys(&self) -> Vec<UserKey> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).all.clone()
    }

    pub(crate) const fn core(&self) -> &Arc<Core> {
        &self.core
    }

    fn secret(&self, key: &PublicKey) -> Result<Arc<SecretKey>, DatabaseError> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let found = keys.all.iter().find(|own| own.key == *key);
        found.map(|own| Arc::clone(&own.secret)).ok_or(DatabaseError::NoKey { key: *key })
    }

    /// Makes another private key, with a name if one is given, and returns its public half.
    ///
    /// # Errors
    /// [`UserError::System`] when it could not be stored.
    pub fn add_private_key(&self, name: Option<&str>) -> Result<PublicKey, UserError> {
        let added = account::add_key(&self.core, &self.name, name)?;
        let key = added.key;
        self.keys.write().unwrap_or_else(PoisonError::into_inner).all.push(added);
        Ok(key)
    }

    /// Makes a database and tracks it; the user is its first administrator.
    ///
    /// # Errors
    /// [`DatabaseError::NoKey`] for a key that is not the user's, [`DatabaseError::Settings`] for
    /// settings that break a rule, or why the commit failed.
    pub fn create_database(&self, settings: DatabaseSettings) -> Result<Database, Error> {
        let key = self.secret(&settings.key().unwrap_or_else(|| self.default_key()))?;
        let founding = settings.founding(Arc::clone(&key), &self.name)?;
        // The database and the note that the user tracks it are written together.
        let along = tracking::along(&self.core, &self.name)?;
        let held = system::found(&self.core, founding, Some(along))?;
        Ok(Database::new(&self.core, &held, key))
    }

    /// Opens a database with the strongest of the user's keys in it, the default one among equals.
    ///
    /// # Errors
    /// [`DatabaseError::NotHere`] until a sync has brought its first entries.
    pub fn open_database(&self, id: &DatabaseId) -> Result<Database, Error> {
        let held = self.core.held(id)?.filter(|held| !held.system);
        let held = held.ok_or(DatabaseError::NotHere { id: *id })?;
        let key = self.best_key(&held)?;
        Ok(Database::new(&self.core, &held, self.secret(&key)?))
    }

    /// Opens a database with a key of the user's choice.
    ///
    /// # Errors
    /// As for [`User::open_database`], and [`DatabaseError::NoKey`].
    pub fn open_database_with(&self, id: &DatabaseId, key: &PublicKey) -> Result<Database, Error> {
        let held = self.core.held(id)?.filter(|held| !held.system);
        let held = held.ok_or(DatabaseError::NotHere { id: *id })?;
        Ok(Database::new(&self.core, &held, self.secret(key)?))
    }

    fn best_key(&self, held: &Held) -> Result<PublicKey, StoreError> {
        let default = self.default_key();
        let keys = self.keys();
        if keys.len() < 2 {
            return Ok(default);
        }
        let authority = self.core.authority(held)?;
        let current = authority.current().at(wall_millis());
        let mut best = (default, current.level_of(&default));
        for key in keys {
            let level = current.level_of(&key.key);
            let stronger = match (level, best.1) {
                (Some(level), Some(so_far)) => level.covers(so_far) && level != so_far,
                (Some(_), None) => true,
                (None, _) => false,
            };
            if stronger {
                best = (key.key, level);
            }
        }
        Ok(best.0)
    }

    /// Remembers that the user wants a database, here or not.
    ///
    /// # Errors
    /// When it could not be stored.
    pub fn track(&self, id: DatabaseId) -> Result<(), Error> {
        tracking::track(&self.core, &self.name, id)
    }

    /// Forgets that the user wants a database; its entries stay. Returns whether it was tracked.
    ///
    /// # Errors
    /// When it could not be stored.
    pub fn untrack(&self, id: DatabaseId) -> Result<bool, Error> {
        tracking::untrack(&self.core, &self.name, id)
    }

    /// Lists the databases that the user tracks, by id.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn databases(&self) -> Result<Vec<DatabaseSummary>, Error> {
        tracking::list(&self.core, &self.name)
    }
}

fn now() -> Timestamp {
    Timestamp(i64::try_from(wall_millis()).unwrap_or(i64::MAX))
}
