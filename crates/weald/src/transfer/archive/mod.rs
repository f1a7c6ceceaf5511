//! A database as one file of signed entries, which any instance can check and take in.
//!
//! Invariant: entries leave in topological order and come in through the one door, so an archive
//! can say nothing that a peer could not.

mod error;
mod export;
mod file;
mod import;

pub use error::ArchiveError;
pub use export::{ArchiveExport, ArchiveReport};
pub use file::ARCHIVE_BLOCK_BYTES;
pub use import::{ArchiveImport, ImportedArchive};
