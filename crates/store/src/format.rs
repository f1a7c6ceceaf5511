//! The version of the store's format: in a table of the file, and in a small file beside it.
//!
//! Invariant: the side file is read before redb touches anything, so a newer store is refused
//! without a byte changed; the table is the truth when the side file was lost.

use std::path::Path;
use std::{fs, io};

use redb::{Database, ReadTransaction, ReadableDatabase, TableDefinition};

use crate::create;
use crate::open::OpenError;

/// The version of the format that this build writes, and the newest that it reads.
///
/// 1: the first. 2: rows of history, and of names that wait by the row that they are about. 3: settings
/// that take away, rows of hidden entries and of sealed stores. 4: what needed entries sum up to, by
/// generation.
pub const FORMAT_VERSION: u32 = 4;
/// The oldest version that this build reads.
pub const FORMAT_VERSION_MIN: u32 = 4;

/// The name of the side file.
pub(crate) const FORMAT_FILE: &str = "FORMAT";
/// The longest side file that is looked at, in bytes.
const MAX_FORMAT_FILE: u64 = 64;
/// What the side file starts with.
const SIDE_PREFIX: &str = "weald store format ";
/// Spaces are named `name/number`; this name has no slash and is nobody's space.
const TABLE: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("format");
const MAGIC_KEY: &[u8] = b"magic";
const MAGIC: &[u8] = b"weald store\0";
const VERSION_KEY: &[u8] = b"version";

/// Refuses a version that this build does not know.
fn check_version(path: &Path, found: u32) -> Result<(), OpenError> {
    if found > FORMAT_VERSION {
        let path = path.to_owned();
        return Err(OpenError::NewerFormat { path, found, supported: FORMAT_VERSION });
    }
    if found == 0 {
        return Err(OpenError::corrupt(path, "its format version is 0"));
    }
    if found < FORMAT_VERSION_MIN {
        let path = path.to_owned();
        return Err(OpenError::OlderFormat { path, found, supported: FORMAT_VERSION_MIN });
    }
    Ok(())
}

/// Reads the side file; `false` when there is none.
pub(crate) fn check_side_file(path: &Path) -> Result<bool, OpenError> {
    let length = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(OpenError::device("read the format version", path, source)),
    };
    let not_weald = || OpenError::not_weald(path, "the format file was not written by weald");
    if length > MAX_FORMAT_FILE {
        return Err(not_weald());
    }
    let bytes = fs::read(path)
        .map_err(|source| OpenError::device("read the format version", path, source))?;
    let text = String::from_utf8(bytes).map_err(|_| not_weald())?;
    let number = text.strip_prefix(SIDE_PREFIX).ok_or_else(not_weald)?;
    check_version(path, number.trim_end().parse().map_err(|_| not_weald())?)?;
    Ok(true)
}

/// Writes the side file, whole or not at all.
pub(crate) fn write_side_file(path: &Path) -> Result<(), OpenError> {
    create::write_file(path, &format!("{SIDE_PREFIX}{FORMAT_VERSION}\n"))
        .map_err(|source| OpenError::device("write the format version", path, source))
}

/// Reads the version in the file itself.
pub(crate) fn check_table(path: &Path, file: &impl ReadableDatabase) -> Result<(), OpenError> {
    let transaction = file.begin_read().map_err(|error| OpenError::corrupt(path, error))?;
    let value = |key| -> Result<Option<Vec<u8>>, OpenError> { read(path, &transaction, key) };
    if value(MAGIC_KEY)?.as_deref() != Some(MAGIC) {
        return Err(OpenError::not_weald(path, "it is a redb file of another program"));
    }
    let version = value(VERSION_KEY)?
        .and_then(|bytes| bytes.try_into().ok())
        .map(u32::from_be_bytes)
        .ok_or_else(|| OpenError::corrupt(path, "its format version is missing"))?;
    check_version(path, version)
}

fn read(path: &Path, from: &ReadTransaction, key: &[u8]) -> Result<Option<Vec<u8>>, OpenError> {
    let table = match from.open_table(TABLE) {
        Ok(table) => table,
        Err(redb::TableError::Storage(error)) => {
            return Err(OpenError::storage("read the format version", path, error));
        }
        Err(_) => return Ok(None),
    };
    let row = table
        .get(key)
        .map_err(|error| OpenError::storage("read the format version", path, error))?;
    Ok(row.map(|value| value.value().to_vec()))
}

/// Writes magic and version into a new file.
pub(crate) fn write_table(file: &Database) -> Result<(), redb::Error> {
    let transaction = file.begin_write()?;
    {
        let mut table = transaction.open_table(TABLE)?;
        table.insert(MAGIC_KEY, MAGIC)?;
        table.insert(VERSION_KEY, FORMAT_VERSION.to_be_bytes().as_slice())?;
    }
    transaction.commit()?;
    Ok(())
}
