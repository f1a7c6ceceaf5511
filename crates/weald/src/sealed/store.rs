//! Sealing stores of a database, unlocking and locking them.
//!
//! Invariant: a store is sealed before anything is in it, and what is written to it from then on
//! leaves the instance sealed.

use std::fmt;
use std::sync::Arc;

use weald_cipher::{
    CipherError, EpochKey, PasswordCost, PasswordLock, PasswordSeeds, RowCipher, succession_proof,
};
use weald_dag::StoreError;
use weald_engine::{
    Commit, has_locked, has_sealed, is_sealed, rest_key, sealed_stores, type_in_use,
};

use super::error::SealedError;
use super::known::{self, Records, SealRecords};
use super::records::{self, KEYS, Keying, Record, lock_id};
use super::sealing::{new_key, readers_of, ring_of, wraps};
use super::vault::OpenStore;
use crate::core::{Core, lost};
use crate::database::{Database, DatabaseError};
use crate::desk::{Job, Make, Seal, SealStep};
use crate::entropy;
use crate::error::{Error, ReadError};
use crate::registry::known_type;
use crate::reply::reply;
use crate::store_ref::check_name;
use crate::user::PASSWORD_MAX;

/// How many locks a password is tried on.
const LOCKS_TRIED_MAX: usize = 16;

/// For whom a store is sealed.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Sealing<'a> {
    /// For whoever knows this password.
    Password(&'a str),
    /// For the members of the database that may read it: those with a grant to a key of theirs. Not
    /// for anyone else, even if anyone may read the rest.
    Readers,
}

impl fmt::Debug for Sealing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password(..)",
            Self::Readers => "Readers",
        })
    }
}

/// A sealed store of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SealedStore {
    /// Its name.
    pub name: String,
    /// The name of the type inside, if that is known: it may come after the first entries.
    pub type_name: Option<String>,
    /// Who can unlock it, if that is known.
    pub keying: Option<Keying>,
    /// Whether it can be read and written through this instance now.
    pub is_unlocked: bool,
    /// Whether something in it cannot be read for lack of a key: all that came while it was locked,
    /// or, when it is unlocked, what was sealed with a key that this device was not given.
    pub is_waiting: bool,
}

fn sealed(error: SealedError) -> Error {
    DatabaseError::from(error).into()
}

fn cipher(error: CipherError) -> Error {
    sealed(error.into())
}

impl Database {
    /// Seals a new store: what is written to it is read by those alone for whom it is sealed; peers
    /// without the key keep and forward it, and see its name, who writes when, and about how much.
    /// It is unlocked on this instance then. Once sealed it stays so.
    ///
    /// There are no indexes on a sealed store, and reading a range of it, or counting it, opens all
    /// of its rows. While it is unlocked, every handle of this instance reads it.
    ///
    /// # Errors
    /// [`SealedError::AlreadySealed`], [`SealedError::InUse`], [`SealedError::PasswordLength`], or why the name or type cannot be used.
    pub fn seal_store(
        &self,
        name: &str,
        type_name: &str,
        sealing: Sealing<'_>,
    ) -> Result<(), Error> {
        let type_name = known_type(self.core(), type_name).map_err(ReadError::from)?;
        check_name(name).map_err(ReadError::from)?;
        let rows = self.core().rows()?;
        let store = name.to_owned();
        if is_sealed(&rows, self.number(), name)? {
            return Err(sealed(SealedError::AlreadySealed { store }));
        }
        if type_in_use(&rows, self.number(), name)?.is_some() {
            return Err(sealed(SealedError::InUse { store }));
        }
        let (key, id) = (new_key()?, self.id());
        let (keying, given) = match sealing {
            Sealing::Password(password) => {
                let lock = lock(self, name, password, std::slice::from_ref(&key))?;
                (Keying::Password, vec![Record::Lock { lock, follows: Vec::new() }])
            }
            Sealing::Readers => {
                let readers = readers_of(&*self.settings().authority()?);
                (Keying::Readers, wraps(&id, name, (&key, true), readers.iter())?)
            }
        };
        let mut records = vec![Record::Seal { type_name: type_name.to_owned(), keying }];
        records.extend(given);
        self.attend()?;
        self.add_records(name, &records)?;
        self.open_store(name, (type_name.to_owned(), keying), vec![key])
    }

