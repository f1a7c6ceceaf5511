//! From a directory to an owned, checked file.
//!
//! Invariant: a file that is refused was not written to; one that no side file vouches for is not
//! even repaired before its table says whose it is. A store that is gone is not replaced.

use std::cell::Cell;
use std::fmt::Display;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use redb::{Database, DatabaseError, StorageError};
use thiserror::Error;

use crate::create::{create_data, create_dir};
use crate::fault::panic_text;
use crate::format;
use crate::owner::Owner;
use crate::shadow::Shadow;

/// How much memory redb may use for pages, in bytes, unless the options say otherwise.
pub const DEFAULT_CACHE_BYTES: usize = 32 * 1024 * 1024;

/// The name of the file with the rows.
pub(crate) const DATA_FILE: &str = "weald.redb";

/// What a store is opened with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// How much memory redb may use for pages, in bytes; [`DEFAULT_CACHE_BYTES`] by default.
    pub cache_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { cache_bytes: DEFAULT_CACHE_BYTES }
    }
}

impl Options {
    /// Sets how much memory redb may use for pages, in bytes; [`DEFAULT_CACHE_BYTES`] by default.
    #[must_use]
    pub const fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }
}

/// Why a store could not be opened. Nothing that was stored has changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another instance, of this process or another, has the directory open.
    #[error("{} is in use by another instance; close it first, or choose another directory", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The store was written by a newer version of this software.
    #[error("{} has format {found}, and this version reads up to {supported}; update it to open the store", path.display())]
    NewerFormat {
        /// The file that says so.
        path: PathBuf,
        /// The version found.
        found: u32,
        /// The newest version that this build reads.
        supported: u32,
    },
    /// The store was written before the first release, in a format that this version does not read.
    #[error("{} has format {found}, and this version reads from {supported} on; open it with the version that wrote it, and join its databases from a new directory", path.display())]
    OlderFormat {
        /// The file that says so.
        path: PathBuf,
        /// The version found.
        found: u32,
        /// The oldest version that this build reads.
        supported: u32,
    },
    /// The file was not written by this software.
    #[error("{} is not a weald store ({what}); choose another directory", path.display())]
    NotWeald {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        what: String,
    },
    /// The file with the rows is gone, and what is beside it says that there was one.
    #[error("{} is missing, though there was a store; put it back or restore it from a backup, or remove the file {} beside it to begin with an empty store", path.display(), format::FORMAT_FILE)]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file is damaged.
    #[error("{} is damaged ({what}); restore it from a backup, or move it away and sync again from a peer", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// The disk is full.
    #[error("could not {action} at {}: the disk is full; free some space and open again", path.display())]
    DiskFull {
        /// What was being done.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the device said.
        #[source]
        source: io::Error,
    },
    /// The place may not be written to.
    #[error("could not {action} at {}: {source}; make it writable or choose another directory", path.display())]
    NotWritable {
        /// What was being done.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Any other refusal of the device.
    #[error("could not {action} at {}: {source}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the device said.
        #[source]
        source: io::Error,
    },
}

impl OpenError {
    pub(crate) fn not_weald(path: &Path, what: &str) -> Self {
        Self::NotWeald { path: path.to_owned(), what: what.to_owned() }
    }

    pub(crate) fn corrupt(path: &Path, what: impl Display) -> Self {
        Self::Corrupt { path: path.to_owned(), what: what.to_string() }
    }

    pub(crate) fn device(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { action, path, source }
            }
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::NotWritable { action, path, source }
            }
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                Self::corrupt(&path, source)
            }
            _ => Self::Io { action, path, source },
        }
    }

    pub(crate) fn storage(action: &'static str, path: &Path, error: StorageError) -> Self {
        match error {
            StorageError::Io(source) => Self::device(action, path, source),
            error => Self::corrupt(path, error),
        }
    }

    pub(crate) fn database(action: &'static str, path: &Path, error: DatabaseError) -> Self {
        match error {
            DatabaseError::DatabaseAlreadyOpen => Self::InUse { path: path.to_owned() },
            DatabaseError::Storage(error) => Self::storage(action, path, error),
            error => Self::corrupt(path, error),
        }
    }
}

/// An open file, and whether redb had to check all of it because its last owner was killed.
pub(crate) struct Opened {
    pub(crate) database: Database,
    pub(crate) repaired: bool,
}

/// When a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// After it was closed, or for the first time.
    Closed,
    /// After its last owner was killed: what the system has in memory of the file may not be on the
    /// disk yet.
    Killed,
    /// After a write failed: what the system has in memory of the file may never have reached the
    /// disk, and never will, so it must not be read.
    AfterFailure,
}

/// How the file is opened.
pub(crate) type Opener = Box<dyn Fn(When) -> Result<Opened, DatabaseError> + Send + Sync>;

/// Takes the directory, makes what is missing, checks what is there and opens the file.
pub(crate) fn open(dir: &Path, options: &Options) -> Result<(Owner, Opener, Opened), OpenError> {
    create_dir(dir)?;
    let owner = Owner::take(dir)?;
    match open_owned(dir, options) {
        Ok((opener, opened)) => Ok((owner, opener, opened)),
        Err(error) => {
            owner.withdraw();
            Err(error)
        }
    }
}

