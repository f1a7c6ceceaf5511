//! The keys of the users who are logged in, shared by all handles of a user.
//!
//! Invariant: a private key is here only while a handle of its user lives, and what is changed
//! through one handle all others see. Users are changed one at a time.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use weald_dag::{PublicKey, SecretKey};

use super::error::UserError;
use super::vault::Lock;
use crate::seal::Sealer;

/// A private key of a user.
#[derive(Clone)]
pub(super) struct OwnKey {
    pub(super) key: PublicKey,
    pub(super) name: Option<String>,
    pub(super) secret: Arc<SecretKey>,
}

/// What a user who is logged in has.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) default: PublicKey,
    pub(super) all: Vec<OwnKey>,
    /// Seals the private keys at rest.
    pub(super) sealer: Arc<Sealer>,
    /// The sealer as it rests: where another rests, this one is outdated.
    pub(super) lock: Arc<Lock>,
}

impl Keys {
    pub(super) fn find(&self, key: &PublicKey) -> Option<&OwnKey> {
        self.all.iter().find(|own| own.key == *key)
    }
}

/// Why the handles of a user have lost its keys.
#[derive(Clone, Copy)]
pub(super) enum Ended {
    Disabled,
    Deleted,
}

enum State {
    Here(Keys),
    /// The handles still tell what the default key was.
    Gone(Ended, PublicKey),
}

/// A user who is logged in.
pub(super) struct Unlocked {
    name: Arc<str>,
    state: RwLock<State>,
}

impl fmt::Debug for Unlocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unlocked").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Unlocked {
    pub(super) const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Returns what the user has, or why it is gone.
    pub(super) fn keys(&self) -> Result<Keys, UserError> {
        let name = || self.name.to_string();
        match &*self.state.read().unwrap_or_else(PoisonError::into_inner) {
            State::Here(keys) => Ok(keys.clone()),
            State::Gone(Ended::Disabled, _) => Err(UserError::Disabled { name: name() }),
            State::Gone(Ended::Deleted, _) => Err(UserError::Unknown { name: name() }),
        }
    }

    /// Refuses a user who was deleted: another may have its name by now.
    pub(super) fn check_exists(&self) -> Result<(), UserError> {
        match self.keys() {
            Err(error @ UserError::Unknown { .. }) => Err(error),
            _ => Ok(()),
        }
    }

    pub(super) fn default_key(&self) -> PublicKey {
        match &*self.state.read().unwrap_or_else(PoisonError::into_inner) {
            State::Here(keys) => keys.default,
            State::Gone(_, default) => *default,
        }
    }

    fn set(&self, state: State) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

/// The users who are logged in.
#[derive(Default)]
pub(crate) struct Logins(Mutex<BTreeMap<Arc<str>, Weak<Unlocked>>>);

impl Logins {
    /// Returns the names of the users who are logged in and have a key.
    pub(super) fn with_key(&self, key: &PublicKey) -> Vec<Arc<str>> {
        let users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let here = users.values().filter_map(Weak::upgrade);
        let have = here.filter(|user| user.keys().is_ok_and(|keys| keys.find(key).is_some()));
        have.map(|user| Arc::clone(user.name())).collect()
    }

    /// Begins a change of one user; others wait until what is returned is dropped.
    pub(super) fn changing(&self) -> Changing<'_> {
        Changing(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The right to change users.
pub(super) struct Changing<'a>(MutexGuard<'a, BTreeMap<Arc<str>, Weak<Unlocked>>>);

impl Changing<'_> {
    fn shared(&self, name: &str) -> Option<Arc<Unlocked>> {
        self.0.get(name).and_then(Weak::upgrade)
    }

    /// Gives keys to all handles of a user, and makes what the next one shares with them.
    pub(super) fn log_in(&mut self, name: &str, keys: Keys) -> Arc<Unlocked> {
        self.0.retain(|_, shared| shared.strong_count() > 0);
        if let Some(shared) = self.shared(name) {
            shared.set(State::Here(keys));
            return shared;
        }
        let name: Arc<str> = name.into();
        let state = RwLock::new(State::Here(keys));
        let shared = Arc::new(Unlocked { name: Arc::clone(&name), state });
        self.0.insert(name, Arc::downgrade(&shared));
        shared
    }

    /// Replaces the keys of the handles that live.
    pub(super) fn replace(&self, name: &str, keys: Keys) {
        if let Some(shared) = self.shared(name) {
            shared.set(State::Here(keys));
        }
    }

    /// Takes the keys away from all handles of a user.
    pub(super) fn end(&mut self, name: &str, why: Ended) {
        if let Some(shared) = self.0.remove(name).and_then(|shared| shared.upgrade()) {
            shared.set(State::Gone(why, shared.default_key()));
        }
    }
}
