//! The private keys of a user: making, naming, exporting, importing and deleting them.
//!
//! Invariant: a key is in `_users`, in the vault and with the handles of its user, or in none of
//! them; the default key is always there.

use std::collections::BTreeSet;
use std::sync::Arc;

use weald_dag::{DatabaseId, PublicKey, SecretKey, StoreError};
use weald_engine::all_held;

use super::account::{KEYS, KeyRow, USERS, UserRow, check_name};
use super::error::UserError;
use super::unlocked::{Keys, OwnKey, Unlocked};
use super::vault::Lock;
use super::{USER_KEYS_MAX, now, strength, vault};
use crate::clock::wall_millis;
use crate::core::Core;
use crate::desk::OwnRow;
use crate::seal::new_secret;
use crate::settings::LASTING;
use crate::system;
use crate::transaction::Transaction;

/// What a change of a user's keys is made of.
struct Change {
    keys: Keys,
    transaction: Transaction,
    rows: Vec<OwnRow>,
}

/// Changes the keys of a user, at rest and for all handles, or nothing.
fn change(
    core: &Arc<Core>,
    shared: &Unlocked,
    run: impl FnOnce(&mut Change) -> Result<(), UserError>,
) -> Result<(), UserError> {
    let changing = core.logins.changing();
    let keys = shared.keys()?;
    // Of a change of the password it may be unknown whether it was stored: what is sealed as before
    // would then be lost.
    if Lock::read(&core.rows()?, shared.name())?.as_ref() != Some(&*keys.lock) {
        return Err(UserError::Outdated { name: shared.name().to_string() });
    }
    let transaction = system::open(core, system::USERS)?.begin()?;
    let mut change = Change { keys, transaction, rows: Vec::new() };
    run(&mut change)?;
    change.transaction.commit_with(change.rows)?;
    changing.replace(shared.name(), change.keys);
    Ok(())
}

/// Makes another key.
pub(super) fn add(
    core: &Arc<Core>,
    shared: &Unlocked,
    name: Option<&str>,
) -> Result<PublicKey, UserError> {
    insert(core, shared, new_secret()?, name)
}

/// Takes a key in.
pub(super) fn insert(
    core: &Arc<Core>,
    shared: &Unlocked,
    secret: SecretKey,
    name: Option<&str>,
) -> Result<PublicKey, UserError> {
    name.map_or(Ok(()), check_name)?;
    let (user, key) = (shared.name(), secret.public());
    change(core, shared, |change| {
        if change.keys.find(&key).is_some() {
            return Err(UserError::KeyExists { key });
        }
        if change.keys.all.len() >= USER_KEYS_MAX {
            return Err(UserError::TooManyKeys);
        }
        let name = name.map(str::to_owned);
        let row = KeyRow { name: name.clone(), created: now() };
        change.transaction.table::<KeyRow>(KEYS)?.put((&**user, key), &row)?;
        change.rows.push(vault::put_key(user, &secret, &change.keys.sealer)?);
        change.keys.all.push(OwnKey { key, name, secret: core.unlock(secret) });
        Ok(())
    })?;
    Ok(key)
}

/// Gives a key another name, or none.
pub(super) fn rename(
    core: &Arc<Core>,
    shared: &Unlocked,
    key: &PublicKey,
    name: Option<&str>,
) -> Result<(), UserError> {
    name.map_or(Ok(()), check_name)?;
    let place = (&**shared.name(), *key);
    change(core, shared, |change| {
        let own = change.keys.all.iter_mut().find(|own| own.key == *key);
        let own = own.ok_or(UserError::NoKey { key: *key })?;
        own.name = name.map(str::to_owned);
        let mut table = change.transaction.table::<KeyRow>(KEYS)?;
        let row = table.get(place)?.ok_or(UserError::NoKey { key: *key })?;
        table.put(place, &KeyRow { name: own.name.clone(), ..row })?;
        Ok(())
    })
}

/// Makes a key the default.
pub(super) fn set_default(
    core: &Arc<Core>,
    shared: &Unlocked,
    key: &PublicKey,
) -> Result<(), UserError> {
    let user = shared.name();
    change(core, shared, |change| {
        change.keys.find(key).ok_or(UserError::NoKey { key: *key })?;
        change.keys.default = *key;
        let mut users = change.transaction.table::<UserRow>(USERS)?;
        let row = users.get(&**user)?;
        let row = row.ok_or_else(|| UserError::Unknown { name: user.to_string() })?;
        let default = key.as_bytes().to_vec();
        users.put(&**user, &UserRow { default, changed: now(), ..row })?;
        Ok(())
    })
}

/// Removes a key; unless what it alone may do is to be lost, it must be good for nothing.
pub(super) fn delete(
    core: &Arc<Core>,
    shared: &Unlocked,
    key: &PublicKey,
    lose: bool,
) -> Result<(), UserError> {
    let user = shared.name();
    change(core, shared, |change| {
        change.keys.find(key).ok_or(UserError::NoKey { key: *key })?;
        if change.keys.default == *key {
            return Err(UserError::DefaultKey { key: *key });
        }
        if !lose {
            let databases = only_by(core, &change.keys, key)?;
            if !databases.is_empty() {
                return Err(UserError::LosesDatabases { key: *key, databases });
            }
        }
        change.transaction.table::<KeyRow>(KEYS)?.delete((&**user, *key))?;
        change.rows.push(vault::remove_key(user, key));
        change.keys.all.retain(|own| own.key != *key);
        Ok(())
    })
}

/// Lists the databases in which a key may do more than all others of the user.
fn only_by(core: &Core, keys: &Keys, key: &PublicKey) -> Result<Vec<DatabaseId>, StoreError> {
    let others: BTreeSet<_> = keys.all.iter().map(|own| own.key).filter(|own| own != key).collect();
    let mut databases = Vec::new();
    for held in all_held(&core.rows()?)?.into_iter().filter(|held| !held.system) {
        let authority = core.authority(&held)?;
        // What the others hold may end, and what the key holds may not.
        let is_best = [wall_millis(), LASTING].into_iter().any(|millis| {
            let current = authority.current().at(millis);
            let levels = others.iter().filter_map(|other| current.level_of(other));
            let best = levels.map(strength).min();
            let own = current.level_of(key).map(strength);
            own.is_some_and(|own| best.is_none_or(|best| own < best))
        });
        if is_best {
            databases.push(held.id);
        }
    }
    Ok(databases)
}
