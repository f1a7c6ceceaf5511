//! One owner for each store directory.
//!
//! Invariant: while an `Owner` lives, no other one exists for its directory, in this process or
//! another. The system frees the lock when the process ends, however it ends.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::create::private;
use crate::open::OpenError;

/// The name of the file whose lock tells who owns the directory. The file stays; the lock goes.
pub(crate) const OWNER_FILE: &str = "owner.lock";

/// The ownership of a store directory.
#[derive(Debug)]
pub(crate) struct Owner {
    file: File,
    path: PathBuf,
    /// Whether the file was not there before.
    made: bool,
}

impl Owner {
    /// Takes the ownership of `dir`, or says that somebody else has it.
    pub(crate) fn take(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join(OWNER_FILE);
        let fail = |source| OpenError::device("open the owner lock", &path, source);
        let made = !path.try_exists().map_err(fail)?;
        let file = private().create(true).truncate(false).open(&path).map_err(fail)?;
        match file.try_lock() {
            // Somebody who was refused removed it between its opening and its locking.
            Ok(()) if !still_there(&file, &path) => Err(OpenError::InUse { path: dir.to_owned() }),
            Ok(()) => Ok(Self { file, path, made }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: dir.to_owned() }),
            Err(TryLockError::Error(source)) => {
                Err(OpenError::device("lock the directory", &path, source))
            }
        }
    }

    /// Gives the directory up as it was found.
    pub(crate) fn withdraw(self) {
        // Elsewhere nothing tells a removed file from the one that took its name.
        if cfg!(unix) && self.made {
            // Under the lock, so that nobody has taken the directory by it. A file that stays
            // does no harm.
            drop(fs::remove_file(&self.path));
        }
        drop(self.file);
    }
}

/// Whether a locked file is the one under its name: only that one's lock tells who is the owner.
fn still_there(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let number = |found: fs::Metadata| (found.dev(), found.ino());
        let held = file.metadata().map(number);
        matches!((held, fs::metadata(path).map(number)), (Ok(held), Ok(named)) if held == named)
    }
    #[cfg(not(unix))]
    {
        let _ = (file, path);
        true
    }
}
