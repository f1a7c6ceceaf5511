//! New files and directories of a store.
//!
//! Invariant: what is made is readable by its owner only, whatever the directory allows, and has
//! its final name only when it is complete and on the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use crate::format;
use crate::open::OpenError;

/// The name of the file with the rows until it is complete.
const NEW_FILE: &str = "weald.redb.new";

/// Makes the directory, readable by its owner only.
pub(crate) fn create_dir(dir: &Path) -> Result<(), OpenError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|source| OpenError::device("create the directory", dir, source))
}

/// How a file is opened that nobody but its owner may read, if it is made.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes a complete data file under another name, then gives it its own.
pub(crate) fn create_data(dir: &Path, data: &Path) -> Result<(), OpenError> {
    let new = dir.join(NEW_FILE);
    let fail = |source| OpenError::device("create the store", data, source);
    let file = create_anew(&new).map_err(fail)?;
    let written = file.try_clone().map_err(fail)?;
    let database = redb::Builder::new()
        .set_cache_size(0)
        .create_file(file)
        .map_err(|error| OpenError::database("create the store", data, error))?;
    format::write_table(&database).map_err(|error| match error {
        redb::Error::Io(source) => fail(source),
        error => fail(io::Error::other(error)),
    })?;
    drop(database);
    finish(written, &new, data).map_err(fail)
}

/// Writes a small file, whole or not at all.
pub(crate) fn write_file(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = create_anew(&new)?;
    file.write_all(text.as_bytes())?;
    finish(file, &new, path)
}

/// Makes a file in place of what an earlier attempt left.
fn create_anew(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    private().create_new(true).open(path)
}

/// Makes a file durable and gives it its name, durably.
///
/// `file` is what it was written with: Windows syncs nothing through one opened for reading.
fn finish(file: File, new: &Path, path: &Path) -> io::Result<()> {
    file.sync_all()?;
    // Closed before it is renamed, which Windows may refuse otherwise.
    drop(file);
    fs::rename(new, path)?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Makes new names in a directory durable, where the system needs that.
fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}
