//! The sealed secrets of users at rest: rows of the instance itself, beside the entries of `_users`.
//!
//! Entries stay for ever, and with them every secret that was ever sealed in one; these rows are
//! replaced and removed, so a password that was changed opens nothing any more.
//!
//! Invariant: a row opens only in its own place, for its own user and key.

use std::ops::ControlFlow;

use weald_dag::{KeyRange, Order, PublicKey, SecretKey, Snapshot, Space, StoreError};

use super::error::UserError;
use super::password::{self, Opened, PasswordCost};
use crate::desk::OwnRow;
use crate::seal::Sealer;

const VAULT: Space = Space::new("vault", 0);
const VERSION: u8 = 1;
/// The sealing key of a user is sealed by that of the device.
const BY_DEVICE: u8 = 0;
/// The sealing key of a user is sealed by a password.
const BY_PASSWORD: u8 = 1;
const USER_CONTEXT: &[u8] = b"weald 2026 user vault v1";
const KEY_CONTEXT: &[u8] = b"weald 2026 user key v2";
/// Ends the name in the key of a row; names hold no control characters.
const END: u8 = 0;

fn user_place(user: &str) -> Vec<u8> {
    [user.as_bytes(), &[END]].concat()
}

fn key_place(user: &str, key: &PublicKey) -> Vec<u8> {
    [user.as_bytes(), &[END], key.as_bytes()].concat()
}

fn user_context(user: &str, kind: u8) -> Vec<u8> {
    [USER_CONTEXT, &[kind], user.as_bytes()].concat()
}

fn key_context(user: &str, key: &PublicKey) -> Vec<u8> {
    [KEY_CONTEXT, key.as_bytes(), user.as_bytes()].concat()
}

/// The sealing key of a user as it rests.
#[derive(PartialEq, Eq)]
pub(super) struct Lock(Vec<u8>);

impl Lock {
    /// Seals the sealing key of a user, by a password or by that of the device.
    pub(super) fn new(
        user: &str,
        sealer: &Sealer,
        by: Option<(&str, PasswordCost)>,
        device: &Sealer,
    ) -> Result<Self, UserError> {
        let (kind, sealed) = match by {
            Some((password, cost)) => {
                let context = user_context(user, BY_PASSWORD);
                (BY_PASSWORD, password::lock(sealer.key(), password, cost, &context)?)
            }
            None => (BY_DEVICE, device.seal_bytes(sealer.key(), &user_context(user, BY_DEVICE))?),
        };
        Ok(Self([&[VERSION, kind], sealed.as_slice()].concat()))
    }

    pub(super) fn read(rows: &dyn Snapshot, user: &str) -> Result<Option<Self>, StoreError> {
        Ok(rows.get(VAULT, &user_place(user))?.map(Self))
    }

    /// Returns whether a password opens it.
    pub(super) fn needs_password(&self) -> bool {
        matches!(self.0.as_slice(), [VERSION, BY_PASSWORD, ..])
    }

    /// Opens the sealing key of a user.
    pub(super) fn open(
        &self,
        user: &str,
        password: Option<&str>,
        device: &Sealer,
    ) -> Result<Sealer, UserError> {
        let name = || user.to_owned();
        let damaged = || UserError::DamagedKey { name: name(), key: "(all)".to_owned() };
        let opened = match (self.0.as_slice(), password) {
            ([VERSION, BY_DEVICE, ..], Some(_)) => {
                return Err(UserError::NoPassword { name: name() });
            }
            ([VERSION, BY_PASSWORD, ..], None) => {
                return Err(UserError::PasswordNeeded { name: name() });
            }
            ([VERSION, BY_DEVICE, sealed @ ..], None) => {
                let secret = device.open_bytes(sealed, &user_context(user, BY_DEVICE));
                return secret.map(Sealer::new).ok_or_else(damaged);
            }
            ([VERSION, BY_PASSWORD, locked @ ..], Some(password)) => {
                password::unlock(locked, password, &user_context(user, BY_PASSWORD))?
            }
            _ => Opened::Damaged,
        };
        match opened {
            Opened::Secret(secret) => Ok(Sealer::new(secret)),
            Opened::Wrong => Err(UserError::WrongPassword { name: name() }),
            Opened::Damaged => Err(damaged()),
        }
    }

    pub(super) fn put(&self, user: &str) -> OwnRow {
        (VAULT, user_place(user), Some(self.0.clone()))
    }
}

/// Seals a private key of a user.
pub(super) fn put_key(
    user: &str,
    secret: &SecretKey,
    sealer: &Sealer,
) -> Result<OwnRow, StoreError> {
    let key = secret.public();
    let sealed = sealer.seal(secret, &key_context(user, &key))?;
    let row = [&[VERSION], sealed.as_slice()].concat();
    Ok((VAULT, key_place(user, &key), Some(row)))
}

pub(super) fn remove_key(user: &str, key: &PublicKey) -> OwnRow {
    (VAULT, key_place(user, key), None)
}

/// Opens a private key of a user; `None` if it is missing or damaged.
pub(super) fn open_key(
    rows: &dyn Snapshot,
    user: &str,
    key: &PublicKey,
    sealer: &Sealer,
) -> Result<Option<SecretKey>, StoreError> {
    let Some(row) = rows.get(VAULT, &key_place(user, key))? else { return Ok(None) };
    let [VERSION, sealed @ ..] = row.as_slice() else { return Ok(None) };
    let secret = sealer.open(sealed, &key_context(user, key));
    Ok(secret.filter(|secret| secret.public() == *key))
}

/// Removes everything that is sealed for a user.
pub(super) fn remove_all(rows: &dyn Snapshot, user: &str) -> Result<Vec<OwnRow>, StoreError> {
    let mut removed = Vec::new();
    let range = KeyRange::prefix(&user_place(user));
    rows.range(VAULT, range, Order::Ascending, &mut |key, _| {
        removed.push((VAULT, key.to_vec(), None));
        ControlFlow::Continue(())
    })?;
    Ok(removed)
}