    /// Unlocks a store that is sealed for a password, on this instance: for every handle of it, until
    /// it is locked or the instance is closed. What came meanwhile is folded before this returns. A
    /// store that is unlocked takes further keys so, after its password was changed elsewhere.
    ///
    /// # Errors
    /// [`SealedError::WrongPassword`] and [`SealedError::PasswordChanged`], [`SealedError::NotSealed`],
    /// and [`SealedError::OtherKeying`].
    pub fn unlock(&self, name: &str, password: &str) -> Result<(), Error> {
        let of_store = self.records_of(name, Keying::Password)?;
        let (_, ring) = open_lock(self, name, &of_store, password)?;
        self.open_store(name, (of_store.type_name, Keying::Password), ring)
    }

    /// Unlocks a store that is sealed for readers with the key of this handle. Handles do so by
    /// themselves, unless the store was locked with [`Database::lock`].
    ///
    /// # Errors
    /// [`SealedError::NotAReader`], [`SealedError::NotSealed`] and [`SealedError::OtherKeying`].
    pub fn unlock_with_key(&self, name: &str) -> Result<(), Error> {
        let of_store = self.records_of(name, Keying::Readers)?;
        let ring = ring_of(&self.id(), name, &of_store, std::slice::from_ref(self.secret()));
        if ring.is_empty() {
            return Err(sealed(SealedError::NotAReader { store: name.to_owned() }));
        }
        self.core().vault.try_reader(self.number(), self.secret());
        self.core().vault.unlock_by_hand(self.number(), name);
        self.open_store(name, (of_store.type_name, Keying::Readers), ring)
    }

