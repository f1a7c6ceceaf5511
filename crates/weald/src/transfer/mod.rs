//! Databases to files and back: values as JSON Lines, entries as one archive.
//!
//! Invariant: whatever the size of a database, a transfer holds a bounded part of it in memory.

mod archive;
mod error;
mod meter;

pub use archive::{
    ARCHIVE_BLOCK_BYTES, ArchiveError, ArchiveExport, ArchiveImport, ArchiveReport, ImportedArchive,
};
pub use error::ExportError;
pub use meter::TransferProgress;
