//! Users of a device: their keys, and what they want of databases.
//!
//! Invariant: private keys rest sealed, and are in memory only while a handle of the user, or of a
//! database opened with them, lives.

mod account;
mod error;
mod keys;
mod line;
mod password;
mod phrase;
mod preferences;
mod rotation;
mod sealed_key;
mod tracking;
mod unlocked;
mod vault;
mod wanted;

use std::fmt;
use std::sync::Arc;

use weald_auth::{Action, Level};
use weald_crdt::Timestamp;
use weald_dag::{DatabaseId, PublicKey, SecretKey, StoreError};
use weald_engine::Held;

pub(crate) use account::{create, delete, login, names, set_disabled};
pub use error::UserError;
pub use password::{
    PASSWORD_MAX, PASSWORD_MEMORY_KIB, PASSWORD_MEMORY_KIB_MAX, PASSWORD_PASSES,
    PASSWORD_PASSES_MAX, PasswordCost, PasswordCostError, PasswordError,
};
pub use phrase::{KeyPhrase, PhraseError};
pub use preferences::{DatabasePreferences, SYNC_INTERVAL_SECONDS, SyncSettings};
pub use rotation::{HandOver, Rotation};
pub use tracking::DatabaseSummary;
pub(crate) use tracking::{load as load_wishes, track_for_key};
pub(crate) use unlocked::Logins;
use unlocked::Unlocked;
pub(crate) use wanted::Wanted;

use crate::clock::wall_millis;
use crate::core::Core;
use crate::database::{Database, DatabaseError};
use crate::error::Error;
use crate::settings::DatabaseSettings;

/// The greatest length of the name of a user or of a key in bytes.
pub const USER_NAME_MAX: usize = 128;
/// The greatest number of private keys of one user.
pub const USER_KEYS_MAX: usize = 64;

/// A private key of a user; the private half stays inside.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserKey {
    /// The public half.
    pub key: PublicKey,
    /// What the user calls it.
    pub name: Option<String>,
}

/// A user that is logged in. Cloning is cheap; every clone keeps the instance open.
///
/// All handles of a user share its keys: what is changed through one is changed for all, also for
/// those that logged in by themselves. Dropping the last one logs out: the keys leave the memory,
/// but for those with which a [`Database`] is still open.
#[derive(Clone)]
pub struct User {
    core: Arc<Core>,
    shared: Arc<Unlocked>,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", self.shared.name()).finish_non_exhaustive()
    }
}

impl User {
    /// Returns the name.
    pub fn name(&self) -> &str {
        self.shared.name()
    }

    /// Returns the key that signs unless another is chosen; of a user who was deleted or disabled,
    /// the one that did.
    pub fn default_key(&self) -> PublicKey {
        self.shared.default_key()
    }

    /// Returns all keys; none once the user was deleted or disabled.
    pub fn keys(&self) -> Vec<UserKey> {
        let keys = self.shared.keys().map(|keys| keys.all).unwrap_or_default();
        keys.into_iter().map(|own| UserKey { key: own.key, name: own.name }).collect()
    }

    pub(crate) const fn core(&self) -> &Arc<Core> {
        &self.core
    }

    fn own_secret(&self, key: &PublicKey) -> Result<Arc<SecretKey>, UserError> {
        let keys = self.shared.keys()?;
        let found = keys.find(key).map(|own| Arc::clone(&own.secret));
        found.ok_or(UserError::NoKey { key: *key })
    }

    fn secret(&self, key: &PublicKey) -> Result<Arc<SecretKey>, Error> {
        match self.own_secret(key) {
            Err(UserError::NoKey { key }) => Err(DatabaseError::NoKey { key }.into()),
            other => Ok(other?),
        }
    }

    /// Returns whether a password is needed to log in.
    ///
    /// # Errors
    /// [`UserError::Unknown`] once the user was deleted, or when the rows cannot be read.
    pub fn has_password(&self) -> Result<bool, UserError> {
        self.shared.check_exists()?;
        account::has_password(&self.core, self.name())
    }