    /// Locks a store on this instance: its keys are dropped from memory, and reading or writing it is
    /// an error until it is unlocked. Returns whether it was unlocked.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn lock(&self, name: &str) -> Result<bool, StoreError> {
        let (core, number) = (self.core(), self.number());
        let _turn = core.vault.unlocking();
        let was = core.vault.begin_locking(number, name);
        // What was begun with the keys is written first.
        self.seal_step(SealStep::Settle)?;
        core.vault.end_locking(number, name);
        #[cfg(feature = "text")]
        core.texts.forget(number, name);
        Ok(was)
    }

    /// Changes the password of a sealed store, and makes a new key for what is written from now on.
    ///
    /// The old password still opens what it opened before, for whoever has kept a copy of the
    /// database; what is written with the new key it does not open. Devices on which the store is
    /// unlocked with the old password go on with the old key until they unlock it with the new one.
    ///
    /// The rows that rest here are made anew under the new key, which costs all entries of the
    /// database, and for a moment the store is locked. Other devices do so when they unlock it first
    /// with the new password after it was locked.
    ///
    /// # Errors
    /// As for [`Database::unlock`], [`SealedError::PasswordLength`], and why the commit failed.
    pub fn change_store_password(&self, name: &str, old: &str, new: &str) -> Result<(), Error> {
        let of_store = self.records_of(name, Keying::Password)?;
        let (of_lock, mut ring) = open_lock(self, name, &of_store, old)?;
        let proving = ring.last().cloned();
        ring.push(new_key()?);
        let lock = lock(self, name, new, &ring)?;
        let proof = proving.map(|key| (of_lock, succession_proof(&key, &lock)));
        let record = Record::Lock { lock, follows: proof.into_iter().collect() };
        self.add_records(name, &[record])?;
        // Its rows are to rest under the new key.
        self.lock(name)?;
        self.open_store(name, (of_store.type_name, Keying::Password), ring)
    }

    /// Lists the sealed stores, locked and unlocked.
    ///
    /// # Errors
    /// [`ReadError`] when the rows cannot be read.
    pub fn sealed_stores(&self) -> Result<Vec<SealedStore>, ReadError> {
        self.attend()?;
        let (core, number, rows) = (self.core(), self.number(), self.core().rows()?);
        let records = self.records()?;
        let mut found = Vec::new();
        for name in sealed_stores(&rows, number)? {
            let known = records.get(&name);
            found.push(SealedStore {
                type_name: known.map(|known| known.type_name.clone()),
                keying: known.map(|known| known.keying),
                is_unlocked: core.vault.is_open(number, &name),
                is_waiting: has_locked(&rows, number, &name)?,
                name,
            });
        }
        Ok(found)
    }

    /// Names a store that is sealed by a password.
    pub fn password_store(&self, name: &str) -> PasswordStore {
        PasswordStore { database: self.clone(), name: name.to_owned() }
    }

    /// Unlocks what is sealed for the key of this handle, if that was not tried yet.
    pub(crate) fn attend(&self) -> Result<(), StoreError> {
        let (core, number) = (self.core(), self.number());
        if !core.vault.try_reader(number, self.secret()) {
            return Ok(());
        }
        let rows = core.rows()?;
        if has_sealed(&rows, number)? {
            for (name, of_store) in self.records()? {
                let is_known = core.vault.is_open(number, &name)
                    || core.vault.is_locked_by_hand(number, &name)
                    || !is_sealed(&rows, number, &name)?;
                if of_store.keying != Keying::Readers || is_known {
                    continue;
                }
                let keys = std::slice::from_ref(self.secret());
                let ring = ring_of(&self.id(), &name, &of_store, keys);
                if !ring.is_empty() {
                    self.open_rows(&name, (of_store.type_name, Keying::Readers), ring)?;
                }
            }
        }
        core.vault.tried_reader(number, self.key());
        Ok(())
    }

    /// Reads what `_keys` says.
    fn records(&self) -> Result<Records, StoreError> {
        let authority = self.settings().authority()?;
        known::read(&self.core().rows()?, self.number(), &authority)
    }

    fn records_of(&self, name: &str, keying: Keying) -> Result<SealRecords, Error> {
        let rows = self.core().rows()?;
        let store = name.to_owned();
        let known = self.records()?.remove(name);
        let Some(known) =
            known.filter(|_| matches!(is_sealed(&rows, self.number(), name), Ok(true)))
        else {
            return Err(sealed(SealedError::NotSealed { store }));
        };
        if known.keying != keying {
            return Err(sealed(SealedError::OtherKeying { store, keying: known.keying }));
        }
        Ok(known)
    }

    fn add_records(&self, name: &str, added: &[Record]) -> Result<(), Error> {
        let added: Vec<_> = added.iter().map(|record| (name, record)).collect();
        let commit = Commit {
            database: self.number(),
            key: Arc::clone(self.secret()),
            sections: vec![(KEYS.to_owned(), records::section(&added)?)],
            required: Vec::new(),
        };
        let (answer, reply) = reply();
        self.core().submit(Job::Make(Box::new(Make { commit, answer })))?;
        reply.wait().unwrap_or_else(|| Err(lost().into()))?;
        Ok(())
    }

    fn open_store(
        &self,
        name: &str,
        inner: (String, Keying),
        ring: Vec<EpochKey>,
    ) -> Result<(), Error> {
        self.core().vault.unlock_by_hand(self.number(), name);
        Ok(self.open_rows(name, inner, ring)?)
    }

    fn open_rows(
        &self,
        name: &str,
        inner: (String, Keying),
        ring: Vec<EpochKey>,
    ) -> Result<(), StoreError> {
        let (core, number, store) = (self.core(), self.number(), name.to_owned());
        let _turn = core.vault.unlocking();
        let rest = rest_key(&core.rows()?, number, name)?;
        let resting = ring.iter().find(|key| Some(*key.id().as_bytes()) == rest);
        let key = match inner.1 {
            // Who knows an old password opens nothing that rests here.
            Keying::Password => ring.last(),
            Keying::Readers => resting.or(ring.first()),
        };
        let Some(key) = key else { return Ok(()) };
        let cipher = Arc::new(RowCipher::new(key, self.id().as_bytes(), name));
        if !core.vault.is_open(number, name) {
            let rest = *cipher.epoch().as_bytes();
            self.seal_step(SealStep::Prepare { store: store.clone(), rest })?;
        }
        core.vault.insert(number, name, OpenStore::new(self.id(), inner, ring, cipher));
        self.seal_step(SealStep::Fold { store })
    }

    fn seal_step(&self, step: SealStep) -> Result<(), StoreError> {
        seal_step(self.core(), self.number(), step)
    }
}

