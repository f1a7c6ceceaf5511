//! One open store directory: device key, users, databases.
//!
//! Invariant: there is one instance for a directory at a time; every handle that came from it keeps
//! it open, and dropping the last one closes it in order.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use weald_dag::{DatabaseId, MemoryStore, PublicKey, Store, StoreError};
use weald_engine::{Findings, all_held};

use crate::core::{Core, lost};
use crate::database::DatabaseError;
use crate::desk::{Job, Rebuild};
use crate::entropy;
use crate::error::Error;
use crate::feed::CommitFeed;
use crate::open::{InstanceBuilder, OpenError};
use crate::reply::reply;
use crate::sealed;
use crate::user::{self, SyncSettings, User, UserError};

/// What a check of a whole instance found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// What was found in each database, the instance's own included.
    pub databases: Vec<(DatabaseId, Findings)>,
}

impl Verification {
    /// Returns whether all is as it should be.
    pub fn is_sound(&self) -> bool {
        self.databases.iter().all(|(_, findings)| findings.is_sound())
    }
}

/// One open store directory. Cloning is cheap, and clones share everything.
///
/// Users, databases and transactions keep it open too. When the last of them is dropped, what is
/// queued is written, and the directory is given up.
#[derive(Clone)]
pub struct Instance {
    core: Arc<Core>,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("device", &self.core.device.public())
            .finish_non_exhaustive()
    }
}

