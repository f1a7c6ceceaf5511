//! The key of the device, and the secret that seals all keys at rest.
//!
//! Invariant: the sealing secret is in a file that only its owner can read, or in a vault of the
//! app's choice, the device key in the store, sealed; neither is made anew while the other is there,
//! and nothing that is there is overwritten.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;
use weald_dag::{Batch, Durability, SecretKey, Space, Store, StoreError};
use zeroize::Zeroizing;

use crate::key_vault::{KeyVaultError, SharedVault};
use crate::seal::{SEAL_KEY_LEN, Sealer, new_secret};

/// The file with the sealing secret, beside the store.
pub(crate) const SECRET_FILE: &str = "device.secret";
const NEW_FILE: &str = "device.secret.new";
const DEVICE: Space = Space::new("device", 0);
const DEVICE_KEY: &[u8] = b"key";
const CONTEXT: &[u8] = b"weald 2026 device key v1";

/// Why the device's keys could not be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The store has keys, and the secret that opens them is gone.
    #[error("{} is missing, and the keys in the store cannot be opened without it; put it back from a backup, or give the vault that the store was made with", path.display())]
    Missing {
        /// Where the secret should be.
        path: PathBuf,
    },
    /// The secret is not that of this store.
    #[error("{} does not open the keys in the store; put the file back that belongs to it", path.display())]
    Wrong {
        /// Where the secret is.
        path: PathBuf,
    },
    /// The file with the secret is not as it was written.
    #[error("{} is damaged: it should have {SEAL_KEY_LEN} bytes; put it back from a backup", path.display())]
    Damaged {
        /// Where the secret is.
        path: PathBuf,
    },
    /// The store has keys, and the vault has no secret that opens them.
    #[error(
        "the vault holds no secret, and the keys in the store cannot be opened without it; give the vault that the store was made with"
    )]
    VaultEmpty,
    /// The secret in the vault is not that of this store.
    #[error(
        "the secret in the vault does not open the keys in the store; give the vault that the store was made with"
    )]
    VaultWrong,
    /// The vault cannot be used.
    #[error(transparent)]
    Vault(#[from] KeyVaultError),
    /// The file with the secret cannot be read or written.
    #[error("could not {action} {}: {source}", path.display())]
    File {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The rows at rest.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Gets the keys of a store in a directory, and makes them in a new one.
///
/// A secret that is in a file stays there, whatever vault is given.
pub(crate) fn open(
    dir: &Path,
    store: &dyn Store,
    vault: Option<&SharedVault>,
) -> Result<(SecretKey, Sealer), DeviceError> {
    let path = dir.join(SECRET_FILE);
    let sealed = store.snapshot()?.get(DEVICE, DEVICE_KEY)?;
    let in_file = read(&path)?;
    // What is said where the secret is missing, and where it is another.
    let (secret, missing, wrong) = match (in_file, vault) {
        (None, Some(vault)) => (vault.load()?, DeviceError::VaultEmpty, DeviceError::VaultWrong),
        (secret, _) => {
            let missing = DeviceError::Missing { path: path.clone() };
            (secret, missing, DeviceError::Wrong { path: path.clone() })
        }
    };
    let sealer = match secret {
        Some(key) => Sealer::new(key),
        None if sealed.is_some() => return Err(missing),
        None => {
            let sealer = Sealer::random()?;
            match vault {
                Some(vault) => vault.store(sealer.key())?,
                None => write(dir, &path, sealer.key())?,
            }
            sealer
        }
    };
    let Some(sealed) = sealed else { return Ok((make(store, &sealer)?, sealer)) };
    let device = sealer.open(&sealed, CONTEXT).ok_or(wrong)?;
    Ok((device, sealer))
}

/// Makes the keys of a store that is gone with the process.
pub(crate) fn in_memory(store: &dyn Store) -> Result<(SecretKey, Sealer), StoreError> {
    let sealer = Sealer::random()?;
    Ok((make(store, &sealer)?, sealer))
}

fn make(store: &dyn Store, sealer: &Sealer) -> Result<SecretKey, StoreError> {
    let device = new_secret()?;
    let mut batch = Batch::default();
    batch.put(DEVICE, DEVICE_KEY, sealer.seal(&device, CONTEXT)?);
    store.apply(batch, Durability::Immediate)?;
    Ok(device)
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DeviceError {
    let path = path.to_owned();
    move |source| DeviceError::File { action, path, source }
}

fn read(path: &Path) -> Result<Option<Zeroizing<[u8; SEAL_KEY_LEN]>>, DeviceError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", path)(error)),
    };
    restrict(&file).map_err(failed("restrict to its owner", path))?;
    // One more than there should be, to see that there is no more.
    let mut found = Zeroizing::new(Vec::with_capacity(SEAL_KEY_LEN + 1));
    let most = SEAL_KEY_LEN as u64 + 1;
    file.take(most).read_to_end(&mut found).map_err(failed("read", path))?;
    let damaged = |_| DeviceError::Damaged { path: path.to_owned() };
    let key: &[u8; SEAL_KEY_LEN] = found.as_slice().try_into().map_err(damaged)?;
    Ok(Some(Zeroizing::new(*key)))
}

/// Writes the file under another name first, so that it is there whole or not at all.
fn write(dir: &Path, path: &Path, key: &[u8; SEAL_KEY_LEN]) -> Result<(), DeviceError> {
    let new = dir.join(NEW_FILE);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("replace", &new)(error));
        }
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&new).and_then(|mut file| {
        file.write_all(key)?;
        file.sync_all()
    });
    written.map_err(failed("write", &new))?;
    fs::rename(&new, path).map_err(failed("write", path))?;
    if cfg!(unix) {
        let synced = File::open(dir).and_then(|dir| dir.sync_all());
        synced.map_err(failed("write", path))?;
    }
    Ok(())
}

/// Takes the file away from everybody but its owner, where the system knows owners.
fn restrict(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let permissions = file.metadata()?.permissions();
        if permissions.mode() & 0o077 != 0 {
            tracing::warn!(
                "the file with the device's secret was open to others; it is closed now"
            );
            file.set_permissions(PermissionsExt::from_mode(0o600))?;
        }
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}