fn seal_step(core: &Core, database: u32, step: SealStep) -> Result<(), StoreError> {
    let (answer, reply) = reply();
    core.submit(Job::Seal(Seal { database, step, answer }))?;
    reply.wait().unwrap_or_else(|| Err(lost()))
}

/// Folds the stores of a database that are unlocked again, after its state was made anew.
pub(crate) fn fold_anew(core: &Core, database: u32) -> Result<(), StoreError> {
    let _turn = core.vault.unlocking();
    for (store, rest) in core.vault.all_open(database) {
        seal_step(core, database, SealStep::Prepare { store: store.clone(), rest })?;
        seal_step(core, database, SealStep::Fold { store })?;
    }
    Ok(())
}

fn lock(
    database: &Database,
    store: &str,
    password: &str,
    ring: &[EpochKey],
) -> Result<Vec<u8>, Error> {
    if password.is_empty() || password.len() > PASSWORD_MAX {
        return Err(sealed(SealedError::PasswordLength { store: store.to_owned() }));
    }
    let seeds = PasswordSeeds { salt: entropy::bytes()?, nonce: entropy::bytes()? };
    let (id, cost) = (database.id(), PasswordCost::default());
    let lock = PasswordLock::new(password, cost, seeds, (id.as_bytes(), store), ring);
    Ok(lock.map_err(cipher)?.to_bytes())
}

/// Finds the lock that a password opens, and which no later one has followed on.
fn open_lock(
    database: &Database,
    name: &str,
    of_store: &SealRecords,
    password: &str,
) -> Result<([u8; 32], Vec<EpochKey>), Error> {
    let id = database.id();
    for tried in of_store.locks_to_try().into_iter().take(LOCKS_TRIED_MAX) {
        let ring = match tried.lock.open(password, (id.as_bytes(), name)) {
            Ok(ring) => ring,
            Err(CipherError::WrongPassword) => continue,
            Err(error) => return Err(cipher(error)),
        };
        let is_followed = of_store.locks.iter().any(|later| {
            later.follows.iter().any(|(of, proof)| {
                let proves = |key| succession_proof(key, &later.lock.to_bytes()) == *proof;
                *of == tried.id && ring.last().is_some_and(proves)
            })
        });
        if is_followed {
            return Err(sealed(SealedError::PasswordChanged { store: name.to_owned() }));
        }
        debug_assert_eq!(tried.id, lock_id(&tried.lock.to_bytes()));
        return Ok((tried.id, ring));
    }
    Err(sealed(SealedError::WrongPassword { store: name.to_owned() }))
}

/// A store that is sealed by a password. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct PasswordStore {
    database: Database,
    name: String,
}

impl PasswordStore {
    /// Seals a new store of a type; see [`Database::seal_store`].
    ///
    /// # Errors
    /// As for [`Database::seal_store`].
    pub fn create(&self, password: &str, type_name: &str) -> Result<(), Error> {
        self.database.seal_store(&self.name, type_name, Sealing::Password(password))
    }

    /// Unlocks it; see [`Database::unlock`].
    ///
    /// # Errors
    /// As for [`Database::unlock`].
    pub fn unlock(&self, password: &str) -> Result<(), Error> {
        self.database.unlock(&self.name, password)
    }

    /// Locks it; see [`Database::lock`].
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn lock(&self) -> Result<bool, StoreError> {
        self.database.lock(&self.name)
    }

    /// Returns whether it can be read and written now.
    pub fn is_unlocked(&self) -> bool {
        self.database.core().vault.is_open(self.database.number(), &self.name)
    }

    /// Changes its password; see [`Database::change_store_password`].
    ///
    /// # Errors
    /// As for [`Database::change_store_password`].
    pub fn change_password(&self, old: &str, new: &str) -> Result<(), Error> {
        self.database.change_store_password(&self.name, old, new)
    }
}
