//! One owner for each store directory.
//!
//! Invariant: while an `Owner` lives, no other one exists for its directory, in this process or
//! another. The system frees the lock when the process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use crate::open::OpenError;

/// The name of the file whose lock tells who owns the directory. The file stays; the lock goes.
pub(crate) const OWNER_FILE: &str = "owner.lock";

/// The ownership of a store directory.
#[derive(Debug)]
pub(crate) struct Owner {
    _file: File,
}

impl Owner {
    /// Takes the ownership of `dir`, or says that somebody else has it.
    pub(crate) fn take(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join(OWNER_FILE);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|source| OpenError::device("open the owner lock", &path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: dir.to_owned() }),
            Err(TryLockError::Error(source)) => {
                Err(OpenError::device("lock the directory", &path, source))
            }
        }
    }
}