    /// Replaces the password `old` by `new`; `None` stands for none. All handles stay logged in.
    ///
    /// Everything that is sealed for the user is sealed anew, and what was sealed before is removed
    /// with the same write: after a crash either password works, never none. The disk may still
    /// hold the removed bytes in places not used again yet; where somebody may have both them and
    /// the old password, [rotate](Self::rotate_key) the keys too.
    ///
    /// # Errors
    /// [`UserError::WrongPassword`], [`UserError::PasswordNeeded`], [`UserError::NoPassword`],
    /// [`UserError::Password`] for a new one that cannot be used. Where it is unknown whether the
    /// change was stored, logging in again tells which password it is; until then the keys of the
    /// user cannot be changed.
    pub fn change_password(&self, old: Option<&str>, new: Option<&str>) -> Result<(), UserError> {
        account::change_password(&self.core, &self.shared, old, new)
    }

    /// Makes another private key, with a name if one is given, and returns its public half.
    ///
    /// # Errors
    /// [`UserError::Name`], [`UserError::TooManyKeys`], or [`UserError::System`] when it could not be
    /// stored.
    pub fn add_private_key(&self, name: Option<&str>) -> Result<PublicKey, UserError> {
        keys::add(&self.core, &self.shared, name)
    }

    /// Gives a key another name, or none.
    ///
    /// # Errors
    /// [`UserError::NoKey`], [`UserError::Name`].
    pub fn rename_key(&self, key: &PublicKey, name: Option<&str>) -> Result<(), UserError> {
        keys::rename(&self.core, &self.shared, key, name)
    }

    /// Makes a key the one that signs unless another is chosen.
    ///
    /// # Errors
    /// [`UserError::NoKey`].
    pub fn set_default_key(&self, key: &PublicKey) -> Result<(), UserError> {
        keys::set_default(&self.core, &self.shared, key)
    }

    /// Deletes a private key for good, unless it alone may do something in a database that is here.
    ///
    /// # Errors
    /// [`UserError::NoKey`], [`UserError::DefaultKey`], [`UserError::LosesDatabases`].
    pub fn delete_key(&self, key: &PublicKey) -> Result<(), UserError> {
        keys::delete(&self.core, &self.shared, key, false)
    }

    /// Deletes a private key for good, also where the user loses databases or what it may do in them.
    ///
    /// # Errors
    /// [`UserError::NoKey`], [`UserError::DefaultKey`].
    pub fn delete_key_with_its_access(&self, key: &PublicKey) -> Result<(), UserError> {
        keys::delete(&self.core, &self.shared, key, true)
    }

    /// Makes a new key in place of an old one, with its name: it becomes the default if the old one
    /// was, and takes over what the old one may do, as by [`User::hand_over_key`]. The old key
    /// stays with the user, for databases where an administrator has yet to grant the new one.
    ///
    /// # Errors
    /// [`UserError::NoKey`], [`UserError::TooManyKeys`], [`UserError::System`]. What fails in one
    /// database is told in the report.
    pub fn rotate_key(&self, old: &PublicKey) -> Result<Rotation, UserError> {
        let keys = self.shared.keys()?;
        let name = keys.find(old).ok_or(UserError::NoKey { key: *old })?.name.clone();
        let key = keys::add(&self.core, &self.shared, name.as_deref())?;
        if keys.default == *old {
            keys::set_default(&self.core, &self.shared, &key)?;
        }
        let hand_over = self.hand_over_key(old, &key)?;
        Ok(Rotation { key, hand_over })
    }

    /// Grants to `new` what `old` may do in each database that is here, for as long, and limits `old`
    /// to nothing, wherever it is an administrator; elsewhere an administrator must do so. Where the
    /// preferences of the user name the old key, they name the new one then. Where the new key could
    /// not hold as much, such as one that a stronger administrator has revoked, nothing is changed.
    ///
    /// The new key is as an administrator who was granted that level today: who was granted the same
    /// level before is stronger. What the old key has granted or limited stays.
    ///
    /// # Errors
    /// [`UserError::NoKey`] unless both are keys of the user. What fails in one database is told in
    /// the report.
    pub fn hand_over_key(&self, old: &PublicKey, new: &PublicKey) -> Result<HandOver, UserError> {
        self.own_secret(new)?;
        let old = self.own_secret(old)?;
        if old.public() == *new {
            return Ok(HandOver::default());
        }
        let mut report = rotation::hand_over(&self.core, &old, new)?;
        for id in std::mem::take(&mut report.done) {
            match self.prefer_instead(&id, &old.public(), new) {
                Ok(()) => report.done.push(id),
                Err(error) => report.failed.push((id, error)),
            }
        }
        Ok(report)
    }

