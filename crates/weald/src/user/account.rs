//! Users at rest: their names and keys in the system database `_users`, and what is sealed for
//! them in the vault.
//!
//! Invariant: a user has a default key that is one of its keys; the entry and the sealed rows that
//! belong together are written together, so after a crash either the old password works or the new.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weald_crdt::{Key, Timestamp};
use weald_dag::PublicKey;

use super::error::UserError;
use super::unlocked::{Ended, Keys, OwnKey, Unlocked};
use super::vault::{self, Lock};
use super::{USER_NAME_MAX, User, now, password, tracking};
use crate::core::Core;
use crate::database::Database;
use crate::error::Error;
use crate::seal::{Sealer, new_secret};
use crate::system;

pub(super) const USERS: &str = "users";
pub(super) const KEYS: &str = "keys";

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct UserRow {
    #[serde(with = "serde_bytes")]
    pub(super) default: Vec<u8>,
    pub(super) created: Timestamp,
    pub(super) changed: Timestamp,
    pub(super) disabled: bool,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct KeyRow {
    pub(super) name: Option<String>,
    pub(super) created: Timestamp,
}

pub(super) fn check_name(name: &str) -> Result<(), UserError> {
    let fits = !name.is_empty() && name.len() <= USER_NAME_MAX;
    if fits && !name.chars().any(char::is_control) { Ok(()) } else { Err(UserError::Name) }
}

fn unknown(name: &str) -> UserError {
    UserError::Unknown { name: name.to_owned() }
}

/// Makes a user with a first key.
pub(crate) fn create(
    core: &Arc<Core>,
    name: &str,
    password: Option<&str>,
) -> Result<User, UserError> {
    check_name(name)?;
    password.map_or(Ok(()), password::check)?;
    let (sealer, secret) = (Sealer::random()?, new_secret()?);
    let by = password.map(|password| (password, core.password_cost));
    let lock = Lock::new(name, &sealer, by, &core.sealer)?;
    let sealed = vault::put_key(name, &secret, &sealer)?;
    let mut changing = core.logins.changing();
    let database = system::open(core, system::USERS)?;
    let mut transaction = database.begin()?;
    let mut users = transaction.table::<UserRow>(USERS)?;
    if users.get(name)?.is_some() {
        return Err(UserError::Exists { name: name.to_owned() });
    }
    let (key, created) = (secret.public(), now());
    let default = key.as_bytes().to_vec();
    users.put(name, &UserRow { default, created, changed: created, disabled: false })?;
    transaction.table::<KeyRow>(KEYS)?.put((name, key), &KeyRow { name: None, created })?;
    transaction.commit_with(vec![lock.put(name), sealed])?;
    let first = OwnKey { key, name: None, secret: core.unlock(secret) };
    let (sealer, lock) = (Arc::new(sealer), Arc::new(lock));
    let keys = Keys { default: key, all: vec![first], sealer, lock };
    Ok(User { core: Arc::clone(core), shared: changing.log_in(name, keys) })
}

/// Opens the keys of a user.
pub(crate) fn login(
    core: &Arc<Core>,
    name: &str,
    password: Option<&str>,
) -> Result<User, UserError> {
    loop {
        let (lock, sealer) = open_lock(core, name, password)?;
        let mut changing = core.logins.changing();
        // Where the password was changed meanwhile, it is asked for again.
        if Lock::read(&core.rows()?, name)?.as_ref() != Some(&lock) {
            continue;
        }
        let database = system::open(core, system::USERS)?;
        let row = database.table::<UserRow>(USERS)?.get(name)?.ok_or_else(|| unknown(name))?;
        if row.disabled {
            return Err(UserError::Disabled { name: name.to_owned() });
        }
        let keys = load(core, &database, name, &row, (sealer, lock))?;
        return Ok(User { core: Arc::clone(core), shared: changing.log_in(name, keys) });
    }
}

/// Opens the sealing key of a user. One that is unknown costs as much as one that is known.
fn open_lock(core: &Core, name: &str, password: Option<&str>) -> Result<(Lock, Sealer), UserError> {
    check_name(name)?;
    password.map_or(Ok(()), password::check)?;
    let Some(lock) = Lock::read(&core.rows()?, name)? else {
        password.map_or(Ok(()), |password| password::spend(password, core.password_cost))?;
        return Err(unknown(name));
    };
    let sealer = lock.open(name, password, &core.sealer)?;
    Ok((lock, sealer))
}

fn load(
    core: &Core,
    database: &Database,
    name: &str,
    row: &UserRow,
    (sealer, lock): (Sealer, Lock),
) -> Result<Keys, UserError> {
    let damaged = |key: &str| UserError::DamagedKey { name: name.to_owned(), key: key.to_owned() };
    let rows = core.rows()?;
    let mut all = Vec::new();
    for found in database.table::<KeyRow>(KEYS)?.prefix(vec![Key::from(name)]) {
        let (row_key, row) = found?;
        let key = public_of(&row_key).ok_or_else(|| damaged("(unreadable)"))?;
        let secret = vault::open_key(&rows, name, &key, &sealer)?;
        let secret = core.unlock(secret.ok_or_else(|| damaged(&key.short()))?);
        all.push(OwnKey { key, name: row.name, secret });
    }
    let default = all.iter().find(|key| key.key.as_bytes().as_slice() == row.default);
    let default = default.map(|key| key.key).ok_or_else(|| damaged("(default)"))?;
    Ok(Keys { default, all, sealer: Arc::new(sealer), lock: Arc::new(lock) })
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

/// Replaces the password of a user, or the lack of one, and seals all its keys anew.
pub(super) fn change_password(
    core: &Arc<Core>,
    shared: &Unlocked,
    old: Option<&str>,
    new: Option<&str>,
) -> Result<(), UserError> {
    let name = shared.name();
    new.map_or(Ok(()), password::check)?;
    loop {
        let (before, _) = open_lock(core, name, old)?;
        let sealer = Sealer::random()?;
        let by = new.map(|password| (password, core.password_cost));
        let lock = Lock::new(name, &sealer, by, &core.sealer)?;
        let changing = core.logins.changing();
        if Lock::read(&core.rows()?, name)?.as_ref() != Some(&before) {
            continue;
        }
        let mut keys = shared.keys()?;
        let mut rows = vec![lock.put(name)];
        for own in &keys.all {
            rows.push(vault::put_key(name, &own.secret, &sealer)?);
        }
        let database = system::open(core, system::USERS)?;
        let mut transaction = database.begin()?;
        let mut users = transaction.table::<UserRow>(USERS)?;
        let row = users.get(&**name)?.ok_or_else(|| unknown(name))?;
        users.put(&**name, &UserRow { changed: now(), ..row })?;
        transaction.commit_with(rows)?;
        (keys.sealer, keys.lock) = (Arc::new(sealer), Arc::new(lock));
        changing.replace(name, keys);
        return Ok(());
    }
}

/// Returns whether a user has a password.
pub(super) fn has_password(core: &Core, name: &str) -> Result<bool, UserError> {
    let lock = Lock::read(&core.rows()?, name)?.ok_or_else(|| unknown(name))?;
    Ok(lock.needs_password())
}

/// Lets a user log in, or not; one that may not loses its keys on all handles.
pub(crate) fn set_disabled(core: &Arc<Core>, name: &str, disabled: bool) -> Result<(), UserError> {
    check_name(name)?;
    let mut changing = core.logins.changing();
    let database = system::open(core, system::USERS)?;
    let mut transaction = database.begin()?;
    let mut users = transaction.table::<UserRow>(USERS)?;
    let row = users.get(name)?.ok_or_else(|| unknown(name))?;
    if row.disabled != disabled {
        users.put(name, &UserRow { changed: now(), disabled, ..row })?;
        transaction.commit()?;
    }
    if disabled {
        changing.end(name, Ended::Disabled);
    }
    Ok(())
}

/// Removes a user with its keys and preferences.
pub(crate) fn delete(
    core: &Arc<Core>,
    name: &str,
    password: Option<&str>,
) -> Result<(), UserError> {
    loop {
        let (lock, _) = open_lock(core, name, password)?;
        let mut changing = core.logins.changing();
        let rows = core.rows()?;
        if Lock::read(&rows, name)?.as_ref() != Some(&lock) {
            continue;
        }
        // First: a user of the same name that is made later inherits none of it.
        tracking::remove_all(core, name)?;
        let database = system::open(core, system::USERS)?;
        let mut transaction = database.begin()?;
        transaction.table::<UserRow>(USERS)?.delete(name)?;
        for found in database.table::<KeyRow>(KEYS)?.prefix(vec![Key::from(name)]) {
            let (key, _) = found?;
            transaction.table::<KeyRow>(KEYS)?.delete(key)?;
        }
        transaction.commit_with(vault::remove_all(&rows, name)?)?;
        changing.end(name, Ended::Deleted);
        return Ok(());
    }
}
