//! Users of a device: their keys, and the databases that they track.
//!
//! Invariant: private keys rest sealed in the system database `_users`, and are in memory only
//! while a handle of the user lives.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use weald_crdt::{Key, MemoryView, TableDraft, Timestamp, Value};
use weald_dag::{DatabaseId, Graph, PublicKey, SecretKey, StoreError};
use weald_engine::{Commit, CommitError, Held};

use crate::clock::wall_millis;
use crate::core::Core;
use crate::database::{Database, DatabaseError};
use crate::desk::Along;
use crate::error::{Error, ReadError, WriteError};
use crate::seal::new_secret;
use crate::settings::{DatabaseSettings, NAME};
use crate::system;

/// The greatest length of a user's name in bytes.
pub const USER_NAME_MAX: usize = 128;

const USERS: &str = "users";
const KEYS: &str = "keys";
const TRACKED: &str = "tracked";
const CONTEXT: &[u8] = b"weald 2026 user key v1";

/// Why something with a user did not work.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UserError {
    /// There is such a user.
    #[error("there is a user '{name}' on this device; log in, or choose another name")]
    Exists {
        /// The name.
        name: String,
    },
    /// There is no such user.
    #[error("there is no user '{name}' on this device; create it first")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The name cannot be used.
    #[error(
        "a user's name has 1 to {USER_NAME_MAX} bytes and no control characters; choose another"
    )]
    Name,
    /// Users with passwords come with a later version.
    #[error("users with a password are not available in this version; leave the password out")]
    PasswordsUnavailable,
    /// A private key of the user cannot be opened.
    #[error("the private key {key} of user '{name}' is damaged; restore the store from a backup")]
    DamagedKey {
        /// The user.
        name: String,
        /// The public half, or what stands for it.
        key: String,
    },
    /// The system database of users could not be used.
    #[error("the users of this device could not be read or written: {0}")]
    System(#[source] Box<Error>),
}

macro_rules! from_system {
    ($($source:ty),*) => {
        $(impl From<$source> for UserError {
            fn from(error: $source) -> Self {
                Self::System(Box::new(error.into()))
            }
        })*
    };
}

from_system!(Error, StoreError, ReadError, WriteError, CommitError);