    /// Opens a database with another key from now on, where the preferences name this one.
    fn prefer_instead(
        &self,
        id: &DatabaseId,
        old: &PublicKey,
        new: &PublicKey,
    ) -> Result<(), Error> {
        match self.database_prefs(id)? {
            Some(preferences) if preferences.key_id == Some(*old) => {
                self.set_prefs(DatabasePreferences { key_id: Some(*new), ..preferences })
            }
            _ => Ok(()),
        }
    }

    /// Writes a private key as text that `password` opens, for [`User::import_key`] elsewhere.
    ///
    /// # Errors
    /// [`UserError::NoKey`], [`UserError::Password`].
    pub fn export_key(&self, key: &PublicKey, password: &str) -> Result<String, UserError> {
        sealed_key::write(&*self.own_secret(key)?, password, self.core.password_cost)
    }

    /// Returns a private key in the clear, to be written down. Who reads it has the key.
    ///
    /// # Errors
    /// [`UserError::NoKey`].
    pub fn export_key_clear(&self, key: &PublicKey) -> Result<KeyPhrase, UserError> {
        Ok(KeyPhrase::new(self.own_secret(key)?))
    }

    /// Takes a private key from text: what [`User::export_key`] wrote, with its password, or the
    /// words or text of a [`KeyPhrase`], without. Returns its public half.
    ///
    /// # Errors
    /// [`UserError::Phrase`], [`UserError::WrongExportPassword`],
    /// [`UserError::ExportPasswordNeeded`], [`UserError::NotSealed`], [`UserError::KeyExists`],
    /// [`UserError::TooManyKeys`], [`UserError::Name`].
    pub fn import_key(
        &self,
        text: &str,
        password: Option<&str>,
        name: Option<&str>,
    ) -> Result<PublicKey, UserError> {
        let secret = sealed_key::read(text, password)?;
        keys::insert(&self.core, &self.shared, secret, name)
    }

    /// Makes a database and tracks it; the user is its first administrator.
    ///
    /// # Errors
    /// [`DatabaseError::NoKey`] for a key that is not the user's, [`DatabaseError::Settings`] for
    /// settings that break a rule, or why the commit failed.
    pub fn create_database(&self, settings: DatabaseSettings) -> Result<Database, Error> {
        let key = self.secret(&settings.key().unwrap_or_else(|| self.default_key()))?;
        let founding = settings.founding(Arc::clone(&key), self.name())?;
        // The database and the note that the user tracks it are written together.
        let held = tracking::found(&self.core, self.shared.name(), founding)?;
        Ok(Database::new(&self.core, &held, key))
    }

    fn held(&self, id: &DatabaseId) -> Result<Held, Error> {
        let held = self.core.held(id)?.filter(|held| !held.system);
        Ok(held.ok_or(DatabaseError::NotHere { id: *id })?)
    }

    /// Opens a database with the key that the user's preferences name, or else with the one of its
    /// keys that may do most there now, the default one among equals.
    ///
    /// # Errors
    /// [`DatabaseError::NotHere`] until a sync has brought its first entries.
    pub fn open_database(&self, id: &DatabaseId) -> Result<Database, Error> {
        let held = self.held(id)?;
        let preferred = self.database_prefs(id)?.and_then(|preferences| preferences.key_id);
        let preferred = preferred.and_then(|key| self.own_secret(&key).ok());
        let key = match preferred {
            Some(key) => key,
            None => self.secret(&self.best_key(&held)?)?,
        };
        self.core.tend(&held);
        Ok(Database::new(&self.core, &held, key))
    }

    /// Opens a database with a key of the user's choice.
    ///
    /// # Errors
    /// As for [`User::open_database`], and [`DatabaseError::NoKey`].
    pub fn open_database_with(&self, id: &DatabaseId, key: &PublicKey) -> Result<Database, Error> {
        let held = self.held(id)?;
        let key = self.secret(key)?;
        self.core.tend(&held);
        Ok(Database::new(&self.core, &held, key))
    }

