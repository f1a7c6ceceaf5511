//! The key of the device, and the secret that seals all keys at rest.
//!
//! Invariant: the sealing secret is in a file that only its owner can read, the device key in the
//! store, sealed; neither is made anew while the other is there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;
use weald_dag::{Batch, Durability, SecretKey, Space, Store, StoreError};
use zeroize::Zeroizing;

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
    #[error("{} is missing, and the keys in the store cannot be opened without it; put it back from a backup", path.display())]
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
pub(crate) fn open(dir: &Path, store: &dyn Store) -> Result<(SecretKey, Sealer), DeviceError> {
    let path = dir.join(SECRET_FILE);
    let sealed = store.snapshot()?.get(DEVICE, DEVICE_KEY)?;
    let sealer = match read(&path)? {
        Some(key) => Sealer::new(key),
        None if sealed.is_some() => return Err(DeviceError::Missing { path }),
        None => {
            let sealer = Sealer::random()?;
            write(dir, &path, sealer.key())?;
            sealer
        }
    };
    let Some(sealed) = sealed else { return Ok((make(store, &sealer)?, sealer)) };
    let device = sealer.open(&sealed, CONTEXT).ok_or(DeviceError::Wrong { path })?;
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
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", path)(error)),
    };
    restrict(&file).map_err(failed("restrict to its owner", path))?;
    let mut key = Zeroizing::new([0; SEAL_KEY_LEN]);
    file.read_exact(key.as_mut_slice()).map_err(failed("read", path))?;
    let more = file.read(&mut [0]).map_err(failed("read", path))?;
    if more > 0 {
        return Err(DeviceError::Wrong { path: path.to_owned() });
    }
    Ok(Some(key))
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
