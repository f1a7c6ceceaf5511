//! A place of the app's choice for the secret that seals the keys of a device.
//!
//! Invariant: a secret is stored before anything is sealed by it, and never replaced.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;
use zeroize::Zeroizing;

use crate::seal::SEAL_KEY_LEN;

/// Keeps the secret that seals the keys of one store, such as in the keyring of the platform.
///
/// One vault is for one store: give each another entry. What is lost here is lost for good, with
/// every key that it seals.
///
/// ```
/// use std::sync::Mutex;
///
/// use weald::{Instance, KeyVault, KeyVaultError, Zeroizing};
///
/// #[derive(Default)]
/// struct Memory(Mutex<Option<Zeroizing<[u8; 32]>>>);
///
/// impl KeyVault for Memory {
///     fn load(&self) -> Result<Option<Zeroizing<[u8; 32]>>, KeyVaultError> {
///         Ok(self.0.lock().map_err(|_| KeyVaultError::new("the vault panicked"))?.clone())
///     }
///
///     fn store(&self, secret: &[u8; 32]) -> Result<(), KeyVaultError> {
///         let mut place = self.0.lock().map_err(|_| KeyVaultError::new("the vault panicked"))?;
///         *place = Some(Zeroizing::new(*secret));
///         Ok(())
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let directory = directory.path();
/// let instance = Instance::builder(directory).key_vault(Memory::default()).open()?;
/// # Ok(())
/// # }
/// ```
pub trait KeyVault: Send + Sync {
    /// Returns the secret; `None` if none was stored yet.
    ///
    /// # Errors
    /// [`KeyVaultError`] when it cannot be told: say `None` only where there is surely none.
    fn load(&self) -> Result<Option<Zeroizing<[u8; SEAL_KEY_LEN]>>, KeyVaultError>;

    /// Stores the secret, durably. It is asked for once in the life of a store.
    ///
    /// # Errors
    /// [`KeyVaultError`] when it is not stored.
    fn store(&self, secret: &[u8; SEAL_KEY_LEN]) -> Result<(), KeyVaultError>;
}

/// Why a vault did not do what it was asked for.
#[derive(Debug, Error)]
#[error(
    "the vault with the secret of the device cannot be used: {0}; make it available and open again"
)]
pub struct KeyVaultError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl KeyVaultError {
    /// Says why, without the secret.
    pub fn new(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(reason.into())
    }
}

/// A vault as the options of an instance hold it.
#[derive(Clone)]
pub(crate) struct SharedVault(Arc<dyn KeyVault>);

impl SharedVault {
    pub(crate) fn new(vault: impl KeyVault + 'static) -> Self {
        Self(Arc::new(vault))
    }

    pub(crate) fn load(&self) -> Result<Option<Zeroizing<[u8; SEAL_KEY_LEN]>>, KeyVaultError> {
        self.0.load()
    }

    pub(crate) fn store(&self, secret: &[u8; SEAL_KEY_LEN]) -> Result<(), KeyVaultError> {
        self.0.store(secret)
    }
}

impl fmt::Debug for SharedVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyVault(..)")
    }
}