    /// Returns the key of the user that may do most in a database now, limits, ends of grants and
    /// what anyone may counted in; the default key among equals. [`User::open_database`] uses it.
    ///
    /// # Errors
    /// [`DatabaseError::NotHere`] until a sync has brought its first entries.
    pub fn best_key_for(&self, id: &DatabaseId) -> Result<PublicKey, Error> {
        Ok(self.best_key(&self.held(id)?)?)
    }

    fn best_key(&self, held: &Held) -> Result<PublicKey, StoreError> {
        let default = self.default_key();
        let keys = self.keys();
        if keys.len() < 2 {
            return Ok(default);
        }
        let authority = self.core.authority(held)?;
        let current = authority.current().at(wall_millis());
        let rank = |key: &PublicKey| match current.level_of(key) {
            Some(level) => (false, strength(level), *key != default),
            None => (true, (0, 0), *key != default),
        };
        Ok(keys.iter().map(|own| own.key).min_by_key(rank).unwrap_or(default))
    }

    /// Remembers that the user wants a database, here or not, as by [`User::add_database`] with the
    /// default preferences; those of one that is tracked already stay.
    ///
    /// # Errors
    /// When it could not be stored.
    pub fn track(&self, id: DatabaseId) -> Result<(), Error> {
        self.shared.keys()?;
        tracking::track(&self.core, self.shared.name(), id)
    }

    /// As [`User::remove_database`].
    ///
    /// # Errors
    /// When it could not be stored.
    pub fn untrack(&self, id: DatabaseId) -> Result<bool, Error> {
        self.remove_database(&id)
    }

    /// Remembers that the user wants a database, here or not, and how; what it wanted of it before
    /// is replaced.
    ///
    /// # Errors
    /// [`UserError::Interval`]; [`DatabaseError::NotHere`] for one of the instance's own databases.
    pub fn add_database(&self, preferences: DatabasePreferences) -> Result<(), Error> {
        self.shared.keys()?;
        tracking::add(&self.core, self.shared.name(), preferences)
    }

    /// Forgets that the user wants a database, and how. Returns whether it did.
    ///
    /// Its entries stay. When no other user of the device tracks it, it is synced with nobody any
    /// more, in either direction, until somebody tracks it again.
    ///
    /// # Errors
    /// When it could not be stored.
    pub fn remove_database(&self, id: &DatabaseId) -> Result<bool, Error> {
        self.shared.keys()?;
        tracking::remove(&self.core, self.name(), *id)
    }

    /// Lists what the user wants of each database that it tracks, by id.
    ///
    /// # Errors
    /// [`UserError::Unknown`] once the user was deleted, or when the rows cannot be read.
    pub fn list_database_prefs(&self) -> Result<Vec<DatabasePreferences>, Error> {
        self.shared.check_exists()?;
        tracking::all_preferences(&self.core, self.name())
    }

    /// Returns what the user wants of a database; `None` if it does not track it.
    ///
    /// # Errors
    /// [`UserError::Unknown`] once the user was deleted, or when the rows cannot be read.
    pub fn database_prefs(&self, id: &DatabaseId) -> Result<Option<DatabasePreferences>, Error> {
        self.shared.check_exists()?;
        tracking::preferences(&self.core, self.name(), *id)
    }

    /// Replaces what the user wants of a database that it tracks.
    ///
    /// # Errors
    /// [`UserError::NotTracked`], [`UserError::Interval`].
    pub fn set_prefs(&self, preferences: DatabasePreferences) -> Result<(), Error> {
        self.shared.keys()?;
        tracking::set(&self.core, self.shared.name(), preferences)
    }

    /// Lists the databases that the user tracks, by id.
    ///
    /// # Errors
    /// [`UserError::Unknown`] once the user was deleted, or when the rows cannot be read.
    pub fn databases(&self) -> Result<Vec<DatabaseSummary>, Error> {
        self.shared.check_exists()?;
        tracking::list(&self.core, self.name())
    }
}

/// Returns a key by which levels are compared; smaller may do more.
const fn strength(level: Level) -> (u8, u32) {
    let kind = match level {
        _ if level.allows(Action::Administer) => 0,
        _ if level.allows(Action::Write) => 1,
        _ => 2,
    };
    (kind, level.priority())
}

fn now() -> Timestamp {
    Timestamp(i64::try_from(wall_millis()).unwrap_or(i64::MAX))
}