#[derive(Serialize, Deserialize)]
struct UserRow {
    #[serde(with = "serde_bytes")]
    default: Vec<u8>,
    created: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct KeyRow {
    name: Option<String>,
    #[serde(with = "serde_bytes")]
    sealed: Vec<u8>,
    created: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct TrackedRow {
    since: Timestamp,
}

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

/// A database that a user tracks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatabaseSummary {
    /// Its id.
    pub id: DatabaseId,
    /// Its name, once its settings are here.
    pub name: Option<String>,
    /// Whether all of it is here.
    pub complete: bool,
    /// How many entries are here.
    pub entries: u64,
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

fn now() -> Timestamp {
    Timestamp(i64::try_from(wall_millis()).unwrap_or(i64::MAX))
}

fn check_name(name: &str) -> Result<(), UserError> {
    let fits = !name.is_empty() && name.len() <= USER_NAME_MAX;
    if fits && !name.chars().any(char::is_control) { Ok(()) } else { Err(UserError::Name) }
}

fn refuse_password(password: Option<&str>) -> Result<(), UserError> {
    if password.is_some() { Err(UserError::PasswordsUnavailable) } else { Ok(()) }
}

/// What a sealed key is bound to: nobody can put one user's in another's place.
fn context(user: &str, key: &PublicKey) -> Vec<u8> {
    [CONTEXT, key.as_bytes(), user.as_bytes()].concat()
}

fn key_row(
    core: &Core,
    user: &str,
    name: Option<&str>,
    secret: &SecretKey,
) -> Result<KeyRow, StoreError> {
    let sealed = core.sealer.seal(secret, &context(user, &secret.public()))?;
    Ok(KeyRow { name: name.map(str::to_owned), sealed, created: now() })
}

/// Makes a user with a first key.
pub(crate) fn create(
    core: &Arc<Core>,
    name: &str,
    password: Option<&str>,
) -> Result<User, UserError> {
    refuse_password(password)?;
    check_name(name)?;
    let exists = || UserError::Exists { name: name.to_owned() };
    let database = system::open(core, system::USERS)?;
    let secret = new_secret()?;
    let key = secret.public();
    let mut transaction = database.begin()?;
    transaction.require_unchanged(USERS, name)?;
    let mut users = transaction.table::<UserRow>(USERS)?;
    if users.get(name)?.is_some() {
        return Err(exists());
    }
    users.put(name, &UserRow { default: key.as_bytes().to_vec(), created: now() })?;
    let row = key_row(core, name, None, &secret)?;
    transaction.table::<KeyRow>(KEYS)?.put((name, key), &row)?;
    match transaction.commit() {
        Ok(_) => {}
        Err(CommitError::Changed { .. }) => return Err(exists()),
        Err(error) => return Err(error.into()),
    }
    let first = UserKey { key, name: None, secret: core.key_ring.add(secret) };
    let keys = Keys { default: key, all: vec![first] };
    Ok(User { core: Arc::clone(core), name: name.into(), keys: Arc::new(RwLock::new(keys)) })
}

/// Opens the keys of a user.
pub(crate) fn login(
    core: &Arc<Core>,
    name: &str,
    password: Option<&str>,
) -> Result<User, UserError> {
    refuse_password(password)?;
    check_name(name)?;
    let database = system::open(core, system::USERS)?;
    let row = database.table::<UserRow>(USERS)?.get(name)?;
    let row = row.ok_or_else(|| UserError::Unknown { name: name.to_owned() })?;
    let damaged = |key: &str| UserError::DamagedKey { name: name.to_owned(), key: key.to_owned() };
    let mut all = Vec::new();
    for found in database.table::<KeyRow>(KEYS)?.prefix(vec![Key::from(name)]) {
        let (row_key, row) = found?;
        let key = public_of(&row_key).ok_or_else(|| damaged("(unreadable)"))?;
        let secret = core.sealer.open(&row.sealed, &context(name, &key));
        let secret = secret.filter(|secret| secret.public() == key);
        let secret = core.key_ring.add(secret.ok_or_else(|| damaged(&key.short()))?);
        all.push(UserKey { key, name: row.name, secret });
    }
    let default = all.iter().find(|key| key.key.as_bytes().as_slice() == row.default);
    let default = default.map(|key| key.key).ok_or_else(|| damaged("(default)"))?;
    let keys = Arc::new(RwLock::new(Keys { default, all }));
    Ok(User { core: Arc::clone(core), name: name.into(), keys })
}

fn public_of(key: &Key) -> Option<PublicKey> {
    let Key::Tuple(parts) = key else { return None };
    let [_, Key::Bytes(bytes)] = parts.as_slice() else { return None };
    PublicKey::from_bytes(bytes.as_slice().try_into().ok()?).ok()
}

/// Lists the names of all users.
pub(crate) fn names(core: &Arc<Core>) -> Result<Vec<String>, Error> {
    let database = system::open(core, system::USERS)?;
    let mut names = Vec::new();
    for row in database.table::<UserRow>(USERS)?.rows() {
        if let (Key::Text(name), _) = row? {
            names.push(name);
        }
    }
    Ok(names)
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
        let database = system::open(&self.core, system::USERS)?;
        let secret = new_secret()?;
        let key = secret.public();
        let row = key_row(&self.core, &self.name, name, &secret)?;
        let mut transaction = database.begin()?;
        transaction.table::<KeyRow>(KEYS)?.put((&*self.name, key), &row)?;
        transaction.commit()?;
        let secret = self.core.key_ring.add(secret);
        let added = UserKey { key, name: name.map(str::to_owned), secret };
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
        let tracking = system::open(&self.core, system::DATABASES)?;
        let (user, device) = (Arc::clone(&self.name), Arc::clone(&self.core.device));
        let number = tracking.number();
        let along: Along = Box::new(move |held: &Held| {
            let sections = vec![(TRACKED.to_owned(), tracked(&user, held.id)?)];
            Ok(Commit { database: number, key: device, sections, required: Vec::new() })
        });
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
        let database = system::open(&self.core, system::DATABASES)?;
        let mut transaction = database.begin()?;
        let mut table = transaction.table::<TrackedRow>(TRACKED)?;
        if table.get((&*self.name, id))?.is_some() {
            return Ok(());
        }
        table.put((&*self.name, id), &TrackedRow { since: now() })?;
        transaction.commit()?;
        Ok(())
    }

    /// Forgets that the user wants a database; its entries stay. Returns whether it was tracked.
    ///
    /// # Errors
    /// When it could not be stored.
    pub fn untrack(&self, id: DatabaseId) -> Result<bool, Error> {
        let database = system::open(&self.core, system::DATABASES)?;
        let mut transaction = database.begin()?;
        let was = transaction.table::<TrackedRow>(TRACKED)?.delete((&*self.name, id))?;
        transaction.commit()?;
        Ok(was)
    }

    /// Lists the databases that the user tracks, by id.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn databases(&self) -> Result<Vec<DatabaseSummary>, Error> {
        let database = system::open(&self.core, system::DATABASES)?;
        let mut found = Vec::new();
        let tracked = database.table::<TrackedRow>(TRACKED)?;
        for row in tracked.prefix(vec![Key::from(&*self.name)]) {
            let (Key::Tuple(parts), _) = row? else { continue };
            let [_, Key::Bytes(id)] = parts.as_slice() else { continue };
            if let Ok(id) = id.as_slice().try_into() {
                found.push(self.summary(DatabaseId::from_bytes(id))?);
            }
        }
        Ok(found)
    }

    fn summary(&self, id: DatabaseId) -> Result<DatabaseSummary, StoreError> {
        let Some(held) = self.core.held(&id)? else {
            return Ok(DatabaseSummary { id, name: None, complete: false, entries: 0 });
        };
        let name = self.core.authority(&held)?.current().setting(NAME).map(str::to_owned);
        let head = Graph::new(&self.core.rows()?, held.number).head()?;
        let entries = head.map_or(0, |(_, head)| head.needed);
        Ok(DatabaseSummary { id, name, complete: held.complete, entries })
    }
}

/// Makes the section that notes a new database as tracked; its row is new, so nothing is read.
fn tracked(user: &str, id: DatabaseId) -> Result<Vec<u8>, CommitError> {
    let key = Key::Tuple(vec![Key::from(user), Key::Bytes(id.as_bytes().to_vec())]);
    let void = |reason: String| CommitError::Void { store: TRACKED.to_owned(), reason };
    let row = Value::from_serde(&TrackedRow { since: now() });
    let row = row.map_err(|error| void(error.to_string()))?;
    let mut draft = TableDraft::new();
    let put = draft.put(&mut MemoryView::new(), &key, &row);
    put.map_err(|error| void(error.to_string()))?;
    Ok(draft.encode())
}