fn open_owned(dir: &Path, options: &Options) -> Result<(Opener, Opened), OpenError> {
    let data = dir.join(DATA_FILE);
    let side = dir.join(format::FORMAT_FILE);
    let has_side_file = format::check_side_file(&side)?;
    let exists = data
        .try_exists()
        .map_err(|source| OpenError::device("look for the store", &data, source))?;
    let cache_bytes = options.cache_bytes;
    let when = match (exists, has_side_file) {
        (true, true) => check(&data)?,
        (true, false) => check_unknown(&data, cache_bytes)?,
        (false, true) => return Err(OpenError::Missing { path: data }),
        (false, false) => {
            create_data(dir, &data)?;
            When::Closed
        }
    };
    let path = data.clone();
    let opener: Opener = Box::new(move |when| open_file(&path, cache_bytes, when));
    let opened = guarded(&data, || {
        opener(when).map_err(|error| OpenError::database("open the store", &data, error))
    })?;
    format::check_table(&data, &opened.database)?;
    if !has_side_file {
        format::write_side_file(&side)?;
    }
    Ok((opener, opened))
}

/// Opens a file that has its name, repairing it when its last owner was killed.
fn open_file(path: &Path, cache_bytes: usize, when: When) -> Result<Opened, DatabaseError> {
    match when {
        When::Closed => {}
        When::Killed => sync_pages(path)?,
        When::AfterFailure => forget_pages(path)?,
    }
    let repaired = Rc::new(Cell::new(false));
    let seen = Rc::clone(&repaired);
    let database = redb::Builder::new()
        .set_cache_size(cache_bytes)
        .set_repair_callback(move |_| seen.set(true))
        .open(path)?;
    Ok(Opened { database, repaired: repaired.get() })
}

/// Makes what a killed owner wrote durable before anything is built on it.
///
/// An owner whose sync fails forgets the pages at once. The failure that nobody was told of, of
/// pages written behind the back of a process that is gone, comes out here. Forgetting them after
/// every kill would be as safe, and take time that grows with the file.
fn sync_pages(path: &Path) -> io::Result<()> {
    let file = fs::OpenOptions::new().read(true).write(true).open(path)?;
    file.sync_data().or_else(|error| {
        tracing::warn!(%error, "what a killed process wrote is not all on the disk");
        forget_pages(path)
    })
}

/// Lets the system forget the pages of a file that are not waiting to be written.
///
/// When syncing fails, Linux counts the pages it could not write as written. Read from memory they
/// would look durable, and whatever is built on them would be lost with the power.
fn forget_pages(path: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    rustix::fs::fadvise(fs::File::open(path)?, 0, None, rustix::fs::Advice::DontNeed)?;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = path;
    Ok(())
}

/// Looks at an existing file without writing to it, and says how it was left.
fn check(path: &Path) -> Result<When, OpenError> {
    guarded(path, || {
        let mut builder = redb::Builder::new();
        builder.set_cache_size(0);
        match builder.open_read_only(path) {
            Ok(file) => format::check_table(path, &file).map(|()| When::Closed),
            // Its last owner was killed; only an opening for writing can tell more.
            Err(DatabaseError::RepairAborted) => Ok(When::Killed),
            Err(DatabaseError::Storage(StorageError::Io(error)))
                if error.kind() == io::ErrorKind::InvalidData =>
            {
                Err(OpenError::not_weald(path, &error.to_string()))
            }
            Err(error) => Err(OpenError::database("open the store", path, error)),
        }
    })
}

/// Looks at a file that no side file vouches for, repairing a shadow of it when its last owner was
/// killed: it may be anybody's, and only its table tells.
fn check_unknown(path: &Path, cache_bytes: usize) -> Result<When, OpenError> {
    let when = check(path)?;
    if when == When::Killed {
        let shadow = Shadow::open(path)
            .map_err(|source| OpenError::device("look at the store", path, source))?;
        guarded(path, || {
            let file = redb::Builder::new()
                .set_cache_size(cache_bytes)
                .create_with_backend(shadow)
                .map_err(|error| OpenError::database("look at the store", path, error))?;
            format::check_table(path, &file)
        })?;
    }
    Ok(when)
}

/// Turns a panic over bytes that make no sense into an error.
fn guarded<T>(path: &Path, run: impl FnOnce() -> Result<T, OpenError>) -> Result<T, OpenError> {
    catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|payload| Err(OpenError::corrupt(path, panic_text(&*payload))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_device_says_is_told_apart() {
        let open = |kind: io::ErrorKind| {
            OpenError::device("create the store", Path::new("somewhere"), kind.into())
        };
        let full = open(io::ErrorKind::StorageFull);
        assert!(matches!(&full, OpenError::DiskFull { .. }), "{full}");
        assert!(full.to_string().contains("somewhere: the disk is full; free some space"));
        let locked = open(io::ErrorKind::ReadOnlyFilesystem);
        assert!(matches!(&locked, OpenError::NotWritable { .. }), "{locked}");
        assert!(matches!(open(io::ErrorKind::PermissionDenied), OpenError::NotWritable { .. }));
        assert!(matches!(open(io::ErrorKind::UnexpectedEof), OpenError::Corrupt { .. }));
        assert!(matches!(open(io::ErrorKind::NotADirectory), OpenError::Io { .. }));
    }
}
