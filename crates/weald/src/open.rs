//! Opening an instance: options, and what can go wrong.
//!
//! Invariant: an opening that fails leaves what was stored as it was.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;
use weald_crdt::StoreType;
use weald_dag::{Durability, MemoryStore, StoreError};
use weald_store::{Options, RedbStore, Settle};

use crate::core::Core;
use crate::desk::Job;
use crate::device::{self, DeviceError};
use crate::instance::Instance;
use crate::key_vault::{KeyVault, SharedVault};
use crate::own::OwnTypes;
use crate::relaxed::Relaxed;
use crate::user::PasswordCost;

/// Why an instance could not be opened. Nothing that was stored has changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another instance, of this process or another, has the directory open.
    #[error("{} is in use by another instance; close it first, or choose another directory", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The file cannot be opened.
    #[error(transparent)]
    File(weald_store::OpenError),
    /// The keys of the device cannot be had.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A store type cannot be given under its name.
    #[error(
        "the store type '{name}' cannot be given: its name is empty, too long, given twice, or one of weald's; choose another"
    )]
    StoreType {
        /// The name.
        name: &'static str,
    },
    /// The rows cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gives no thread.
    #[error("the writer thread could not be started: {0}; close something and try again")]
    Thread(#[source] io::Error),
}

impl From<weald_store::OpenError> for OpenError {
    fn from(error: weald_store::OpenError) -> Self {
        match error {
            weald_store::OpenError::InUse { path } => Self::InUse { path },
            other => Self::File(other),
        }
    }
}

/// Opens an instance with other options than the default.
#[derive(Clone, Debug)]
pub struct InstanceBuilder {
    /// `None` for one that is kept in memory.
    path: Option<PathBuf>,
    durability: Durability,
    options: Options,
    types: OwnTypes,
    password_cost: PasswordCost,
    /// `None` for the file beside the store.
    vault: Option<SharedVault>,
}

impl InstanceBuilder {
    pub(crate) fn new(path: Option<&Path>) -> Self {
        let (path, types) = (path.map(Path::to_owned), OwnTypes::default());
        Self {
            path,
            durability: Durability::Immediate,
            options: Options::default(),
            types,
            password_cost: PasswordCost::default(),
            vault: None,
        }
    }

    /// Sets what trying a password costs, for passwords that are set and keys that are exported
    /// from now on; [`PasswordCost::default`] by default.
    #[must_use]
    pub const fn password_cost(mut self, cost: PasswordCost) -> Self {
        self.password_cost = cost;
        self
    }

    /// Sets where the secret rests that seals the keys of the device and of users without a
    /// password: in the keyring of the platform, for example. By default it is in a file beside the
    /// store that only its owner can read.
    ///
    /// Give the same vault each time. A store whose secret is in a file goes on with the file: its
    /// secret is not moved.
    #[must_use]
    pub fn key_vault(mut self, vault: impl KeyVault + 'static) -> Self {
        self.vault = Some(SharedVault::new(vault));
        self
    }

    /// Adds a store type of the app's own, to be used by [`crate::Database::own`]. None by default.
    ///
    /// Give the same types each time: what came of a type that is not given is kept, and folded when
    /// it is.
    #[must_use]
    pub fn store_type(mut self, store_type: impl StoreType + 'static) -> Self {
        self.types.add(Arc::new(store_type));
        self
    }

    /// Sets when a commit counts as done; [`Durability::Immediate`] by default.
    ///
    /// With [`Durability::Eventual`] a commit returns before it is on the disk. A power cut may take
    /// what was committed in the last second, never less than a whole prefix of the commits; a
    /// peer may already have it, and then this device's keys look as if they were used twice.
    #[must_use]
    pub const fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets how much memory may be used for pages of the file, in bytes; 32 MiB by default.
    #[must_use]
    pub const fn cache_bytes(mut self, bytes: usize) -> Self {
        self.options = self.options.cache_bytes(bytes);
        self
    }

    /// Opens the instance, and makes it when there is none.
    ///
    /// # Errors
    /// [`OpenError`]; what was in the directory is then as it was.
    pub fn open(self) -> Result<Instance, OpenError> {
        let types = self.types.checked()?;
        let Some(path) = self.path else {
            let store = Arc::new(MemoryStore::new());
            let (key, sealer) = device::in_memory(&*store)?;
            return start(Core::start(store, key, sealer, types, self.password_cost));
        };
        let file = RedbStore::open(&path, self.options)?;
        let (key, sealer) = device::open(&path, &file, self.vault.as_ref())?;
        let store: Arc<dyn Settle> = match self.durability {
            Durability::Immediate => Arc::new(file),
            Durability::Eventual => Arc::new(Relaxed::new(file)),
        };
        start(Core::start(store, key, sealer, types, self.password_cost))
    }
}

fn start(core: io::Result<Core>) -> Result<Instance, OpenError> {
    let core = core.map_err(OpenError::Thread)?;
    if weald_engine::has_unfolded(&core.rows()?)? {
        // Before any commit of this process, for the queue keeps its order.
        core.submit(Job::CatchUp)?;
    }
    for held in weald_engine::all_held(&core.rows()?)? {
        if weald_engine::has_unbuilt(&core.rows()?, held.number)? {
            core.submit(Job::BuildIndexes(held.number))?;
        }
    }
    Ok(Instance::new(Arc::new(core)))
}