impl Instance {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    pub(crate) const fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Opens the instance in a directory, and makes it when there is none.
    ///
    /// # Errors
    /// [`OpenError`]; what was in the directory is then as it was.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::builder(path).open()
    }

    /// Starts to open the instance in a directory with other options.
    pub fn builder(path: impl AsRef<Path>) -> InstanceBuilder {
        InstanceBuilder::new(Some(path.as_ref()))
    }

    /// Makes an instance that is gone when its last handle is dropped.
    ///
    /// # Errors
    /// [`OpenError`] when the system gives no thread or no random bytes.
    pub fn in_memory() -> Result<Self, OpenError> {
        Self::in_memory_builder().open()
    }

    /// Starts to make an instance that is gone when its last handle is dropped, with other options;
    /// those of the file mean nothing to it.
    pub fn in_memory_builder() -> InstanceBuilder {
        InstanceBuilder::new(None)
    }

    /// Returns the public key by which peers know this device.
    pub fn device_key(&self) -> PublicKey {
        self.core.device.public()
    }

    /// Closes the instance, whoever else holds a handle: what is queued is written, watches end, and
    /// everything after that is [`StoreError::Closed`]. What holds a snapshot, such as a
    /// [`crate::Past`], tells what it has in memory, or an error.
    pub fn close(&self) {
        self.core.close();
    }

    /// Makes a user with a first private key, with a password or without.
    ///
    /// The private keys of a user with a password rest sealed by it; without, by the device, so that
    /// whoever has the whole directory has them.
    ///
    /// # Errors
    /// [`UserError::Exists`], [`UserError::Name`], [`UserError::Password`].
    pub fn create_user(&self, name: &str, password: Option<&str>) -> Result<User, UserError> {
        user::create(&self.core, name, password)
    }

    /// Opens the keys of a user.
    ///
    /// # Errors
    /// [`UserError::Unknown`], [`UserError::WrongPassword`], [`UserError::PasswordNeeded`],
    /// [`UserError::NoPassword`], [`UserError::Disabled`].
    pub fn login_user(&self, name: &str, password: Option<&str>) -> Result<User, UserError> {
        user::login(&self.core, name, password)
    }

    /// Keeps a user from logging in, and takes its keys away from the handles that are logged in;
    /// databases that are open stay so. Nothing is lost.
    ///
    /// # Errors
    /// [`UserError::Unknown`].
    pub fn disable_user(&self, name: &str) -> Result<(), UserError> {
        user::set_disabled(&self.core, name, true)
    }

    /// Lets a user log in again.
    ///
    /// # Errors
    /// [`UserError::Unknown`].
    pub fn enable_user(&self, name: &str) -> Result<(), UserError> {
        user::set_disabled(&self.core, name, false)
    }

    /// Deletes a user for good, with its private keys and preferences; what only its keys may do in
    /// databases nobody can do any more. Databases stay, and are synced no more where no other user
    /// tracks them.
    ///
    /// # Errors
    /// As for [`Instance::login_user`]; a user who is disabled can be deleted.
    pub fn delete_user(&self, name: &str, password: Option<&str>) -> Result<(), UserError> {
        user::delete(&self.core, name, password)
    }

    /// Returns how a database is synced, from what all users of the device want of it: at all if
    /// anybody wants it, at once if anybody does, and at the shortest interval. The properties, which
    /// are each user's own, are left out.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn sync_settings(&self, database: &DatabaseId) -> Result<SyncSettings, Error> {
        user::load_wishes(&self.core)?;
        let obeyed = self.core.wanted.combined(database);
        Ok(SyncSettings {
            sync_enabled: obeyed.enabled,
            sync_on_commit: obeyed.on_commit,
            interval_seconds: obeyed.interval.map(|every| every.as_secs()),
            ..SyncSettings::default()
        })
    }

    /// Lists the names of all users.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn users(&self) -> Result<Vec<String>, Error> {
        user::names(&self.core)
    }

    /// Lists the public halves of the private keys that are unlocked: those of users of whom, or of
    /// whose databases, a handle lives. These are what can be proven to peers.
    pub fn unlocked_keys(&self) -> Vec<PublicKey> {
        self.core.key_ring.unlocked().iter().map(|key| key.public()).collect()
    }

    /// Lists the databases that are here, whole or in part, by id; not the instance's own.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn databases(&self) -> Result<Vec<DatabaseId>, StoreError> {
        let held = all_held(&self.core.rows()?)?;
        Ok(held.into_iter().filter(|held| !held.system).map(|held| held.id).collect())
    }

    /// Checks every database against itself: hashes, signatures, parents, numbers, and the state
    /// folded again in memory. It changes nothing, and takes as long as fetching all of it would. The
    /// rows of sealed stores are not checked, for they are nothing that replicas agree on.
    ///
    /// # Errors
    /// What keeps the check from going on; damage that it can tell is a finding.
    pub fn verify(&self) -> Result<Verification, Error> {
        let rows = self.core.rows()?;
        let mut verification = Verification::default();
        for held in all_held(&rows)? {
            let scratch: Arc<dyn Store> = Arc::new(MemoryStore::new());
            let (id, seed) = (held.id, entropy::bytes()?);
            let findings = weald_engine::verify(&rows, held, &self.core.types, &scratch, seed)?;
            verification.databases.push((id, findings));
        }
        Ok(verification)
    }

    /// Makes the state of a database again from its entries, after [`Instance::verify`] found it
    /// damaged. Damaged entries are not mended: fetch those from a peer. The rows of sealed stores are
    /// made again where they are unlocked, or when they are unlocked next. It takes memory for all
    /// state of the database, and writing waits meanwhile.
    ///
    /// # Errors
    /// [`DatabaseError::NotHere`], or any [`StoreError`].
    pub fn rebuild(&self, database: DatabaseId) -> Result<(), Error> {
        let held = self.core.held(&database)?.ok_or(DatabaseError::NotHere { id: database })?;
        let (answer, reply) = reply();
        self.core.submit(Job::Rebuild(Rebuild { database: held.number, answer }))?;
        reply.wait().unwrap_or_else(|| Err(lost()))?;
        Ok(sealed::fold_anew(&self.core, held.number)?)
    }

    /// Tells a feed of every durable group from now on; for apps that move entries in their own way.
    ///
    /// The feed is kept until the instance is closed, so it must not keep a handle of the instance.
    pub fn add_feed(&self, feed: Arc<dyn CommitFeed>) {
        self.core.feeds.add(feed);
    }
}
