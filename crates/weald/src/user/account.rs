//! Users at rest: their names and sealed keys, in the system database `_users`.
//!
//! Invariant: a user has a default key that is one of its keys, written together with it.

use std::sync::{Arc, RwLock};

use serde::{Deserialize, Serialize};
use weald_crdt::{Key, Timestamp};
use weald_dag::{PublicKey, SecretKey, StoreError};
use weald_engine::CommitError;

use super::error::UserError;
use super::{Keys, USER_NAME_MAX, User, UserKey, now};
use crate::core::Core;
use crate::error::Error;
use crate::seal::new_secret;
use crate::system;

const USERS: &str = "users";
const KEYS: &str = "keys";
const CONTEXT: &[u8] = b"weald 2026 user key v1";

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
    let first = UserKey { key, name: None, secret: core.unlock(secret) };
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
        let secret = core.unlock(secret.ok_or_else(|| damaged(&key.short()))?);
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

/// Makes another key for a user.
pub(super) fn add_key(
    core: &Arc<Core>,
    user: &str,
    name: Option<&str>,
) -> Result<UserKey, UserError> {
    let database = system::open(core, system::USERS)?;
    let secret = new_secret()?;
    let key = secret.public();
    let row = key_row(core, user, name, &secret)?;
    let mut transaction = database.begin()?;
    transaction.table::<KeyRow>(KEYS)?.put((user, key), &row)?;
    transaction.commit()?;
    Ok(UserKey { key, name: name.map(str::to_owned), secret: core.unlock(secret) })
}
